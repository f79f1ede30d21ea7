// SPDX-License-Identifier: GPL-2.0

//! `make bench`: measures both stacks in turns ([`guests`]) with fio ([`cells`]), and writes the
//! [`results`] as sections of Documentation/results/benchmarks.md ([`report`]) and a [`chart`].
//!
//! It fails only if it cannot measure. Measuring time needs an idle machine. Counting instructions
//! (`--icount`) does not: the guest's clock advances with the instructions that it executes.
//! Instructions also have a [`budget`], which CI checks.

mod budget;
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
    units::MIB, //
};
use anyhow::{
    anyhow,
    ensure,
    Context,
    Result, //
};
use budget::Budgets;
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
    thread,
    time::Instant, //
};

/// Bytes of each of the three NVDIMMs.
const NVDIMM: u64 = 128 * MIB;

/// Arguments of a measurement.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Options {
    /// Count the guest's instructions instead of measuring time.
    #[arg(long)]
    icount: bool,
    /// Count instructions, and fail if a cell takes more than qemu/bench/budgets allows.
    #[arg(long, conflicts_with_all = ["icount", "sizes", "extent"])]
    budget: bool,
    /// Count instructions, and write qemu/bench/budgets from the count.
    #[arg(long, conflicts_with_all = ["budget", "icount", "sizes", "extent"])]
    set_budgets: bool,
    /// Measure everything, or only the cells with a goal.
    #[arg(long, value_enum, default_value_t)]
    extent: Extent,
    /// Number of boots of each stack: 5 by default, 3 for sizes, 1 for instructions.
    #[arg(long)]
    rounds: Option<u32>,
    /// Measure the cost of creating and attaching a BTT instead, on namespaces of up to this number
    /// of GiB.
    #[arg(long, conflicts_with = "icount", default_missing_value = "1024", num_args = 0..=1)]
    sizes: Option<u64>,
    /// Print the tables and leave the documentation as it is.
    #[arg(long)]
    dry_run: bool,
}

impl Options {
    /// Returns the options of `make bench ARGS="--budget"`.
    pub(crate) fn budget() -> Self {
        Self {
            budget: true,
            ..Self::default()
        }
    }
}

/// `make bench`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::prepare(Flavour::Ordinary)?;
    let files = GuestFiles::prepare(&machine, &BTreeSet::from([Stack::C, Stack::Rust]))?;
    let guests = Guests {
        machine: &machine,
        files: &files,
        icount: options.icount || options.budget || options.set_budgets,
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
    if options.set_budgets {
        set_budgets(&guests, options)
    } else if options.budget {
        budget(&guests, options)
    } else if options.icount {
        count(&guests, options)
    } else {
        time(&guests, options)
    }
}

/// Writes instructions a request as a section of the documentation.
fn count(guests: &Guests<'_>, options: &Options) -> Result<()> {
    let cells = Cell::counted(options.extent);
    let results = instructions(guests, &cells, options)?;
    let section = report::counted(&results, &cells)?;
    document(
        "instructions",
        "Guest: instructions a request",
        &section,
        options,
    )
}

/// Compares instructions a request with the budgets.
fn budget(guests: &Guests<'_>, options: &Options) -> Result<()> {
    let cells = Cell::counted(Extent::Full);
    let budgets = Budgets::read(&cells)?;
    let results = instructions(guests, &cells, options)?;
    let (table, kept) = budgets.compare(&results)?;
    print!("\n{table}");
    ensure!(kept, "a cell takes more instructions than its budget");
    Ok(())
}

/// Writes new budgets from instructions a request.
fn set_budgets(guests: &Guests<'_>, options: &Options) -> Result<()> {
    let cells = Cell::counted(Extent::Full);
    Budgets::counted(&instructions(guests, &cells, options)?, &cells)?.write()
}

/// Counts the instructions of these cells. The machines of both stacks run at the same time: a
/// count does not depend on the load of the host.
fn instructions(guests: &Guests<'_>, cells: &[Cell], options: &Options) -> Result<Results> {
    let samples = Sample::once(cells);
    let list = list(&samples);
    let mut results = Results::default();
    for _ in 0..options.rounds.unwrap_or(1) {
        let printed = thread::scope(|scope| {
            let workers = [Stack::C, Stack::Rust].map(|stack| {
                let list = &list;
                let count = move || {
                    let start = Instant::now();
                    let printed = guests.alone(stack, &work(list))?;
                    told(start, stack.name());
                    Ok((stack, printed))
                };
                scope.spawn(count)
            });
            let join = |worker: thread::ScopedJoinHandle<'_, Result<_>>| {
                let printed = worker.join();
                printed.unwrap_or_else(|_| Err(anyhow!("a worker panicked")))
            };
            workers.map(join).into_iter().collect::<Result<Vec<_>>>()
        })?;
        for (stack, printed) in printed {
            results.add(&samples, stack, &printed)?;
        }
    }
    Ok(results)
}

/// Measures requests a second, with a machine of each stack in turns.
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
    document("guest", "Guest: requests a second", &section, options)?;
    if options.dry_run {
        return Ok(());
    }
    let chart = project::target().join("benchmarks.svg");
    fs::write(&chart, chart::ratios(&results, &cells))
        .with_context(|| format!("cannot write {}", chart.display()))?;
    println!("chart of the ratios: {}", chart.display());
    Ok(())
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

/// Prints a section, and writes it into the documentation. The section names the measured commit.
fn document(name: &str, title: &str, section: &str, options: &Options) -> Result<()> {
    let section = format!("Measured at {}.\n\n{section}", project::commit());
    print!("\n{section}");
    if options.dry_run {
        return Ok(());
    }
    let benchmarks = project::root().join("Documentation/results/benchmarks.md");
    report::replace_section(&benchmarks, name, title, &section)
}
