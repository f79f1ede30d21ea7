// SPDX-License-Identifier: GPL-2.0

//! Device classes and the control nodes in them.
//!
//! C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)

use crate::{
    device::{
        DeviceType,
        Node,
        Table, //
    },
    sys,
    sysfs::GroupList, //
};
use kernel::{
    device::Device,
    error::to_result,
    fmt,
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::aref::ARef,
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
    /// The class must be registered.
    pub fn create_node(
        &'static self,
        parent: &Device,
        major: u32,
        minor: u32,
        name: fmt::Arguments<'_>,
    ) -> Result<ClassNode> {
        let number = device_number(major, minor);
        let node = Node::in_class(
            self,
            &CONTROL,
            parent,
            number,
            name,
            Ok::<_, Error>(Control),
        )?;
        node.register()?;
        Ok(ClassNode(node))
    }
}

/// What a node in `/dev` stands for, as far as the device tree knows.
struct Control;

static CONTROL: Table<Control> = Table::unnamed(GroupList::EMPTY);

impl DeviceType for Control {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&CONTROL] }
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
pub struct ClassNode(ARef<Node<Control>>);

impl Drop for ClassNode {
    fn drop(&mut self) {
        self.0.unregister();
    }
}

/// Returns the kernel's number for a device node.
pub const fn device_number(major: u32, minor: u32) -> u32 {
    (major << 20) | (minor & 0xf_ffff)
}
