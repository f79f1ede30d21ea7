// SPDX-License-Identifier: GPL-2.0

//! A range of the table as a region: its mappings, its interleave set and its addresses.

mod attributes;

use crate::{
    dimm::NfitDimm,
    scrub::ScrubRange, //
};
use attributes::NfitRegion;
use kernel::{
    device::Device,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::{
    acpi,
    device::TypedDevice,
    resource::{
        self,
        AddressRange,
        Description,
        InsertedRange, //
    },
};
use nd::{
    provider::{
        InterleaveSet,
        MappingDescription,
        PersistenceDomain,
        RegionDescription,
        RegionKind, //
    },
    Bus,
    Dimm,
    Region, //
};
use nd_format::nfit::{
    self,
    ars::MemoryKind,
    interleave::{
        self,
        Member, //
    },
    DeviceHandle,
    Nfit,
    RangeKind,
    SystemRange, //
};

/// A registered range.
pub(crate) struct RegisteredRange {
    /// Its entry in the resource tree, unless the tree described the range before.
    pub(crate) _inserted: Option<InsertedRange>,
}

/// Returns the kind of region that a range becomes; `None` if it becomes none.
pub(crate) fn kind_of(range: &SystemRange) -> Option<RegionKind> {
    let kind = range.kind();
    // No mapping can name a range of index 0, so such a range is of use only as a disk in memory.
    if range.index.get() == 0 && !kind.is_virtual() {
        return None;
    }
    match kind {
        RangeKind::Persistent | RangeKind::PersistentDisk | RangeKind::PersistentCd => {
            Some(RegionKind::Persistent)
        }
        RangeKind::Volatile | RangeKind::VolatileDisk | RangeKind::VolatileCd => {
            Some(RegionKind::Volatile)
        }
        RangeKind::Control | RangeKind::DataWindow | RangeKind::Unknown => None,
    }
}

/// A range that was checked and can be registered.
pub(crate) struct RegionPlan<'t> {
    range: &'t SystemRange,
    kind: RegionKind,
    addresses: AddressRange,
    parts: KVec<PlannedMapping>,
    interleave_set: InterleaveSet,
}

/// A mapping of a range.
struct PlannedMapping {
    device: DeviceHandle,
    dpa: u64,
    size: u64,
    position: u32,
}

impl<'t> RegionPlan<'t> {
    /// Checks `range` of `table`, which becomes a region of this `kind`. `find` returns the DIMM of
    /// a handle.
    ///
    /// - `EINVAL`: the range is empty, wraps around or is not made of pages (a disk in memory may
    ///   have any length); a mapping is malformed or not made of pages.
    /// - `ENODEV`: a mapping has no DIMM, or the DIMM has no control region.
    /// - `ENXIO`: there are too many mappings.
    ///
    /// A message of `reporter` gives the reason.
    pub(crate) fn new<'d>(
        reporter: &Device,
        table: &Nfit<'t>,
        range: &'t SystemRange,
        kind: RegionKind,
        find: impl Fn(DeviceHandle) -> Option<&'d NfitDimm>,
    ) -> Result<Self> {
        let index = range.index.get();
        let count = table.mappings_of(range).count();
        // A disk in memory is as long as the image in it.
        let any_length = range.kind().is_virtual() && count == 0;
        let addresses = addresses(reporter, range, any_length)?;
        if let Some(malformed) = table.malformed_mapping_of(range) {
            dev_err!(
                reporter,
                "NFIT: range {} ignored: malformed mapping at offset {:#x}\n",
                index,
                malformed.offset
            );
            return Err(EINVAL);
        }
        let is_memory = matches!(range.kind(), RangeKind::Persistent | RangeKind::Volatile);
        let mut parts = KVec::with_capacity(count, GFP_KERNEL)?;
        let mut members = KVec::with_capacity(count, GFP_KERNEL)?;
        for mapping in table.mappings_of(range) {
            let device = mapping.device();
            let Some(dimm) = find(device) else {
                dev_err!(
                    reporter,
                    "NFIT: range {} ignored: mapping of DIMM {}, expected one that is in use\n",
                    index,
                    format_args!("{device}")
                );
                return Err(ENODEV);
            };
            let Some(control_region) = &dimm.control_region else {
                dev_err!(
                    reporter,
                    "NFIT: range {} ignored: mapping of DIMM {}, expected one with a control region\n",
                    index,
                    format_args!("{device}")
                );
                return Err(ENODEV);
            };
            members.push(Member::new(mapping, control_region), GFP_KERNEL)?;
            let (dpa, size) = if is_memory {
                (mapping.dpa.get(), mapping.size.get())
            } else {
                (0, 0)
            };
            if !is_whole_pages(dpa) || !is_whole_pages(size) {
                dev_err!(
                    reporter,
                    "NFIT: range {} ignored: mapping of DIMM {} at {:#x}, length {:#x}, expected whole pages\n",
                    index,
                    format_args!("{device}"),
                    dpa,
                    size
                );
                return Err(EINVAL);
            }
            parts.push(
                PlannedMapping {
                    device,
                    dpa,
                    size,
                    position: 0,
                },
                GFP_KERNEL,
            )?;
        }
        let set = interleave::InterleaveSet::new(&members).map_err(|error| {
            dev_err!(
                reporter,
                "NFIT: range {} ignored: {}\n",
                index,
                format_args!("{error}")
            );
            ENXIO
        })?;
        for (index, part) in parts.iter_mut().enumerate() {
            part.position = set
                .position(index)
                .and_then(|place| place.try_into().ok())
                .unwrap_or(0);
        }
        let cookies = set.cookies();
        Ok(Self {
            range,
            kind,
            addresses,
            parts,
            interleave_set: InterleaveSet {
                cookie_v1_1: cookies.v1_1,
                cookie_v1_2: cookies.v1_2,
                alternate_cookie: cookies.alternate,
                type_guid: range.guid,
            },
        })
    }

    /// Returns the range to scrub; `None` if it is not memory.
    pub(crate) fn scrub_range(&self) -> Option<ScrubRange> {
        let kind = match self.range.kind() {
            RangeKind::Persistent => MemoryKind::Persistent,
            RangeKind::Volatile => MemoryKind::Volatile,
            _ => return None,
        };
        Some(ScrubRange {
            start: self.addresses.first,
            len: self.range.length.get(),
            kind,
        })
    }

    /// Registers the region on `bus`. `owns_addresses` is [`Platform::owns_addresses`]. `find`
    /// returns the registered DIMM of a handle. The reason for an error is logged.
    ///
    /// [`Platform::owns_addresses`]: crate::firmware::Platform::owns_addresses
    pub(crate) fn register(
        self,
        bus: &TypedDevice<Bus>,
        persistence: Option<nfit::PersistenceDomain>,
        owns_addresses: bool,
        find: impl Fn(DeviceHandle) -> Option<ARef<TypedDevice<Dimm>>>,
    ) -> Result<(RegisteredRange, ARef<TypedDevice<Region>>)> {
        let mut mappings = KVec::with_capacity(self.parts.len(), GFP_KERNEL)?;
        for part in &self.parts {
            mappings.push(
                MappingDescription {
                    dimm: find(part.device).ok_or_else(|| {
                        dev_err!(
                            bus,
                            "NFIT: range {} ignored: DIMM {} is not registered\n",
                            self.range.index.get(),
                            format_args!("{}", part.device)
                        );
                        ENODEV
                    })?,
                    dpa: part.dpa,
                    size: part.size,
                    position: part.position,
                },
                GFP_KERNEL,
            )?;
        }
        let range_index = self.range.index.get();
        let inserted = self.insert(bus, owns_addresses)?;
        let (numa_node, target_node) = nodes(self.range, self.addresses.first);
        let region = Region::register(
            bus,
            RegionDescription {
                kind: self.kind,
                start: self.addresses.first,
                size: self.range.length.get(),
                mappings,
                interleave_set: Some(self.interleave_set),
                numa_node,
                target_node,
                // Firmware may describe far more persistent memory than there is room for a memmap.
                memmap: false,
                persistence: persistence.map(|domain| match domain {
                    nfit::PersistenceDomain::CpuCache => PersistenceDomain::CpuCache,
                    nfit::PersistenceDomain::MemoryController => {
                        PersistenceDomain::MemoryController
                    }
                }),
                groups: attributes::groups(),
                private: Some(KBox::new(NfitRegion { range_index }, GFP_KERNEL)?),
            },
        )
        .inspect_err(|error| {
            dev_err!(
                bus,
                "NFIT: range {} ignored: cannot be registered ({error:?})\n",
                range_index
            );
        })?;
        let registered = RegisteredRange {
            _inserted: inserted,
        };
        Ok((registered, region))
    }

    /// Inserts persistent memory into the resource tree, unless the tree describes it already.
    /// Addresses that the platform owns are not inserted: they may belong to real resources.
    fn insert(
        &self,
        bus: &TypedDevice<Bus>,
        owns_addresses: bool,
    ) -> Result<Option<InsertedRange>> {
        if owns_addresses
            || self.range.kind() != RangeKind::Persistent
            || resource::has_description(self.addresses, Description::PersistentMemory)
        {
            return Ok(None);
        }
        InsertedRange::new(self.addresses, Description::PersistentMemory)
            .map(Some)
            .map_err(|error| {
                dev_err!(
                    bus,
                    "NFIT: range {} ignored: {:#x} to {:#x} {}\n",
                    self.range.index.get(),
                    self.addresses.first,
                    self.addresses.last,
                    error
                );
                error.into()
            })
    }
}

fn addresses(reporter: &Device, range: &SystemRange, any_length: bool) -> Result<AddressRange> {
    match range.bounds() {
        Some((first, last))
            if is_whole_pages(first) && (any_length || is_whole_pages(range.length.get())) =>
        {
            Ok(AddressRange { first, last })
        }
        _ => {
            dev_err!(
                reporter,
                "NFIT: range {} ignored: base {:#x}, length {:#x}, expected whole pages below 2^64\n",
                range.index.get(),
                range.base.get(),
                range.length.get()
            );
            Err(EINVAL)
        }
    }
}

fn is_whole_pages(value: u64) -> bool {
    value % PAGE_SIZE as u64 == 0
}

/// Returns the NUMA node of `range`, and the node that its memory would have as system memory.
///
/// Both are looked up by address if the firmware names no proximity domain, or one that the kernel
/// does not know.
fn nodes(range: &SystemRange, first: u64) -> (i32, i32) {
    let domain = range.proximity_domain();
    let or_by_address = |node: Option<i32>, by_address: fn(u64) -> i32| match node {
        Some(node) if node >= 0 => node,
        _ => by_address(first),
    };
    (
        or_by_address(
            domain.map(acpi::proximity_online_node),
            resource::address_node,
        ),
        or_by_address(domain.map(acpi::proximity_node), resource::target_node),
    )
}
