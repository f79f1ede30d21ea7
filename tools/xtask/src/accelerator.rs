// SPDX-License-Identifier: GPL-2.0

//! How the guest's instructions are carried out: by KVM where a guest really boots in it, else by QEMU itself.

use crate::{
    cache::{
        Cache,
        Key, //
    },
    kernel::Kernel,
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

/// Time for a boot in KVM, of which it is not known whether it will ever succeed.
const KVM_TIMEOUT: Duration = Duration::from_secs(20);

/// What runs the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    Kvm,
    Tcg,
    /// One thread, and a clock that counts the instructions executed.
    CountingTcg,
}

impl Accelerator {
    /// What QEMU is told.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => &["-accel", "tcg,thread=multi", "-cpu", "max"],
            Self::CountingTcg => &[
                "-accel",
                "tcg,thread=single",
                "-cpu",
                "max",
                "-icount",
                "shift=0",
            ],
        }
    }

    /// KVM if a guest really boots in it. The answer is remembered for this host kernel.
    pub(crate) fn choose(cache: &Cache, kernel: &Kernel, image: &Path) -> Result<Self> {
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
            if !openable {
                step.note("tcg: /dev/kvm cannot be opened");
                return Ok(Self::Tcg);
            }
            let key = Key::default()
                .with("host", host)
                .with("cpu", model)
                .finish();
            let place = cache.artefact(&format!("accelerator-{key}"), step, |place| {
                let boots = |accelerator| {
                    let scratch =
                        tempfile::tempdir().context("cannot create a temporary directory")?;
                    let image = image.to_path_buf();
                    let mut probe = Setup::new(kernel.image(), image, accelerator, scratch.path());
                    if accelerator == Self::Kvm {
                        probe.boot_timeout = KVM_TIMEOUT;
                    }
                    let booted = probe.boot();
                    process::check_interrupt()?;
                    booted
                };
                let answer = if boots(Self::Kvm).is_ok() {
                    "kvm"
                } else {
                    // Is it KVM that fails, or the guest?
                    boots(Self::Tcg).context("the guest does not boot")?;
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
            Ok(if works { Self::Kvm } else { Self::Tcg })
        })
    }
}
