// SPDX-License-Identifier: GPL-2.0

//! DIMMs: `nmemN`, with a node in `/dev` for management commands.
//!
//! A DIMM is enabled while its driver is bound. If it has a label area, a copy is in memory then.
//! Enabled regions hold the copy, even if the DIMM is disabled meanwhile.

mod attributes;
mod driver;
mod label_area;

pub(crate) use self::{
    driver::DimmDriver,
    label_area::{
        CachedArea,
        LabelWriter, //
    },
};

use crate::{
    bus::{
        BusLock,
        LabelSlot, //
    },
    ids::{
        IdBitmap,
        StaticId, //
    },
    ioctl,
    provider::DimmDescription,
    security::Overwrite,
    Bus,
    NdBus, //
};
use core::any::Any;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
    },
};
use kernel_ext::{
    class::device_number,
    device::{
        DeviceData,
        DeviceParameters,
        DeviceType,
        TypedDevice, //
    },
};
use nd_format::uapi::dimm_command;

/// There are more numbers than minors: a DIMM beyond the first 256 works, but has no node in
/// `/dev`.
static IDS: IdBitmap<64> = IdBitmap::new();

static TYPE: DeviceType<Dimm> = DeviceType::named(c"nvdimm", attributes::GROUPS.list());

/// A DIMM.
#[pin_data]
pub struct Dimm {
    bus: ARef<TypedDevice<Bus>>,
    id: StaticId<64>,
    description: DimmDescription,
    locked: Atomic<bool>,
    /// Whether labels describe its regions: the label area was not blank, or the provider says so.
    /// It stays set when the index is wiped: a region whose labels were wiped is empty, not one
    /// namespace.
    labelled: Atomic<bool>,
    /// There may be labels, but they could not be read when the DIMM was probed.
    labels_unread: Atomic<bool>,
    /// The place of the label cache, which is in the state of the bus.
    labels: LabelSlot,
    #[pin]
    overwrite: Overwrite,
}

/// The copy of the label area of a DIMM, and its users. The bus lock protects it, since an update
/// of a namespace changes the label areas of all DIMMs of its set.
#[derive(Default)]
pub(crate) struct LabelCache {
    area: Option<CachedArea>,
    enabled: bool,
    /// Number of enabled regions that use the copy.
    holders: usize,
    /// Number of changes. An area that was read from the medium before the last change is stale.
    changes: u64,
}

impl LabelCache {
    /// Returns the copy for an update. The caller reports the update with [`Dimm::note_update`].
    pub(crate) fn area_mut(&mut self) -> Option<&mut CachedArea> {
        self.area.as_mut()
    }

    /// Drops the copy if it has no users.
    fn release_if_unused(&mut self) {
        if !self.enabled && self.holders == 0 {
            self.area = None;
        }
    }
}

impl DeviceData for Dimm {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<Dimm>; 1] = [&TYPE];
        &TYPES
    }
}

impl Dimm {
    /// Registers a DIMM on `bus`. It is added to sysfs in the background, and unregistered with its
    /// bus.
    pub fn register(
        bus: &TypedDevice<Bus>,
        description: DimmDescription,
    ) -> Result<ARef<TypedDevice<Self>>> {
        let id = StaticId::allocate(&IDS)?;
        let number = id.get();
        let families = description.families;
        let labels = bus.add_label_cache()?;
        let dimm = TypedDevice::new(
            &DeviceParameters {
                bus: NdBus::bus_type(),
                parent: Some(bus.device()),
                device_type: &TYPE,
                groups: description.groups,
                numa_node: -1,
                device_number: device_number(ioctl::dimm_major(), number),
            },
            fmt!("nmem{number}"),
            try_pin_init!(Self {
                id,
                locked: Atomic::new(description.flags.locked),
                labelled: Atomic::new(description.flags.labelled),
                labels_unread: Atomic::new(false),
                labels,
                bus: bus.into(),
                description,
                overwrite <- Overwrite::new(),
            }),
        )?;
        bus.add_dimm_families(families);
        crate::async_work::register(dimm.clone())?;
        Ok(dimm)
    }

    /// Returns the bus that the DIMM is on.
    pub fn bus(&self) -> &TypedDevice<Bus> {
        &self.bus
    }

    /// Returns the number in the DIMM's name.
    pub fn id(&self) -> u32 {
        self.id.get()
    }

    /// Returns the provider data if they are of type `T`.
    pub fn private<T: Any>(&self) -> Option<&T> {
        self.description.private.as_ref()?.downcast_ref()
    }

    pub(crate) fn description(&self) -> &DimmDescription {
        &self.description
    }

    pub(crate) fn overwrite(&self) -> &Overwrite {
        &self.overwrite
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Relaxed)
    }

    /// Returns `true` if labels describe the regions of the DIMM.
    pub(crate) fn is_labelled(&self) -> bool {
        self.labelled.load(Relaxed)
    }

    fn note_labels(&self, area: &CachedArea) {
        if area.layout().current().is_some() || area.layout().damage().is_some() {
            self.labelled.store(true, Relaxed);
        }
    }

    /// Returns the copy of the label area. There is one if the DIMM has a label area and is
    /// enabled, or held by an enabled region.
    pub(crate) fn area<'a>(&self, lock: &'a BusLock<'_>) -> Option<&'a CachedArea> {
        lock.labels(&self.labels)?.area.as_ref()
    }

    /// Returns the place of the label cache in the state of the bus.
    pub(crate) fn label_slot(&self) -> &LabelSlot {
        &self.labels
    }

    /// Records an update of the label area, which may have failed. `labels` is the label cache of
    /// this DIMM.
    pub(crate) fn note_update(&self, labels: &mut LabelCache) {
        if let Some(area) = &labels.area {
            self.note_labels(area);
        }
        labels.changes = labels.changes.wrapping_add(1);
    }

    /// Returns the number of changes of the label area, for [`Self::enable`].
    fn label_changes(&self) -> u64 {
        let lock = self.bus.lock();
        lock.labels(&self.labels).map_or(0, |labels| labels.changes)
    }

    /// Returns `true` if an enabled region uses the label area.
    pub(crate) fn is_active(&self, lock: &BusLock<'_>) -> bool {
        lock.labels(&self.labels)
            .is_some_and(|labels| labels.holders != 0)
    }

    fn has_label_commands(&self) -> bool {
        const NEEDED: u64 = 1 << dimm_command::GET_CONFIG_SIZE | 1 << dimm_command::GET_CONFIG_DATA;
        self.description.commands & NEEDED == NEEDED
    }

    /// Enables the DIMM with `area`, which was read when its labels had been changed `changes`
    /// times. Returns `false` if they were changed since; the caller then reads them again.
    ///
    /// Regions that stayed enabled keep the copy that they hold. They may have changed labels while
    /// the medium was read, and may have been disabled since.
    fn enable(&self, area: Option<CachedArea>, changes: u64) -> bool {
        let mut lock = self.bus.lock();
        if let Some(labels) = lock.labels_mut(&self.labels) {
            if labels.area.is_none() && labels.changes != changes {
                return false;
            }
            labels.enabled = true;
            if labels.area.is_none() {
                if let Some(area) = &area {
                    self.note_labels(area);
                }
                labels.area = area;
            }
        }
        true
    }

    fn disable(&self) {
        let mut lock = self.bus.lock();
        if let Some(labels) = lock.labels_mut(&self.labels) {
            labels.enabled = false;
            labels.release_if_unused();
        }
    }
}

/// Keeps the copy of the label area of a DIMM in memory, for an enabled region.
pub(crate) struct LabelHold(ARef<TypedDevice<Dimm>>);

impl LabelHold {
    /// Holds the label area of `dimm`.
    ///
    /// Returns `None` if the DIMM has no label area and its regions need none. Fails with `ENXIO`
    /// if the contents of its regions cannot be known: the DIMM should have labels, but is disabled
    /// or locked, or they could not be read.
    pub(crate) fn new(dimm: &TypedDevice<Dimm>) -> Result<Option<Self>> {
        let mut lock = dimm.bus().lock();
        let labels = lock.labels_mut(&dimm.labels).ok_or(ENXIO)?;
        if labels.area.is_none() {
            if dimm.is_locked() || dimm.is_labelled() || dimm.labels_unread.load(Relaxed) {
                dev_err!(
                    dimm,
                    "is disabled or locked: its labels must be readable for its regions\n"
                );
                return Err(ENXIO);
            }
            return Ok(None);
        }
        labels.holders += 1;
        Ok(Some(Self(dimm.into())))
    }
}

impl Drop for LabelHold {
    fn drop(&mut self) {
        let mut lock = self.0.bus().lock();
        if let Some(labels) = lock.labels_mut(&self.0.labels) {
            labels.holders -= 1;
            labels.release_if_unused();
        }
    }
}
