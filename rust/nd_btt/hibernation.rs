// SPDX-License-Identifier: GPL-2.0

//! Hibernation of a BTT: the image may be written to this very BTT, and the engine's knowledge of
//! its medium is outdated when the machine is started from the image.

use crate::disk::BttDriver;
use kernel::sync::Arc;
use kernel_ext::hibernate::Sleeper;

/// Forwards the steps of hibernation to the engine.
pub(crate) struct Hibernation(pub(crate) Arc<BttDriver>);

impl Sleeper for Hibernation {
    fn freeze(&self) {
        self.0.btt().freeze();
    }

    fn thaw(&self) {
        self.0.btt().thaw();
    }

    fn restore(&self) {
        self.0.resume();
    }

    fn power_off(&self) {
        self.0.write_back();
    }
}
