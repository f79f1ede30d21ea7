// SPDX-License-Identifier: GPL-2.0

//! The firmware behind a root device and its DIMMs: ACPI, or another module that simulates it.

pub(crate) mod command;
pub(crate) mod functions;
pub(crate) mod table;

use crate::simulated::{
    SimulatedDevice,
    SimulatedPlatform, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    ThisModule, //
};
use kernel_ext::{
    acpi::{
        AcpiDevice,
        DeviceSpecificMethod,
        Object, //
    },
    memory::ProviderRange, //
};
use nd_format::{
    nfit::{
        dsm::Functions,
        DeviceHandle, //
    },
    uuid::Guid, //
};

/// A root device.
#[derive(Clone)]
pub(crate) enum Platform {
    /// An ACPI device.
    Acpi(ARef<AcpiDevice>),
    /// A simulated root device.
    Simulated(Arc<dyn SimulatedPlatform>),
}

impl Platform {
    /// Returns the root device's functions.
    pub(crate) fn root(&self) -> FirmwareDevice {
        match self {
            Self::Acpi(root) => FirmwareDevice::Acpi(root.clone()),
            Self::Simulated(platform) => FirmwareDevice::Simulated(platform.root()),
        }
    }

    /// Returns the DIMM of a handle; `None` if there is none.
    pub(crate) fn dimm(&self, handle: DeviceHandle) -> Option<FirmwareDevice> {
        match self {
            Self::Acpi(root) => root.child(u64::from(handle.0)).map(FirmwareDevice::Acpi),
            Self::Simulated(platform) => platform.dimm(handle).map(FirmwareDevice::Simulated),
        }
    }

    /// Returns the text of the attribute `provider`.
    pub(crate) fn provider_name(&self) -> &'static CStr {
        match self {
            Self::Acpi(_) => c"ACPI.NFIT",
            Self::Simulated(platform) => platform.name(),
        }
    }

    /// Returns the module that is pinned while a region is enabled.
    pub(crate) fn module(&self) -> &'static ThisModule {
        match self {
            Self::Acpi(_) => &crate::THIS_MODULE,
            Self::Simulated(platform) => platform.module(),
        }
    }

    /// Returns the provider's memory that backs `len` bytes from `start`; `None` if the addresses
    /// are real.
    pub(crate) fn memory_at(&self, start: u64, len: u64) -> Option<ProviderRange> {
        match self {
            Self::Acpi(_) => None,
            Self::Simulated(platform) => platform.memory_at(start, len),
        }
    }
}

/// A device with `_DSM` functions.
#[derive(Clone)]
pub(crate) enum FirmwareDevice {
    /// An ACPI device.
    Acpi(ARef<AcpiDevice>),
    /// A simulated device.
    Simulated(Arc<dyn SimulatedDevice>),
}

impl FirmwareDevice {
    /// Returns the ACPI device, if it is one.
    pub(crate) fn acpi(&self) -> Option<&AcpiDevice> {
        match self {
            Self::Acpi(device) => Some(device),
            Self::Simulated(_) => None,
        }
    }

    /// Returns the functions that the device has under `method`, as a bit mask; 0 if it has none.
    pub(crate) fn functions(&self, method: DeviceSpecificMethod) -> u64 {
        match self {
            Self::Acpi(device) => device.functions(method),
            Self::Simulated(device) => device.functions(Guid::from_bytes(method.guid)),
        }
    }

    /// Evaluates a function. `EINVAL`: ACPI returned no result. `ENOTTY`: a simulated device lacks
    /// the function. A simulated device may fail with any other error.
    pub(crate) fn evaluate_function(
        &self,
        method: DeviceSpecificMethod,
        function: u32,
        input: &[u8],
    ) -> Result<DsmOutput> {
        match self {
            Self::Acpi(device) => device
                .evaluate_function(method, u64::from(function), Some(input))
                .map(DsmOutput::Object)
                .ok_or(EINVAL),
            Self::Simulated(device) => {
                let family = Guid::from_bytes(method.guid);
                if !Functions::from_mask(device.functions(family)).contains(function) {
                    return Err(ENOTTY);
                }
                device
                    .evaluate(family, function, input)
                    .map(DsmOutput::Bytes)
            }
        }
    }
}

impl FirmwareDevice {
    /// Returns the functions under `method` that a `CALL` may name, as a bit mask.
    pub(crate) fn callable(&self, method: DeviceSpecificMethod) -> u64 {
        match self {
            Self::Acpi(_) => self.functions(method),
            Self::Simulated(device) => device.callable(Guid::from_bytes(method.guid)),
        }
    }

    /// Takes the pending notification of a simulated device, if any. ACPI delivers its
    /// notifications itself.
    pub(crate) fn take_notification(&self) -> Option<u32> {
        match self {
            Self::Acpi(_) => None,
            Self::Simulated(device) => device.take_notification(),
        }
    }
}

/// Output of a function.
pub(crate) enum DsmOutput {
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
