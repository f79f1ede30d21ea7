// SPDX-License-Identifier: GPL-2.0

//! Personalities that give page structures to a namespace: `pfnN.M` for file systems with DAX, `daxN.M` for device DAX.
//!
//! They are configuration objects: user space can set them up and take them back, but no driver of ours binds to them yet.

mod attributes;

use crate::{
    attributes::bus_type,
    claim::HolderKind,
    ids::ChildId,
    personality::{
        Identity,
        Personality, //
    },
    seeds::Seeds,
    Region, //
};
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
        Mutex, //
    },
};
use kernel_ext::{
    device::{
        DeviceType,
        Node,
        NodeParameters,
        Table, //
    },
    huge_page,
    sysfs::GroupList, //
};

static PFN: Table<PageMap> = Table::named(c"nd_pfn", attributes::GROUPS.list());
static DAX: Table<PageMap> = Table::named(c"nd_dax", attributes::GROUPS.list());

/// What the page structures are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A block device for file systems with DAX.
    FileSystem,
    /// A character device to map.
    Device,
}

/// Where the page structures live (spec 4.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Location {
    /// Not chosen.
    None,
    /// In system memory.
    Ram,
    /// In the namespace itself.
    Pmem,
}

/// A personality with page structures.
#[pin_data]
pub struct PageMap {
    id: ChildId,
    purpose: Purpose,
    align: Atomic<u64>,
    #[pin]
    location: Mutex<Location>,
    #[pin]
    identity: Mutex<Identity>,
}

impl DeviceType for PageMap {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&PFN, &DAX] }
    }
}

impl Personality for PageMap {
    fn id(&self) -> &ChildId {
        &self.id
    }

    fn kind(&self) -> HolderKind {
        match self.purpose {
            Purpose::FileSystem => HolderKind::Pfn,
            Purpose::Device => HolderKind::Dax,
        }
    }

    fn identity(&self) -> &Mutex<Identity> {
        &self.identity
    }

    fn reset(&self) {
        *self.location.lock() = Location::None;
    }

    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a Node<Self>> {
        seeds.page_map(self.purpose)
    }
}

impl PageMap {
    /// Makes an unconfigured device that is not registered yet.
    pub(crate) fn create_seed(region: &Node<Region>, purpose: Purpose) -> Result<ARef<Node<Self>>> {
        let (id, table, prefix) = match purpose {
            Purpose::FileSystem => (ChildId::allocate(region, Region::pfn_ids)?, &PFN, "pfn"),
            Purpose::Device => (ChildId::allocate(region, Region::dax_ids)?, &DAX, "dax"),
        };
        let index = id.get();
        Node::new(
            &NodeParameters {
                bus: bus_type(),
                parent: Some(region.device()),
                table,
                groups: GroupList::EMPTY,
                numa_node: region.numa_node(),
                device_number: 0,
            },
            fmt!("{prefix}{}.{index}", region.id()),
            try_pin_init!(Self {
                id,
                purpose,
                align: Atomic::new(default_align()),
                location <- new_mutex!(Location::None),
                identity <- new_mutex!(Identity::default()),
            }),
        )
    }

    /// Returns the region that the device is in.
    pub fn region(&self) -> &Node<Region> {
        self.id.region()
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(crate) fn is_for_file_systems(&self) -> bool {
        self.purpose == Purpose::FileSystem
    }

    fn align(&self) -> u64 {
        self.align.load(Relaxed)
    }
}

/// Alignments that the memory behind a mapping may have: the sizes of pages.
fn supported_alignments() -> impl Iterator<Item = u64> {
    // Not as a method: `Init` of the prelude has one of the same name.
    Iterator::chain(core::iter::once(PAGE_SIZE as u64), huge_page::sizes())
}

/// The smallest huge page, or a page where there are none.
fn default_align() -> u64 {
    huge_page::sizes().next().unwrap_or(PAGE_SIZE as u64)
}
