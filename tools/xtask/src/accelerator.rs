// SPDX-License-Identifier: GPL-2.0

//! What executes the guest's instructions: KVM or QEMU's own emulation (TCG).

/// An accelerator of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    Kvm,
    Tcg,
    /// The CPUs of the guest take turns in one thread.
    ///
    /// For kernels with `JUMP_LABEL`, which patch their code while other CPUs run it. With a thread
    /// for each CPU, a boot of Debian's kernel was seen to crash in such code.
    SerialTcg,
    /// One thread, and a clock that counts the instructions executed.
    CountingTcg,
}

impl Accelerator {
    /// Returns the arguments for QEMU.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => &["-accel", "tcg,thread=multi", "-cpu", "max"],
            Self::SerialTcg => &["-accel", "tcg,thread=single", "-cpu", "max"],
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
}
