// SPDX-License-Identifier: GPL-2.0

//! The root device as a bus: its functions, and where commands go.

use crate::{
    attributes,
    command::{
        self,
        call_header,
        Payload, //
    },
    dimm::NfitDimm,
    family, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::Atomic, //
    },
};
use kernel_ext::{
    acpi::{
        AcpiDevice,
        DeviceSpecificMethod, //
    },
    device::Node, //
};
use nd::{
    provider::{
        bus_command,
        BusDescription,
        BusOperations,
        Command, //
    },
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
    root: ARef<AcpiDevice>,
    pub(crate) revision: u8,
    functions: [Functions; BusFamily::ALL.len()],
    /// Whether user space asked for a scrub of everything after a hardware error.
    pub(crate) scrub_on_error: Atomic<bool>,
}

impl NfitBus {
    /// Registers the bus below `parent`. `dimm_families` has a bit for each family that some DIMM answers to.
    pub(crate) fn register(
        parent: &Device,
        root: &AcpiDevice,
        revision: u8,
        dimm_families: u64,
    ) -> Result<BusRegistration> {
        let this = Self {
            root: root.into(),
            revision,
            functions: family::of_root(root),
            scrub_on_error: Atomic::new(false),
        };
        let commands = BusFamily::COMMANDS
            .intersection(this.functions(BusFamily::Nfit))
            .mask();
        let mut families = 1 << BusFamily::Nfit.number();
        if this.functions(BusFamily::Intel) != Functions::NONE {
            families |= 1 << BusFamily::Intel.number();
        }
        let description = BusDescription {
            module: &crate::THIS_MODULE,
            provider_name: c"ACPI.NFIT",
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

    fn execute(&self, command: Command<'_>) -> Result<usize> {
        let Command { number, payload } = command;
        let method = |family: BusFamily| DeviceSpecificMethod {
            guid: *family.guid().as_bytes(),
            revision: BusFamily::REVISION,
        };
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
            Some(dimm) => dimm.private::<NfitDimm>().ok_or(ENXIO)?.execute(command),
            None => bus.private::<NfitBus>().ok_or(ENXIO)?.execute(command),
        }
    }

    fn clears_poison_by_command(&self) -> bool {
        true
    }
}
