// SPDX-License-Identifier: GPL-2.0

//! Waking those who poll an attribute.
//!
//! C header: [`include/linux/kernfs.h`](srctree/include/linux/kernfs.h)

use crate::sys;
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

/// An attribute of a device: its name, and the directory below that of the device that it is in, if it is in one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AttributePath {
    directory: Option<&'static CStr>,
    name: &'static CStr,
}

impl AttributePath {
    /// `name`, in the device's own directory.
    pub const fn new(name: &'static CStr) -> Self {
        Self {
            directory: None,
            name,
        }
    }

    /// `name`, in `directory` below it.
    pub const fn within(directory: &'static CStr, name: &'static CStr) -> Self {
        Self {
            directory: Some(directory),
            name,
        }
    }
}

/// Wakes those who poll one attribute.
///
/// The attribute is looked up once. That takes a lock under which memory is allocated, so whoever carries out requests
/// of a disk must not do it; [`Notifier::notify`] takes spin locks only.
///
/// # Invariants
///
/// The pointer is a node of sysfs, of which this owns a reference.
pub struct Notifier(NonNull<sys::kernfs_node>);

// SAFETY: The reference belongs to no thread, and nodes are counted atomically.
unsafe impl Send for Notifier {}

// SAFETY: `kernfs_notify` may be called from anywhere.
unsafe impl Sync for Notifier {}

impl Notifier {
    /// For an attribute of `device`, which is in sysfs as long as it is bound to its driver.
    ///
    /// `ENOENT`: the device has no such attribute.
    pub fn new(device: &Device<Bound>, attribute: AttributePath) -> Result<Self> {
        let raw = ptr::from_ref(device).cast::<sys::device>();
        // SAFETY: `device` is valid, and a device leaves its driver before it is taken out of sysfs.
        unsafe { Self::of_device(raw, attribute) }
    }

    /// For an attribute of `device`.
    ///
    /// `ENOENT`: the device has no such attribute.
    ///
    /// # Safety
    ///
    /// `device` is valid, was added, and is not taken out of sysfs during the call.
    pub(crate) unsafe fn of_device(
        device: *const sys::device,
        attribute: AttributePath,
    ) -> Result<Self> {
        // SAFETY: By the requirements of this function.
        let root = unsafe { (*device).kobj.sd };
        let Some(directory) = attribute.directory else {
            // SAFETY: The directory of a device that is in sysfs.
            return unsafe { Self::find(root, attribute.name) };
        };
        // SAFETY: As above.
        let directory = unsafe { Self::find(root, directory) }?;
        // SAFETY: `directory` has a reference.
        unsafe { Self::find(directory.0.as_ptr(), attribute.name) }
    }

    /// # Safety
    ///
    /// `parent` is null or a directory that is kept during the call.
    unsafe fn find(parent: *mut sys::kernfs_node, name: &CStr) -> Result<Self> {
        if parent.is_null() {
            return Err(ENOENT);
        }
        // SAFETY: By the requirements of this function; the name is a C string; sysfs has no namespaces for these.
        let node = unsafe { sys::kernfs_find_and_get_ns(parent, name.as_char_ptr(), ptr::null()) };
        // INVARIANT: The function gives a reference away.
        NonNull::new(node).map(Self).ok_or(ENOENT)
    }

    /// Wakes them. Those who are not there any more because the device is gone are no trouble.
    pub fn notify(&self) {
        // SAFETY: By the type invariant; the function copes with nodes that were removed.
        unsafe { sys::kernfs_notify(self.0.as_ptr()) };
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { sys::kernfs_put(self.0.as_ptr()) };
    }
}
