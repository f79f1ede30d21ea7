// SPDX-License-Identifier: GPL-2.0

//! DIMMs: registration, and the notifications of their health.

mod attributes;
mod label_methods;
mod nfit_dimm;
pub(crate) mod security;

pub(crate) use nfit_dimm::NfitDimm;

use crate::firmware::TableBytes;
use kernel::{
    prelude::*,
    str::CString,
    sync::aref::ARef, //
};
use kernel_ext::{
    acpi::NotifyHandler,
    device::TypedDevice,
    sysfs::AttributePath, //
};
use nd::{
    provider::{
        DimmDescription,
        DimmFlags, //
    },
    Dimm, //
};
use nd_format::nfit::{
    DimmId,
    FlushHints,
    MappingFlags, //
};

/// Notification of a DIMM: its health has changed.
const HEALTH_CHANGED: u32 = 0x81;

impl NfitDimm {
    /// Registers the DIMM on `bus`. `hints` are its flush hints in the table `bytes`.
    pub(crate) fn register(
        self,
        bus: &TypedDevice<nd::Bus>,
        bytes: TableBytes<'_>,
        hints: FlushHints<'_>,
    ) -> Result<ARef<TypedDevice<Dimm>>> {
        let failures = self.flags.failures();
        let mut flush_hints = KVec::with_capacity(hints.addresses.len(), GFP_KERNEL)?;
        for address in hints.addresses {
            flush_hints.push(bytes.hint(address)?, GFP_KERNEL)?;
        }
        let unique_id = self
            .control_region
            .as_ref()
            .map(|region| {
                CString::try_from_fmt(fmt!("{}", format_args!("{}", DimmId::new(region))))
            })
            .transpose()?;
        let description = DimmDescription {
            flags: DimmFlags {
                unarmed: self.flags.contains(MappingFlags::NOT_ARMED),
                ..DimmFlags::default()
            },
            commands: self.commands(),
            families: self
                .firmware
                .as_ref()
                .map_or(0, |firmware| firmware.families),
            flush_hints,
            unique_id,
            groups: attributes::groups(),
            private: Some(self.into_private()?),
        };
        let dimm = Dimm::register(bus, description)?;
        if !failures.is_empty() {
            dev_err!(
                dimm,
                "firmware reports failures: {}\n",
                format_args!("{failures}")
            );
        }
        Ok(dimm)
    }
}

/// Wakes up pollers of a DIMM's attribute `flags`.
pub(crate) fn health_changed(dimm: &TypedDevice<Dimm>) {
    dimm.notify(AttributePath::within(c"nfit", c"flags"));
}

/// Notification handler that wakes up pollers when the health of a DIMM changes.
pub(crate) struct HealthWatch(pub(crate) ARef<TypedDevice<Dimm>>);

impl NotifyHandler for HealthWatch {
    fn notify(&self, event: u32) {
        if event == HEALTH_CHANGED {
            health_changed(&self.0);
        }
    }
}
