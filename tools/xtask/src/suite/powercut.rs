// SPDX-License-Identifier: GPL-2.0

//! Power cuts under a writer: nothing that was acknowledged may be missing, and no sector may be torn.
//!
//! A chain is one NVDIMM through many boots. In each, the guest checks the BTT, reads the generation of every sector, and writes
//! on until QEMU is killed at a random moment. Acknowledgements go to a file of the host, over 9p without any cache, and the host judges:
//! a sector has the last acknowledged generation, or the next one, whose request was under way.

use super::{
    report::Verdict,
    run::{
        traces,
        Run, //
    },
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
    stamps::Stamps, //
};
use crate::{
    modules::Stack,
    vm::MIB, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use rand::RngExt;
use std::{
    path::Path,
    time::Duration, //
};

/// Usable bytes of the NVDIMM: enough for requests to overlap, small enough to be read again in every boot.
const SIZE: u64 = 18 * MIB;
const SCRIPT: &str = "powercut/cycle.sh";
const NAME: &str = "power-cut";
/// For one boot: check, read, write.
const TIMEOUT: Duration = Duration::from_secs(120);
/// When the power fails after the first acknowledgement, in milliseconds.
const CUT: std::ops::Range<u64> = 0..1500;

/// A chain of power cuts.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) stack: Stack,
    pub(super) sector_size: u32,
    pub(super) cuts: u32,
}

impl Chain {
    /// The chains of a full test.
    ///
    /// That of the C modules is short: it shows that what the test expects is what the peer does.
    pub(super) fn all() -> Vec<Self> {
        let chain = |stack, sector_size, cuts| Self {
            stack,
            sector_size,
            cuts,
        };
        vec![
            chain(Stack::Rust, 512, 15),
            chain(Stack::Rust, 4096, 15),
            chain(Stack::C, 512, 3),
        ]
    }

    /// The name in the report and for filters.
    pub(super) fn name(&self) -> String {
        format!("{NAME}-{}", self.sector_size)
    }

    /// An upper bound for planning.
    pub(super) fn longest(&self) -> Duration {
        TIMEOUT * (self.cuts + 1)
    }

    /// Runs the chain: a boot a cut, and a last one that only reads.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<Verdict> {
        let hardware = Hardware {
            nvdimms: vec![NvdimmNeed {
                size: SIZE,
                label: 0,
            }],
            ..Hardware::default()
        };
        let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
        let media = Media::create(&hardware, scratch.path())?;
        let mut stamps = Stamps::default();
        for boot in 1..=self.cuts + 1 {
            let output =
                run.output_directory(self.stack, &format!("{}-boot{boot}", self.name()))?;
            let records = output.join("acknowledged");
            let setup = Session::setup(
                run.machine,
                &hardware,
                run.files.of(self.stack)?,
                &media,
                &output,
            );
            let in_boot = || format!("in boot {boot}");
            let mut session = Session::boot(&setup, &output).with_context(in_boot)?;
            if let Err(reason) = self
                .cycle(&mut session, &output, boot, &mut stamps)
                .with_context(in_boot)
            {
                let traces = traces(&session, NAME);
                return Ok(Verdict::Failed(format!("{reason:#}\n{traces}")));
            }
            if boot > self.cuts {
                session.halt().with_context(in_boot)?;
                break;
            }
            stamps.acknowledge(&records)?;
        }
        // Cuts before the first write would prove nothing.
        ensure!(stamps.acknowledged() > 0, "nothing was ever acknowledged");
        Ok(Verdict::Passed)
    }

    /// One boot up to its cut.
    fn cycle(
        &self,
        session: &mut Session,
        output: &Path,
        boot: u32,
        stamps: &mut Stamps,
    ) -> Result<()> {
        let last = boot > self.cuts;
        session.load(self.stack)?;
        let what = if last { "read" } else { "write" };
        let arguments = format!("{} {what}", self.sector_size);
        let call = Call {
            script: SCRIPT,
            name: NAME,
            stack: self.stack,
            boot,
            arguments: &arguments,
            timeout: TIMEOUT,
        };
        let mut judged = None;
        let ending = session.run(&call, |said| match said {
            "found" => {
                judged = Some(stamps.judge(&output.join("generations")));
                Reaction::GoOn
            }
            "writing" => Reaction::CutAfter(Duration::from_millis(rand::rng().random_range(CUT))),
            _ => Reaction::GoOn,
        })?;
        judged.context("the guest did not get as far as reading the sectors")??;
        let expected = if last {
            Ending::Done(0)
        } else {
            Ending::PowerCut
        };
        ensure!(
            ending == expected,
            "the guest's script ended with {ending:?} instead of {expected:?}"
        );
        let faults = session.faults(NAME);
        ensure!(
            faults.is_empty(),
            "the kernel is at fault: {}",
            faults.join("; ")
        );
        Ok(())
    }
}
