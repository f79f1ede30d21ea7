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
    sysfs::AttributePath, //
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

    /// Makes ready to watch over an overwrite of `dimm`, before the firmware is asked for it: it cannot be called back. `ENXIO`: the
    /// DIMM is about to go.
    pub(super) fn prepare(&self, dimm: &Node<Dimm>, _lock: &BusLock<'_>) -> Result<Ready<'_>> {
        let mut watcher = self.watcher.lock();
        match *watcher {
            Watcher::None => {
                let watch = Arc::new(Watch(dimm.into()), GFP_KERNEL)?;
                *watcher = Watcher::Job(RepeatedWork::new(watch)?);
            }
            Watcher::Job(_) => {}
            Watcher::Closed => return Err(ENXIO),
        }
        Ok(Ready(self))
    }

    /// Watches no more, for the DIMM goes. The lock of the bus must not be held.
    pub(crate) fn close(&self) {
        let watcher = mem::replace(&mut *self.watcher.lock(), Watcher::Closed);
        drop(watcher);
    }
}

/// Shows that an overwrite can be watched over.
pub(super) struct Ready<'a>(&'a Overwrite);

impl Ready<'_> {
    /// Watches over the overwrite that was just begun.
    pub(super) fn watch(self) {
        // Nobody asks after it if the DIMM goes meanwhile.
        if let Watcher::Job(work) = &*self.0.watcher.lock() {
            self.0.delay.store(0, Relaxed);
            self.0.is_running.store(true, Relaxed);
            work.start();
        }
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
        dimm.notify(AttributePath::new(c"security"));
        None
    }
}
