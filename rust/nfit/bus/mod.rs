// SPDX-License-Identifier: GPL-2.0

//! The root device as a bus: registration, and the dispatch of commands.

mod activation;
mod attributes;
mod init_lock;
mod nfit_bus;

pub(crate) use init_lock::InitLock;
pub(crate) use nfit_bus::NfitBus;

use crate::{
    dimm::{
        self,
        health_changed,
        NfitDimm, //
    },
    firmware::{
        functions,
        Platform, //
    },
    scrub::{
        self,
        Scrub, //
    },
};
use kernel::{
    device::Device,
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, //
    },
};
use kernel_ext::{
    device::TypedDevice,
    memory::SimulatedRange, //
};
use nd::{
    activation::Activation,
    provider::{
        BusDescription,
        BusOperations,
        Command,
        Status, //
    },
    security::Security,
    Bus,
    BusRegistration,
    Dimm, //
};
use nd_format::{
    nfit::dsm::{
        BusFamily,
        Functions, //
    },
    uapi::bus_command, //
};

impl NfitBus {
    /// Registers the bus below `parent`.
    pub(crate) fn register(
        parent: &Device,
        platform: &Arc<dyn Platform>,
        revision: u8,
        init_lock: Arc<InitLock>,
    ) -> Result<BusRegistration> {
        let root = platform.root();
        let functions = functions::of_root(&*root);
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
        if platform.always_has_call()
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
            groups: attributes::groups(),
            operations: KBox::new(Operations, GFP_KERNEL)?,
            private: Some(KBox::new(this, GFP_KERNEL)?),
        };
        Bus::register(parent, description)
    }
}

/// Operations of the bus and its DIMMs.
struct Operations;

impl BusOperations for Operations {
    fn execute(
        &self,
        bus: &TypedDevice<Bus>,
        dimm: Option<&TypedDevice<Dimm>>,
        command: Command<'_>,
    ) -> Result<Status> {
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

    /// Refuses a scrub of user space while the driver's own scrubs are busy: it would overwrite
    /// their results.
    fn clear_to_send(
        &self,
        bus: &TypedDevice<Bus>,
        dimm: Option<&TypedDevice<Dimm>>,
        number: u32,
    ) -> Result {
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

    fn flush_probe(&self, bus: &TypedDevice<Bus>) -> Result {
        if let Some(ours) = bus.private::<NfitBus>() {
            ours.init_lock.wait();
        }
        Ok(())
    }

    fn memory_at(&self, bus: &TypedDevice<Bus>, start: u64, len: u64) -> Option<SimulatedRange> {
        bus.private::<NfitBus>()?.platform.memory_at(start, len)
    }

    fn activation(&self) -> Option<&dyn Activation> {
        Some(&activation::Activation)
    }

    fn security(&self) -> Option<&dyn Security> {
        Some(&dimm::security::Security)
    }

    fn clears_poison_by_command(&self) -> bool {
        true
    }
}
