// SPDX-License-Identifier: GPL-2.0

//! The lock of a device (`device_lock()`).

use super::as_raw;
use crate::sys;
use core::marker::PhantomData;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    types::NotThreadSafe, //
};

/// Holds the lock of a device. While it is held, no driver is bound to the device or unbound from
/// it.
///
/// The driver core holds it around `probe` and `remove`, which must not take it for the same
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
    /// Takes the lock of `device`. May sleep.
    pub fn new(device: &'a Device) -> Self {
        // SAFETY: `device` is a valid, initialised device. The function may sleep, as this one may.
        unsafe { sys::device_lock(as_raw(device)) };
        // INVARIANT: The lock was just taken.
        Self {
            device,
            _not_send: PhantomData,
        }
    }

    /// Returns `true` if a driver is bound.
    pub fn is_bound(&self) -> bool {
        // SAFETY: `device` is valid. Its driver changes only under the lock, which this guard
        // holds.
        unsafe { !(*as_raw(self.device)).driver.is_null() }
    }

    /// Returns the device as a bound one if a driver is bound.
    pub fn bound(&self) -> Option<&Device<Bound>> {
        // SAFETY: A driver is bound. It stays bound while the lock is held, and thus while `self`
        // is borrowed.
        self.is_bound().then(|| unsafe { self.device.as_bound() })
    }
}

impl Drop for DeviceLock<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this guard holds the lock. It is not `Send`, so this is the
        // task that has taken it, and it is released once.
        unsafe { sys::device_unlock(as_raw(self.device)) };
    }
}

/// Returns `true` if `device` has a driver, or if one is being bound or unbound.
///
/// The result may change at any time, unless the caller holds the lock of the device. If a bus lets
/// no probe begin ([`Bus::before_probe`](crate::bus::Bus::before_probe)), a device without a driver
/// stays without one.
pub fn has_driver(device: &Device) -> bool {
    // SAFETY: `device` is a valid device. Its driver may change concurrently, hence the volatile
    // read; the pointer is compared and not followed.
    unsafe {
        !(&raw const (*as_raw(device)).driver)
            .read_volatile()
            .is_null()
    }
}
