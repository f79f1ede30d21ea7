// SPDX-License-Identifier: GPL-2.0

//! Legacy persistent memory (e820 type 12): what the providers `nd_e820` and `ramdax` share. The
//! kernel makes one platform device for all ranges of such memory, and either of them drives it.

use crate::{
    provider::{
        BusDescription,
        BusOperations, //
    },
    Bus,
    BusRegistration, //
};
use kernel::{
    device::Device,
    prelude::*,
    ThisModule, //
};
use kernel_ext::{
    resource::{
        self,
        AddressRange,
        Description, //
    },
    sysfs::GroupList, //
};

/// Registers a bus below `device` that has neither commands nor attributes of its own.
pub fn register_bus(
    device: &Device,
    module: &'static ThisModule,
    provider_name: &'static CStr,
    operations: impl BusOperations,
) -> Result<BusRegistration> {
    Bus::register(
        device,
        BusDescription {
            module,
            provider_name,
            commands: 0,
            bus_families: 0,
            groups: GroupList::EMPTY,
            operations: KBox::new(operations, GFP_KERNEL)?,
            private: None,
        },
    )
}

/// A range and its NUMA nodes.
#[derive(Clone, Copy, Debug)]
pub struct LegacyRange {
    /// Its addresses.
    pub addresses: AddressRange,
    /// The nearest NUMA node that is online.
    pub numa_node: i32,
    /// The NUMA node that the range would belong to as system memory.
    pub target_node: i32,
}

impl LegacyRange {
    /// Returns all ranges in ascending order. Fails with `ENXIO` and a message for `device` if
    /// there are none.
    pub fn all(device: &Device) -> Result<KVec<Self>> {
        let mut ranges = KVec::new();
        resource::for_each_range(Description::LegacyPersistentMemory, |addresses| {
            let target_node = resource::target_node(addresses.first);
            let range = Self {
                addresses,
                numa_node: resource::online_node(target_node),
                target_node,
            };
            Ok(ranges.push(range, GFP_KERNEL)?)
        })?;
        if ranges.is_empty() {
            dev_err!(
                device,
                "no range of legacy persistent memory, expected at least one\n"
            );
            return Err(ENXIO);
        }
        Ok(ranges)
    }

    /// Returns the size in bytes. Fails with `EINVAL` if it is not representable.
    pub fn size(&self) -> Result<u64> {
        let size = self.addresses.last.checked_sub(self.addresses.first);
        size.and_then(|size| size.checked_add(1)).ok_or(EINVAL)
    }

    /// Logs for `device` that the range is left out because of `error`.
    pub fn report_left_out(&self, device: &Device, error: &Error) {
        dev_err!(
            device,
            "range {:#x} to {:#x} is left out: {:?}\n",
            self.addresses.first,
            self.addresses.last,
            error
        );
    }
}
