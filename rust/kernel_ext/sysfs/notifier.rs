// SPDX-License-Identifier: GPL-2.0

//! Waking pollers of sysfs attributes.
//!
//! A [`Notifier`] owns a reference to a kernfs node. Looking up an attribute takes locks of kernfs;
//! notifying takes spinning locks only.
//!
//! C header: [`include/linux/kernfs.h`](srctree/include/linux/kernfs.h)

use crate::{
    device::as_raw,
    sys, //
};
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

/// The path of an attribute of a device: its name, and its subdirectory if it is in one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AttributePath {
    directory: Option<&'static CStr>,
    name: &'static CStr,
}

impl AttributePath {
    /// Returns the path of `name` in the device's own directory.
    pub const fn new(name: &'static CStr) -> Self {
        Self {
            directory: None,
            name,
        }
    }

    /// Returns the path of `name` in the subdirectory `directory`.
    pub const fn within(directory: &'static CStr, name: &'static CStr) -> Self {
        Self {
            directory: Some(directory),
            name,
        }
    }
}

/// Wakes pollers of one attribute.
///
/// The attribute is looked up when this is created. That takes a lock under which memory is
/// allocated, so code that executes block requests must not do it. [`Notifier::notify`] takes
/// spinning locks only and may be called there.
///
/// # Invariants
///
/// The node is a file.
pub struct Notifier(KernfsNode);

/// A reference to a node of sysfs, of any type.
///
/// # Invariants
///
/// The pointer is a valid node, to which a reference is owned.
struct KernfsNode(NonNull<sys::kernfs_node>);

impl KernfsNode {
    /// Looks up `name`. `ENOENT`: `parent` is null, or has no such entry.
    ///
    /// # Safety
    ///
    /// `parent` must be null, or a directory that is valid during the call.
    unsafe fn in_directory(parent: *mut sys::kernfs_node, name: &CStr) -> Result<Self> {
        if parent.is_null() {
            return Err(ENOENT);
        }
        // SAFETY: The caller passes a directory that is valid during the call, and it is not null.
        // The name is a C string, which is only read. Null stands for no namespace. The function
        // may sleep, as this one may.
        let node = unsafe { sys::kernfs_find_and_get_ns(parent, name.as_char_ptr(), ptr::null()) };
        // INVARIANT: The function returns null, or a node with a reference for the caller.
        NonNull::new(node).map(Self).ok_or(ENOENT)
    }

    /// Returns the node if it has this type, else `ENOENT`.
    fn of_type(self, expected: sys::kernfs_node_type) -> Result<Self> {
        // SAFETY: By the type invariant the node is valid. Its type does not change, but other bits
        // of the flags may change concurrently, hence the volatile read.
        let flags = unsafe { (&raw const (*self.0.as_ptr()).flags).read_volatile() };

        if u32::from(flags) & sys::KERNFS_TYPE_MASK == expected {
            Ok(self)
        } else {
            Err(ENOENT)
        }
    }
}

impl Drop for KernfsNode {
    fn drop(&mut self) {
        // SAFETY: By the type invariant a reference is owned. It is dropped once.
        unsafe { sys::kernfs_put(self.0.as_ptr()) };
    }
}

// SAFETY: The reference is not tied to a thread; any may drop it, as nodes are counted atomically.
unsafe impl Send for Notifier {}

// SAFETY: A shared notifier only calls `kernfs_notify`, which may be called concurrently and in any
// context.
unsafe impl Sync for Notifier {}

impl Notifier {
    /// Returns a notifier for an attribute of `device`, which is in sysfs while it is bound.
    ///
    /// `ENOENT`: the device has no file of that path.
    pub fn new(device: &Device<Bound>, attribute: AttributePath) -> Result<Self> {
        // SAFETY: `device` is valid and was added, as it is bound. A device is unbound before it
        // leaves sysfs.
        unsafe { Self::of_device(as_raw(device), attribute) }
    }

    /// Returns a notifier for an attribute of `device`.
    ///
    /// `ENOENT`: the device has no file of that path.
    ///
    /// # Safety
    ///
    /// `device` must be valid and added, and must not leave sysfs during the call.
    pub(crate) unsafe fn of_device(
        device: *const sys::device,
        attribute: AttributePath,
    ) -> Result<Self> {
        // SAFETY: The caller passes a valid device that is in sysfs during the call, so its
        // directory does not change.
        let root = unsafe { (*device).kobj.sd };
        let attribute = match attribute.directory {
            None => {
                // SAFETY: `root` is null or the directory of the device, which stays in sysfs and
                // is thus valid during the call.
                unsafe { KernfsNode::in_directory(root, attribute.name) }?
            }
            Some(directory) => {
                // SAFETY: `root` is null or the directory of the device, which stays in sysfs and
                // is thus valid during the call.
                let directory = unsafe { KernfsNode::in_directory(root, directory) }?
                    .of_type(sys::kernfs_node_type_KERNFS_DIR)?;
                // SAFETY: `directory` is a directory, as was checked, and owns a reference to the
                // node during the call.
                unsafe { KernfsNode::in_directory(directory.0.as_ptr(), attribute.name) }?
            }
        };
        // INVARIANT: `of_type` returns only files.
        Ok(Self(attribute.of_type(sys::kernfs_node_type_KERNFS_FILE)?))
    }

    /// Wakes the pollers, if there are any. The attribute may have been removed. May be called in
    /// atomic context.
    pub fn notify(&self) {
        // SAFETY: By the type invariants this is a valid node and a file, as the function demands.
        // It may have been removed from sysfs, which the function tolerates: the node is valid, and
        // the function takes a reference for its deferred work. It takes spinning locks with
        // interrupts disabled, so it may be called in any context of a task or interrupt.
        unsafe { sys::kernfs_notify(self.0 .0.as_ptr()) };
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_notifier)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_attributes() -> Result {
        let registration = kernel::faux::Registration::new(c"nd_kunit", None)?;
        let device: &Device = registration.as_ref();
        let _child = kernel::faux::Registration::new(c"nd_kunit_child", Some(device))?;
        // SAFETY: A faux device is bound to its driver until it is unregistered, and `registration`
        // lives until the end of the test.
        let device = unsafe { device.as_bound() };
        let exists = |path| Notifier::new(device, path).is_ok();

        assert!(exists(AttributePath::new(c"uevent")));
        assert!(exists(AttributePath::within(c"nd_kunit_child", c"uevent")));
        assert!(!exists(AttributePath::new(c"nothing")));
        // A directory and a symbolic link.
        assert!(!exists(AttributePath::new(c"nd_kunit_child")));
        assert!(!exists(AttributePath::new(c"subsystem")));
        // Without the check of the type, the kernel would interpret the data of a file or link as a
        // directory.
        assert!(!exists(AttributePath::within(c"uevent", c"nothing")));
        assert!(!exists(AttributePath::within(c"subsystem", c"devices")));
        Ok(())
    }
}
