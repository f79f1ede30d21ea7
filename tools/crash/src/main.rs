// SPDX-License-Identifier: GPL-2.0

//! `crash`: explores all plans until they are closed, and hunts the mutants.

use anyhow::{
    bail,
    Result, //
};
use clap::Parser;
use crash::{
    mutants,
    plans,
    Count, //
};
use indicatif::{
    HumanCount,
    ProgressBar,
    ProgressStyle, //
};
use std::time::{
    Duration,
    Instant, //
};

/// Explores what power failures can do to a BTT.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Stop each plan after this many states.
    #[arg(long, default_value_t = usize::MAX)]
    states: usize,
    /// Explore only plans whose names contain this.
    #[arg(long)]
    plan: Option<String>,
    /// Do not hunt mutants.
    #[arg(long)]
    no_mutants: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = arguments.plan.unwrap_or_default();
    let mut violations = 0;
    for plan in plans::all()
        .into_iter()
        .filter(|plan| plan.name().contains(&wanted))
    {
        let started = Instant::now();
        let bar = progress_bar(plan.name());
        let result = plan
            .clone()
            .limited(arguments.states)
            .explore(|count, waiting| {
                bar.set_length((count.states + waiting) as u64);
                bar.set_position(count.states as u64);
                bar.set_message(format!("{} images", HumanCount(count.images as u64)));
            });
        bar.finish_and_clear();
        match result {
            Ok(count) => println!(
                "{:<36} {}",
                plan.name(),
                describe(&count, started.elapsed())
            ),
            Err(violation) => {
                violations += 1;
                println!("{:<36} VIOLATION\n{violation}", plan.name());
            }
        }
    }
    let mut survivors = 0;
    if !arguments.no_mutants {
        for mutant in mutants::ALL {
            match mutant.hunt(arguments.states.min(20_000)) {
                Some((plan, violation)) => {
                    println!("mutant killed: {} ({plan})\n{violation}", mutant.name())
                }
                None => {
                    survivors += 1;
                    println!("MUTANT SURVIVED: {}", mutant.name());
                }
            }
        }
    }
    if violations + survivors > 0 {
        bail!("{violations} violations, {survivors} surviving mutants");
    }
    Ok(())
}

fn describe(count: &Count, time: Duration) -> String {
    let closed = if count.closed { "closed" } else { "not closed" };
    format!(
        "{:>12} states {:>14} images {:>8.1} s, {closed}",
        HumanCount(count.states as u64).to_string(),
        HumanCount(count.images as u64).to_string(),
        time.as_secs_f64(),
    )
}

fn progress_bar(name: &'static str) -> ProgressBar {
    // The number of states that wait grows first and falls later: an honest estimate is not to be had before that.
    let style = ProgressStyle::with_template(
        "{prefix} [{elapsed}] {bar:30} {human_pos}/{human_len} states, {msg}",
    );
    ProgressBar::new(0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(name)
}
