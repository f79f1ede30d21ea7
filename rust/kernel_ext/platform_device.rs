// SPDX-License-Identifier: GPL-2.0

//! Platform devices that a module makes itself, for a driver that wants one.
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
/// The device was added, and a reference to it is owned.
pub struct Registration(NonNull<sys::platform_device>);

// SAFETY: A platform device may be unregistered on any thread.
unsafe impl Send for Registration {}

// SAFETY: There is nothing that can be done through a shared reference.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers the device `name.id`. Its driver, the one called `name`, may be bound before this
    /// returns.
    pub fn new(name: &CStr, id: u32) -> Result<Self> {
        let id = i32::try_from(id)?;
        // SAFETY: The name is a valid C string, which is copied.
        let device = unsafe { sys::platform_device_alloc(name.as_char_ptr(), id) };
        let device = NonNull::new(device).ok_or(ENOMEM)?;
        // SAFETY: The device was just allocated.
        let added = to_result(unsafe { sys::platform_device_add(device.as_ptr()) });
        if let Err(error) = added {
            // SAFETY: It was not added, and the only reference is ours.
            unsafe { sys::platform_device_put(device.as_ptr()) };
            return Err(error);
        }
        // INVARIANT: The device was just added.
        Ok(Self(device))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device was added and the reference is ours.
        unsafe { sys::platform_device_unregister(self.0.as_ptr()) };
    }
}
