// SPDX-License-Identifier: GPL-2.0

//! Interface for modules that simulate the firmware. Their tables and functions go through the same
//! parser and the same commands as those of ACPI.

use crate::{
    firmware::Platform,
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
    /// Returns the functions that the device has under the GUID of a family, as a bit mask. Bit 0
    /// is set; the mask is 0 if the device does not support the family.
    fn functions(&self, family: Guid) -> u64;

    /// Returns the functions of these that a `CALL` may name, if they are documented. A function
    /// that is also a command of its own need not be included.
    fn callable(&self, family: Guid) -> u64 {
        self.functions(family)
    }

    /// Evaluates a function that the device has. The output begins with a status. An error
    /// simulates firmware that returns no status.
    fn evaluate(&self, family: Guid, function: u32, input: &[u8]) -> Result<KVVec<u8>>;

    /// Takes the pending health notification. Returns `true` if there was one.
    fn take_health_event(&self) -> bool {
        false
    }

    /// Takes the pending notification, if any. Only the root device has notifications.
    fn take_notification(&self) -> Option<u32> {
        None
    }
}

/// A simulated root device and the devices below it.
pub trait SimulatedPlatform: Send + Sync {
    /// Returns the text of the attribute `provider`.
    fn name(&self) -> &'static CStr;

    /// Returns the module that is pinned while a region is enabled.
    fn module(&self) -> &'static ThisModule;

    /// Returns the structures of the NFIT without the table header, as `_FIT` does.
    fn structures(&self) -> &[u8];

    /// Returns the root device.
    fn root(&self) -> Arc<dyn SimulatedDevice>;

    /// Returns the DIMM of a handle; `None` if there is none.
    fn dimm(&self, handle: DeviceHandle) -> Option<Arc<dyn SimulatedDevice>>;

    /// Returns the memory that backs `len` bytes of simulated physical addresses from `start`.
    fn memory_at(&self, start: u64, len: u64) -> Option<ProviderRange>;
}

/// Registration of the bus of a simulated platform and of everything on it. Once it is dropped,
/// nothing refers to the platform.
pub struct SimulatedProvider {
    _provider: Arc<Provider>,
}

impl SimulatedProvider {
    /// Registers the bus of `platform` below `device`. Fails as the probe of a real table does.
    pub fn new(device: &Device, platform: Arc<dyn SimulatedPlatform>) -> Result<Self> {
        let provider = Provider::new(device, Platform::Simulated(platform))?;
        provider.merge_at_boot()?;
        Ok(Self {
            _provider: provider,
        })
    }
}
