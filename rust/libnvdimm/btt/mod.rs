// SPDX-License-Identifier: GPL-2.0

//! BTT devices. User space configures them, or the driver of a namespace creates them for the BTTs
//! that it detects.
//!
//! A BTT device is complete when it has a UUID, a sector size and a claim on a namespace. The disk
//! is implemented by the module `nd_btt`.

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
    DeviceData,
    DeviceType,
    TypedDevice, //
};
use nd_format::uuid::Uuid;

static TYPE: DeviceType<Btt> = DeviceType::named(c"nd_btt", attributes::GROUPS.list());

/// Sector sizes in bytes, data and metadata together.
pub const SECTOR_SIZES: [u32; 7] = [512, 520, 528, 4096, 4104, 4160, 4224];

/// Sector size of a device for which none is configured.
const NO_SECTOR_SIZE: u32 = 0;

/// A BTT device.
#[pin_data]
pub struct Btt {
    id: ChildId,
    sector_size: Atomic<u32>,
    /// Size of the disk in bytes, while there is one.
    disk_size: Atomic<u64>,
    #[pin]
    identity: Mutex<Identity>,
}

/// A complete configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CompleteConfig {
    /// UUID of the BTT.
    pub uuid: Uuid,
    /// Sector size in bytes, metadata included; one of [`SECTOR_SIZES`].
    pub sector_size: u32,
}

impl DeviceData for Btt {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<Btt>; 1] = [&TYPE];
        &TYPES
    }
}

impl RegionChild for Btt {
    fn id(&self) -> &ChildId {
        &self.id
    }

    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a TypedDevice<Self>> {
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
    fn create(
        id: ChildId,
        sector_size: u32,
        identity: Identity,
    ) -> Result<ARef<TypedDevice<Self>>> {
        let region = ARef::from(id.region());
        let index = id.get();
        TypedDevice::new(
            &region.child_parameters(&TYPE),
            fmt!("btt{}.{index}", region.id()),
            try_pin_init!(Self {
                id,
                sector_size: Atomic::new(sector_size),
                disk_size: Atomic::new(0),
                identity <- new_mutex!(identity),
            }),
        )
    }

    /// Creates an unconfigured device. The caller registers it.
    pub(crate) fn create_seed(region: &TypedDevice<Region>) -> Result<ARef<TypedDevice<Self>>> {
        let id = ChildId::allocate(region, Region::btt_ids)?;
        Self::create(id, NO_SECTOR_SIZE, Identity::default())
    }

    /// Creates a device for the BTT that was detected on `namespace`, and registers it in the
    /// background.
    pub fn autodetected(namespace: &TypedDevice<Namespace>, found: CompleteConfig) -> Result {
        let id = ChildId::allocate(namespace.region(), Region::btt_ids)?;
        let identity = Identity::detected(namespace, HolderKind::Btt, &id, found.uuid)?;
        crate::async_work::register(Self::create(id, found.sector_size, identity)?)
    }

    /// Returns the region that the device is in.
    pub fn region(&self) -> &TypedDevice<Region> {
        self.id.region()
    }

    /// Returns the configuration. Fails with `ENODEV` if it is incomplete.
    pub fn config(&self) -> Result<CompleteConfig> {
        let identity = self.identity.lock();
        match (identity.uuid, self.sector_size(), &identity.claim) {
            (Some(uuid), Some(sector_size), Some(_)) => Ok(CompleteConfig { uuid, sector_size }),
            _ => Err(ENODEV),
        }
    }

    /// Takes over the configuration of the BTT on the medium. Called by the driver that found it
    /// there.
    pub fn adopt(&self, found: CompleteConfig) {
        self.identity.lock().uuid = Some(found.uuid);
        self.sector_size.store(found.sector_size, Relaxed);
    }

    /// Sets the size of the disk in bytes, for the attribute `size`. Called by the driver that
    /// created the disk.
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
