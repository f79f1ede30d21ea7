// SPDX-License-Identifier: GPL-2.0

//! BTT devices: what user space configures, or what was found on a namespace, before a driver makes a disk of it.
//!
//! A BTT device is complete when it has a UUID, a sector size and a claim on a namespace. The disk itself is the business
//! of the module `nd_btt`.

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
use kernel::{
    new_mutex,
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
use kernel_ext::device::{
    DeviceType,
    Node,
    Table, //
};
use nd_format::uuid::Uuid;

static TABLE: Table<Btt> = Table::named(c"nd_btt", attributes::GROUPS.list());

/// Sizes that a sector may have, data and metadata together, in bytes.
pub const SECTOR_SIZES: [u32; 7] = [512, 520, 528, 4096, 4104, 4160, 4224];

/// Stands for a sector size that was not chosen yet.
const NO_SECTOR_SIZE: u32 = 0;

/// A BTT device.
#[pin_data]
pub struct Btt {
    id: ChildId,
    sector_size: Atomic<u32>,
    /// Bytes of the disk while there is one.
    disk_size: Atomic<u64>,
    #[pin]
    identity: Mutex<Identity>,
}

/// A complete configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CompleteConfig {
    /// UUID of the BTT.
    pub uuid: Uuid,
    /// Bytes of a sector, metadata included; one of [`SECTOR_SIZES`].
    pub sector_size: u32,
}

impl DeviceType for Btt {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&TABLE] }
    }
}

impl RegionChild for Btt {
    fn id(&self) -> &ChildId {
        &self.id
    }

    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a Node<Self>> {
        seeds.btt()
    }
}

impl Personality for Btt {
    fn kind(&self) -> HolderKind {
        HolderKind::Btt
    }

    fn identity(&self) -> &Mutex<Identity> {
        &self.identity
    }

    fn reset(&self) {
        self.sector_size.store(NO_SECTOR_SIZE, Relaxed);
    }
}

impl Btt {
    fn create(id: ChildId, sector_size: u32, identity: Identity) -> Result<ARef<Node<Self>>> {
        let region = ARef::from(id.region());
        let index = id.get();
        Node::new(
            &region.child_parameters(&TABLE),
            fmt!("btt{}.{index}", region.id()),
            try_pin_init!(Self {
                id,
                sector_size: Atomic::new(sector_size),
                disk_size: Atomic::new(0),
                identity <- new_mutex!(identity),
            }),
        )
    }

    /// Makes an unconfigured device that is not registered yet.
    pub(crate) fn create_seed(region: &Node<Region>) -> Result<ARef<Node<Self>>> {
        let id = ChildId::allocate(region, Region::btt_ids)?;
        Self::create(id, NO_SECTOR_SIZE, Identity::default())
    }

    /// Makes a device for the BTT that was found on `namespace`, and registers it in the background.
    pub fn autodetected(namespace: &Node<Namespace>, found: CompleteConfig) -> Result {
        let id = ChildId::allocate(namespace.region(), Region::btt_ids)?;
        let identity = Identity::detected(namespace, HolderKind::Btt, &id, found.uuid)?;
        crate::async_work::register(Self::create(id, found.sector_size, identity)?)
    }

    /// Returns the region that the device is in.
    pub fn region(&self) -> &Node<Region> {
        self.id.region()
    }

    /// Returns the configuration; `ENODEV` if something is missing.
    pub fn config(&self) -> Result<CompleteConfig> {
        let identity = self.identity.lock();
        match (identity.uuid, self.sector_size(), &identity.claim) {
            (Some(uuid), Some(sector_size), Some(_)) => Ok(CompleteConfig { uuid, sector_size }),
            _ => Err(ENODEV),
        }
    }

    /// Takes over the configuration of the BTT that is on the medium. To be called by the driver that found it there.
    pub fn adopt(&self, found: CompleteConfig) {
        self.identity.lock().uuid = Some(found.uuid);
        self.sector_size.store(found.sector_size, Relaxed);
    }

    /// Tells the size of the disk in bytes, for the attribute `size`. To be called by the driver that made it.
    pub fn set_disk_size(&self, bytes: u64) {
        self.disk_size.store(bytes, Relaxed);
    }

    fn sector_size(&self) -> Option<u32> {
        match self.sector_size.load(Relaxed) {
            NO_SECTOR_SIZE => None,
            size => Some(size),
        }
    }
}
