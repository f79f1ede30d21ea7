// SPDX-License-Identifier: GPL-2.0

//! Device classes and the control nodes in them.
//!
//! C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)

use crate::sys;
use core::ptr;
use kernel::{
    device::Device,
    error::{
        from_err_ptr,
        to_result, //
    },
    fmt,
    prelude::*,
    str::{
        as_char_ptr_in_const_context,
        CString, //
    },
    types::Opaque, //
};

/// A class: a static of the module that owns it.
#[repr(transparent)]
pub struct Class(Opaque<sys::class>);

// SAFETY: The driver core reads the structure only, from any thread.
unsafe impl Sync for Class {}

impl Class {
    /// A class called `name`.
    pub const fn new(name: &'static CStr) -> Self {
        Self(Opaque::new(sys::class {
            name: as_char_ptr_in_const_context(name),
            ..pin_init::zeroed()
        }))
    }

    pub(crate) fn as_ptr(&self) -> *const sys::class {
        self.0.get()
    }

    /// Makes the class known. Fails with `EEXIST` if there is one of that name.
    pub fn register(&'static self) -> Result<Registration> {
        // SAFETY: The class is static.
        to_result(unsafe { sys::class_register(self.0.get()) })?;
        Ok(Registration(self))
    }

    /// Makes a device of this class below `parent`, with a node in `/dev` for `major` and `minor`.
    pub fn create_node(
        &'static self,
        parent: &Device,
        major: u32,
        minor: u32,
        name: fmt::Arguments<'_>,
    ) -> Result<ClassNode> {
        let name = CString::try_from_fmt(name)?;
        let number = device_number(major, minor);
        // SAFETY: The class is static, and the driver core refuses one that is not registered; the parent is valid, and
        // the format takes one string.
        from_err_ptr(unsafe {
            sys::device_create(
                self.0.get(),
                ptr::from_ref(parent).cast::<sys::device>().cast_mut(),
                number,
                ptr::null_mut(),
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        })?;
        Ok(ClassNode {
            class: self,
            number,
        })
    }
}

/// Keeps a class registered.
pub struct Registration(&'static Class);

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: The class was registered in `Class::register`.
        unsafe { sys::class_unregister(self.0 .0.get()) };
    }
}

/// A device of a class; dropping it removes it.
pub struct ClassNode {
    class: &'static Class,
    number: sys::dev_t,
}

impl Drop for ClassNode {
    fn drop(&mut self) {
        // SAFETY: The device was created in `Class::create_node`.
        unsafe { sys::device_destroy(self.class.0.get(), self.number) };
    }
}

/// Returns the kernel's number for a device node.
pub const fn device_number(major: u32, minor: u32) -> u32 {
    (major << 20) | (minor & 0xf_ffff)
}
