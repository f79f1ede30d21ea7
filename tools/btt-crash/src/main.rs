// SPDX-License-Identifier: GPL-2.0

//! `btt-crash`: explores all plans until they are closed, and hunts the mutants.

use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use btt_crash::{
    mutants,
    plans::{
        self,
        Plan, //
    },
    Count,
    Violation, //
};
use clap::Parser;
use indicatif::{
    HumanCount,
    HumanDuration,
    ProgressBar,
    ProgressStyle, //
};
use std::path::{
    Path,
    PathBuf, //
};
use std::sync::atomic::{
    AtomicBool,
    Ordering, //
};
use std::time::{
    Duration,
    Instant, //
};

/// Number of states of each plan in which a mutant is hunted.
const MUTANT_STATES: usize = 200_000;

/// Set when the user interrupts the program.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Explores what power failures can do to a BTT.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Stop each plan after this many states. It ends earlier if memory runs low.
    #[arg(long, default_value_t = usize::MAX)]
    states: usize,
    /// Maximum number of requests and power failures of a history, in plans that limit it. With two
    /// arenas, one more makes 28 times the states.
    #[arg(long, default_value_t = 4)]
    depth: usize,
    /// Explore only plans whose names contain this.
    #[arg(long)]
    plan: Option<String>,
    /// Do not hunt mutants.
    #[arg(long)]
    no_mutants: bool,
    /// Hunt only mutants whose names contain this.
    #[arg(long, default_value = "")]
    mutant: String,
    /// Directory for images of violations.
    #[arg(long, default_value = ".")]
    images: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("cannot catch interrupts")?;
    let wanted = arguments.plan.clone().unwrap_or_default();
    let mut violations = 0;
    for plan in plans::all() {
        if plan.name().contains(&wanted) && goes_on() {
            let plan = plan.limited(arguments.states).no_deeper(arguments.depth);
            violations += usize::from(!explore(&plan, &arguments.images)?);
        }
    }
    let survivors = if arguments.no_mutants {
        0
    } else {
        hunt(&arguments.mutant)
    };
    ensure!(goes_on(), "interrupted: the results above are incomplete");
    if violations + survivors > 0 {
        bail!("{violations} violations, {survivors} mutants survived");
    }
    Ok(())
}

fn goes_on() -> bool {
    !INTERRUPTED.load(Ordering::Relaxed)
}

/// Watches for low memory, so that a plan that does not close ends with what it has counted.
struct MemoryWatch {
    looked: Instant,
    low: bool,
}

impl MemoryWatch {
    fn new() -> Self {
        Self {
            looked: Instant::now(),
            low: false,
        }
    }

    fn is_low(&mut self) -> bool {
        if self.looked.elapsed() >= Duration::from_secs(1) {
            self.looked = Instant::now();
            let free = kibibytes("/proc/meminfo", "MemAvailable:");
            // Tables double when they grow.
            let needed = kibibytes("/proc/self/status", "VmRSS:");
            self.low = matches!((free, needed), (Some(free), Some(needed)) if free < needed);
        }
        self.low
    }
}

/// Returns a size in KiB that the kernel reports in `file`, if it does.
fn kibibytes(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

/// Explores a plan. Returns `false` if there is a violation.
fn explore(plan: &Plan, images: &Path) -> Result<bool> {
    let started = Instant::now();
    let bar = progress_bar(plan.name());
    let mut memory = MemoryWatch::new();
    let result = plan.explore(|count, known| {
        bar.set_length(known as u64);
        bar.set_position(count.states);
        bar.set_message(estimate(count, known, started.elapsed()));
        goes_on() && !memory.is_low()
    });
    bar.finish_and_clear();
    match result {
        Ok(count) => {
            let end = if memory.low { " (memory is low)" } else { "" };
            let count = describe(&count, started.elapsed());
            println!("{:<36}{count}{end}", plan.name());
            Ok(true)
        }
        Err(violation) => {
            println!("{:<36} VIOLATION\n{violation}", plan.name());
            save(&violation, &images.join("violation.img"))?;
            Ok(false)
        }
    }
}

fn save(violation: &Violation, path: &Path) -> Result<()> {
    let saved = violation
        .save(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    if saved {
        println!("  the image is in {}: btt check {0}", path.display());
    }
    Ok(())
}

/// Hunts all mutants whose names contain `wanted`. Returns the number of survivors.
fn hunt(wanted: &str) -> usize {
    let mut survivors = 0;
    let mutants = mutants::ALL.into_iter();
    for mutant in mutants.filter(|mutant| mutant.name().contains(wanted)) {
        let found = mutant.hunt(MUTANT_STATES, goes_on);
        if !goes_on() {
            break;
        }
        match found {
            Some((plan, violation)) => {
                let steps = violation.history.len();
                println!(
                    "killed: {:<56} {plan}, {steps} steps: {}",
                    mutant.name(),
                    violation.what
                );
            }
            None => {
                survivors += 1;
                println!("SURVIVED: {}", mutant.name());
            }
        }
    }
    survivors
}

fn describe(count: &Count, time: Duration) -> String {
    let closed = if count.closed { "closed" } else { "not closed" };
    let number = |number| HumanCount(number).to_string();
    format!(
        "{:>12} states {:>12} steps {:>14} images {:>9} recoveries {:>8} nested {:>7.1} s, {closed}",
        number(count.states),
        number(count.steps),
        number(count.images),
        number(count.recoveries),
        number(count.nested),
        time.as_secs_f64(),
    )
}

/// Estimates the time for the states that are known. The estimate grows with their number.
fn estimate(count: &Count, known: usize, spent: Duration) -> String {
    let left = (known as u64).saturating_sub(count.states) as f64 / count.states.max(1) as f64;
    format!(
        "{} images, at least {} to go",
        HumanCount(count.images),
        HumanDuration(spent.mul_f64(left))
    )
}

fn progress_bar(name: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} [{elapsed}] {bar:30} {human_pos}/{human_len} states, {msg}",
    );
    ProgressBar::new(0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(name)
}
