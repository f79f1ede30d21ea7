// SPDX-License-Identifier: GPL-2.0

//! Private data of a bus: the root device's functions, and its scrubs.

use super::init_lock::InitLock;
use crate::{
    firmware::{
        command::{
            self,
            call_header,
            Payload, //
        },
        functions::{
            self,
            RootFunctions, //
        },
        DsmOutput,
        FirmwareDevice,
        Platform, //
    },
    parameters,
    scrub::{
        Scrub,
        ScrubGuard,
        ScrubRange, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use kernel_ext::device::TypedDevice;
use nd::{
    provider::{
        Command,
        Status, //
    },
    Bus,
    Region, //
};
use nd_format::{
    nfit::{
        ars::Depth,
        dsm::{
            BusFamily,
            Functions, //
        },
    },
    uapi::{
        bus_command,
        Target,
        STATUS_MASK, //
    },
};

/// Private data of a [`Bus`].
pub(crate) struct NfitBus {
    pub(super) platform: Arc<dyn Platform>,
    pub(super) root: Arc<dyn FirmwareDevice>,
    pub(crate) revision: u8,
    pub(super) functions: RootFunctions,
    /// `true` if user space requested a long scrub of all ranges after a hardware error.
    pub(crate) scrub_on_error: Atomic<bool>,
    /// `true` if user space guarantees that devices do not access memory during firmware
    /// activation.
    pub(crate) devices_are_idle: Atomic<bool>,
    /// `None` if the firmware lacks one of the functions for scrubs.
    pub(super) scrub: Option<Arc<Scrub>>,
    pub(super) init_lock: Arc<InitLock>,
}

/// Notification of the root device: an unconsumed uncorrectable memory error was detected (ACPI
/// 6.5, table 5.185).
const UNCORRECTABLE_MEMORY_ERROR: u32 = 0x81;

impl NfitBus {
    /// Returns the functions of the root device that a `CALL` may name.
    pub(crate) fn callable(&self, family: BusFamily) -> Functions {
        let index = family.number() as usize;
        let callable = &self.functions.callable;
        callable.get(index).copied().unwrap_or_default()
    }

    /// Returns the functions of the root device.
    pub(super) fn functions(&self, family: BusFamily) -> Functions {
        let index = family.number() as usize;
        let known = &self.functions.known;
        known.get(index).copied().unwrap_or_default()
    }

    /// Returns the scrubs; `None` if the firmware lacks a function for them.
    pub(crate) fn scrub(&self) -> Option<&Scrub> {
        self.scrub.as_deref()
    }

    /// Returns the guard that stops the scrubs. It must be dropped before the bus.
    pub(crate) fn scrub_guard(&self) -> Option<ScrubGuard> {
        self.scrub.as_ref().map(Scrub::guard)
    }

    /// Collects the media errors of `target` before its region is registered. Returns `true` if the
    /// firmware can scrub the range.
    pub(crate) fn collect_known_errors(&self, bus: &TypedDevice<Bus>, target: &ScrubRange) -> bool {
        self.scrub
            .as_ref()
            .is_some_and(|scrub| scrub.collect_known_errors(bus, target))
    }

    /// Schedules scrubs of `target`, now and on every request.
    pub(crate) fn scrub_region(
        &self,
        target: ScrubRange,
        region: ARef<TypedDevice<Region>>,
    ) -> Result {
        let long = !parameters::NO_INIT_ARS.is_on();
        self.scrub
            .as_ref()
            .map_or(Ok(()), |scrub| scrub.add(target, region, long))
    }

    /// Handles a notification of the root device that concerns its memory.
    pub(crate) fn handle_notification(&self, event: u32) {
        let Some(scrub) = &self.scrub else { return };
        if event == UNCORRECTABLE_MEMORY_ERROR {
            let depth = if self.scrub_on_error.load(Relaxed) {
                Depth::Long
            } else {
                Depth::Short
            };
            // If a scrub of this depth is pending already, it will find the error.
            let _ = scrub.request(depth);
        }
    }

    /// Returns `true` if the root device can activate staged firmware.
    pub(crate) fn activates_firmware(&self) -> bool {
        self.functions(BusFamily::Intel) != Functions::NONE
    }

    /// Calls a function for the driver itself. `ENOTTY`: the root device lacks it.
    pub(crate) fn call(&self, family: BusFamily, function: u32, input: &[u8]) -> Result<DsmOutput> {
        if !self.functions(family).contains(function) {
            return Err(ENOTTY);
        }
        self.root
            .evaluate_function(functions::method(family), function, input)
    }

    pub(super) fn execute(&self, command: Command<'_>) -> Result<Status> {
        let outcome = self.execute_function(command);
        if let Some(event) = self.root.take_notification() {
            self.handle_notification(event);
        }
        outcome
    }

    fn execute_function(&self, command: Command<'_>) -> Result<Status> {
        let Command { number, payload } = command;
        if number == bus_command::CALL {
            let wanted = call_header(payload)?.nd_family.get();
            let family = BusFamily::ALL
                .into_iter()
                .find(|family| u64::from(family.number()) == wanted)
                .ok_or(EINVAL)?;
            command::call(
                &*self.root,
                |_| functions::method(family),
                self.callable(family),
                payload,
            )?;
            return Ok(Status::Success);
        }
        if !self.functions(BusFamily::Nfit).contains(number) {
            return Err(ENOTTY);
        }
        let raw = command::execute(
            &*self.root,
            functions::method(BusFamily::Nfit),
            number,
            Payload::split(Target::Bus, number, payload)?,
        )?;
        Ok(match raw & STATUS_MASK {
            0 => Status::Success,
            _ => Status::Failed(raw),
        })
    }
}
