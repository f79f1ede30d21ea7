// SPDX-License-Identifier: GPL-2.0

//! Devices of the ACPI namespace.

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
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

/// A device of the ACPI namespace.
///
/// # Invariants
///
/// This is a valid `struct acpi_device`, whose handle stays what it is as long as there are
/// references.
#[repr(transparent)]
pub struct AcpiDevice(Opaque<sys::acpi_device>);

// SAFETY: An ACPI device may be used and released on any thread.
unsafe impl Send for AcpiDevice {}

// SAFETY: What can be done through a shared reference is guarded by the interpreter's own locks.
unsafe impl Sync for AcpiDevice {}

impl AcpiDevice {
    /// The ACPI companion of `device`, if it has one.
    pub fn companion_of(device: &Device<Bound>) -> Option<&Self> {
        let raw = ptr::from_ref(device).cast::<sys::device>();
        // SAFETY: `raw` is a valid device. Its firmware node is set before a driver can bind, by
        // `device_add` at the latest, and is taken away after the driver has left.
        let fwnode = unsafe { (*raw).fwnode };
        // SAFETY: The node is null or valid, of whatever kind; the function checks both.
        let companion = unsafe { sys::to_acpi_device_node(fwnode) };
        // SAFETY: `acpi_bind_one` took a reference to the companion for the device, and
        // `acpi_unbind_one` gives it back after the driver has left, so not while `device`, which
        // is bound, is borrowed.
        NonNull::new(companion).map(|companion| unsafe { Self::from_raw(companion) })
    }

    /// The first child whose `_ADR` is `address`, if there is one.
    pub fn child(&self, address: u64) -> Option<ARef<Self>> {
        struct Search {
            address: u64,
            found: Option<ARef<AcpiDevice>>,
        }

        /// # Safety
        ///
        /// `child` must be valid, and `search` the [`Search`] of the walk, which nobody else uses
        /// meanwhile.
        unsafe extern "C" fn check(child: *mut sys::acpi_device, search: *mut c_void) -> c_int {
            // SAFETY: By the requirements of this function.
            let search = unsafe { &mut *search.cast::<Search>() };
            // SAFETY: By the requirements of this function; the identification does not change once
            // a device was found.
            let identification = unsafe { &(*child).pnp };
            if identification.type_.bus_address() == 0
                || identification.bus_address != search.address
            {
                return 0;
            }
            // SAFETY: The walk holds a reference to the device during the call; this takes one of
            // our own.
            search.found =
                NonNull::new(child).map(|child| unsafe { AcpiDevice::from_raw(child) }.into());
            1
        }

        let mut search = Search {
            address,
            found: None,
        };
        // SAFETY: `self` is valid; the callback and its context are as the callback expects, and
        // outlive the call.
        unsafe {
            sys::acpi_dev_for_each_child(self.as_raw(), Some(check), (&raw mut search).cast())
        };
        search.found
    }

    /// The handle by which the interpreter knows the device.
    pub(super) fn handle(&self) -> sys::acpi_handle {
        // SAFETY: By the type invariant the device is valid and its handle does not change.
        unsafe { (*self.as_raw()).handle }
    }

    pub(super) fn as_raw(&self) -> *mut sys::acpi_device {
        self.0.get()
    }

    /// # Safety
    ///
    /// `raw` must be a valid ACPI device that stays so as long as the returned reference is used.
    unsafe fn from_raw<'a>(raw: NonNull<sys::acpi_device>) -> &'a Self {
        // SAFETY: By the requirements of this function; the type is transparent.
        unsafe { raw.cast::<Self>().as_ref() }
    }

    fn device(&self) -> *mut sys::device {
        // SAFETY: By the type invariant this stays within one valid structure.
        unsafe { &raw mut (*self.as_raw()).dev }
    }
}

impl AsRef<Device> for AcpiDevice {
    fn as_ref(&self) -> &Device {
        // SAFETY: The device is a part of this valid structure, and lives as long.
        unsafe { Device::from_raw(self.device()) }
    }
}

// SAFETY: An ACPI device lives until the reference count of its `struct device` is zero.
unsafe impl AlwaysRefCounted for AcpiDevice {
    fn inc_ref(&self) {
        // SAFETY: The existence of a shared reference guarantees that the count is not zero.
        unsafe { sys::get_device(self.device()) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: The caller owns a reference, so the device is valid.
        let device = unsafe { this.as_ref() }.device();
        // SAFETY: As above; the reference is given up.
        unsafe { sys::put_device(device) };
    }
}
