// SPDX-License-Identifier: GPL-2.0

//! Firmware of ACPI devices.
//!
//! The table is the static NFIT, or the result of the method `_FIT`, which includes hotplugged
//! devices.

use super::{
    DsmOutput,
    FirmwareDevice,
    Platform,
    TableBytes, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    ThisModule, //
};
use kernel_ext::acpi::{
    AcpiDevice,
    DeviceSpecificMethod,
    MethodError,
    Table, //
};
use nd_format::nfit::{
    DeviceHandle,
    Nfit, //
};

/// Revision if there is no valid static table, and so no header.
const REVISION_WITHOUT_HEADER: u8 = 1;

/// The ACPI NVDIMM root device.
pub(crate) struct AcpiPlatform {
    root: Arc<AcpiFirmware>,
    module: &'static ThisModule,
}

/// An ACPI device.
struct AcpiFirmware(ARef<AcpiDevice>);

impl AcpiPlatform {
    /// Returns the platform of a root device. `module` is the provider's.
    pub(crate) fn new(root: &AcpiDevice, module: &'static ThisModule) -> Result<Arc<Self>> {
        let root = Arc::new(AcpiFirmware(root.into()), GFP_KERNEL)?;
        Ok(Arc::new(Self { root, module }, GFP_KERNEL)?)
    }
}

impl Platform for AcpiPlatform {
    fn provider_name(&self) -> &'static CStr {
        c"ACPI.NFIT"
    }

    fn module(&self) -> &'static ThisModule {
        self.module
    }

    /// `_FIT` takes precedence over the static table.
    fn table_at_boot(
        &self,
        reporter: &Device,
        merge: &mut dyn FnMut(TableBytes<'_>) -> Result,
    ) -> Result {
        let Some(table) = Table::get(c"NFIT") else {
            return Ok(());
        };
        match self.root.0.evaluate(c"_FIT", &[]) {
            Ok(result) if result.value().buffer().is_some() => {
                return merge(TableBytes::Fit {
                    buffer: &result,
                    revision: revision(Some(&table)),
                });
            }
            Ok(_) => dev_err!(
                reporter,
                "_FIT returned no buffer, using the static table\n"
            ),
            Err(MethodError::Absent) => {}
            Err(error) => dev_err!(reporter, "_FIT: {}, using the static table\n", error),
        }
        merge(TableBytes::Static(&table))
    }

    fn table_after_change(
        &self,
        reporter: &Device,
        merge: &mut dyn FnMut(TableBytes<'_>) -> Result,
    ) -> Result {
        let result = self
            .root
            .0
            .evaluate(c"_FIT", &[])
            .inspect_err(|error| dev_err!(reporter, "_FIT: {}, the change is ignored\n", error))
            .map_err(|_| ENXIO)?;
        if result.value().buffer().is_none() {
            dev_err!(reporter, "_FIT returned no buffer, the change is ignored\n");
            return Err(ENXIO);
        }
        merge(TableBytes::Fit {
            buffer: &result,
            revision: revision(Table::get(c"NFIT").as_ref()),
        })
    }

    fn root(&self) -> Arc<dyn FirmwareDevice> {
        self.root.clone()
    }

    fn dimm(&self, handle: DeviceHandle) -> Result<Option<Arc<dyn FirmwareDevice>>> {
        let Some(device) = self.root.0.child(u64::from(handle.0)) else {
            return Ok(None);
        };
        Ok(Some(Arc::new(AcpiFirmware(device), GFP_KERNEL)?))
    }
}

impl FirmwareDevice for AcpiFirmware {
    fn functions(&self, method: DeviceSpecificMethod) -> u64 {
        self.0.functions(method)
    }

    fn evaluate_function(
        &self,
        method: DeviceSpecificMethod,
        function: u32,
        input: &[u8],
    ) -> Result<DsmOutput> {
        self.0
            .evaluate_function(method, u64::from(function), Some(input))
            .map(DsmOutput::Object)
            .ok_or(EINVAL)
    }

    fn acpi(&self) -> Option<&AcpiDevice> {
        Some(&self.0)
    }
}

/// Returns the revision of the static table.
fn revision(table: Option<&Table>) -> u8 {
    table
        .and_then(|table| Nfit::from_table(table.bytes()).ok())
        .map_or(REVISION_WITHOUT_HEADER, |(header, _)| header.revision)
}
