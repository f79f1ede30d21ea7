// SPDX-License-Identifier: GPL-2.0

//! Where a node is on its way through sysfs: how it comes, how it goes, and who polls its
//! attributes meanwhile.
//!
//! # Lock order
//!
//! The lock of a step is taken inside of all others. Attributes are looked up under it, which takes
//! a lock of sysfs that others hold while they allocate memory; so whoever carries out requests of
//! a disk must not ask for it.

use super::{
    DeviceType,
    Node, //
};
use crate::{
    sys,
    sysfs::{
        AttributePath,
        Notifier, //
    }, //
};
use core::mem;
use kernel::{
    error::to_result,
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full, //
        },
        CondVar,
        Mutex, //
    }, //
};

/// Whether a node is there.
#[pin_data]
pub(super) struct Presence {
    dead: Atomic<bool>,
    #[pin]
    step: Mutex<Step>,
    /// For those who wait until a node has arrived, or failed to.
    #[pin]
    settled: CondVar,
}

/// The steps of a node. What takes long is done without the lock.
enum Step {
    /// Not added yet.
    New,
    /// Being added. Attributes may be there already; those who poll these ones are woken once all
    /// is.
    Arriving(KVec<AttributePath>),
    /// There.
    Present,
    /// Taken out, or never to be added.
    Gone,
}

impl Presence {
    /// That of a new node.
    ///
    /// Not a part of the generic function that calls it, and the locks are made before the
    /// initialiser, which is: that is compiled into each module anew, with names of its own, and
    /// lockdep wants one name for a key.
    #[inline(never)]
    pub(super) fn new() -> impl PinInit<Self> {
        let step = new_mutex!(Step::New, "nd_node");
        let settled = new_condvar!("nd_node");
        pin_init!(Self {
            dead: Atomic::new(false),
            step <- step,
            settled <- settled,
        })
    }
}

impl<T: DeviceType> Node<T> {
    /// Puts the device into sysfs and tells the bus, which may bind a driver before this returns.
    ///
    /// Fails with `EBUSY` for a node that was registered or unregistered before, else with the
    /// error of the driver core.
    pub fn register(&self) -> Result {
        {
            let mut step = self.presence.step.lock();
            if !matches!(*step, Step::New) {
                return Err(EBUSY);
            }
            *step = Step::Arriving(KVec::new());
        }
        // SAFETY: The device is initialised, and it is added only once, since it was new.
        let added = to_result(unsafe { sys::device_add(self.device.get()) });
        let outcome = if added.is_ok() {
            Step::Present
        } else {
            Step::Gone
        };
        let arriving = mem::replace(&mut *self.presence.step.lock(), outcome);
        self.presence.settled.notify_all();
        if let Step::Arriving(changed) = arriving {
            for attribute in changed {
                self.notify(attribute);
            }
        }
        added
    }

    /// Tells whether [`Self::unregister`] was called, or [`Self::mark_dead`].
    pub fn is_dead(&self) -> bool {
        self.presence.dead.load(Acquire)
    }

    /// Claims the right to unregister this device; only the first caller gets `true`.
    pub fn mark_dead(&self) -> bool {
        !self.presence.dead.xchg(true, Full)
    }

    /// Unbinds the driver and takes the device out of sysfs, unless somebody else does or did.
    ///
    /// Takes the device lock, and waits for running attribute callbacks: never call it from one of
    /// them.
    pub fn unregister(&self) {
        if self.mark_dead() {
            self.delete();
        }
    }

    /// Unregisters a device after [`Self::mark_dead`] gave the right to.
    pub fn delete(&self) {
        {
            let mut step = self.presence.step.lock();
            while matches!(*step, Step::Arriving(_)) {
                self.presence.settled.wait(&mut step);
            }
            if !matches!(mem::replace(&mut *step, Step::Gone), Step::Present) {
                return;
            }
        }
        {
            let _lock = self.lock_device();
            // SAFETY: The device was added; its lock is held, as `kill_device` asks for.
            unsafe { sys::kill_device(self.device.get()) };
        }
        // SAFETY: The device was added, and it is deleted only once, since it was present.
        unsafe { sys::device_del(self.device.get()) };
    }

    /// Wakes those who poll an attribute.
    pub fn notify(&self, attribute: AttributePath) {
        if let Step::Arriving(changed) = &mut *self.presence.step.lock() {
            if !changed.contains(&attribute) && changed.push(attribute, GFP_KERNEL).is_err() {
                dev_warn!(self.device(), "nobody is woken: out of memory\n");
            }
            return;
        }
        if let Ok(notifier) = self.notifier(attribute) {
            notifier.notify();
        }
    }

    /// Returns what wakes those who poll an attribute.
    ///
    /// `ENOENT`: the device has no such attribute, is not in sysfs, or not wholly yet.
    pub fn notifier(&self, attribute: AttributePath) -> Result<Notifier> {
        let step = self.presence.step.lock();
        if !matches!(*step, Step::Present) {
            return Err(ENOENT);
        }
        // SAFETY: The device was added; who takes it out of sysfs says so under the lock before.
        unsafe { Notifier::of_device(self.device.get(), attribute) }
    }
}
