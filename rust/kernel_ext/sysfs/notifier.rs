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

/// An attribute of a device: its name, and the directory below that of the device that it is in, if
/// it is in one.
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
/// The attribute is looked up once. That takes a lock under which memory is allocated, so whoever
/// carries out requests of a disk must not do it; [`Notifier::notify`] takes spin locks only.
///
/// # Invariants
///
/// The node is a file.
pub struct Notifier(Found);

/// A node of sysfs, of whatever type.
///
/// # Invariants
///
/// The pointer is a valid node, of which this owns a reference.
struct Found(NonNull<sys::kernfs_node>);

impl Found {
    /// Looks for `name`. `ENOENT`: there is no directory, or nothing of that name in it.
    ///
    /// # Safety
    ///
    /// `parent` is null, or a directory that is kept during the call.
    unsafe fn in_directory(parent: *mut sys::kernfs_node, name: &CStr) -> Result<Self> {
        if parent.is_null() {
            return Err(ENOENT);
        }
        // SAFETY: By the requirements of this function `parent` is a valid directory; the name is a
        // C string, which is only read; null stands for no namespace.
        let node = unsafe { sys::kernfs_find_and_get_ns(parent, name.as_char_ptr(), ptr::null()) };
        // INVARIANT: The function returns a node with a reference for the caller, or null.
        NonNull::new(node).map(Self).ok_or(ENOENT)
    }

    /// Returns the node if it is of this type, else `ENOENT`.
    fn of_type(self, expected: sys::kernfs_node_type) -> Result<Self> {
        // SAFETY: By the type invariant the node is valid. Other bits of the flags may change
        // meanwhile, the type does not.
        let flags = unsafe { (&raw const (*self.0.as_ptr()).flags).read_volatile() };

        if u32::from(flags) & sys::KERNFS_TYPE_MASK == expected {
            Ok(self)
        } else {
            Err(ENOENT)
        }
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        // SAFETY: By the type invariant a reference is owned, and it is given up once.
        unsafe { sys::kernfs_put(self.0.as_ptr()) };
    }
}

// SAFETY: The reference belongs to no thread, and nodes are counted atomically.
unsafe impl Send for Notifier {}

// SAFETY: `kernfs_notify` may be called from anywhere.
unsafe impl Sync for Notifier {}

impl Notifier {
    /// For an attribute of `device`, which is in sysfs as long as it is bound to its driver.
    ///
    /// `ENOENT`: the device has no such attribute: there is nothing of that name, or it is not a
    /// file in a directory.
    pub fn new(device: &Device<Bound>, attribute: AttributePath) -> Result<Self> {
        let raw = ptr::from_ref(device).cast::<sys::device>();
        // SAFETY: `device` is valid, and a device leaves its driver before it is taken out of
        // sysfs.
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
        // SAFETY: By the requirements of this function the device is in sysfs during the call, and
        // so is its directory.
        let root = unsafe { (*device).kobj.sd };
        let attribute = match attribute.directory {
            None => {
                // SAFETY: `root` is null or the directory of the device, which stays during the
                // call.
                unsafe { Found::in_directory(root, attribute.name) }?
            }
            Some(directory) => {
                // SAFETY: As for an attribute without a directory of its own: `root` is null or
                // stays during the call.
                let directory = unsafe { Found::in_directory(root, directory) }?
                    .of_type(sys::kernfs_node_type_KERNFS_DIR)?;
                // SAFETY: This is a directory, of which `directory` owns a reference.
                unsafe { Found::in_directory(directory.0.as_ptr(), attribute.name) }?
            }
        };
        // INVARIANT: The node was found in sysfs, and is a file.
        Ok(Self(attribute.of_type(sys::kernfs_node_type_KERNFS_FILE)?))
    }

    /// Wakes them. Those who are not there any more because the device is gone are no trouble.
    pub fn notify(&self) {
        // SAFETY: By the type invariants this is a valid file. It may have been removed, then
        // nobody has it open.
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
        // SAFETY: A faux device is bound to its driver until it is unregistered, which
        // `registration` keeps away.
        let device = unsafe { device.as_bound() };
        let exists = |path| Notifier::new(device, path).is_ok();

        assert!(exists(AttributePath::new(c"uevent")));
        assert!(exists(AttributePath::within(c"nd_kunit_child", c"uevent")));
        assert!(!exists(AttributePath::new(c"nothing")));
        // A directory and a link.
        assert!(!exists(AttributePath::new(c"nd_kunit_child")));
        assert!(!exists(AttributePath::new(c"subsystem")));
        // The kernel would take what a file or a link keeps for the names in it.
        assert!(!exists(AttributePath::within(c"uevent", c"nothing")));
        assert!(!exists(AttributePath::within(c"subsystem", c"devices")));
        Ok(())
    }
}
