// SPDX-License-Identifier: GPL-2.0

//! `btt-bench`: measures the BTT engine in user space, over files in memory, beside other ways
//! to write sectors.
//!
//! All strategies are set up at once and measured in turn, for a moment each, round after round, so
//! that any other load of the machine hits all of them. [`kind`] defines what is compared,
//! [`measure`] how, and [`report`] evaluates the numbers.

mod c_protocol;
mod floor;
mod kind;
mod measure;
mod medium;
mod one_arena;
mod report;
mod strategy;

use anyhow::{
    Context,
    Result, //
};
use clap::Parser;
use indicatif::{
    ProgressBar,
    ProgressStyle, //
};
use kind::Kind;
use measure::Load;
use report::Samples;
use std::{
    path::PathBuf,
    time::Duration, //
};
use strategy::Strategy;

/// Measures the BTT engine in user space.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Rounds; each measures all loads of all strategies.
    #[arg(long, default_value_t = 15)]
    rounds: u64,
    /// Duration of a measurement in milliseconds.
    #[arg(long, default_value_t = 50)]
    milliseconds: u64,
    /// Directory for the files: in memory, with 2 GiB of free space.
    #[arg(long, default_value = "/dev/shm")]
    directory: PathBuf,
    /// Only loads whose names contain this, for example "4 KiB write".
    #[arg(long, default_value = "")]
    load: String,
    /// Leave out libpmemblk.
    #[arg(long)]
    no_pmemblk: bool,
    /// Also write the report to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

struct Contender {
    kind: Kind,
    sector: u32,
    strategy: Box<dyn Strategy>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory = tempfile::tempdir_in(&arguments.directory)
        .with_context(|| format!("cannot make files in {}", arguments.directory.display()))?;
    let mut contenders = Vec::new();
    for kind in Kind::ALL {
        if kind == Kind::PmemBlk && arguments.no_pmemblk {
            continue;
        }
        for sector in [512, 4096] {
            let strategy = kind
                .make(directory.path(), sector)
                .with_context(|| format!("{} with sectors of {sector}", kind.name()))?;
            strategy::check(&*strategy, sector as usize)
                .and_then(|()| strategy::fill(&*strategy, sector as usize))
                .with_context(|| format!("{} with sectors of {sector}", kind.name()))?;
            contenders.push(Contender {
                kind,
                sector,
                strategy,
            });
        }
    }

    let time = Duration::from_millis(arguments.milliseconds);
    let mut samples = Samples::default();
    let mut loads = Load::all();
    loads.retain(|load| load.to_string().contains(&arguments.load));
    let bar = progress_bar(arguments.rounds * loads.len() as u64);
    for round in 0..arguments.rounds {
        for load in &loads {
            let mut fitting: Vec<_> = contenders
                .iter()
                .filter(|contender| contender.sector == load.sector)
                .collect();
            // Each strategy comes first in turn.
            let places = fitting.len().max(1);
            fitting.rotate_left(round as usize % places);
            for contender in fitting {
                let seed = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let sample = measure::run(&*contender.strategy, load, time, seed)
                    .with_context(|| format!("{}: {load}", contender.kind.name()))?;
                samples.add(*load, contender.kind, sample);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();

    let about = format!(
        "Files of {} MiB in memory, {}, {}, {} rounds of {} ms, {} CPUs ({}).",
        strategy::SIZE >> 20,
        page_size(contenders.len())?,
        medium_instructions(directory.path())?,
        arguments.rounds,
        arguments.milliseconds,
        std::thread::available_parallelism().map_or(1, usize::from),
        cpu_name(),
    );
    let text = samples.markdown(&about, &loads);
    print!("{text}");
    if let Some(file) = arguments.report {
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Returns the instructions that make stores durable here.
fn medium_instructions(directory: &std::path::Path) -> Result<String> {
    let region = persist::Region::create(&directory.join("probe"), 4096)?;
    Ok(format!("movnti, {} and sfence", region.write_back()))
}

/// Returns the page sizes by which the files are mapped, which decide how often a CPU has to look
/// up an address.
fn page_size(files: usize) -> Result<&'static str> {
    const FILE: &str = "/proc/self/smaps_rollup";
    let text = std::fs::read_to_string(FILE).with_context(|| format!("cannot read {FILE}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("ShmemPmdMapped:"));
    let kibibytes: Option<u64> =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    Ok(match kibibytes {
        Some(0) | None => "mapped by pages of 4 KiB",
        Some(large) if large >= files as u64 * (strategy::SIZE >> 10) => "mapped by pages of 2 MiB",
        Some(_) => "mapped by pages of 4 KiB and 2 MiB",
    })
}

fn cpu_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": "))
        .map_or("unknown", |(_, name)| name)
        .to_owned()
}

fn progress_bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("[{elapsed}] {bar:40} {percent}%, {eta} left");
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
