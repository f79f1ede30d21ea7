// SPDX-License-Identifier: GPL-2.0

//! Address range scrub functions of the root device (ACPI 6.5, section 9.20.7).

use super::state::ScrubRange;
use crate::firmware::{
    functions,
    DsmOutput,
    FirmwareDevice, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use nd_format::{
    nfit::{
        ars::{
            self,
            CapabilityInput,
            Depth,
            Progress,
            Rest,
            StartInput,
            Started, //
        },
        dsm::{
            BusFamily,
            Functions, //
        },
    },
    uapi::bus_command, //
};

/// Functions that scrubs need. Their numbers are those of the ioctl commands.
pub(crate) const NEEDED: Functions = Functions::span(bus_command::ARS_CAP, bus_command::ARS_STATUS);

/// A root device that has [`NEEDED`].
pub(super) struct ArsFunctions(Arc<dyn FirmwareDevice>);

impl ArsFunctions {
    pub(super) fn new(root: Arc<dyn FirmwareDevice>) -> Self {
        Self(root)
    }

    fn call(&self, function: u32, input: &[u8]) -> Result<DsmOutput> {
        self.0
            .evaluate_function(functions::method(BusFamily::Nfit), function, input)
    }

    pub(super) fn can_scrub(&self, target: &ScrubRange) -> bool {
        let input = CapabilityInput::new(target.start, target.len);
        self.call(bus_command::ARS_CAP, input.bytes())
            .is_ok_and(|answer| {
                answer
                    .buffer()
                    .is_some_and(|answer| ars::can_scrub(answer, target.kind))
            })
    }

    pub(super) fn start(&self, target: &ScrubRange, depth: Depth) -> Result<Started> {
        self.start_with(&StartInput::new(
            target.start,
            target.len,
            target.kind,
            depth,
        ))
    }

    pub(super) fn start_rest(&self, rest: Rest) -> Result<Started> {
        self.start_with(&rest.input())
    }

    fn start_with(&self, input: &StartInput) -> Result<Started> {
        let answer = self.call(bus_command::ARS_START, input.bytes())?;
        answer.buffer().and_then(Started::parse).ok_or(EIO)
    }

    /// Queries the scrub and calls `f` with the output.
    pub(super) fn progress<T>(&self, f: impl FnOnce(Progress<'_>) -> T) -> Result<T> {
        let answer = self.call(bus_command::ARS_STATUS, &[])?;
        let progress = answer.buffer().and_then(Progress::parse).ok_or(EIO)?;
        Ok(f(progress))
    }
}
