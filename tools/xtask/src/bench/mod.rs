// SPDX-License-Identifier: GPL-2.0

//! `make bench`: both stacks in turns in the same guest, measured by fio ([`cells`]), and what came of it ([`results`]) as a
//! section of Documentation/benchmarks.md ([`report`]) and a [`chart`].
//!
//! A benchmark, not a test: it fails only if it cannot measure. Times want a quiet machine. Instructions (`--icount`) do not:
//! there the guest's clock counts the instructions that it executes.

mod cells;
mod chart;
mod report;
mod results;

use crate::{
    accelerator::Accelerator,
    modules::{
        GuestFiles,
        Stack, //
    },
    process, project,
    setup::Machine,
    suite::{
        script::{
            Hardware,
            NvdimmNeed, //
        },
        session::{
            Call,
            Ending,
            Media,
            Reaction,
            Session, //
        },
    },
    vm::MIB,
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use cells::{
    Cell,
    Extent, //
};
use results::Results;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{
        Duration,
        Instant, //
    },
};

/// Bytes of each of the three NVDIMMs.
const NVDIMM: u64 = 128 * MIB;
/// Time for what is not fio: a boot and two new BTTs.
const OVERHEAD: Duration = Duration::from_secs(300);
/// Time for one cell, most of which is fio's own start on a busy host.
const CELL: Duration = Duration::from_secs(30);

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Count the guest's instructions instead of taking the time.
    #[arg(long)]
    icount: bool,
    /// Everything, or only the cells that have a goal.
    #[arg(long, value_enum, default_value_t)]
    extent: Extent,
    /// Boots of each stack; one is enough for instructions.
    #[arg(long)]
    rounds: Option<u32>,
    /// Print the tables and leave the documentation as it is.
    #[arg(long)]
    dry_run: bool,
}

/// `make bench`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::prepare()?;
    let files = GuestFiles::prepare(&machine, &BTreeSet::from([Stack::C, Stack::Rust]))?;
    let rounds = options.rounds.unwrap_or(if options.icount { 1 } else { 5 });
    let cells = if options.icount {
        Cell::counted(options.extent)
    } else {
        Cell::timed(options.extent)
    };
    let mut results = Results::default();
    for round in 1..=rounds {
        // Who is first changes, lest what warms up or tires the host be taken for a difference.
        let mut order = [Stack::C, Stack::Rust];
        if round % 2 == 0 {
            order.reverse();
        }
        for stack in order {
            process::check_interrupt()?;
            let start = Instant::now();
            let printed = boot(&machine, &files, stack, &cells, options.icount)?;
            results.add(&cells, stack, &printed)?;
            println!(
                "[{:7.1} s] round {round} of {rounds} [{}]",
                start.elapsed().as_secs_f64(),
                stack.name()
            );
        }
    }
    conclude(&results, &cells, rounds, options)
}

fn conclude(results: &Results, cells: &[Cell], rounds: u32, options: &Options) -> Result<()> {
    let (name, title, section) = if options.icount {
        let section = report::counted(results, cells)?;
        ("instructions", "Guest: instructions a request", section)
    } else {
        let section = report::timed(results, cells, rounds)?;
        ("guest", "Guest: requests a second", section)
    };
    print!("\n{section}");
    if options.dry_run {
        return Ok(());
    }
    let documentation = project::root().join("Documentation");
    report::replace_section(&documentation.join("benchmarks.md"), name, title, &section)?;
    if !options.icount {
        let chart = documentation.join("benchmarks.svg");
        fs::write(&chart, chart::ratios(results, cells))
            .with_context(|| format!("cannot write {}", chart.display()))?;
    }
    Ok(())
}

/// One boot: all cells once. Returns what the script printed.
fn boot(
    machine: &Machine,
    files: &GuestFiles,
    stack: Stack,
    cells: &[Cell],
    icount: bool,
) -> Result<String> {
    let hardware = Hardware {
        nvdimms: vec![
            NvdimmNeed {
                size: NVDIMM,
                label: 0
            };
            3
        ],
        cpus: Some(if icount { 1 } else { 2 }),
        ..Hardware::default()
    };
    let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
    let run = scratch.path().join("run");
    fs::create_dir(&run).context("cannot create the directory of the run")?;
    let list = cells.iter().map(Cell::line).collect::<String>();
    fs::write(run.join("cells"), list).context("cannot write the list of cells")?;
    let media = Media::create(&hardware, scratch.path())?;
    let mut setup = Session::setup(machine, &hardware, files.of(stack)?, &media, &run);
    if icount {
        setup.accelerator = Accelerator::CountingTcg;
        setup.boot_timeout = OVERHEAD;
    }
    let mut session = Session::boot(&setup, &run)?;
    session.load(stack)?;
    let call = Call {
        script: "bench/bench.sh",
        name: "bench",
        stack,
        boot: 1,
        arguments: if icount { "icount" } else { "" },
        timeout: OVERHEAD + CELL * cells.len() as u32,
    };
    let ending = session.run(&call, |_| Reaction::GoOn)?;
    if ending != Ending::Done(0) {
        bail!(
            "the benchmark in the guest: {ending:?}\n{}{}",
            session.written("bench", "err"),
            session.last_words()
        );
    }
    let printed = fs::read_to_string(Path::new(&run).join("bench.out"));
    let printed = printed.context("cannot read what the benchmark printed")?;
    session.halt()?;
    Ok(printed)
}
