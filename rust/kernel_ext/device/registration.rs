// SPDX-License-Identifier: GPL-2.0

//! The registration of a device: adding it to sysfs, removing it, and waking pollers of its
//! attributes meanwhile.
//!
//! # Lock order
//!
//! The lock of the state is innermost, except for locks of kernfs: attributes are looked up under
//! it. kernfs allocates memory under its locks, so code that executes block requests must not take
//! this lock.

use super::{
    DeviceData,
    TypedDevice, //
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

/// The registration state of a device.
#[pin_data]
pub(super) struct RegistrationState {
    unregistering: Atomic<bool>,
    #[pin]
    state: Mutex<State>,
    /// Signalled when adding a device has succeeded or failed.
    #[pin]
    add_finished: CondVar,
}

/// The states of a device. The lock is not held while the driver core adds or removes the device.
enum State {
    /// Not added yet.
    New,
    /// Being added. Some attributes may exist already. Pollers of the listed ones are woken once
    /// the device was added.
    Adding(KVec<AttributePath>),
    /// Added.
    Added,
    /// Removed, or never to be added.
    Removed,
}

impl RegistrationState {
    /// Returns the state of a new device.
    ///
    /// Not a part of its generic caller, and the locks are created outside of the initialiser,
    /// which is generic, too. Each module has its own copies of these, but lockdep requires that
    /// all users of a key pass the same name.
    #[inline(never)]
    pub(super) fn new() -> impl PinInit<Self> {
        let state = new_mutex!(State::New, "nd_device");
        let add_finished = new_condvar!("nd_device");
        pin_init!(Self {
            unregistering: Atomic::new(false),
            state <- state,
            add_finished <- add_finished,
        })
    }
}

impl<T: DeviceData> TypedDevice<T> {
    /// Adds the device to sysfs and to its bus. A driver may be bound before this returns. May
    /// sleep.
    ///
    /// `EBUSY`: the device was registered or unregistered before. Otherwise the error of the driver
    /// core.
    pub fn register(&self) -> Result {
        {
            let mut state = self.registration.state.lock();
            if !matches!(*state, State::New) {
                return Err(EBUSY);
            }
            *state = State::Adding(KVec::new());
        }
        // SAFETY: The device is initialised and has a name. It is added once, as only one caller
        // finds the state `New`. The function may sleep, as this one may; it runs without the lock.
        let added = to_result(unsafe { sys::device_add(self.device.get()) });
        let outcome = if added.is_ok() {
            State::Added
        } else {
            State::Removed
        };
        let adding = mem::replace(&mut *self.registration.state.lock(), outcome);
        self.registration.add_finished.notify_all();
        if let State::Adding(changed) = adding {
            for attribute in changed {
                self.notify(attribute);
            }
        }
        added
    }

    /// Returns `true` if [`Self::unregister`] or [`Self::claim_unregister`] was called.
    pub fn is_unregistering(&self) -> bool {
        self.registration.unregistering.load(Acquire)
    }

    /// Claims the right to unregister this device. Only the first call returns `true`.
    pub fn claim_unregister(&self) -> bool {
        !self.registration.unregistering.xchg(true, Full)
    }

    /// Unbinds the driver and removes the device from sysfs, unless another caller has claimed the
    /// right to.
    ///
    /// Takes the device lock and waits for running attribute callbacks, which must not call it.
    pub fn unregister(&self) {
        if self.claim_unregister() {
            self.delete();
        }
    }

    /// Unregisters a device for which [`Self::claim_unregister`] has returned `true` to the caller.
    pub fn delete(&self) {
        {
            let mut state = self.registration.state.lock();
            while matches!(*state, State::Adding(_)) {
                self.registration.add_finished.wait(&mut state);
            }
            if !matches!(mem::replace(&mut *state, State::Removed), State::Added) {
                return;
            }
        }
        {
            let _lock = self.lock_device();
            // SAFETY: The device was added and not removed. Its lock is held, as the function
            // demands.
            unsafe { sys::kill_device(self.device.get()) };
        }
        // SAFETY: The device was added. It is deleted once, as only one caller finds the state
        // `Added`. The function may sleep, as this one may, and no lock is held.
        unsafe { sys::device_del(self.device.get()) };
    }

    /// Wakes pollers of an attribute, now or, if the device is being added, afterwards. May sleep.
    pub fn notify(&self, attribute: AttributePath) {
        if let State::Adding(changed) = &mut *self.registration.state.lock() {
            if !changed.contains(&attribute) && changed.push(attribute, GFP_KERNEL).is_err() {
                dev_warn!(self.device(), "cannot notify pollers: out of memory\n");
            }
            return;
        }
        if let Ok(notifier) = self.notifier(attribute) {
            notifier.notify();
        }
    }

    /// Returns a notifier for pollers of an attribute.
    ///
    /// `ENOENT`: the device has no such attribute, or was not added or was removed.
    pub fn notifier(&self, attribute: AttributePath) -> Result<Notifier> {
        let state = self.registration.state.lock();
        if !matches!(*state, State::Added) {
            return Err(ENOENT);
        }
        // SAFETY: The device was added. `delete` changes the state under the lock before it removes
        // the device, and the lock is held, so the device stays in sysfs during the call.
        unsafe { Notifier::of_device(self.device.get(), attribute) }
    }
}
