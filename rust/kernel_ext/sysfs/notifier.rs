// SPDX-License-Identifier: GPL-2.0

//! Waking those who poll an attribute, from where nothing may be looked up by name.
//!
//! C header: [`include/linux/kernfs.h`](srctree/include/linux/kernfs.h)

use crate::sys;
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    device::Device,
    prelude::*, //
};

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
    /// For the attribute `name` of `device`, in the directory `directory` below it if there is one.
    ///
    /// `device` must not be taken out of sysfs meanwhile: its directory, which is looked into, may go with it.
    ///
    /// `ENOENT`: the device is not registered, or has no such attribute.
    pub fn new(device: &Device, directory: Option<&CStr>, name: &CStr) -> Result<Self> {
        let raw = ptr::from_ref(device).cast::<sys::device>();
        // SAFETY: `device` is valid.
        let root = unsafe { (*raw).kobj.sd };
        let Some(directory) = directory else {
            return Self::find(root, name);
        };
        let directory = Self::find(root, directory)?;
        Self::find(directory.0.as_ptr(), name)
    }

    fn find(parent: *mut sys::kernfs_node, name: &CStr) -> Result<Self> {
        if parent.is_null() {
            return Err(ENOENT);
        }
        // SAFETY: `parent` is the node of a device that nobody takes out of sysfs, as the caller of `new` sees to, or one that we
        // have a reference to; the name is a C string; sysfs has no namespaces for these.
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
