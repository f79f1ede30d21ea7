// SPDX-License-Identifier: GPL-2.0

//! Device classes and the control nodes in them.
//!
//! A [`Registration`] keeps a class registered, and a [`ClassDevice`] owns a device in it. There
//! are no locks here; the driver core has its own.
//!
//! C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)

use crate::{
    device::{
        DeviceData,
        DeviceType,
        TypedDevice, //
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

/// A class, for use in a static of the module that owns it.
#[repr(transparent)]
pub struct Class(Opaque<sys::class>);

// SAFETY: The driver core only reads the structure, from any thread.
unsafe impl Sync for Class {}

impl Class {
    /// Returns a class called `name`.
    pub const fn new(name: &'static CStr) -> Self {
        Self(Opaque::new(sys::class {
            name: as_char_ptr_in_const_context(name),
            ..pin_init::zeroed()
        }))
    }

    pub(crate) fn as_ptr(&self) -> *const sys::class {
        self.0.get()
    }

    /// Registers the class. `EEXIST`: a class of that name exists.
    pub fn register(&'static self) -> Result<Registration> {
        // SAFETY: The class is a static and complete. The function refuses a second registration,
        // as the name exists. It may sleep, as this function may.
        to_result(unsafe { sys::class_register(self.0.get()) })?;
        Ok(Registration(self))
    }

    /// Creates a device of this class below `parent`, with the node `major`:`minor` in `/dev`. The
    /// class must be registered. Fails like [`TypedDevice::register`]; `ENOMEM`: out of memory.
    pub fn create_device(
        &'static self,
        parent: &Device,
        major: u32,
        minor: u32,
        name: fmt::Arguments<'_>,
    ) -> Result<ClassDevice> {
        let number = device_number(major, minor);
        let device = TypedDevice::in_class(
            self,
            &CONTROL,
            parent,
            number,
            name,
            Ok::<_, Error>(Control),
        )?;
        device.register()?;
        Ok(ClassDevice(device))
    }
}

/// The data of a class device, of which there are none.
struct Control;

static CONTROL: DeviceType<Control> = DeviceType::unnamed(GroupList::EMPTY);

impl DeviceData for Control {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<Control>; 1] = [&CONTROL];
        &TYPES
    }
}

/// Keeps a class registered.
pub struct Registration(&'static Class);

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: `Class::register` has registered the class. It is unregistered once. The function
        // may sleep, as the owner of a registration may.
        unsafe { sys::class_unregister(self.0 .0.get()) };
    }
}

/// A device of a class. Dropping it removes the device. May sleep.
pub struct ClassDevice(ARef<TypedDevice<Control>>);

impl Drop for ClassDevice {
    fn drop(&mut self) {
        self.0.unregister();
    }
}

/// Returns the `dev_t` of a device node.
pub const fn device_number(major: u32, minor: u32) -> u32 {
    (major << 20) | (minor & 0xf_ffff)
}
