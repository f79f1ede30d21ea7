// SPDX-License-Identifier: GPL-2.0

//! NVDIMMs with labels in ordinary memory, for machines without NVDIMMs: `ramdax.ko`.
//!
//! The memory is what `memmap=size!start` on the command line reserves. `nd_e820` drives it unless
//! the administrator rebinds the device:
//!
//! ```text
//! cd /sys/bus/platform
//! echo ramdax > devices/e820_pmem/driver_override
//! echo e820_pmem > drivers/e820_pmem/unbind
//! echo e820_pmem > drivers/ramdax/bind
//! ```
//!
//! Each range becomes a DIMM with a region of its own. The label area is at the end of the range
//! ([`label_area`]).

#![forbid(unsafe_code)]

mod label_area;

use crate::label_area::LabelStorage;
use kernel::{
    device::{
        Core,
        Device, //
    },
    page::PAGE_SIZE,
    platform,
    prelude::*,
    sync::aref::ARef, //
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
        Command,
        DimmDescription,
        DimmFlags,
        InterleaveSet,
        MappingDescription,
        RegionDescription,
        RegionKind,
        Status, //
    },
    Bus,
    BusRegistration,
    Dimm,
    Region, //
};
use nd_format::uuid::Guid;

/// Every region has the same cookie, as in the C driver: a range of memory has nothing to identify
/// it.
const COOKIE: u64 = 0xcafe_beef_cafe_beef;

/// The driver of the platform device.
struct RamDaxDriver;

impl platform::Driver for RamDaxDriver {
    type IdInfo = ();
    type Data<'bound> = BusRegistration;

    fn probe<'bound>(
        device: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<BusRegistration, Error> + 'bound {
        register(kernel_ext::device::normal(device.as_ref()))
    }
}

/// A bus whose DIMMs keep their labels in memory.
struct RamDax;

impl BusOperations for RamDax {
    fn execute(
        &self,
        _bus: &TypedDevice<Bus>,
        dimm: Option<&TypedDevice<Dimm>>,
        command: Command<'_>,
    ) -> Result<Status> {
        dimm.and_then(|dimm| dimm.private::<LabelStorage>())
            .ok_or(ENOTTY)?
            .execute(command)
    }
}

/// A range with its DIMM.
struct RangeDimm {
    range: LegacyRange,
    dimm: ARef<TypedDevice<Dimm>>,
    /// First address of the label area.
    labels: u64,
}

/// Registers a bus, and a DIMM and a region for each range. A range that cannot be a DIMM is left
/// out, with a message. Fails with `ENXIO` if there is no region then.
fn register(device: &Device) -> Result<BusRegistration> {
    let ranges = LegacyRange::all(device)?;
    let registration =
        legacy_memory::register_bus(device, kernel_compat::this_module!(), c"ramdax", RamDax)?;
    let mut dimms = KVec::with_capacity(ranges.len(), GFP_KERNEL)?;
    for range in ranges {
        match check(device, &range).and_then(|()| register_dimm(registration.bus(), range)) {
            Ok(dimm) => dimms.push(dimm, GFP_KERNEL)?,
            Err(error) => range.report_left_out(device, &error),
        }
    }
    registration.wait_for_dimms();
    let mut found = false;
    for dimm in dimms {
        let range = dimm.range;
        match register_region(registration.bus(), dimm) {
            Ok(()) => found = true,
            Err(error) => range.report_left_out(device, &error),
        }
    }
    found.then_some(registration).ok_or(ENXIO)
}

/// Fails with `EINVAL` and a message if the range is not made of whole pages, or not larger than a
/// label area.
fn check(device: &Device, range: &LegacyRange) -> Result {
    let page = PAGE_SIZE as u64;
    let size = range.size()?;
    if range.addresses.first % page != 0 || size % page != 0 || size <= label_area::SIZE.into() {
        dev_err!(
            device,
            "range {:#x}+{:#x}: expected multiples of {:#x}, and more than the {:#x} of a label area\n",
            range.addresses.first,
            size,
            page,
            label_area::SIZE
        );
        return Err(EINVAL);
    }
    Ok(())
}

fn register_dimm(bus: &TypedDevice<Bus>, range: LegacyRange) -> Result<RangeDimm> {
    let storage = LabelStorage::new(range.addresses)?;
    let labels = storage.start();
    let description = DimmDescription {
        flags: DimmFlags {
            labelled: true,
            ..DimmFlags::default()
        },
        commands: label_area::COMMANDS,
        families: 0,
        flush_hints: KVec::new(),
        unique_id: None,
        groups: GroupList::EMPTY,
        private: Some(KBox::new(storage, GFP_KERNEL)?),
    };
    Ok(RangeDimm {
        range,
        dimm: Dimm::register(bus, description)?,
        labels,
    })
}

/// Registers the region of a DIMM. It is as large as the range, but its mapping ends before the
/// label area.
fn register_region(bus: &TypedDevice<Bus>, registered: RangeDimm) -> Result {
    let RangeDimm {
        range,
        dimm,
        labels,
    } = registered;
    let start = range.addresses.first;
    let mut mappings = KVec::with_capacity(1, GFP_KERNEL)?;
    mappings.push(
        MappingDescription {
            dimm,
            dpa: 0,
            size: labels.checked_sub(start).ok_or(EINVAL)?,
            position: 0,
        },
        GFP_KERNEL,
    )?;
    Region::register(
        bus,
        RegionDescription {
            kind: RegionKind::Persistent,
            start,
            size: range.size()?,
            mappings,
            interleave_set: Some(InterleaveSet {
                cookie_v1_1: COOKIE,
                cookie_v1_2: COOKIE,
                alternate_cookie: COOKIE,
                type_guid: Guid::NIL,
            }),
            numa_node: range.numa_node,
            target_node: range.target_node,
            memmap: false,
            persistence: None,
            groups: GroupList::EMPTY,
            private: None,
        },
    )?;
    Ok(())
}

kernel::module_platform_driver! {
    type: RamDaxDriver,
    name: "ramdax",
    authors: ["The nvdimm-rust developers"],
    description: "NVDIMMs with labels in memory of e820 type 12",
    license: "GPL",
}
