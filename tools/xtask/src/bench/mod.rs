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
mod sizes;

use crate::{
    accelerator::Accelerator,
    kernel::Flavour,
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
    let guest = Guest {
        machine: &machine,
        files: &files,
        icount: options.icount,
    };
    if let Some(most) = options.sizes {
        let section = sizes::measure(&guest, most)?;
        return document(
            "sizes",
            "Guest: making and attaching a BTT",
            &section,
            options,
        );
    }
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
            let list = cells.iter().map(Cell::line).collect::<String>();
            let printed = guest.run(stack, "bench/bench.sh", &[NVDIMM; 3], &list)?;
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
    if options.icount {
        let section = report::counted(results, cells)?;
        return document(
            "instructions",
            "Guest: instructions a request",
            &section,
            options,
        );
    }
    let section = report::timed(results, cells, rounds)?;
    if options.extent == Extent::Goals {
        return document(
            "goals",
            "Guest: requests a second where there are goals",
            &section,
            options,
        );
    }
    let section = format!("![Ratios](benchmarks.svg)\n\n{section}");
    document("guest", "Guest: requests a second", &section, options)?;
    if !options.dry_run {
        let chart = project::root().join("Documentation/benchmarks.svg");
        fs::write(&chart, chart::ratios(results, cells))
            .with_context(|| format!("cannot write {}", chart.display()))?;
    }
    Ok(())
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

/// What all boots have in common.
struct Guest<'a> {
    machine: &'a Machine,
    files: &'a GuestFiles,
    icount: bool,
}

impl Guest<'_> {
    /// One boot with NVDIMMs of these sizes, in which a script finds `list` in the file `cells`. Returns what it printed.
    fn run(&self, stack: Stack, script: &str, nvdimms: &[u64], list: &str) -> Result<String> {
        let need = |&size: &u64| NvdimmNeed { size, label: 0 };
        let hardware = Hardware {
            nvdimms: nvdimms.iter().map(need).collect(),
            cpus: Some(if self.icount { 1 } else { 2 }),
            ..Hardware::default()
        };
        let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
        let run = scratch.path().join("run");
        fs::create_dir(&run).context("cannot create the directory of the run")?;
        fs::write(run.join("cells"), list).context("cannot write the list of cells")?;
        let media = Media::create(&hardware, scratch.path())?;
        let files = self.files.of(stack)?;
        let mut setup = Session::setup(self.machine, &hardware, files, &media, &run);
        if self.icount {
            setup.accelerator = Accelerator::CountingTcg;
            setup.boot_timeout = OVERHEAD;
        }
        let mut session = Session::boot(&setup, &run)?;
        session.load(stack)?;
        let call = Call {
            script,
            name: "bench",
            stack,
            boot: 1,
            arguments: if self.icount { "icount" } else { "" },
            timeout: OVERHEAD + CELL * list.lines().count() as u32,
        };
        let ending = session.run(&call, |_| Reaction::GoOn)?;
        if ending != Ending::Done(0) {
            bail!(
                "the benchmark in the guest: {ending:?}\n{}{}",
                session.written("bench", "err"),
                session.last_words()
            );
        }
        let printed = session.written("bench", "out");
        session.halt()?;
        Ok(printed)
    }
}
