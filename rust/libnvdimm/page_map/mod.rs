// SPDX-License-Identifier: GPL-2.0

//! Personalities that give page structures to a namespace: `pfnN.M` for file systems with DAX, `daxN.M` for device DAX.
//!
//! Either can be configured. A `pfn` becomes a disk by the driver `nd_pmem`, of the data behind the room for page structures;
//! no driver of ours binds to a `dax` yet.

mod attributes;

use crate::{
    claim::HolderKind,
    ids::ChildId,
    personality::{
        Identity,
        Personality, //
    },
    seeds::{
        RegionChild,
        Seeds, //
    },
    Namespace,
    Region, //
};
use core::ops::Range;
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
        Table, //
    },
    huge_page, //
};
use nd_format::{
    page_map::Location,
    uuid::Uuid, //
};

static PFN: Table<PageMap> = Table::named(c"nd_pfn", attributes::GROUPS.list());
static DAX: Table<PageMap> = Table::named(c"nd_dax", attributes::GROUPS.list());

/// What the page structures are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DaxMode {
    /// A block device for file systems with DAX.
    FsDax,
    /// A character device to map.
    DevDax,
}

/// A personality with page structures.
#[pin_data]
pub struct PageMap {
    id: ChildId,
    mode: DaxMode,
    align: Atomic<u64>,
    /// Where the page structures are to be, once that is chosen.
    #[pin]
    location: Mutex<Option<Location>>,
    /// Physical addresses of the data, while a driver is bound.
    #[pin]
    data: Mutex<Range<u64>>,
    #[pin]
    identity: Mutex<Identity>,
}

/// A complete configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PageMapConfig {
    /// UUID of the page map.
    pub uuid: Uuid,
    /// Where the page structures are.
    pub location: Location,
    /// What the data are aligned to, in bytes.
    pub align: u64,
}

impl DeviceType for PageMap {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&PFN, &DAX] }
    }
}

impl RegionChild for PageMap {
    fn id(&self) -> &ChildId {
        &self.id
    }

    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a Node<Self>> {
        seeds.page_map(self.mode)
    }
}

impl Personality for PageMap {
    fn kind(&self) -> HolderKind {
        match self.mode {
            DaxMode::FsDax => HolderKind::Pfn,
            DaxMode::DevDax => HolderKind::Dax,
        }
    }

    fn identity(&self) -> &Mutex<Identity> {
        &self.identity
    }

    fn reset(&self) {
        *self.location.lock() = None;
    }
}

impl PageMap {
    fn create(
        id: ChildId,
        mode: DaxMode,
        config: Option<PageMapConfig>,
        identity: Identity,
    ) -> Result<ARef<Node<Self>>> {
        let (table, prefix) = match mode {
            DaxMode::FsDax => (&PFN, "pfn"),
            DaxMode::DevDax => (&DAX, "dax"),
        };
        let region = ARef::from(id.region());
        let index = id.get();
        Node::new(
            &region.child_parameters(table),
            fmt!("{prefix}{}.{index}", region.id()),
            try_pin_init!(Self {
                id,
                mode,
                align: Atomic::new(config.map_or_else(default_align, |config| config.align)),
                location <- new_mutex!(config.map(|config| config.location)),
                data <- new_mutex!(0..0),
                identity <- new_mutex!(identity),
            }),
        )
    }

    /// Makes an unconfigured device that is not registered yet.
    pub(crate) fn create_seed(region: &Node<Region>, mode: DaxMode) -> Result<ARef<Node<Self>>> {
        let id = match mode {
            DaxMode::FsDax => ChildId::allocate(region, Region::pfn_ids)?,
            DaxMode::DevDax => ChildId::allocate(region, Region::dax_ids)?,
        };
        Self::create(id, mode, None, Identity::default())
    }

    /// Makes a device for the page map for file systems that was found on `namespace`, and registers it in the background.
    pub fn autodetected(namespace: &Node<Namespace>, found: PageMapConfig) -> Result {
        let id = ChildId::allocate(namespace.region(), Region::pfn_ids)?;
        let identity = Identity::detected(namespace, HolderKind::Pfn, &id, found.uuid)?;
        let created = Self::create(id, DaxMode::FsDax, Some(found), identity)?;
        crate::async_work::register(created)
    }

    /// Returns the configuration. `ENODEV`: there is no UUID or no namespace. `ENXIO`: it is not chosen where the page
    /// structures are to be.
    pub fn config(&self) -> Result<PageMapConfig> {
        let uuid = {
            let identity = self.identity.lock();
            identity.claim.as_ref().and(identity.uuid).ok_or(ENODEV)?
        };
        Ok(PageMapConfig {
            uuid,
            location: self.location.lock().ok_or(ENXIO)?,
            align: self.align(),
        })
    }

    /// Tells the physical addresses of the data, for the attributes `resource` and `size`. To be called by the driver.
    pub fn set_data(&self, data: Range<u64>) {
        *self.data.lock() = data;
    }

    /// Returns the region that the device is in.
    pub fn region(&self) -> &Node<Region> {
        self.id.region()
    }

    pub(crate) fn mode(&self) -> DaxMode {
        self.mode
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
