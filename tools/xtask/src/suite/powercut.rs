// SPDX-License-Identifier: GPL-2.0

//! Power cuts under load: nothing that was acknowledged may be missing, and no sector may be torn.
//!
//! A chain is one NVDIMM through many boots. In each, the guest checks the BTT, reads the generation of every sector, and works
//! on until QEMU is killed at a random moment. Acknowledgements go to a file of the host, over 9p without any cache, and the host judges:
//! a sector has the last acknowledged generation, or the next one, whose request was under way. Between the boots `btt check`
//! looks at the image.
//!
//! What a boot does is drawn from the seed of its chain; when the power fails relative to what the guest does is not, since
//! guests are not deterministic. Of a chain that fails, the image after the last cut is kept.

use super::{
    media::Media,
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
    Context,
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

/// Usable bytes of the NVDIMM: enough for requests to overlap, small enough to be read again in every boot.
const SIZE: u64 = 18 * MIB;
/// The same where there are labels, and what the namespace with the BTT has of it; it lies at the beginning.
const LABELLED_SIZE: u64 = 96 * MIB;
const LABELLED_BTT: u64 = 32 * MIB;
const LABELS: u64 = 128 * KIB;
/// The same where the NVDIMM is the memory of simulated DIMMs, and where the region of four of them lies in it.
const SIMULATED_SIZE: u64 = 96 * MIB;
const INTERLEAVED: std::ops::Range<u64> = 32 * MIB..SIMULATED_SIZE;
/// UUID of the namespace with the BTT, known to the guest's script and to `btt check`.
const NAMESPACE: &str = "00000000-0000-4000-8000-0000000000aa";

const SCRIPT: &str = "powercut/cycle.sh";
const NAME: &str = "power-cut";
/// For one boot: check, read, write.
const TIMEOUT: Duration = Duration::from_secs(120);
/// When the power fails after the first acknowledgement, in milliseconds.
const CUT: std::ops::Range<u64> = 0..1500;
/// The same after the modules began to be loaded, which detects and recovers what is there.
const CUT_IN_RECOVERY: std::ops::Range<u64> = 0..2500;

/// What the NVDIMM of a chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One namespace without labels.
    Plain,
    /// Labels: namespaces are made, changed and destroyed beside the BTT.
    Labelled,
    /// Four interleaved DIMMs, simulated by `nfit_test` of ours in the memory of the NVDIMM; the BTT is on their region.
    Interleaved,
}

impl Kind {
    /// In names of chains and outputs.
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Labelled => "-labels",
            Self::Interleaved => "-interleaved",
        }
    }

    /// What the guest's script calls it.
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

    /// Where the namespace with the BTT lies in the image; `None`: it is all of it.
    fn namespace(self) -> Option<std::ops::Range<u64>> {
        match self {
            Self::Plain => None,
            Self::Labelled => Some(0..LABELLED_BTT),
            Self::Interleaved => Some(INTERLEAVED),
        }
    }

    /// Whether modules of both stacks can drive it, right after they were loaded.
    pub(super) fn is_mixed(self) -> bool {
        match self {
            Self::Plain | Self::Labelled => true,
            Self::Interleaved => false,
        }
    }
}

/// What goes on when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Threads write, and zero sectors where that is one store to the map.
    Write,
    /// The modules are being loaded: detection and recovery.
    Recovery,
    /// Nothing: this boot only looks, under the C modules.
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
    /// Whether some boots are of the C modules, which only look, and some cuts are in recovery.
    pub(super) mixed: bool,
    /// Number in a campaign.
    pub(super) number: Option<u32>,
}

/// Cuts that were survived, of all chains.
pub(super) static CUTS: AtomicU64 = AtomicU64::new(0);

/// What one boot of a chain does.
#[derive(Clone, Copy, Debug)]
struct Plan {
    load: Load,
    stack: Stack,
    /// The same for the host and the writer in the guest; the epoch is the number of the boot.
    manner: Manner,
    /// When the power fails.
    after: Duration,
}

/// How one boot ended well.
enum Survived {
    /// The power was cut.
    Cut,
    /// Powered off.
    Halted,
}

impl Chain {
    /// The chains of a full test.
    ///
    /// That of the C modules is short: it shows that what the test expects is what the peer does.
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
            chain(Stack::Rust, Kind::Plain, 512, 6),
            chain(Stack::Rust, Kind::Plain, 4096, 6),
            chain(Stack::Rust, Kind::Labelled, 4096, 6),
            chain(Stack::Rust, Kind::Interleaved, 4096, 3),
            chain(Stack::C, Kind::Plain, 512, 2),
        ]
    }

    /// The name in the report and for filters.
    pub(super) fn name(&self) -> String {
        let kind = self.kind.suffix();
        let number = self.number.map_or(String::new(), |n| format!("-{n:03}"));
        format!("{NAME}{kind}-{}{number}", self.sector_size)
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

    /// An upper bound for planning.
    pub(super) fn longest(&self) -> Duration {
        TIMEOUT * (self.cuts + 1)
    }

    fn hardware(&self) -> Hardware {
        Hardware {
            nvdimms: vec![self.kind.nvdimm()],
            ..Hardware::default()
        }
    }

    /// Runs the chain: a boot a cut, some that only look, and a last one that only reads.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<Verdict> {
        let media = Media::create(&self.hardware())?;
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut stamps = Stamps::default();
        let (mut boot, mut cuts) = (0, 0);
        let mut loads = Vec::new();
        while cuts <= self.cuts {
            boot += 1;
            let plan = self.draw(&mut random, boot, cuts);
            loads.push(plan.load);
            let reason = match self.boot(run, &media, plan, &mut stamps) {
                Ok(Survived::Halted) if cuts == self.cuts => break,
                Ok(Survived::Halted) => continue,
                Ok(Survived::Cut) => match self.check_image(run, media.file(0)) {
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
            let kept = run.output_directory(self.stack, &format!("{}-kept", self.name()))?;
            fs::copy(media.file(0), kept.join("nvdimm0")).context("cannot keep the image")?;
            let seed = self.seed;
            let place = kept.display();
            return Ok(Verdict::Failed(format!(
                "in boot {boot} of {loads:?}, seed {seed:#x}, image in {place}: {reason:#}"
            )));
        }
        // Cuts before the first write would prove nothing.
        ensure!(stamps.acknowledged() > 0, "nothing was ever acknowledged");
        Ok(Verdict::Passed)
    }

    /// What the next boot does after so many cuts.
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

    /// One boot up to its cut, or to its end.
    fn boot(
        &self,
        run: &Run<'_>,
        media: &Media,
        plan: Plan,
        stamps: &mut Stamps,
    ) -> Result<Survived> {
        let name = format!("{}-boot{}", self.name(), plan.manner.epoch);
        let output = run.output_directory(self.stack, &name)?;
        let mut session = Session::boot(Boot {
            machine: run.machine,
            files: &run.files,
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
        cycle.map_err(|reason| match traces(&session, NAME) {
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

    /// What happens in a boot that gets as far as reading the sectors.
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
            name: NAME,
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

    /// Lets `btt check` look at what the power cut left: good, or good once interrupted writes are finished.
    fn check_image(&self, run: &Run<'_>, image: &Path) -> Result<()> {
        let cut_out;
        let mut check = Command::new(run.files.of(self.stack)?.tools.join("btt"));
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
        // The codes of tools/btt: 0 good, 4 good once it is opened.
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
    let faults = session.faults(NAME);
    ensure!(
        faults.is_empty(),
        "the kernel is at fault: {}",
        faults.join("; ")
    );
    Ok(())
}
