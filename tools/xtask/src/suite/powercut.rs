// SPDX-License-Identifier: GPL-2.0

//! Power cuts under load: no acknowledged write may be lost, and no sector may be torn.
//!
//! A chain is one NVDIMM through many boots. In each boot the guest checks the BTT, reads the
//! generation of every sector, and writes until QEMU is killed at a random moment. Acknowledgements
//! go to a file of the host, over 9p without a cache. The host accepts the last acknowledged
//! generation of a sector, or the next one, whose request was in flight. Between boots `btt check`
//! checks the image.
//!
//! The seed of a chain determines what each boot does. It does not determine the moment of a cut
//! relative to the guest's progress, since guests are not deterministic. If a chain fails, the
//! image after its last cut is kept.

use super::{
    context::Context,
    media::Media,
    report::Verdict,
    results::file_name,
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
    stamps::{
        Manner,
        Stamps, //
    },
};
use crate::{
    modules::Stack,
    process,
    units::{
        KIB,
        MIB, //
    },
};
use anyhow::{
    bail,
    ensure,
    Context as _,
    Result, //
};
use rand::{
    rngs::StdRng,
    RngExt,
    SeedableRng, //
};
use std::{
    fs::{
        self,
        File, //
    },
    io::{
        Read,
        Seek,
        SeekFrom, //
    },
    path::Path,
    process::Command,
    sync::atomic::{
        AtomicU64,
        Ordering, //
    },
    time::Duration, //
};

/// Usable bytes of the NVDIMM: large enough for overlapping requests, small enough to be read in
/// every boot.
const SIZE: u64 = 18 * MIB;
/// The same with labels, and the size of the namespace with the BTT, which lies at the beginning.
const LABELLED_SIZE: u64 = 96 * MIB;
const LABELLED_BTT: u64 = 32 * MIB;
const LABELS: u64 = 128 * KIB;
/// The same if the NVDIMM is the memory of simulated DIMMs, and the range of the region of four of
/// them.
const SIMULATED_SIZE: u64 = 96 * MIB;
const INTERLEAVED: std::ops::Range<u64> = 32 * MIB..SIMULATED_SIZE;
/// UUID of the namespace with the BTT, for the guest's script and for `btt check`.
const NAMESPACE: &str = "00000000-0000-4000-8000-0000000000aa";

const SCRIPT: &str = "powercut/cycle.sh";
/// The group of all chains, and the name of the script's output files.
const GROUP: &str = "power-cut";
/// Timeout of one boot: check, read, write.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Time from the first acknowledgement to the power cut, in milliseconds.
const CUT: std::ops::Range<u64> = 0..1500;
/// Time from the start of loading the modules, which includes detection and recovery, to the cut.
const CUT_IN_RECOVERY: std::ops::Range<u64> = 0..2500;

/// The namespaces and labels of a chain's NVDIMM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One namespace without labels.
    Plain,
    /// Labels: other namespaces are created, changed and destroyed beside the BTT.
    Labelled,
    /// Four interleaved DIMMs, simulated by our `nfit_test` in the memory of the NVDIMM; the BTT is
    /// on their region.
    Interleaved,
}

impl Kind {
    /// Returns its part of the names of chains.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "btt",
            Self::Labelled => "labels",
            Self::Interleaved => "interleaved",
        }
    }

    /// Returns the argument of the guest's script.
    fn argument(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Labelled => "labelled",
            Self::Interleaved => "interleaved",
        }
    }

    fn nvdimm(self) -> NvdimmNeed {
        let (size, label) = match self {
            Self::Plain => (SIZE, 0),
            Self::Labelled => (LABELLED_SIZE, LABELS),
            Self::Interleaved => (SIMULATED_SIZE, 0),
        };
        NvdimmNeed { size, label }
    }

    /// Returns the range of the namespace with the BTT in the image; `None` if it is the whole
    /// image.
    fn namespace(self) -> Option<std::ops::Range<u64>> {
        match self {
            Self::Plain => None,
            Self::Labelled => Some(0..LABELLED_BTT),
            Self::Interleaved => Some(INTERLEAVED),
        }
    }

    /// Returns `true` if the modules of both stacks drive it without further set-up.
    pub(super) fn is_mixed(self) -> bool {
        match self {
            Self::Plain | Self::Labelled => true,
            Self::Interleaved => false,
        }
    }
}

/// The activity during which the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Threads write sectors, and zero some where that is a single store to the map.
    Write,
    /// The modules are being loaded: detection and recovery.
    Recovery,
    /// Nothing: this boot only reads, under the C modules.
    Look,
}

/// A chain of power cuts.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) stack: Stack,
    pub(super) kind: Kind,
    pub(super) sector_size: u32,
    pub(super) cuts: u32,
    pub(super) seed: u64,
    /// Whether some boots only read, under the C modules, and some cuts are during recovery.
    pub(super) mixed: bool,
    /// The number in a campaign.
    pub(super) number: Option<u32>,
}

/// Number of survived cuts of all chains.
pub(super) static CUTS: AtomicU64 = AtomicU64::new(0);

/// The plan of one boot of a chain.
#[derive(Clone, Copy, Debug)]
struct Plan {
    load: Load,
    stack: Stack,
    /// For the host and the writer in the guest. The epoch is the number of the boot.
    manner: Manner,
    /// When the power fails.
    after: Duration,
}

/// The regular end of a boot.
enum Survived {
    /// The power was cut.
    Cut,
    /// The guest powered off.
    Halted,
}

impl Chain {
    /// Returns the chains of a full test.
    ///
    /// The chain of the C modules is short: it only shows that they meet the test's expectations,
    /// too.
    pub(super) fn all() -> Vec<Self> {
        let chain = |stack, kind, sector_size, cuts| Self {
            stack,
            kind,
            sector_size,
            cuts,
            seed: rand::random(),
            mixed: stack == Stack::Rust && kind.is_mixed(),
            number: None,
        };
        vec![
            chain(Stack::Rust, Kind::Plain, 512, 4),
            chain(Stack::Rust, Kind::Plain, 4096, 4),
            chain(Stack::Rust, Kind::Labelled, 4096, 4),
            chain(Stack::Rust, Kind::Interleaved, 4096, 3),
            chain(Stack::C, Kind::Plain, 512, 2),
        ]
    }

    /// Returns the name for reports and filters: `group/name` like that of a script.
    pub(super) fn name(&self) -> String {
        let kind = self.kind.name();
        let number = self.number.map_or(String::new(), |n| format!("-{n:03}"));
        format!("{}/{kind}-{}{number}", self.group(), self.sector_size)
    }

    /// Returns the group for `--group`.
    pub(super) fn group(&self) -> &'static str {
        GROUP
    }

    /// Returns one sentence for a list of tests.
    pub(super) fn description(&self) -> &'static str {
        match self.kind {
            Kind::Plain => "Power cuts while sectors of a BTT are written.",
            Kind::Labelled => "Power cuts while sectors of a BTT and labels are written.",
            Kind::Interleaved => {
                "Power cuts while sectors of a BTT on interleaved DIMMs are written."
            }
        }
    }

    /// The stacks whose modules it needs.
    pub(super) fn stacks(&self) -> Vec<Stack> {
        match (self.stack, self.mixed) {
            (Stack::Rust, true) => vec![Stack::Rust, Stack::C],
            (stack, _) => vec![stack],
        }
    }

    /// Returns an upper bound of the time, for planning.
    pub(super) fn longest(&self) -> Duration {
        TIMEOUT * (self.cuts + 1)
    }

    fn hardware(&self) -> Hardware {
        Hardware {
            nvdimms: vec![self.kind.nvdimm()],
            ..Hardware::default()
        }
    }

    /// Runs the chain: one boot for each cut, some that only read, and a last one that only reads.
    pub(super) fn run(&self, context: &Context<'_>) -> Result<Verdict> {
        let media = Media::create(&self.hardware())?;
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut stamps = Stamps::default();
        let (mut boot, mut cuts) = (0, 0);
        let mut loads = Vec::new();
        while cuts <= self.cuts {
            boot += 1;
            let plan = self.draw(&mut random, boot, cuts);
            loads.push(plan.load);
            let reason = match self.boot(context, &media, plan, &mut stamps) {
                Ok(Survived::Halted) if cuts == self.cuts => break,
                Ok(Survived::Halted) => continue,
                Ok(Survived::Cut) => match self.check_image(context, media.file(0)) {
                    Ok(()) => {
                        cuts += 1;
                        CUTS.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    Err(reason) => reason,
                },
                Err(reason) => reason,
            };
            process::check_interrupt()?;
            let kept = context
                .output_directory(self.stack, &file_name(&format!("{}-kept", self.name())))?;
            fs::copy(media.file(0), kept.join("nvdimm0")).context("cannot keep the image")?;
            let seed = self.seed;
            let place = kept.display();
            return Ok(Verdict::Failed(format!(
                "in boot {boot} of {loads:?}, seed {seed:#x}, image in {place}: {reason:#}"
            )));
        }
        // Cuts before the first write prove nothing.
        ensure!(stamps.acknowledged() > 0, "nothing was ever acknowledged");
        Ok(Verdict::Passed)
    }

    /// Draws the plan of the next boot, after this number of cuts.
    fn draw(&self, random: &mut StdRng, boot: u32, cuts: u32) -> Plan {
        let load = match random.random_range(0..8) {
            _ if cuts == self.cuts => Load::Look,
            _ if boot == 1 || !self.mixed => Load::Write,
            0 => Load::Look,
            1 | 2 => Load::Recovery,
            _ => Load::Write,
        };
        let after = match load {
            Load::Recovery => random.random_range(CUT_IN_RECOVERY),
            Load::Write | Load::Look => random.random_range(CUT),
        };
        Plan {
            load,
            stack: match load {
                Load::Look if self.mixed => Stack::C,
                _ => self.stack,
            },
            manner: Manner {
                epoch: boot,
                zero: self.sector_size >= 4096 && self.stack == Stack::Rust,
            },
            after: Duration::from_millis(after),
        }
    }

    /// Runs one boot up to its cut, or to its end.
    fn boot(
        &self,
        context: &Context<'_>,
        media: &Media,
        plan: Plan,
        stamps: &mut Stamps,
    ) -> Result<Survived> {
        let name = file_name(&format!("{}-boot{}", self.name(), plan.manner.epoch));
        let output = context.output_directory(self.stack, &name)?;
        let mut session = Session::boot(Boot {
            machine: context.machine,
            files: &context.files,
            stack: plan.stack,
            hardware: &self.hardware(),
            media,
            output: &output,
        })?;
        if plan.load == Load::Recovery {
            session.load_and_cut(plan.stack, plan.after)?;
            no_faults(&session)?;
            return Ok(Survived::Cut);
        }
        let cycle = self.cycle(&mut session, &output, plan, stamps);
        cycle.map_err(|reason| match session.traces(GROUP) {
            nothing if nothing.is_empty() => reason,
            traces => reason.context(traces),
        })?;
        if plan.load == Load::Look {
            session.halt()?;
            return Ok(Survived::Halted);
        }
        stamps.acknowledge(&output.join("acknowledged"), plan.manner)?;
        Ok(Survived::Cut)
    }

    /// Runs the guest's script and checks the sectors that it reads.
    fn cycle(
        &self,
        session: &mut Session,
        output: &Path,
        plan: Plan,
        stamps: &mut Stamps,
    ) -> Result<()> {
        session.load(plan.stack)?;
        let kind = self.kind.argument();
        let (what, expected) = match plan.load {
            Load::Look => ("read", Ending::Done(0)),
            Load::Write if plan.manner.zero => ("zero", Ending::PowerCut),
            Load::Write | Load::Recovery => ("write", Ending::PowerCut),
        };
        let arguments = format!("{kind} {} {what} {NAMESPACE}", self.sector_size);
        let call = Call {
            script: SCRIPT,
            name: GROUP,
            stack: plan.stack,
            boot: plan.manner.epoch,
            arguments: &arguments,
            timeout: TIMEOUT,
        };
        let mut judged = None;
        let mut broken = None;
        let ending = session.run(&call, |said| match said {
            "found" => {
                judged = Some(stamps.judge(&output.join("generations")));
                Reaction::GoOn
            }
            "writing" => Reaction::CutAfter(plan.after),
            said => {
                broken = broken
                    .take()
                    .or(said.strip_prefix("broken ").map(str::to_owned));
                Reaction::GoOn
            }
        })?;
        if let Some(reason) = broken {
            bail!("changing the labels failed: {reason}");
        }
        judged.with_context(|| {
            format!("the guest did not get as far as reading the sectors: {ending:?}")
        })??;
        ensure!(
            ending == expected,
            "the guest's script ended with {ending:?} instead of {expected:?}"
        );
        no_faults(session)
    }

    /// Checks the image with `btt check`. It must be good, or good once interrupted writes are
    /// finished.
    fn check_image(&self, context: &Context<'_>, image: &Path) -> Result<()> {
        let cut_out;
        let mut check = Command::new(context.files.of(self.stack)?.tools.join("btt"));
        check.arg("check");
        match self.kind.namespace() {
            None => check.arg(image),
            Some(part) => {
                cut_out = tempfile::NamedTempFile::new().context("cannot create a file")?;
                let mut whole = File::open(image).context("cannot open the image")?;
                let copied = whole.seek(SeekFrom::Start(part.start)).and_then(|_| {
                    std::io::copy(&mut whole.take(part.end - part.start), &mut &cut_out)
                });
                copied.context("cannot copy the namespace")?;
                check.arg(cut_out.path())
            }
        };
        if self.kind == Kind::Labelled {
            check.args(["--namespace", NAMESPACE]);
        }
        let done = check.output().context("cannot start btt check")?;
        // Exit codes of tools/btt: 0 is good, 4 is good once it is opened.
        match done.status.code() {
            Some(0 | 4) => Ok(()),
            _ => bail!(
                "btt check ended with {}: {}{}",
                done.status,
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            ),
        }
    }
}

fn no_faults(session: &Session) -> Result<()> {
    let faults = session.faults(GROUP);
    ensure!(
        faults.is_empty(),
        "the kernel is at fault: {}",
        faults.join("; ")
    );
    Ok(())
}
