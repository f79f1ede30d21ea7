// SPDX-License-Identifier: GPL-2.0

//! For modules that play the firmware: what they give is taken exactly as that of ACPI, through the same parser and the
//! same commands.

use crate::{
    device::Platform,
    provider::Provider, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::Arc,
    ThisModule, //
};
use kernel_ext::memory::ProviderRange;
use nd_format::{
    nfit::DeviceHandle,
    uuid::Guid, //
};

/// A simulated device: the root device or a DIMM.
pub trait SimulatedDevice: Send + Sync {
    /// The functions that the device has under the GUID of a family, as a bit mask in which bit 0 is set; 0 if it does not
    /// know the family.
    fn functions(&self, family: Guid) -> u64;

    /// Those of them that user space may name in a `CALL`, where they are documented. What has a command of its own need not
    /// be among them.
    fn callable(&self, family: Guid) -> u64 {
        self.functions(family)
    }

    /// Evaluates a function, one of those that the device has. The answer begins with a status; an error plays firmware that gave none.
    fn evaluate(&self, family: Guid, function: u32, input: &[u8]) -> Result<KVVec<u8>>;

    /// Tells once whether the health of the DIMM changed in a way that it notifies of.
    fn take_health_event(&self) -> bool {
        false
    }

    /// Returns once the notification that the function before has caused, if the device is the root device.
    fn take_notification(&self) -> Option<u32> {
        None
    }
}

/// A simulated root device and what is below it.
pub trait SimulatedPlatform: Send + Sync {
    /// The text of the attribute `provider`.
    fn name(&self) -> &'static CStr;

    /// The module that must stay while regions are enabled.
    fn module(&self) -> &'static ThisModule;

    /// The structures of the NFIT, without the header of the table, as `_FIT` gives them.
    fn structures(&self) -> &[u8];

    /// The root device.
    fn root(&self) -> Arc<dyn SimulatedDevice>;

    /// The DIMM of a handle.
    fn dimm(&self, handle: DeviceHandle) -> Option<Arc<dyn SimulatedDevice>>;

    /// The memory that plays `len` bytes of physical addresses from `start` on.
    fn memory_at(&self, start: u64, len: u64) -> Option<ProviderRange>;
}

/// Keeps the bus of a simulated platform registered, with all that is on it. Once it is dropped nothing refers to the platform.
pub struct SimulatedProvider {
    _provider: Arc<Provider>,
}

impl SimulatedProvider {
    /// Registers the bus of `platform` below `device`. Errors are those of tables that are refused.
    pub fn new(device: &Device, platform: Arc<dyn SimulatedPlatform>) -> Result<Self> {
        let provider = Provider::new(device, Platform::Simulated(platform))?;
        provider.merge_at_boot()?;
        Ok(Self {
            _provider: provider,
        })
    }
}
