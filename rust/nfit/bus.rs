// SPDX-License-Identifier: GPL-2.0

//! The root device as a bus: its functions, and where commands go.

use crate::{
    attributes,
    command::{
        self,
        call_header,
        Payload, //
    },
    device::{
        Answer,
        FirmwareDevice,
        Platform, //
    },
    dimm::{
        health_changed,
        NfitDimm, //
    },
    family::{
        self,
        RootFunctions, //
    },
    intel,
    merging::Merging,
    scrub::{
        self,
        Scrub,
        ScrubGuard,
        Target, //
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

/// What this module knows of the root device; the private data of its [`Bus`].
pub(crate) struct NfitBus {
    platform: Platform,
    root: FirmwareDevice,
    pub(crate) revision: u8,
    functions: RootFunctions,
    /// Whether user space asked for a long scrub of everything after a hardware error.
    pub(crate) scrub_on_error: Atomic<bool>,
    /// Whether user space vouches that no device accesses memory while firmware is activated.
    pub(crate) devices_are_idle: Atomic<bool>,
    /// The scrubs, if the firmware has all that is needed for them.
    scrub: Option<Arc<Scrub>>,
    merging: Arc<Merging>,
}

/// Notification of the root device: there is a media error that nobody has met yet (ACPI 6.5, table 5.185).
const UNCORRECTABLE_MEMORY_ERROR: u32 = 0x81;

impl NfitBus {
    /// Tells whether addresses are played by memory of the provider's own.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self.platform, Platform::Simulated(_))
    }

    /// Registers the bus below `parent`.
    pub(crate) fn register(
        parent: &Device,
        platform: &Platform,
        revision: u8,
        merging: Arc<Merging>,
    ) -> Result<BusRegistration> {
        let root = platform.root();
        let functions = family::of_root(&root);
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
            merging,
            platform: platform.clone(),
            scrub_on_error: Atomic::new(false),
            devices_are_idle: Atomic::new(false),
        };
        let mut commands = BusFamily::COMMANDS
            .intersection(this.functions(BusFamily::Nfit))
            .mask();
        // ACPI's root device always has the command, even if there is nothing to name in it.
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

    /// The functions of the root device that a `CALL` may name.
    pub(crate) fn callable(&self, family: BusFamily) -> Functions {
        let index = family.number() as usize;
        let callable = &self.functions.callable;
        callable.get(index).copied().unwrap_or_default()
    }

    /// The functions of the root device.
    fn functions(&self, family: BusFamily) -> Functions {
        let index = family.number() as usize;
        let known = &self.functions.known;
        known.get(index).copied().unwrap_or_default()
    }

    /// The scrubs, if the firmware has all that is needed for them.
    pub(crate) fn scrub(&self) -> Option<&Scrub> {
        self.scrub.as_deref()
    }

    /// What stops the scrubs. To be dropped before the bus.
    pub(crate) fn scrub_guard(&self) -> Option<ScrubGuard> {
        self.scrub.as_ref().map(Scrub::guard)
    }

    /// Looks for media errors in `target`, before there is a region for it. Tells whether the firmware can.
    pub(crate) fn look_for_errors(&self, bus: &Node<Bus>, target: &Target) -> bool {
        self.scrub
            .as_ref()
            .is_some_and(|scrub| scrub.look_at(bus, target))
    }

    /// Has `target` scrubbed, now and whenever it is asked for.
    pub(crate) fn scrub_region(&self, target: Target, region: ARef<Node<Region>>) -> Result {
        let long = !crate::NO_INIT_ARS.is_on();
        self.scrub
            .as_ref()
            .map_or(Ok(()), |scrub| scrub.add(target, region, long))
    }

    /// Takes a notification of the root device that is about its memory.
    pub(crate) fn notified(&self, event: u32) {
        let Some(scrub) = &self.scrub else { return };
        if event == UNCORRECTABLE_MEMORY_ERROR {
            let depth = if self.scrub_on_error.load(Relaxed) {
                Depth::Long
            } else {
                Depth::Short
            };
            // One that is asked for already will find the error, too.
            let _ = scrub.request(depth);
        }
    }

    /// Tells whether staged firmware can be activated.
    pub(crate) fn activates_firmware(&self) -> bool {
        self.functions(BusFamily::Intel) != Functions::NONE
    }

    /// Calls a function on behalf of this module. `ENOTTY`: the root device does not have it.
    pub(crate) fn call(&self, family: BusFamily, function: u32, input: &[u8]) -> Result<Answer> {
        if !self.functions(family).contains(function) {
            return Err(ENOTTY);
        }
        self.root
            .evaluate_function(family::method(family), function, input)
    }

    fn execute(&self, command: Command<'_>) -> Result<usize> {
        let outcome = self.execute_function(command);
        if let Some(event) = self.root.take_notification() {
            self.notified(event);
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
                |_| family::method(family),
                self.callable(family),
                payload,
            );
        }
        if !self.functions(BusFamily::Nfit).contains(number) {
            return Err(ENOTTY);
        }
        command::execute(
            &self.root,
            family::method(BusFamily::Nfit),
            number,
            Payload::of_bus(number, payload)?,
        )
    }
}

/// Takes commands for the bus and its DIMMs.
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

    /// A scrub that user space starts must not come between ours and their results.
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
            ours.merging.wait();
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
        Some(&intel::security::Security)
    }

    fn clears_poison_by_command(&self) -> bool {
        true
    }
}
