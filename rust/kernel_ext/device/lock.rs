// SPDX-License-Identifier: GPL-2.0

//! The lock of a device.

use crate::sys;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    types::NotThreadSafe, //
};

/// Holds the lock of a device: no driver binds to it or leaves it meanwhile.
///
/// The driver core holds it around `probe` and `remove`. Never take it inside of those for the same
/// device.
///
/// # Invariants
///
/// The lock of `device` is held by this guard.
#[must_use = "the lock is released at once"]
pub struct DeviceLock<'a> {
    device: &'a Device,
    _not_send: PhantomData<NotThreadSafe>,
}

impl<'a> DeviceLock<'a> {
    /// Takes the lock of `device`; sleeps until it is free.
    pub fn new(device: &'a Device) -> Self {
        // SAFETY: `device` is a valid device.
        unsafe { sys::device_lock(raw(device)) };
        // INVARIANT: The lock was just taken.
        Self {
            device,
            _not_send: PhantomData,
        }
    }

    /// Tells whether a driver is bound, or is binding on another thread's behalf of this one.
    pub fn is_bound(&self) -> bool {
        // SAFETY: `device` is valid; its driver changes only under the lock, which is held.
        unsafe { !(*raw(self.device)).driver.is_null() }
    }

    /// Returns the device as a bound one, while the lock is held.
    pub fn bound(&self) -> Option<&Device<Bound>> {
        // SAFETY: A driver is bound and stays so while the lock is held, that is, while `self` is
        // borrowed.
        self.is_bound().then(|| unsafe { self.device.as_bound() })
    }
}

impl Drop for DeviceLock<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this guard holds the lock.
        unsafe { sys::device_unlock(raw(self.device)) };
    }
}

/// Tells whether `device` has a driver, or is about to get one or to lose it.
///
/// Without the lock of the device this may change at once. A bus that lets no probe begin meanwhile
/// ([`Bus::before_probe`](crate::bus::Bus::before_probe)) knows that a device without a driver is
/// not used.
pub fn has_driver(device: &Device) -> bool {
    // SAFETY: `device` is a valid device. The pointer is a single word, which is looked at and not
    // followed.
    unsafe { !(&raw const (*raw(device)).driver).read_volatile().is_null() }
}

fn raw(device: &Device) -> *mut sys::device {
    ptr::from_ref(device).cast::<sys::device>().cast_mut()
}
