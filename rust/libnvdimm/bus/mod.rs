// SPDX-License-Identifier: GPL-2.0

//! Buses, which providers register. The bus lock serialises changes of everything below a bus.
//!
//! A bus counts the probes below it that are in progress. Attributes that must not race with a
//! probe take [`Bus::lock_idle`], which waits until there are none.

mod attributes;
mod badrange;
mod driver;

pub(crate) use self::{
    attributes::show_commands,
    driver::{
        BusDriver,
        CLASS, //
    },
};

use self::badrange::BadRangeList;
use crate::{
    dimm::LabelCache,
    ids::{
        IdBitmap,
        StaticId, //
    },
    provider::{
        BusDescription,
        BusOperations, //
    },
    Dimm,
    NdBus,
    Region, //
};
use core::any::Any;
use kernel::{
    device::Device,
    new_condvar,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Arc,
        CondVar,
        Mutex, //
    },
    ThisModule, //
};
use kernel_ext::{
    device::{
        DeviceData,
        DeviceLock,
        DeviceParameters,
        DeviceType,
        Owner,
        TypedDevice, //
    },
    jobs,
    memory::HintPages, //
};

/// There are as many numbers as minors for control nodes.
static IDS: IdBitmap<4> = IdBitmap::new();

static TYPE: DeviceType<Bus> = DeviceType::unnamed(attributes::GROUPS.list());

/// A bus.
#[pin_data]
pub struct Bus {
    id: StaticId<4>,
    description: BusDescription,
    #[pin]
    badrange: BadRangeList,
    /// The pages of flush hints that regions use.
    hint_pages: Arc<HintPages>,
    #[pin]
    state: Mutex<State>,
    #[pin]
    changed: CondVar,
}

/// The state of a bus that its lock protects.
pub(crate) struct State {
    /// Number of probes in progress below the bus.
    probes: usize,
    /// Number of ioctls in progress.
    calls: usize,
    /// Whether further ioctls are served.
    open: bool,
    /// Bit mask of the command families that at least one DIMM supports. Bits are never cleared: no
    /// DIMM is removed before the bus is.
    dimm_families: u64,
    /// The label caches of the DIMMs, in the order of [`LabelSlot`]s. Entries are never removed.
    labels: KVVec<LabelCache>,
}

/// The place of a DIMM's [`LabelCache`] in the state of its bus.
pub(crate) struct LabelSlot(usize);

impl DeviceData for Bus {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<Bus>; 1] = [&TYPE];
        &TYPES
    }
}

/// Proof that the bus lock is held: no other thread reconfigures anything below the bus.
#[must_use = "the lock is released at once"]
pub struct BusLock<'a> {
    state: Guard<'a, State, MutexBackend>,
}

/// Label caches. The slots must be those of DIMMs on the bus of the lock. A region and the DIMMs of
/// its mappings are on the same bus, see [`Region::register`].
impl BusLock<'_> {
    /// Returns the label cache in `slot`.
    pub(crate) fn labels(&self, slot: &LabelSlot) -> Option<&LabelCache> {
        self.state.labels.get(slot.0)
    }

    /// Returns the label cache in `slot` for modification.
    pub(crate) fn labels_mut(&mut self, slot: &LabelSlot) -> Option<&mut LabelCache> {
        self.state.labels.get_mut(slot.0)
    }

    /// Returns the label caches in `slots` for modification, all at once. A slot that is given
    /// twice has `None` the second time.
    pub(crate) fn all_labels_mut<'l, 's>(
        &'l mut self,
        slots: impl ExactSizeIterator<Item = &'s LabelSlot>,
    ) -> Result<KVec<Option<&'l mut LabelCache>>> {
        let caches = &mut self.state.labels;
        let mut not_lent = KVVec::with_capacity(caches.len(), GFP_KERNEL)?;
        for cache in caches.iter_mut() {
            not_lent.push(Some(cache), GFP_KERNEL)?;
        }
        let mut lent = KVec::with_capacity(slots.len(), GFP_KERNEL)?;
        for slot in slots {
            let cache = not_lent.get_mut(slot.0).and_then(Option::take);
            lent.push(cache, GFP_KERNEL)?;
        }
        Ok(lent)
    }
}

impl Bus {
    /// Returns the number in the bus's name.
    pub fn id(&self) -> u32 {
        self.id.get()
    }

    /// Returns the operations of the provider.
    pub fn operations(&self) -> &dyn BusOperations {
        &*self.description.operations
    }

    /// Returns the provider data if they are of type `T`.
    pub fn private<T: Any>(&self) -> Option<&T> {
        self.description.private.as_ref()?.downcast_ref()
    }

    pub(crate) fn module(&self) -> &'static ThisModule {
        self.description.module
    }

    pub(crate) fn description(&self) -> &BusDescription {
        &self.description
    }

    /// Returns the bit mask of the command families that a `CALL` to a DIMM may name.
    pub(crate) fn dimm_families(&self) -> u64 {
        self.state.lock().dimm_families
    }

    /// Allows a `CALL` to a DIMM to name `families` from now on.
    pub(crate) fn add_dimm_families(&self, families: u64) {
        self.state.lock().dimm_families |= families;
    }

    pub(crate) fn badrange(&self) -> &BadRangeList {
        &self.badrange
    }

    pub(crate) fn hint_pages(&self) -> &Arc<HintPages> {
        &self.hint_pages
    }

    /// Takes the bus lock.
    pub fn lock(&self) -> BusLock<'_> {
        BusLock {
            state: self.state.lock(),
        }
    }

    /// Takes the lock of `device`, which is this bus or below it, and the bus lock, while no device
    /// below the bus is being probed.
    pub(crate) fn lock_idle<'a>(&'a self, device: &'a Device) -> (DeviceLock<'a>, BusLock<'a>) {
        loop {
            let device_lock = DeviceLock::new(device);
            let lock = self.lock();
            if lock.state.probes == 0 {
                return (device_lock, lock);
            }
            // The probe may need the lock of the device.
            drop(lock);
            drop(device_lock);
            let mut state = self.state.lock();
            while state.probes != 0 {
                self.changed.wait(&mut state);
            }
        }
    }

    /// Adds an empty label cache, for a new DIMM.
    pub(crate) fn add_label_cache(&self) -> Result<LabelSlot> {
        let mut state = self.state.lock();
        let slot = LabelSlot(state.labels.len());
        state.labels.push(LabelCache::default(), GFP_KERNEL)?;
        Ok(slot)
    }

    pub(crate) fn probe_begins(&self) {
        self.state.lock().probes += 1;
    }

    pub(crate) fn probe_ends(&self) {
        let mut state = self.state.lock();
        state.probes -= 1;
        if state.probes == 0 {
            self.changed.notify_all();
        }
    }

    /// Registers an ioctl that is being served. Fails with `ENXIO` once the bus is being
    /// unregistered.
    pub(crate) fn begin_call(&self) -> Result<CallGuard<'_>> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(ENXIO);
        }
        state.calls += 1;
        Ok(CallGuard(self))
    }

    /// Rejects further ioctls and waits for those in progress.
    fn close(&self) {
        let mut state = self.state.lock();
        state.open = false;
        while state.calls != 0 {
            self.changed.wait(&mut state);
        }
    }

    /// Registers a bus below `parent`. Dropping the result unregisters the bus and everything below
    /// it.
    pub fn register(parent: &Device, description: BusDescription) -> Result<BusRegistration> {
        let id = StaticId::allocate(&IDS)?;
        let number = id.get();
        let hint_pages = HintPages::new(&CString::try_from_fmt(fmt!("ndbus{number}"))?)?;
        let bus = TypedDevice::new(
            &DeviceParameters {
                bus: NdBus::bus_type(),
                parent: Some(parent),
                device_type: &TYPE,
                groups: description.groups,
                numa_node: -1,
                device_number: 0,
            },
            fmt!("ndbus{number}"),
            try_pin_init!(Self {
                id,
                description,
                badrange <- BadRangeList::new(),
                hint_pages,
                state <- new_mutex!(State {
                    probes: 0,
                    calls: 0,
                    open: true,
                    dimm_families: 0,
                    labels: KVVec::new(),
                }),
                changed <- new_condvar!(),
            }),
        )?;
        // From here on, an error drops the registration, which waits for the release of the bus.
        let registration = BusRegistration(Owner::new(bus)?);
        registration.0.register()?;
        Ok(registration)
    }
}

/// An ioctl that is being served.
pub(crate) struct CallGuard<'a>(&'a Bus);

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.calls -= 1;
        if state.calls == 0 {
            self.0.changed.notify_all();
        }
    }
}

/// Waits until everything that was to be registered on `bus` is registered and probed.
pub(crate) fn wait_probe(bus: &TypedDevice<Bus>) -> Result {
    bus.operations().flush_probe(bus)?;
    jobs::drain();
    // A probe holds the lock of the device.
    bus.for_each_child(|child| {
        drop(DeviceLock::new(child));
        kernel_ext::device::for_each_child(child, |grandchild| {
            drop(DeviceLock::new(grandchild));
            Ok(())
        })
    })
}

/// A registered bus. It is unregistered on drop.
///
/// Dropping it unregisters everything on the bus. It then waits for the last reference to the bus
/// and to anything below it, because provider data are dropped by code of the provider, which may
/// be unloaded next. A long-lived reference to a device must therefore be dropped when the device
/// is unregistered. The provider drops its own references before, and holds no lock of a device on
/// the bus.
pub struct BusRegistration(Owner<Bus>);

impl BusRegistration {
    /// Returns the bus.
    pub fn bus(&self) -> &TypedDevice<Bus> {
        &self.0
    }

    /// Waits until the DIMMs that were registered so far are probed.
    ///
    /// A provider calls this before it registers regions. Until the labels of its DIMMs are read, a
    /// region looks like one without labels.
    pub fn wait_for_dimms(&self) {
        jobs::drain();
    }
}

impl Drop for BusRegistration {
    fn drop(&mut self) {
        self.0.close();
        jobs::drain();
        // Regions use DIMMs, so they go first.
        while let Some(region) = self
            .0
            .find_child::<Region>(|region| !region.is_unregistering())
        {
            region.unregister();
        }
        while let Some(dimm) = self.0.find_child::<Dimm>(|dimm| !dimm.is_unregistering()) {
            dimm.overwrite().close();
            dimm.unregister();
        }
        self.0.unregister();
        // The owner is dropped now. Another thread may have looked a device up by name or number,
        // and not yet have noticed that it is unregistered.
    }
}
