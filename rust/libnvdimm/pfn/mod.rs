// SPDX-License-Identifier: GPL-2.0

//! Personalities that give a namespace a memmap (page structures): `pfnN.M` for the mode `fsdax`,
//! `daxN.M` for the mode `devdax`.
//!
//! Both can be configured. `nd_pmem` makes a disk of the data of a `pfn`, which follow the space
//! for the memmap. `dax_pmem` refuses each `dax`, since device DAX is not supported yet.

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
        DeviceData,
        DeviceType,
        TypedDevice, //
    },
    mm::huge_page_sizes, //
};
use nd_format::{
    pfn::{
        DaxMode,
        Location, //
    },
    uuid::Uuid, //
};

static PFN: DeviceType<PfnDevice> = DeviceType::named(c"nd_pfn", attributes::GROUPS.list());
static DAX: DeviceType<PfnDevice> = DeviceType::named(c"nd_dax", attributes::GROUPS.list());

/// A pfn or dax device.
#[pin_data]
pub struct PfnDevice {
    id: ChildId,
    mode: DaxMode,
    align: Atomic<u64>,
    /// Location of the memmap, once it is configured.
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
pub struct PfnConfig {
    /// UUID of the device.
    pub uuid: Uuid,
    /// Location of the memmap.
    pub location: Location,
    /// Alignment of the data in bytes.
    pub align: u64,
}

impl DeviceData for PfnDevice {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<PfnDevice>; 2] = [&PFN, &DAX];
        &TYPES
    }
}

impl RegionChild for PfnDevice {
    fn id(&self) -> &ChildId {
        &self.id
    }

    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a TypedDevice<Self>> {
        seeds.pfn_device(self.mode)
    }
}

impl Personality for PfnDevice {
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

impl PfnDevice {
    fn create(
        id: ChildId,
        mode: DaxMode,
        config: Option<PfnConfig>,
        identity: Identity,
    ) -> Result<ARef<TypedDevice<Self>>> {
        let (device_type, prefix) = match mode {
            DaxMode::FsDax => (&PFN, "pfn"),
            DaxMode::DevDax => (&DAX, "dax"),
        };
        let region = ARef::from(id.region());
        let index = id.get();
        TypedDevice::new(
            &region.child_parameters(device_type),
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

    /// Creates an unconfigured device. The caller registers it.
    pub(crate) fn create_seed(
        region: &TypedDevice<Region>,
        mode: DaxMode,
    ) -> Result<ARef<TypedDevice<Self>>> {
        let id = match mode {
            DaxMode::FsDax => ChildId::allocate(region, Region::pfn_ids)?,
            DaxMode::DevDax => ChildId::allocate(region, Region::dax_ids)?,
        };
        Self::create(id, mode, None, Identity::default())
    }

    /// Creates a device for the pfn info block that was detected on `namespace`, and registers it
    /// in the background.
    pub fn autodetected(namespace: &TypedDevice<Namespace>, found: PfnConfig) -> Result {
        let id = ChildId::allocate(namespace.region(), Region::pfn_ids)?;
        let identity = Identity::detected(namespace, HolderKind::Pfn, &id, found.uuid)?;
        let created = Self::create(id, DaxMode::FsDax, Some(found), identity)?;
        crate::async_work::register(created)
    }

    /// Returns the configuration. Fails with `ENODEV` if there is no UUID or no namespace, and with
    /// `ENXIO` if the location of the memmap is not configured.
    pub fn config(&self) -> Result<PfnConfig> {
        let uuid = {
            let identity = self.identity.lock();
            identity.claim.as_ref().and(identity.uuid).ok_or(ENODEV)?
        };
        Ok(PfnConfig {
            uuid,
            location: self.location.lock().ok_or(ENXIO)?,
            align: self.align(),
        })
    }

    /// Sets the physical addresses of the data, for the attributes `resource` and `size`. Called by
    /// the driver.
    pub fn set_data(&self, data: Range<u64>) {
        *self.data.lock() = data;
    }

    /// Returns the region that the device is in.
    pub fn region(&self) -> &TypedDevice<Region> {
        self.id.region()
    }

    pub(crate) fn mode(&self) -> DaxMode {
        self.mode
    }

    fn align(&self) -> u64 {
        self.align.load(Relaxed)
    }
}

/// Returns the alignments that the data may have, in bytes: the sizes of pages.
fn supported_alignments() -> impl Iterator<Item = u64> {
    // Not called as a method: `Init` of the prelude has one of the same name.
    Iterator::chain(core::iter::once(PAGE_SIZE as u64), huge_page_sizes())
}

/// Returns the size of the smallest huge page, or of a page where there are none.
fn default_align() -> u64 {
    huge_page_sizes().next().unwrap_or(PAGE_SIZE as u64)
}
