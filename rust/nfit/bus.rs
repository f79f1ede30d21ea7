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
    family,
    intel, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::atomic::Atomic, //
};
use kernel_ext::{
    acpi::DeviceSpecificMethod,
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
    Dimm, //
};
use nd_format::nfit::dsm::{
    BusFamily,
    Functions, //
};

/// What this module knows of the root device; the private data of its [`Bus`].
pub(crate) struct NfitBus {
    platform: Platform,
    root: FirmwareDevice,
    pub(crate) revision: u8,
    functions: [Functions; BusFamily::ALL.len()],
    /// Whether user space asked for a scrub of everything after a hardware error.
    pub(crate) scrub_on_error: Atomic<bool>,
    /// Whether user space vouches that no device accesses memory while firmware is activated.
    pub(crate) devices_are_idle: Atomic<bool>,
}

impl NfitBus {
    /// Tells whether addresses are played by memory of the provider's own.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self.platform, Platform::Simulated(_))
    }

    /// Registers the bus below `parent`. `dimm_families` has a bit for each family that some DIMM answers to.
    pub(crate) fn register(
        parent: &Device,
        platform: &Platform,
        revision: u8,
        dimm_families: u64,
    ) -> Result<BusRegistration> {
        let root = platform.root();
        let this = Self {
            revision,
            functions: family::of_root(&root),
            root,
            platform: platform.clone(),
            scrub_on_error: Atomic::new(false),
            devices_are_idle: Atomic::new(false),
        };
        let commands = BusFamily::COMMANDS
            .intersection(this.functions(BusFamily::Nfit))
            .mask();
        let mut families = 1 << BusFamily::Nfit.number();
        if this.activates_firmware() {
            families |= 1 << BusFamily::Intel.number();
        }
        let description = BusDescription {
            module: platform.module(),
            provider_name: platform.provider_name(),
            commands: commands | 1 << bus_command::CALL,
            dimm_families,
            bus_families: families,
            groups: attributes::bus(),
            operations: KBox::new(Operations, GFP_KERNEL)?,
            private: KBox::new(this, GFP_KERNEL)?,
        };
        Bus::register(parent, description)
    }

    /// The functions of the root device that may be called.
    pub(crate) fn functions(&self, family: BusFamily) -> Functions {
        let index = family.number() as usize;
        self.functions.get(index).copied().unwrap_or_default()
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
        self.root.evaluate_function(method(family), function, input)
    }

    fn execute(&self, command: Command<'_>) -> Result<usize> {
        let Command { number, payload } = command;
        if number == bus_command::CALL {
            let wanted = call_header(payload)?.family();
            let family = BusFamily::ALL
                .into_iter()
                .find(|family| u64::from(family.number()) == wanted)
                .ok_or(EINVAL)?;
            return command::call(
                &self.root,
                |_| method(family),
                self.functions(family),
                payload,
            );
        }
        if !self.functions(BusFamily::Nfit).contains(number) {
            return Err(ENOTTY);
        }
        command::execute(
            &self.root,
            method(BusFamily::Nfit),
            number,
            Payload::of_bus(number, payload)?,
        )
    }
}

/// How to call a function of a family.
fn method(family: BusFamily) -> DeviceSpecificMethod {
    DeviceSpecificMethod {
        guid: *family.guid().as_bytes(),
        revision: BusFamily::REVISION,
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
