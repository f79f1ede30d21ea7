// SPDX-License-Identifier: GPL-2.0

//! Which accelerator works here: KVM where a guest boots in it, else QEMU's emulation.

use crate::{
    accelerator::Accelerator,
    cache::{
        Cache,
        Key, //
    },
    kernel::{
        Flavour,
        Kernel, //
    },
    process,
    ui,
    vm::Setup, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs::{
        self,
        File, //
    },
    path::Path,
    process::Command,
    time::Duration, //
};

/// Timeout of the boot in KVM, which may never succeed.
const KVM_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns KVM if a guest boots in it. The answer is cached for this CPU and host kernel.
pub(crate) fn accelerator(cache: &Cache, kernel: &Kernel, image: &Path) -> Result<Accelerator> {
    ui::step("accelerator", |step| {
        let host = process::output(Command::new("uname").args(["-srvm"]))?;
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find(|line| line.starts_with("model name"))
            .unwrap_or_default()
            .to_owned();
        let openable = File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok();
        let emulation = match kernel.flavour {
            Flavour::Stock(_) => Accelerator::SerialTcg,
            Flavour::Ordinary | Flavour::Debug | Flavour::RealTime => Accelerator::Tcg,
        };
        if !openable {
            step.note("tcg: /dev/kvm cannot be opened");
            return Ok(emulation);
        }
        let key = Key::default()
            .with("host", host)
            .with("cpu", model)
            .finish();
        let place = cache.artefact(&format!("accelerator-{key}"), step, |place| {
            let boots = |accelerator| {
                let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
                let image = image.to_path_buf();
                let mut probe = Setup::new(kernel.image(), image, accelerator, scratch.path());
                probe.initramfs = kernel.initramfs();
                if accelerator == Accelerator::Kvm {
                    probe.boot_timeout = KVM_TIMEOUT;
                }
                let booted = probe.boot();
                process::check_interrupt()?;
                booted
            };
            let answer = if boots(Accelerator::Kvm).is_ok() {
                "kvm"
            } else {
                // Finds out whether KVM fails or the guest.
                boots(emulation).context("the guest does not boot")?;
                "tcg"
            };
            fs::write(place, answer).context("cannot remember the accelerator")
        })?;
        let works = fs::read_to_string(&place).is_ok_and(|answer| answer == "kvm");
        step.note(if works {
            "kvm"
        } else {
            "tcg: an ordinary kernel does not boot in the KVM of this host"
        });
        Ok(if works { Accelerator::Kvm } else { emulation })
    })
}
