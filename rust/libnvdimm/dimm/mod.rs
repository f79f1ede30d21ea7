// SPDX-License-Identifier: GPL-2.0

//! DIMMs: `nmemN`, with a node in `/dev` for management commands.
//!
//! While its driver is bound a DIMM is enabled. If it has a label area there is a copy of it in memory then, which regions
//! hold as long as they are enabled, even if the DIMM is disabled meanwhile.

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
        BusLocked, //
    },
    ids::{
        IdBitmap,
        StaticId, //
    },
    ioctl,
    provider::{
        dimm_command,
        DimmDescription, //
    },
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
        DeviceType,
        Node,
        NodeParameters,
        Table, //
    },
};

/// More than minors: a DIMM beyond 256 works, but has no node in `/dev`.
static IDS: IdBitmap<64> = IdBitmap::new();

static TABLE: Table<Dimm> = Table::named(c"nvdimm", attributes::GROUPS.list());

/// A DIMM.
#[pin_data]
pub struct Dimm {
    bus: ARef<Node<Bus>>,
    id: StaticId<64>,
    description: DimmDescription,
    locked: Atomic<bool>,
    /// Whether labels say what its regions hold: the label area was not blank, or the provider says so. This stays true when the
    /// index goes: a region whose labels were wiped is empty, not one namespace.
    labelled: Atomic<bool>,
    /// There are labels, or may be, but they could not be read when the DIMM was to be enabled.
    labels_unread: Atomic<bool>,
    labels: BusLocked<Labels>,
    #[pin]
    overwrite: Overwrite,
}

/// The label area of a DIMM in memory, and who needs it.
#[derive(Default)]
struct Labels {
    area: Option<CachedArea>,
    enabled: bool,
    /// Enabled regions that use it.
    holders: usize,
    /// How often it was changed: what was read from the medium before the last time is old.
    changes: u64,
}

impl Labels {
    /// Forgets the area once nobody needs it.
    fn release_if_unused(&mut self) {
        if !self.enabled && self.holders == 0 {
            self.area = None;
        }
    }
}

impl DeviceType for Dimm {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&TABLE] }
    }
}

impl Dimm {
    /// Registers a DIMM on `bus`; in sysfs it appears in the background. It goes with its bus.
    pub fn register(bus: &Node<Bus>, description: DimmDescription) -> Result<ARef<Node<Self>>> {
        let id = StaticId::allocate(&IDS)?;
        let number = id.get();
        let families = description.families;
        let node = Node::new(
            &NodeParameters {
                bus: NdBus::bus_type(),
                parent: Some(bus.device()),
                table: &TABLE,
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
                labels: bus.lockable(Labels::default()),
                bus: bus.into(),
                description,
                overwrite <- Overwrite::new(),
            }),
        )?;
        bus.add_dimm_families(families);
        crate::async_work::register(node.clone())?;
        Ok(node)
    }

    /// Returns the bus that the DIMM is on.
    pub fn bus(&self) -> &Node<Bus> {
        &self.bus
    }

    /// Returns the number in the DIMM's name.
    pub fn id(&self) -> u32 {
        self.id.get()
    }

    /// Returns the provider's own data, if they are of type `T`.
    pub fn private<T: Any>(&self) -> Option<&T> {
        self.description.private.downcast_ref()
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

    /// Tells whether labels say what the DIMM's regions hold.
    pub(crate) fn is_labelled(&self) -> bool {
        self.labelled.load(Relaxed)
    }

    fn note_labels(&self, area: &CachedArea) {
        if area.layout().current().is_some() || area.layout().damage().is_some() {
            self.labelled.store(true, Relaxed);
        }
    }

    /// Returns the label area, if the DIMM has one and is enabled, or held by an enabled region.
    pub(crate) fn area<'a>(&'a self, lock: &'a BusLock<'_>) -> Option<&'a CachedArea> {
        self.labels.access(lock)?.area.as_ref()
    }

    /// Takes the label area out, to change it together with those of other DIMMs. It is to be put back with
    /// [`Self::put_area`] before the lock is released.
    pub(crate) fn take_area(&self, lock: &mut BusLock<'_>) -> Option<CachedArea> {
        self.labels.access_mut(lock)?.area.take()
    }

    /// Puts back what [`Self::take_area`] took out.
    pub(crate) fn put_area(&self, area: CachedArea, lock: &mut BusLock<'_>) {
        self.note_labels(&area);
        if let Some(labels) = self.labels.access_mut(lock) {
            labels.area = Some(area);
            labels.changes = labels.changes.wrapping_add(1);
        }
    }

    /// Returns how often the label area was changed, for [`Self::enable`].
    fn label_changes(&self) -> u64 {
        let lock = self.bus.lock();
        self.labels.access(&lock).map_or(0, |labels| labels.changes)
    }

    /// Tells whether an enabled region uses the label area.
    pub(crate) fn is_active(&self, lock: &BusLock<'_>) -> bool {
        self.labels
            .access(lock)
            .is_some_and(|labels| labels.holders != 0)
    }

    fn has_label_commands(&self) -> bool {
        const NEEDED: u64 = 1 << dimm_command::GET_CONFIG_SIZE | 1 << dimm_command::GET_CONFIG_DATA;
        self.description.commands & NEEDED == NEEDED
    }

    /// Enables the DIMM with `area`, which was read when its labels had been changed `changes` times. Returns `false` if
    /// they have been changed since: then they are to be read again.
    ///
    /// Regions that were enabled all the time go on with the area that they know. They may have changed labels while the
    /// medium was read, and been disabled since.
    fn enable(&self, area: Option<CachedArea>, changes: u64) -> bool {
        let mut lock = self.bus.lock();
        if let Some(labels) = self.labels.access_mut(&mut lock) {
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
        if let Some(labels) = self.labels.access_mut(&mut lock) {
            labels.enabled = false;
            labels.release_if_unused();
        }
    }
}

/// Keeps the label area of a DIMM in memory, for an enabled region.
pub(crate) struct LabelHold(ARef<Node<Dimm>>);

impl LabelHold {
    /// Holds the label area of `dimm`.
    ///
    /// `None`: it has none, and its regions do without. `ENXIO`: it should have one, but is disabled or locked, or its labels could
    /// not be read; what its regions hold cannot be known.
    pub(crate) fn new(dimm: &Node<Dimm>) -> Result<Option<Self>> {
        let mut lock = dimm.bus().lock();
        let labels = dimm.labels.access_mut(&mut lock).ok_or(ENXIO)?;
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
        if let Some(labels) = self.0.labels.access_mut(&mut lock) {
            labels.holders -= 1;
            labels.release_if_unused();
        }
    }
}
