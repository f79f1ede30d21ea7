// SPDX-License-Identifier: GPL-2.0

//! Platform devices that a module creates for a driver.
//!
//! A [`Registration`] owns its device. There are no locks here; the driver core takes those of the
//! device.
//!
//! C header: [`include/linux/platform_device.h`](srctree/include/linux/platform_device.h)

use crate::sys;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Keeps a platform device registered.
///
/// # Invariants
///
/// The device was added and not unregistered, and a reference to it is owned.
pub struct Registration(NonNull<sys::platform_device>);

// SAFETY: A platform device may be unregistered by any thread.
unsafe impl Send for Registration {}

// SAFETY: A shared reference gives access to nothing.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers the device `name.id`. The driver called `name` may be bound before this returns.
    ///
    /// `EINVAL`: the id does not fit in an `i32`. `ENOMEM`: out of memory. Otherwise the error of
    /// the driver core.
    pub fn new(name: &CStr, id: u32) -> Result<Self> {
        let id = i32::try_from(id)?;
        // SAFETY: The name is a C string, which the function copies. It may sleep, as this function
        // may.
        let device = unsafe { sys::platform_device_alloc(name.as_char_ptr(), id) };
        let device = NonNull::new(device).ok_or(ENOMEM)?;
        // SAFETY: The device was just allocated and is complete. It is added once.
        let added = to_result(unsafe { sys::platform_device_add(device.as_ptr()) });
        if let Err(error) = added {
            // SAFETY: The device was not added. The only reference is owned here and dropped once.
            unsafe { sys::platform_device_put(device.as_ptr()) };
            return Err(error);
        }
        // INVARIANT: The device was just added.
        Ok(Self(device))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device was added and a reference is owned. It is
        // unregistered once. The function may sleep, as the owner of a registration may.
        unsafe { sys::platform_device_unregister(self.0.as_ptr()) };
    }
}
