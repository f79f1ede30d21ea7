// SPDX-License-Identifier: GPL-2.0

//! Overwriting of DIMMs, which takes minutes to hours. A job polls the firmware until it is
//! complete.

use super::of;
use crate::{
    bus::BusLock,
    Dimm, //
};
use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        msecs_to_jiffies,
        Jiffies, //
    },
};
use kernel_ext::{
    delayed_work::{
        DelayedJob,
        DelayedWork, //
    },
    device::TypedDevice,
    sysfs::AttributePath, //
};

/// Seconds by which the delay between two queries grows.
const STEP: u32 = 10;
/// Longest delay between two queries in seconds.
const LONGEST: u32 = 15 * 60;

/// The state of overwrites of a DIMM.
#[pin_data]
pub(crate) struct Overwrite {
    is_running: Atomic<bool>,
    /// Whether CPU caches may hold old contents: the DIMM was unlocked, erased or overwritten since
    /// a region on it was last enabled.
    pub(super) is_incoherent: Atomic<bool>,
    /// Seconds to the next query.
    delay: Atomic<u32>,
    #[pin]
    watcher: Mutex<Watcher>,
}

/// The job that watches overwrites.
enum Watcher {
    /// Not created yet.
    None,
    /// It runs during overwrites. It refers to the DIMM, so it is removed when the DIMM is
    /// unregistered.
    Job(DelayedWork<Watch>),
    /// Removed: the DIMM is being unregistered.
    Closed,
}

impl Overwrite {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            is_running: Atomic::new(false),
            is_incoherent: Atomic::new(false),
            delay: Atomic::new(0),
            watcher <- new_mutex!(Watcher::None),
        })
    }

    /// Returns `true` if the DIMM is being overwritten. It cannot be used until that is complete.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Relaxed)
    }

    /// Prepares to watch an overwrite of `dimm`. This comes before the overwrite is started, since
    /// it cannot be cancelled. Fails with `ENXIO` if the DIMM is being unregistered.
    pub(super) fn prepare(
        &self,
        dimm: &TypedDevice<Dimm>,
        _lock: &BusLock<'_>,
    ) -> Result<Ready<'_>> {
        let mut watcher = self.watcher.lock();
        match *watcher {
            Watcher::None => {
                let watch = Arc::new(Watch(dimm.into()), GFP_KERNEL)?;
                *watcher = Watcher::Job(DelayedWork::new(watch)?);
            }
            Watcher::Job(_) => {}
            Watcher::Closed => return Err(ENXIO),
        }
        Ok(Ready(self))
    }

    /// Stops watching, because the DIMM is being unregistered. The caller must not hold the bus
    /// lock.
    pub(crate) fn close(&self) {
        let watcher = mem::replace(&mut *self.watcher.lock(), Watcher::Closed);
        drop(watcher);
    }
}

/// Proof that an overwrite can be watched.
pub(super) struct Ready<'a>(&'a Overwrite);

impl Ready<'_> {
    /// Watches the overwrite that was just started.
    pub(super) fn watch(self) {
        // If the DIMM is being unregistered, its state is no longer needed.
        if let Watcher::Job(work) = &*self.0.watcher.lock() {
            self.0.delay.store(0, Relaxed);
            self.0.is_running.store(true, Relaxed);
            work.start();
        }
    }
}

/// The job: queries the firmware with growing delays until the overwrite is complete.
struct Watch(ARef<TypedDevice<Dimm>>);

impl DelayedJob for Watch {
    fn run(&self) -> Option<Jiffies> {
        const MILLISECONDS: u32 = 1000;

        let dimm = &*self.0;
        let overwrite = dimm.overwrite();
        let lock = dimm.bus().lock();
        if let Ok(false) = of(dimm).and_then(|security| security.is_overwritten(dimm)) {
            let delay = (overwrite.delay.load(Relaxed) + STEP).min(LONGEST);
            overwrite.delay.store(delay, Relaxed);
            return Some(msecs_to_jiffies(delay * MILLISECONDS));
        }
        overwrite.is_running.store(false, Relaxed);
        drop(lock);
        dimm.notify(AttributePath::new(c"security"));
        None
    }
}
