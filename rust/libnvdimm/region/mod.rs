// SPDX-License-Identifier: GPL-2.0

//! Regions: ranges of memory that a provider registers.
//!
//! A region is enabled while its driver is bound. It then has namespaces, and one seed of each kind
//! of device that user space may configure ([`crate::seeds`]).

mod attributes;
mod badblocks;
mod driver;
mod labels;
mod mapping;
mod persistence;
mod poison;
mod recover;

pub use self::mapping::Mapping;
pub(crate) use self::{
    driver::RegionDriver,
    labels::LabelledNamespaces, //
};

use self::{
    badblocks::RegionBadblocks,
    persistence::Flush, //
};
use crate::{
    bus_type::type_id,
    ids::ChildIds,
    provider::{
        InterleaveSet,
        RegionDescription,
        RegionKind,
        MAX_MAPPINGS, //
    },
    seeds::Seeds,
    Bus,
    Event,
    NdBus, //
};
use core::any::Any;
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        SetOnce, //
    },
};
use kernel_ext::{
    device::{
        DeviceData,
        DeviceParameters,
        DeviceType,
        TypedDevice, //
    },
    memregion::RegionId,
    sysfs::GroupList, //
};

static PERSISTENT: DeviceType<Region> = DeviceType::named(c"nd_pmem", attributes::GROUPS.list());
static VOLATILE: DeviceType<Region> = DeviceType::named(c"nd_volatile", attributes::GROUPS.list());

/// Default alignment of namespaces in bytes, in a region that is large enough for it.
const DEFAULT_ALIGN: u64 = 16 << 20;

/// A region.
#[pin_data]
pub struct Region {
    bus: ARef<TypedDevice<Bus>>,
    id: RegionId,
    description: RegionDescription,
    mappings: KVec<Mapping>,
    /// Mapped when the region is enabled for the first time.
    flush: SetOnce<Flush>,
    read_only: Atomic<bool>,
    align: Atomic<u64>,
    #[pin]
    namespace_ids: ChildIds,
    #[pin]
    btt_ids: ChildIds,
    #[pin]
    pfn_ids: ChildIds,
    #[pin]
    dax_ids: ChildIds,
    /// Number of namespaces that are registered, and of those that were found.
    registered_namespaces: Atomic<usize>,
    found_namespaces: Atomic<usize>,
    #[pin]
    badblocks: RegionBadblocks,
    #[pin]
    seeds: Mutex<Seeds>,
}

impl DeviceData for Region {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<Region>; 2] = [&PERSISTENT, &VOLATILE];
        &TYPES
    }
}

impl Region {
    /// Registers a region on `bus`. It is added to sysfs in the background, and unregistered with
    /// its bus.
    ///
    /// Fails with `EINVAL` if the range is empty or wraps around, if the range or a mapping is not
    /// made of whole pages where it must be ([`RegionDescription::size`]), if there are too many
    /// mappings, or if one is of a DIMM on another bus.
    pub fn register(
        bus: &TypedDevice<Bus>,
        mut description: RegionDescription,
    ) -> Result<ARef<TypedDevice<Self>>> {
        check(bus, &description)?;
        let id = RegionId::allocate()?;
        let number = id.get();
        let mut mappings = KVec::with_capacity(description.mappings.len(), GFP_KERNEL)?;
        for mapping in core::mem::take(&mut description.mappings) {
            mappings.push(Mapping::from(mapping), GFP_KERNEL)?;
        }
        let unarmed = mappings
            .iter()
            .any(|mapping| mapping.dimm().description().flags.unarmed);
        let align = default_align(description.size, mappings.len() as u64);
        let region = TypedDevice::new(
            &DeviceParameters {
                bus: NdBus::bus_type(),
                parent: Some(bus.device()),
                device_type: match description.kind {
                    RegionKind::Persistent => &PERSISTENT,
                    RegionKind::Volatile => &VOLATILE,
                },
                groups: description.groups,
                numa_node: description.numa_node,
                device_number: 0,
            },
            fmt!("region{number}"),
            try_pin_init!(Self {
                bus: bus.into(),
                id,
                description,
                mappings,
                flush: SetOnce::new(),
                read_only: Atomic::new(unarmed),
                align: Atomic::new(align),
                namespace_ids <- ChildIds::new(),
                btt_ids <- ChildIds::new(),
                pfn_ids <- ChildIds::new(),
                dax_ids <- ChildIds::new(),
                registered_namespaces: Atomic::new(0),
                found_namespaces: Atomic::new(0),
                badblocks <- RegionBadblocks::new(),
                seeds <- new_mutex!(Seeds::closed()),
            }),
        )?;
        crate::async_work::register(region.clone())?;
        Ok(region)
    }

    /// Returns the bus that the region is on.
    pub fn bus(&self) -> &TypedDevice<Bus> {
        &self.bus
    }

    /// Returns the number in the region's name.
    pub fn id(&self) -> u32 {
        self.id.get()
    }

    /// Returns the first physical address.
    pub fn start(&self) -> u64 {
        self.description.start
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.description.size
    }

    /// Returns the kind of memory.
    pub fn kind(&self) -> RegionKind {
        self.description.kind
    }

    /// Returns the parts of DIMMs that the region consists of.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// Returns what identifies the DIMMs and their order, if the provider knows.
    pub fn interleave_set(&self) -> Option<&InterleaveSet> {
        self.description.interleave_set.as_ref()
    }

    /// Returns the provider data if they are of type `T`.
    pub fn private<T: Any>(&self) -> Option<&T> {
        self.description.private.as_ref()?.downcast_ref()
    }

    /// Returns `true` if the region must not be written to.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Relaxed)
    }

    pub(crate) fn target_node(&self) -> i32 {
        self.description.target_node
    }

    pub(crate) fn description(&self) -> &RegionDescription {
        &self.description
    }

    pub(crate) fn seeds(&self) -> &Mutex<Seeds> {
        &self.seeds
    }

    pub(crate) fn namespace_ids(&self) -> &ChildIds {
        &self.namespace_ids
    }

    pub(crate) fn btt_ids(&self) -> &ChildIds {
        &self.btt_ids
    }

    pub(crate) fn pfn_ids(&self) -> &ChildIds {
        &self.pfn_ids
    }

    pub(crate) fn dax_ids(&self) -> &ChildIds {
        &self.dax_ids
    }

    /// Returns the type number of the region's namespaces, which depends on whether there are
    /// labels.
    pub(crate) fn namespace_type(&self) -> u32 {
        if self.is_labelled() {
            type_id::NAMESPACE_PMEM
        } else {
            type_id::NAMESPACE_IO
        }
    }

    /// Returns `true` if labels describe the namespaces.
    pub(crate) fn is_labelled(&self) -> bool {
        self.mappings
            .iter()
            .any(|mapping| mapping.dimm().is_labelled())
    }

    /// Returns the parameters of a new device below the region.
    pub(crate) fn child_parameters<T: DeviceData>(
        self: &TypedDevice<Self>,
        device_type: &'static DeviceType<T>,
    ) -> DeviceParameters<'_, T, NdBus> {
        DeviceParameters {
            bus: NdBus::bus_type(),
            parent: Some(self.device()),
            device_type,
            groups: GroupList::EMPTY,
            numa_node: self.numa_node(),
            device_number: 0,
        }
    }

    /// Returns the unit in which namespaces get space, in bytes.
    pub(crate) fn align(&self) -> u64 {
        self.align.load(Relaxed)
    }

    /// Returns `true` if the raw namespace gets a memmap unless `force_raw` is set.
    pub fn wants_memmap(&self) -> bool {
        self.description.memmap
    }
}

/// Notifies all drivers below `region` of `event`.
pub(crate) fn notify_children(region: &TypedDevice<Region>, event: Event) {
    // The closure never fails.
    let _ = region.for_each_child(|child| {
        kernel_ext::bus::notify::<NdBus>(child, event);
        Ok(())
    });
}

fn check(bus: &TypedDevice<Bus>, description: &RegionDescription) -> Result {
    let page = PAGE_SIZE as u64;
    let whole_pages = |value: u64| value % page == 0;
    let any_size = description.mappings.is_empty();
    if !whole_pages(description.start)
        || !(any_size || whole_pages(description.size))
        || description.size == 0
    {
        dev_err!(
            bus,
            "region {:#x}+{:#x} refused: start and size must be multiples of {page:#x}\n",
            description.start,
            description.size
        );
        return Err(EINVAL);
    }
    if description.start.checked_add(description.size).is_none() {
        dev_err!(
            bus,
            "region {:#x}+{:#x} refused: it wraps around\n",
            description.start,
            description.size
        );
        return Err(EINVAL);
    }
    if description.mappings.len() > MAX_MAPPINGS {
        dev_err!(
            bus,
            "region {:#x} refused: {} mappings, at most {MAX_MAPPINGS} expected\n",
            description.start,
            description.mappings.len()
        );
        return Err(EINVAL);
    }
    for mapping in &description.mappings {
        if !whole_pages(mapping.dpa) || !whole_pages(mapping.size) {
            dev_err!(
                bus,
                "region {:#x} refused: mapping {:#x}+{:#x} is not a multiple of {page:#x}\n",
                description.start,
                mapping.dpa,
                mapping.size
            );
            return Err(EINVAL);
        }
        // The lock of the region's bus gives access to the labels of its DIMMs.
        if mapping.dimm.bus().id() != bus.id() {
            dev_err!(
                bus,
                "region {:#x} refused: {} is on another bus\n",
                description.start,
                mapping.dimm.device().name()
            );
            return Err(EINVAL);
        }
    }
    Ok(())
}

/// Returns the default alignment of namespaces in a region of `size` bytes on `ways` DIMMs.
fn default_align(size: u64, ways: u64) -> u64 {
    let align = if size >= DEFAULT_ALIGN {
        DEFAULT_ALIGN
    } else {
        PAGE_SIZE as u64
    };
    let ways = ways.max(1);
    if align % ways == 0 {
        align
    } else {
        align * ways
    }
}
