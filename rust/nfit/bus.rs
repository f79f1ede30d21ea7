// SPDX-License-Identifier: GPL-2.0

//! The root device as a bus: its functions, and the dispatch of commands.

use crate::{
    attributes,
    dimm::{
        self,
        health_changed,
        NfitDimm, //
    },
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
    init_lock::InitLock,
    intel,
    scrub::{
        self,
        Scrub,
        ScrubGuard,
        ScrubRange, //
    },
};
use kernel::{
    device::Device,
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
use kernel_ext::{
    device::Node,
    memory::ProviderRange, //
};
use nd::{
    activation::Activation,
    provider::{
        bus_command,
        BusDescription,
        BusOperations,
        Command, //
    },
    security::Security,
    Bus,
    BusRegistration,
    Dimm,
    Region, //
};
use nd_format::nfit::{
    ars::Depth,
    dsm::{
        BusFamily,
        Functions, //
    },
};

/// Private data of a [`Bus`].
pub(crate) struct NfitBus {
    platform: Platform,
    root: FirmwareDevice,
    pub(crate) revision: u8,
    functions: RootFunctions,
    /// `true` if user space requested a long scrub of all ranges after a hardware error.
    pub(crate) scrub_on_error: Atomic<bool>,
    /// `true` if user space guarantees that devices do not access memory during firmware
    /// activation.
    pub(crate) devices_are_idle: Atomic<bool>,
    /// `None` if the firmware lacks one of the functions for scrubs.
    scrub: Option<Arc<Scrub>>,
    init_lock: Arc<InitLock>,
}

/// Notification of the root device: an unconsumed uncorrectable memory error was detected (ACPI
/// 6.5, table 5.185).
const UNCORRECTABLE_MEMORY_ERROR: u32 = 0x81;

impl NfitBus {
    /// Returns `true` if the provider's own memory backs the addresses.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self.platform, Platform::Simulated(_))
    }

    /// Registers the bus below `parent`.
    pub(crate) fn register(
        parent: &Device,
        platform: &Platform,
        revision: u8,
        init_lock: Arc<InitLock>,
    ) -> Result<BusRegistration> {
        let root = platform.root();
        let functions = functions::of_root(&root);
        let [of_nfit, ..] = functions.known;
        let scrub = if of_nfit.contains_all(scrub::NEEDED) {
            Some(Scrub::new(root.clone())?)
        } else {
            None
        };
        let this = Self {
            revision,
            functions,
            root,
            scrub,
            init_lock,
            platform: platform.clone(),
            scrub_on_error: Atomic::new(false),
            devices_are_idle: Atomic::new(false),
        };
        let mut commands = BusFamily::COMMANDS
            .intersection(this.functions(BusFamily::Nfit))
            .mask();
        // The ACPI root device always has the command, even if there is no function to call.
        if !this.is_simulated()
            || this
                .functions
                .callable
                .iter()
                .any(|of| *of != Functions::NONE)
        {
            commands |= 1 << bus_command::CALL;
        }
        let mut families = 1 << BusFamily::Nfit.number();
        if this.activates_firmware() {
            families |= 1 << BusFamily::Intel.number();
        }
        let description = BusDescription {
            module: platform.module(),
            provider_name: platform.provider_name(),
            commands,
            bus_families: families,
            groups: attributes::bus(),
            operations: KBox::new(Operations, GFP_KERNEL)?,
            private: KBox::new(this, GFP_KERNEL)?,
        };
        Bus::register(parent, description)
    }

    /// Returns the functions of the root device that a `CALL` may name.
    pub(crate) fn callable(&self, family: BusFamily) -> Functions {
        let index = family.number() as usize;
        let callable = &self.functions.callable;
        callable.get(index).copied().unwrap_or_default()
    }

    /// Returns the functions of the root device.
    fn functions(&self, family: BusFamily) -> Functions {
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
    pub(crate) fn collect_known_errors(&self, bus: &Node<Bus>, target: &ScrubRange) -> bool {
        self.scrub
            .as_ref()
            .is_some_and(|scrub| scrub.collect_known_errors(bus, target))
    }

    /// Schedules scrubs of `target`, now and on every request.
    pub(crate) fn scrub_region(&self, target: ScrubRange, region: ARef<Node<Region>>) -> Result {
        let long = !crate::NO_INIT_ARS.is_on();
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

    fn execute(&self, command: Command<'_>) -> Result<usize> {
        let outcome = self.execute_function(command);
        if let Some(event) = self.root.take_notification() {
            self.handle_notification(event);
        }
        outcome
    }

    fn execute_function(&self, command: Command<'_>) -> Result<usize> {
        let Command { number, payload } = command;
        if number == bus_command::CALL {
            let wanted = call_header(payload)?.family();
            let family = BusFamily::ALL
                .into_iter()
                .find(|family| u64::from(family.number()) == wanted)
                .ok_or(EINVAL)?;
            return command::call(
                &self.root,
                |_| functions::method(family),
                self.callable(family),
                payload,
            );
        }
        if !self.functions(BusFamily::Nfit).contains(number) {
            return Err(ENOTTY);
        }
        command::execute(
            &self.root,
            functions::method(BusFamily::Nfit),
            number,
            Payload::of_bus(number, payload)?,
        )
    }
}

/// Operations of the bus and its DIMMs.
struct Operations;

impl BusOperations for Operations {
    fn execute(
        &self,
        bus: &Node<Bus>,
        dimm: Option<&Node<Dimm>>,
        command: Command<'_>,
    ) -> Result<usize> {
        match dimm {
            Some(dimm) => {
                let known = dimm.private::<NfitDimm>().ok_or(ENXIO)?;
                let outcome = known.execute(command);
                if known.take_health_event() {
                    health_changed(dimm);
                }
                outcome
            }
            None => bus.private::<NfitBus>().ok_or(ENXIO)?.execute(command),
        }
    }

    fn label_status(&self, dimm: &Node<Dimm>, number: u32, status: u32) -> Result {
        dimm.private::<NfitDimm>()
            .ok_or(ENXIO)?
            .label_status(number, status)
    }

    /// Refuses a scrub of user space while the driver's own scrubs are busy: it would overwrite
    /// their results.
    fn clear_to_send(&self, bus: &Node<Bus>, dimm: Option<&Node<Dimm>>, number: u32) -> Result {
        let scrub = bus.private::<NfitBus>().and_then(NfitBus::scrub);
        match scrub {
            Some(scrub)
                if dimm.is_none() && number == bus_command::ARS_START && scrub.is_busy() =>
            {
                Err(EBUSY)
            }
            _ => Ok(()),
        }
    }

    fn flush_probe(&self, bus: &Node<Bus>) -> Result {
        if let Some(ours) = bus.private::<NfitBus>() {
            ours.init_lock.wait();
        }
        Ok(())
    }

    fn memory_at(&self, bus: &Node<Bus>, start: u64, len: u64) -> Option<ProviderRange> {
        bus.private::<NfitBus>()?.platform.memory_at(start, len)
    }

    fn activation(&self) -> Option<&dyn Activation> {
        Some(&intel::activation::Activation)
    }

    fn security(&self) -> Option<&dyn Security> {
        Some(&dimm::security::Security)
    }

    fn clears_poison_by_command(&self) -> bool {
        true
    }
}
