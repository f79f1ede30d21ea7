// SPDX-License-Identifier: GPL-2.0

//! A range of the table as a region: which DIMMs it is made of, and where it is.

use crate::attributes;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::{
    acpi,
    device::Node,
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
    interleave::{
        self,
        Member, //
    },
    DeviceHandle,
    Nfit,
    RangeKind,
    SystemRange, //
};

/// What this module knows of a region; the private data of its [`Region`].
pub(crate) struct NfitRegion {
    /// Index of the range in the table.
    pub(crate) range_index: u16,
}

/// A registered region.
pub(crate) struct Registered {
    /// Its place among the physical addresses, if it was not there before.
    pub(crate) _inserted: Option<InsertedRange>,
}

/// Which kind of region a range becomes; `None` if none.
pub(crate) fn kind_of(range: &SystemRange) -> Option<RegionKind> {
    let kind = range.kind();
    // Nothing can be mapped into a range of index 0, so it is of use only if it is a disk as a whole.
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

/// Registers `range` of `table` as a region on `bus`. `find` gives the DIMM of a handle.
///
/// `EINVAL`: the range is empty or wraps around. `ENODEV`: a mapping has no DIMM, or a DIMM no control region. `ENXIO`:
/// there are too many mappings.
pub(crate) fn register(
    bus: &Node<Bus>,
    table: &Nfit<'_>,
    range: &SystemRange,
    kind: RegionKind,
    find: impl Fn(DeviceHandle) -> Option<ARef<Node<Dimm>>>,
) -> Result<Registered> {
    let index = range.index.get();
    let Some((first, last)) = range.bounds() else {
        dev_err!(
            bus,
            "range {} refused: base {:#x}, length {:#x}, expected at least one byte and no wrap around\n",
            index,
            range.base.get(),
            range.length.get()
        );
        return Err(EINVAL);
    };
    let mut mappings = mappings(bus, table, range, find)?;
    let interleave_set = interleave_set(bus, table, range, &mut mappings)?;
    let (numa_node, target_node) = nodes(range, first);

    let addresses = AddressRange { first, last };
    let inserted = if range.kind() == RangeKind::Persistent
        && !resource::has_description(addresses, Description::PersistentMemory)
    {
        let inserted =
            InsertedRange::new(addresses, Description::PersistentMemory).inspect_err(|_| {
                dev_err!(
                    bus,
                    "range {} refused: {:#x} to {:#x} overlap a part of another resource\n",
                    index,
                    first,
                    last
                );
            })?;
        Some(inserted)
    } else {
        None
    };
    Region::register(
        bus,
        RegionDescription {
            kind,
            start: first,
            size: range.length.get(),
            mappings,
            interleave_set: Some(interleave_set),
            numa_node,
            target_node,
            // The firmware may hand out far more persistent memory than there is room for page structures.
            page_map: false,
            persistence: table
                .capabilities()
                .and_then(nfit::Capabilities::persistence_domain)
                .map(|domain| match domain {
                    nfit::PersistenceDomain::CpuCache => PersistenceDomain::CpuCache,
                    nfit::PersistenceDomain::MemoryController => {
                        PersistenceDomain::MemoryController
                    }
                }),
            groups: attributes::region(),
            private: KBox::new(NfitRegion { range_index: index }, GFP_KERNEL)?,
        },
    )?;
    Ok(Registered {
        _inserted: inserted,
    })
}

/// The parts of DIMMs in `range`, in the order of the table; positions are not known yet.
fn mappings(
    bus: &Node<Bus>,
    table: &Nfit<'_>,
    range: &SystemRange,
    find: impl Fn(DeviceHandle) -> Option<ARef<Node<Dimm>>>,
) -> Result<KVec<MappingDescription>> {
    let index = range.index.get();
    let count = table.mappings_of(range).count();
    if count > interleave::MAX_MEMBERS {
        dev_err!(
            bus,
            "range {} refused: it has {} mappings, expected at most {}\n",
            index,
            count,
            interleave::MAX_MEMBERS
        );
        return Err(ENXIO);
    }
    let is_memory = matches!(range.kind(), RangeKind::Persistent | RangeKind::Volatile);
    let mut mappings = KVec::with_capacity(count, GFP_KERNEL)?;
    for mapping in table.mappings_of(range) {
        let Some(dimm) = find(mapping.device()) else {
            dev_err!(
                bus,
                "range {} refused: it has a mapping of DIMM {}, expected one that is registered\n",
                index,
                format_args!("{}", mapping.device())
            );
            return Err(ENODEV);
        };
        mappings.push(
            MappingDescription {
                dimm,
                dpa: if is_memory { mapping.dpa.get() } else { 0 },
                size: if is_memory { mapping.size.get() } else { 0 },
                position: 0,
            },
            GFP_KERNEL,
        )?;
    }
    Ok(mappings)
}

/// Computes the cookies of the set, and puts its positions into `mappings`, which are those of `range`.
fn interleave_set(
    bus: &Node<Bus>,
    table: &Nfit<'_>,
    range: &SystemRange,
    mappings: &mut [MappingDescription],
) -> Result<InterleaveSet> {
    let mut members = KVec::with_capacity(mappings.len(), GFP_KERNEL)?;
    for (mapping, description) in table.mappings_of(range).zip(mappings.iter()) {
        let Some(control_region) = description
            .dimm
            .private::<crate::dimm::NfitDimm>()
            .and_then(|dimm| dimm.control_region.as_ref())
        else {
            dev_err!(
                bus,
                "range {} refused: DIMM {} has no control region, expected one that identifies it\n",
                range.index.get(),
                format_args!("{}", mapping.device())
            );
            return Err(ENODEV);
        };
        members.push(Member::new(mapping, control_region), GFP_KERNEL)?;
    }
    let set = interleave::InterleaveSet::new(&members).map_err(|_| ENXIO)?;
    for (index, mapping) in mappings.iter_mut().enumerate() {
        mapping.position = set
            .position(index)
            .and_then(|place| place.try_into().ok())
            .unwrap_or(0);
    }
    let cookies = set.cookies();
    Ok(InterleaveSet {
        cookie_v1_1: cookies.v1_1,
        cookie_v1_2: cookies.v1_2,
        alternate_cookie: cookies.alternate,
        type_guid: range.guid,
    })
}

/// The NUMA node of `range`, and the one that its memory would get as system memory.
///
/// The address decides where the firmware names no proximity domain, or one that the kernel does not know.
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
