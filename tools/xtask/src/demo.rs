// SPDX-License-Identifier: GPL-2.0

//! `make run`: shows the stack on one emulated NVDIMM, with a power cut in the middle of writing.
//!
//! Two boots on the same NVDIMM. The commands in the guest are in qemu/demo/. The host cuts the
//! power, and compares the sectors that the first boot acknowledged with those that the second one
//! reads.

use crate::{
    kernel::Choice,
    modules::{
        GuestFiles,
        Stack, //
    },
    setup::{
        Machine,
        Task, //
    },
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
        stamps::{
            Manner,
            Stamps, //
        },
    },
    units::MIB, //
};
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::Duration, //
};

const SIZE: u64 = 256 * MIB;
const TIMEOUT: Duration = Duration::from_secs(180);
/// Time from the first write to the power cut.
const WRITING: Duration = Duration::from_millis(2500);

/// Runs the demonstration.
pub(crate) fn run(kernel: Choice) -> Result<()> {
    let machine = Machine::prepare_for(Task::Demo, kernel.flavour())?;
    let files = GuestFiles::prepare(&machine, &BTreeSet::from([Stack::Rust]))?;
    let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
    let need = NvdimmNeed {
        size: SIZE,
        label: 0,
    };
    let hardware = Hardware {
        nvdimms: vec![need],
        ..Hardware::default()
    };
    let media = Media::create(&hardware)?;
    let mut stamps = Stamps::default();

    for (boot, title) in [(1, "First boot"), (2, "Second boot, same NVDIMM")] {
        let output = scratch.path().join(format!("boot{boot}"));
        fs::create_dir(&output).with_context(|| format!("cannot create {}", output.display()))?;
        let records = output.join("acknowledged");
        println!(
            "\n=== {title}: Linux {} with the modules of this checkout\n",
            machine.kernel.release
        );
        let mut session = Session::boot(Boot {
            machine: &machine,
            files: &files,
            stack: Stack::Rust,
            hardware: &hardware,
            media: &media,
            output: &output,
        })?;
        session.load(Stack::Rust)?;
        let ending = act(&mut session, boot, &output, &mut stamps)?;
        match (boot, ending) {
            (1, Ending::PowerCut) => {
                stamps.acknowledge(&records, Manner::default())?;
                let count = stamps.acknowledged();
                println!(
                    "\n=== The power has failed. {count} writes of a sector had been acknowledged"
                );
                ensure!(count > 0, "the power was cut before anything was written");
            }
            (2, Ending::Done(0)) => session.halt()?,
            (_, ending) => bail!(
                "the demonstration ended with {ending:?}{}",
                session.last_words()
            ),
        }
    }
    println!(
        "\n=== All {} sectors are whole, and every acknowledged one is there",
        stamps.sectors()
    );
    Ok(())
}

/// Runs one boot: shows the commands, and checks the sectors when the guest has read them.
fn act(session: &mut Session, boot: u32, output: &Path, stamps: &mut Stamps) -> Result<Ending> {
    let call = Call {
        script: "demo/demo.sh",
        name: "demo",
        stack: Stack::Rust,
        boot,
        arguments: "",
        timeout: TIMEOUT,
    };
    let mut judged = None;
    let ending = session.run(&call, |said| match said {
        "@found" => {
            judged = Some(stamps.judge(&output.join("generations")));
            Reaction::GoOn
        }
        "writing" => Reaction::CutAfter(WRITING),
        line => {
            println!("    {line}");
            Reaction::GoOn
        }
    })?;
    if let Some(judged) = judged {
        judged?;
    } else {
        bail!(
            "the guest did not get as far as reading its sectors: {}{}",
            session.written("demo", "err"),
            session.last_words()
        );
    }
    Ok(ending)
}
