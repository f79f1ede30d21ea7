// SPDX-License-Identifier: GPL-2.0

//! `make bench`: both stacks in turns ([`guests`]), measured by fio ([`cells`]), and what came of it ([`results`]) as sections of
//! Documentation/benchmarks.md ([`report`]) and a [`chart`].
//!
//! A benchmark, not a test: it fails only if it cannot measure. Times want a quiet machine. Instructions (`--icount`) do not:
//! there the guest's clock counts the instructions that it executes.

mod cells;
mod chart;
mod guests;
mod report;
mod results;
mod sizes;

use crate::{
    kernel::Flavour,
    modules::{
        GuestFiles,
        Stack, //
    },
    process,
    project,
    setup::Machine,
    vm::MIB, //
};
use anyhow::{
    Context,
    Result, //
};
use cells::{
    Cell,
    Extent,
    Sample, //
};
use guests::{
    Guests,
    Work, //
};
use results::Results;
use std::{
    collections::BTreeSet,
    fs,
    time::Instant, //
};

/// Bytes of each of the three NVDIMMs.
const NVDIMM: u64 = 128 * MIB;

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Count the guest's instructions instead of taking the time.
    #[arg(long)]
    icount: bool,
    /// Everything, or only the cells that have a goal.
    #[arg(long, value_enum, default_value_t)]
    extent: Extent,
    /// Boots of each stack: 5 by default, 3 for sizes, 1 for instructions.
    #[arg(long)]
    rounds: Option<u32>,
    /// Measure what making and attaching a BTT costs instead, on namespaces of up to so many GiB.
    #[arg(long, conflicts_with = "icount", default_missing_value = "1024", num_args = 0..=1)]
    sizes: Option<u64>,
    /// Print the tables and leave the documentation as it is.
    #[arg(long)]
    dry_run: bool,
}

/// `make bench`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::prepare(Flavour::Ordinary)?;
    let files = GuestFiles::prepare(&machine, &BTreeSet::from([Stack::C, Stack::Rust]))?;
    let guests = Guests {
        machine: &machine,
        files: &files,
        icount: options.icount,
    };
    if let Some(most) = options.sizes {
        let section = sizes::measure(&guests, most, options.rounds.unwrap_or(3))?;
        return document(
            "sizes",
            "Guest: making and attaching a BTT",
            &section,
            options,
        );
    }
    if options.icount {
        count(&guests, options)
    } else {
        time(&guests, options)
    }
}

/// Instructions a request: one machine after the other.
fn count(guests: &Guests<'_>, options: &Options) -> Result<()> {
    let cells = Cell::counted(options.extent);
    let samples = Sample::once(&cells);
    let list = list(&samples);
    let mut results = Results::default();
    for _ in 0..options.rounds.unwrap_or(1) {
        for stack in [Stack::C, Stack::Rust] {
            let start = Instant::now();
            let printed = guests.alone(stack, &work(&list))?;
            results.add(&samples, stack, &printed)?;
            told(start, stack.name());
        }
    }
    let section = report::counted(&results, &cells)?;
    document(
        "instructions",
        "Guest: instructions a request",
        &section,
        options,
    )
}

/// Requests a second: a machine of each stack, in turns.
fn time(guests: &Guests<'_>, options: &Options) -> Result<()> {
    let cells = Cell::timed(options.extent);
    let samples = Sample::timed(&cells);
    let list = list(&samples);
    let rounds = options.rounds.unwrap_or(5);
    let mut results = Results::default();
    for round in 1..=rounds {
        process::check_interrupt()?;
        let start = Instant::now();
        let printed = guests.in_turns(&work(&list))?;
        results.add(&samples, Stack::C, &printed.c)?;
        results.add(&samples, Stack::Rust, &printed.ours)?;
        told(start, &format!("round {round} of {rounds}"));
    }
    let with_goals = Cell::timed(Extent::Goals);
    let section = report::timed(&results, &with_goals, rounds)?;
    document(
        "goals",
        "Guest: requests a second where there are goals",
        &section,
        options,
    )?;
    if options.extent == Extent::Goals {
        return Ok(());
    }
    let section = report::timed(&results, &cells, rounds)?;
    let section = format!("![Ratios](benchmarks.svg)\n\n{section}");
    document("guest", "Guest: requests a second", &section, options)?;
    if options.dry_run {
        return Ok(());
    }
    let chart = project::root().join("Documentation/benchmarks.svg");
    fs::write(&chart, chart::ratios(&results, &cells))
        .with_context(|| format!("cannot write {}", chart.display()))
}

fn list(samples: &[Sample]) -> String {
    samples.iter().map(Sample::line).collect()
}

fn work(list: &str) -> Work<'_> {
    Work {
        script: "bench/bench.sh",
        nvdimms: &[NVDIMM; 3],
        list,
    }
}

fn told(start: Instant, what: &str) {
    println!("[{:7.1} s] {what}", start.elapsed().as_secs_f64());
}

/// Prints a section, and puts it into the documentation.
fn document(name: &str, title: &str, section: &str, options: &Options) -> Result<()> {
    print!("\n{section}");
    if options.dry_run {
        return Ok(());
    }
    let benchmarks = project::root().join("Documentation/benchmarks.md");
    report::replace_section(&benchmarks, name, title, section)
}
