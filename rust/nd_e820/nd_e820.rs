// SPDX-License-Identifier: GPL-2.0

//! Persistent memory that the firmware, or `memmap=size!start` on the command line, marks with e820
//! type 12: `nd_e820.ko`.
//!
//! The kernel lists such ranges in `/proc/iomem` as "Persistent Memory (legacy)" and makes one
//! platform device for all of them. The driver registers a bus for it, with a region for each
//! range. There are no DIMMs, since nothing is known about the devices behind the ranges.

#![forbid(unsafe_code)]

use kernel::{
    device::{
        Core,
        Device, //
    },
    driver,
    platform,
    prelude::*, //
};
use kernel_ext::{
    device::TypedDevice,
    sysfs::GroupList, //
};
use nd::{
    legacy_memory::{
        self,
        LegacyRange, //
    },
    provider::{
        BusOperations,
        RegionDescription,
        RegionKind, //
    },
    Bus,
    BusRegistration,
    Region, //
};

/// The driver of the platform device.
struct E820Driver;

impl platform::Driver for E820Driver {
    type IdInfo = ();
    type Data<'bound> = BusRegistration;

    fn probe<'bound>(
        device: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<BusRegistration, Error> + 'bound {
        register(kernel_ext::device::normal(device.as_ref()))
    }
}

/// A bus without commands.
struct NoCommands;

impl BusOperations for NoCommands {}

/// Registers a bus, and a region for each range. A range that cannot be a region is left out, with
/// a message. Fails with `ENXIO` if there is no region then.
fn register(device: &Device) -> Result<BusRegistration> {
    let registration =
        legacy_memory::register_bus(device, kernel_compat::this_module!(), c"e820", NoCommands)?;
    let mut found = false;
    for range in LegacyRange::all(device)? {
        match register_range(registration.bus(), range) {
            Ok(()) => found = true,
            Err(error) => range.report_left_out(device, &error),
        }
    }
    found.then_some(registration).ok_or(ENXIO)
}

fn register_range(bus: &TypedDevice<Bus>, range: LegacyRange) -> Result {
    Region::register(
        bus,
        RegionDescription {
            kind: RegionKind::Persistent,
            start: range.addresses.first,
            size: range.size()?,
            mappings: KVec::new(),
            interleave_set: None,
            numa_node: range.numa_node,
            target_node: range.target_node,
            // The range was taken from system memory, so there is space for its memmap.
            memmap: true,
            persistence: None,
            groups: GroupList::EMPTY,
            private: None,
        },
    )?;
    Ok(())
}

/// The module's registrations.
#[pin_data]
struct E820Module {
    #[pin]
    driver: driver::Registration<platform::Adapter<E820Driver>>,
}

impl kernel::InPlaceModule for E820Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // The platform bus matches by this name.
            driver <- driver::Registration::new(c"e820_pmem", module),
        })
    }
}

module! {
    type: E820Module,
    name: "nd_e820",
    authors: ["The nvdimm-rust developers"],
    description: "NVDIMM provider for e820 type 12 memory",
    license: "GPL",
    alias: ["platform:e820_pmem*"],
}
