// SPDX-License-Identifier: GPL-2.0

//! The virtual machines of the benchmarks.
//!
//! A host that is itself a virtual machine may be twice as fast in one second as in the next. Where
//! time is measured, one machine of each stack therefore runs side by side, and they alternate in
//! slices of [`TURN`]. The clock of the paused machine does not advance. Changes of the host's
//! speed affect both alike, so that ratios of measurements made side by side are meaningful.

use crate::{
    accelerator::Accelerator,
    modules::{
        GuestFiles,
        Stack, //
    },
    monitor::Monitor,
    process,
    setup::Machine,
    suite::{
        media::Media,
        script::{
            Hardware,
            NvdimmNeed, //
        },
        session::{
            Boot,
            Call,
            Ending,
            Reaction,
            Session, //
        },
    },
};
use anyhow::{
    anyhow,
    bail,
    Context,
    Result, //
};
use std::{
    fs,
    thread,
    time::Duration, //
};

/// A slice: much shorter than a measurement, much longer than a switch.
const TURN: Duration = Duration::from_millis(50);
/// Timeout of everything but fio: a boot and two new BTTs.
const OVERHEAD: Duration = Duration::from_secs(300);
/// Timeout of one cell. Most of it is for the start of fio on a busy host.
const CELL: Duration = Duration::from_secs(30);

/// The common properties of all boots.
pub(super) struct Guests<'a> {
    pub(super) machine: &'a Machine,
    pub(super) files: &'a GuestFiles,
    pub(super) icount: bool,
}

/// The work of a guest: a script of qemu/, on NVDIMMs of these sizes, with `list` in the file
/// `cells`.
pub(super) struct Work<'a> {
    pub(super) script: &'a str,
    pub(super) nvdimms: &'a [u64],
    pub(super) list: &'a str,
}

/// A value for each stack.
pub(super) struct Both<T> {
    pub(super) c: T,
    pub(super) ours: T,
}

impl Guests<'_> {
    /// Does the work under one stack. Returns the output of the script.
    pub(super) fn alone(&self, stack: Stack, work: &Work<'_>) -> Result<String> {
        let mut booted = self.boot(stack, work)?;
        let printed = booted.work(work)?;
        booted.session.halt()?;
        Ok(printed)
    }

    /// Does the work under both stacks, in turns.
    pub(super) fn in_turns(&self, work: &Work<'_>) -> Result<Both<String>> {
        let mut guests = [self.boot(Stack::C, work)?, self.boot(Stack::Rust, work)?];
        let mut monitors = [guests[0].session.monitor()?, guests[1].session.monitor()?];
        let [c, ours] = thread::scope(|scope| {
            let workers = guests
                .each_mut()
                .map(|guest| scope.spawn(move || guest.work(work)));
            let turns = take_turns(&mut monitors, || {
                workers.each_ref().map(|worker| worker.is_finished())
            });
            let [c, ours] = workers.map(|worker| {
                let printed = worker.join();
                printed.unwrap_or_else(|_| Err(anyhow!("a worker panicked")))
            });
            // The error of a guest says more than that of its monitor.
            let printed = [c?, ours?];
            turns.map(|()| printed)
        })?;
        for guest in guests {
            guest.session.halt()?;
        }
        Ok(Both { c, ours })
    }

    fn boot(&self, stack: Stack, work: &Work<'_>) -> Result<Booted> {
        let need = |&size: &u64| NvdimmNeed { size, label: 0 };
        let hardware = Hardware {
            nvdimms: work.nvdimms.iter().map(need).collect(),
            cpus: Some(if self.icount { 1 } else { 2 }),
            ..Hardware::default()
        };
        let media = Media::create(&hardware)?;
        let run = media.directory().join("run");
        fs::create_dir(&run).context("cannot create the directory of the run")?;
        fs::write(run.join("cells"), work.list).context("cannot write the list of cells")?;
        let boot = Boot {
            machine: self.machine,
            files: self.files,
            stack,
            hardware: &hardware,
            media: &media,
            output: &run,
        };
        let mut session = Session::boot_with(boot, |setup| {
            if self.icount {
                setup.accelerator = Accelerator::CountingTcg;
                setup.boot_timeout = OVERHEAD;
            }
        })?;
        session.load(stack)?;
        Ok(Booted {
            stack,
            session,
            arguments: if self.icount { "icount" } else { "" },
            _media: media,
        })
    }
}

/// A machine with its modules loaded.
struct Booted {
    stack: Stack,
    session: Session,
    arguments: &'static str,
    _media: Media,
}

impl Booted {
    fn work(&mut self, work: &Work<'_>) -> Result<String> {
        let call = Call {
            script: work.script,
            name: "bench",
            stack: self.stack,
            boot: 1,
            arguments: self.arguments,
            timeout: OVERHEAD + CELL * work.list.lines().count() as u32,
        };
        let session = &mut self.session;
        let ending = session.run(&call, |_| Reaction::GoOn)?;
        if ending != Ending::Done(0) {
            bail!(
                "the benchmark in the guest: {ending:?}\n{}{}",
                session.written("bench", "err"),
                session.last_words()
            );
        }
        Ok(session.written("bench", "out"))
    }
}

/// Runs the machines in turns until both have `ended`. Both run afterwards.
fn take_turns(monitors: &mut [Monitor; 2], ended: impl Fn() -> [bool; 2]) -> Result<()> {
    let turns = (|| {
        monitors.iter_mut().try_for_each(Monitor::pause)?;
        while ended().contains(&false) {
            process::check_interrupt()?;
            for (monitor, ended) in monitors.iter_mut().zip(ended()) {
                if !ended {
                    monitor.resume()?;
                    thread::sleep(TURN);
                    monitor.pause()?;
                }
            }
        }
        Ok(())
    })();
    let resumed = monitors.each_mut().map(Monitor::resume);
    turns.and(resumed.into_iter().collect())
}
