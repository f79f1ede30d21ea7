// SPDX-License-Identifier: GPL-2.0

//! What answers for the root device and for DIMMs: ACPI, or somebody who plays it.

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
    /// The one of ACPI.
    Acpi(ARef<AcpiDevice>),
    /// A simulated one.
    Simulated(Arc<dyn SimulatedPlatform>),
}

impl Platform {
    /// The root device as one that has functions.
    pub(crate) fn root(&self) -> FirmwareDevice {
        match self {
            Self::Acpi(root) => FirmwareDevice::Acpi(root.clone()),
            Self::Simulated(platform) => FirmwareDevice::Simulated(platform.root()),
        }
    }

    /// The DIMM of a handle, if there is one.
    pub(crate) fn dimm(&self, handle: DeviceHandle) -> Option<FirmwareDevice> {
        match self {
            Self::Acpi(root) => root.child(u64::from(handle.0)).map(FirmwareDevice::Acpi),
            Self::Simulated(platform) => platform.dimm(handle).map(FirmwareDevice::Simulated),
        }
    }

    /// The text of the attribute `provider`.
    pub(crate) fn provider_name(&self) -> &'static CStr {
        match self {
            Self::Acpi(_) => c"ACPI.NFIT",
            Self::Simulated(platform) => platform.name(),
        }
    }

    /// The module that must stay while regions are enabled.
    pub(crate) fn module(&self) -> &'static ThisModule {
        match self {
            Self::Acpi(_) => &crate::THIS_MODULE,
            Self::Simulated(platform) => platform.module(),
        }
    }

    /// The memory that plays `len` bytes from `start` on, if they are not what they seem.
    pub(crate) fn memory_at(&self, start: u64, len: u64) -> Option<ProviderRange> {
        match self {
            Self::Acpi(_) => None,
            Self::Simulated(platform) => platform.memory_at(start, len),
        }
    }
}

/// A device that answers to functions of `_DSM`.
#[derive(Clone)]
pub(crate) enum FirmwareDevice {
    /// Of ACPI.
    Acpi(ARef<AcpiDevice>),
    /// Simulated.
    Simulated(Arc<dyn SimulatedDevice>),
}

impl FirmwareDevice {
    /// The device of ACPI, if it is one.
    pub(crate) fn acpi(&self) -> Option<&AcpiDevice> {
        match self {
            Self::Acpi(device) => Some(device),
            Self::Simulated(_) => None,
        }
    }

    /// The functions that the device has under `method`, as a bit mask; 0 if it has none.
    pub(crate) fn functions(&self, method: DeviceSpecificMethod) -> u64 {
        match self {
            Self::Acpi(device) => device.functions(method),
            Self::Simulated(device) => device.functions(Guid::from_bytes(method.guid)),
        }
    }

    /// Evaluates a function. `EINVAL`: there is no result; a simulated device says `ENOTTY` to functions that it does not have,
    /// and may fail with any error.
    pub(crate) fn evaluate_function(
        &self,
        method: DeviceSpecificMethod,
        function: u32,
        input: &[u8],
    ) -> Result<Answer> {
        match self {
            Self::Acpi(device) => device
                .evaluate_function(method, u64::from(function), Some(input))
                .map(Answer::Object)
                .ok_or(EINVAL),
            Self::Simulated(device) => {
                let family = Guid::from_bytes(method.guid);
                if !Functions::from_mask(device.functions(family)).contains(function) {
                    return Err(ENOTTY);
                }
                device.evaluate(family, function, input).map(Answer::Bytes)
            }
        }
    }
}

impl FirmwareDevice {
    /// The functions under `method` that user space may name in a `CALL`, as a bit mask.
    pub(crate) fn callable(&self, method: DeviceSpecificMethod) -> u64 {
        match self {
            Self::Acpi(_) => self.functions(method),
            Self::Simulated(device) => device.callable(Guid::from_bytes(method.guid)),
        }
    }

    /// Takes the notification with which a simulated device follows up a function. ACPI notifies by itself.
    pub(crate) fn take_notification(&self) -> Option<u32> {
        match self {
            Self::Acpi(_) => None,
            Self::Simulated(device) => device.take_notification(),
        }
    }
}

/// What a function gave back.
pub(crate) enum Answer {
    /// An object of ACPI.
    Object(Object),
    /// Bytes.
    Bytes(KVVec<u8>),
}

impl Answer {
    /// The bytes, if it is a buffer.
    pub(crate) fn buffer(&self) -> Option<&[u8]> {
        match self {
            Self::Object(object) => object.value().buffer(),
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}
