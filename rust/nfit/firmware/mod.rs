// SPDX-License-Identifier: GPL-2.0

//! The firmware of a root device and of its DIMMs.
//!
//! [`Platform`] and [`FirmwareDevice`] are what the rest of the module knows of firmware: the
//! table, the devices, their functions. [`acpi`] implements them for ACPI devices. Another module
//! that implements them simulates firmware; its tables and functions go through the same parser and
//! the same commands.

pub(crate) mod acpi;
pub(crate) mod command;
pub(crate) mod functions;
pub(crate) mod table;

use kernel::{
    device::Device,
    prelude::*,
    sync::Arc,
    ThisModule, //
};
use kernel_ext::{
    acpi::{
        AcpiDevice,
        DeviceSpecificMethod,
        Object,
        Table, //
    },
    memory::SimulatedRange, //
};
use nd::provider::Hint;
use nd_format::nfit::DeviceHandle;
use zerocopy::{
    little_endian::U64,
    IntoBytes, //
};

/// A root device and the devices below it.
pub trait Platform: Send + Sync {
    /// Returns the text of the attribute `provider`.
    fn provider_name(&self) -> &'static CStr;

    /// Returns the module that is pinned while a region is enabled.
    fn module(&self) -> &'static ThisModule;

    /// Calls `merge` with the table that is present at boot, and returns its result. Without a
    /// table `merge` is not called. This is no error, DIMMs may be plugged later.
    fn table_at_boot(
        &self,
        reporter: &Device,
        merge: &mut dyn FnMut(TableBytes<'_>) -> Result,
    ) -> Result;

    /// Calls `merge` with the table after the firmware notified of a change, and returns its
    /// result. `ENXIO`: there is no table. The default is for platforms that notify of no change.
    fn table_after_change(
        &self,
        reporter: &Device,
        merge: &mut dyn FnMut(TableBytes<'_>) -> Result,
    ) -> Result {
        let _ = (reporter, merge);
        Ok(())
    }

    /// Returns the root device.
    fn root(&self) -> Arc<dyn FirmwareDevice>;

    /// Returns the DIMM of a handle; `None` if there is none.
    fn dimm(&self, handle: DeviceHandle) -> Result<Option<Arc<dyn FirmwareDevice>>>;

    /// Returns `true` if the bus has the command `CALL` even if there is no function to call.
    fn always_has_call(&self) -> bool {
        true
    }

    /// Returns `true` if memory of the platform's own backs the addresses in the table, so that
    /// these are not entered into the resource tree.
    fn owns_addresses(&self) -> bool {
        false
    }

    /// Returns the platform's memory that backs `len` bytes from `start`; `None` if the addresses
    /// are real.
    fn memory_at(&self, start: u64, len: u64) -> Option<SimulatedRange> {
        let _ = (start, len);
        None
    }
}

/// Bytes of a table.
#[derive(Clone, Copy)]
pub enum TableBytes<'a> {
    /// A static table with its header.
    Static(&'a Table),
    /// The buffer that `_FIT` returned: the structures without the header.
    Fit {
        /// The buffer.
        buffer: &'a Object,
        /// Revision of the table.
        revision: u8,
    },
    /// Structures without a header, whose addresses are simulated.
    Simulated {
        /// The structures.
        structures: &'a [u8],
        /// Revision of the table.
        revision: u8,
    },
}

impl TableBytes<'_> {
    /// Returns the flush hint at `address`, a field of the table. `EINVAL`: it is none.
    pub(crate) fn hint(self, address: &U64) -> Result<Hint> {
        let field = address.as_bytes();
        match self {
            Self::Static(table) => table.address_at(field).map(Hint::Firmware),
            Self::Fit { buffer, .. } => buffer.address_at(field).map(Hint::Firmware),
            Self::Simulated { .. } => Some(Hint::Simulated(address.get())),
        }
        .ok_or(EINVAL)
    }
}

/// A device with `_DSM` functions: the root device or a DIMM.
pub trait FirmwareDevice: Send + Sync {
    /// Returns the functions that the device has under `method`, as a bit mask. Bit 0 is set; the
    /// mask is 0 if the device has none.
    fn functions(&self, method: DeviceSpecificMethod) -> u64;

    /// Returns the functions of these that a `CALL` may name, if they are documented. A function
    /// that is also a command of its own need not be included.
    fn callable(&self, method: DeviceSpecificMethod) -> u64 {
        self.functions(method)
    }

    /// Evaluates a function. The output begins with a status. `EINVAL`: the firmware returned no
    /// result. Simulated firmware returns `ENOTTY` for a function that the device lacks, and may
    /// fail with any other error.
    fn evaluate_function(
        &self,
        method: DeviceSpecificMethod,
        function: u32,
        input: &[u8],
    ) -> Result<DsmOutput>;

    /// Returns the ACPI device, if it is one. It may have label methods and notifications.
    fn acpi(&self) -> Option<&AcpiDevice> {
        None
    }

    /// Takes the pending health notification of a DIMM. Returns `true` if there was one. The
    /// default is for devices that notify through [`Self::acpi`].
    fn take_health_event(&self) -> bool {
        false
    }

    /// Takes the pending notification of a root device, if any. The default is for devices that
    /// notify through [`Self::acpi`].
    fn take_notification(&self) -> Option<u32> {
        None
    }
}

/// Output of a function.
pub enum DsmOutput {
    /// An ACPI object.
    Object(Object),
    /// Bytes.
    Bytes(KVVec<u8>),
}

impl DsmOutput {
    /// Returns the bytes, or `None` for an ACPI object that is not a buffer.
    pub(crate) fn buffer(&self) -> Option<&[u8]> {
        match self {
            Self::Object(object) => object.value().buffer(),
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// Returns the status at the start of `answer`. `ENXIO`: there is none.
pub(crate) fn status_of(answer: Option<&[u8]>) -> Result<u32> {
    let status = answer
        .and_then(|answer| answer.first_chunk())
        .ok_or(ENXIO)?;
    Ok(u32::from_le_bytes(*status))
}
