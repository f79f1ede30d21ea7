// SPDX-License-Identifier: GPL-2.0

//! The overwriting of a DIMM, which takes minutes to hours, and what is to be done afterwards.

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
    device::Node,
    repeated_work::{
        Job,
        RepeatedWork, //
    },
    sysfs, //
};

/// Seconds by which the time between two queries grows, and up to which.
const STEP: u32 = 10;
const LONGEST: u32 = 15 * 60;

/// Whether a DIMM is being overwritten, and whether it has changed its contents by itself since regions were enabled.
#[pin_data]
pub(crate) struct Overwrite {
    is_running: Atomic<bool>,
    pub(super) is_incoherent: Atomic<bool>,
    /// Seconds to the next query.
    delay: Atomic<u32>,
    #[pin]
    watcher: Mutex<Watcher>,
}

/// Who watches over overwrites.
enum Watcher {
    /// Nobody yet.
    None,
    /// A job, which runs during overwrites. It refers to the DIMM, so it is taken out when the DIMM goes.
    Job(RepeatedWork<Watch>),
    /// Nobody any more: the DIMM goes.
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

    /// Tells whether the DIMM is being overwritten: it cannot be used until that is done.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Relaxed)
    }

    /// Watches over an overwrite of `dimm` that was just begun. `ENXIO`: the DIMM is about to go.
    pub(super) fn watch(&self, dimm: &Node<Dimm>, _lock: &BusLock<'_>) -> Result {
        let mut watcher = self.watcher.lock();
        if matches!(*watcher, Watcher::None) {
            let watch = Arc::new(Watch(dimm.into()), GFP_KERNEL)?;
            *watcher = Watcher::Job(RepeatedWork::new(watch)?);
        }
        let Watcher::Job(work) = &*watcher else {
            return Err(ENXIO);
        };
        self.delay.store(0, Relaxed);
        self.is_running.store(true, Relaxed);
        work.start();
        Ok(())
    }

    /// Watches no more, for the DIMM goes. The lock of the bus must not be held.
    pub(crate) fn close(&self) {
        let watcher = mem::replace(&mut *self.watcher.lock(), Watcher::Closed);
        drop(watcher);
    }
}

/// Asks the firmware whether it is done, less and less often.
struct Watch(ARef<Node<Dimm>>);

impl Job for Watch {
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
        sysfs::notify(dimm.device(), None, c"security");
        None
    }
}
