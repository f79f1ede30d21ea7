// SPDX-License-Identifier: GPL-2.0

//! Devices of the ACPI namespace.

use crate::{
    device::as_raw,
    sys, //
};
use core::ptr::NonNull;
use kernel::{
    container_of,
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
/// This is a valid `struct acpi_device`. Its handle does not change while there are references to
/// it.
#[repr(transparent)]
pub struct AcpiDevice(Opaque<sys::acpi_device>);

// SAFETY: An ACPI device is not tied to a thread: any may use it and drop references to it.
unsafe impl Send for AcpiDevice {}

// SAFETY: The methods of a shared device read fields that do not change, or call functions of the
// interpreter and the driver core, which take locks of their own.
unsafe impl Sync for AcpiDevice {}

impl AcpiDevice {
    /// Returns the ACPI companion of `device`, if it has one.
    pub fn companion_of(device: &Device<Bound>) -> Option<&Self> {
        let raw = as_raw(device);
        // SAFETY: `raw` is a valid device that is bound. Its firmware node is set before a driver
        // can be bound, by `device_add` at the latest, and does not change before the driver was
        // unbound.
        let fwnode = unsafe { (*raw).fwnode };
        // SAFETY: The node is null or valid. The function checks for null and for the type of the
        // node.
        if !unsafe { sys::is_acpi_device_node(fwnode) } {
            return None;
        }
        // SAFETY: The node is of the type that is embedded in `acpi_device` as `fwnode`.
        let companion = unsafe { container_of!(fwnode, sys::acpi_device, fwnode) };
        // SAFETY: `acpi_bind_one` has taken a reference to the companion for the device.
        // `acpi_unbind_one` drops it when the device is deleted, after the driver was unbound, and
        // thus not while `device`, which is bound, is borrowed.
        NonNull::new(companion).map(|companion| unsafe { Self::from_raw(companion) })
    }

    /// Returns the first child whose `_ADR` is `address`, if there is one. May sleep.
    pub fn child(&self, address: u64) -> Option<ARef<Self>> {
        struct Search {
            address: u64,
            found: Option<ARef<AcpiDevice>>,
        }

        /// Tests one child.
        ///
        /// # Safety
        ///
        /// `child` must be valid during the call, and `search` a [`Search`] that nothing else uses
        /// during the call.
        unsafe extern "C" fn check(child: *mut sys::acpi_device, search: *mut c_void) -> c_int {
            // SAFETY: The caller passes a `Search` that nothing else uses during the call. The
            // driver core makes one call at a time.
            let search = unsafe { &mut *search.cast::<Search>() };
            // SAFETY: The caller passes a valid device. Its identification does not change after it
            // was added.
            let identification = unsafe { &(*child).pnp };
            if identification.type_.bus_address() == 0
                || identification.bus_address != search.address
            {
                return 0;
            }
            // SAFETY: The caller passes a device that is valid during the call. The reference is
            // used only to take another, counted one.
            search.found =
                NonNull::new(child).map(|child| unsafe { AcpiDevice::from_raw(child) }.into());
            1
        }

        let mut search = Search {
            address,
            found: None,
        };
        // SAFETY: By the type invariant `self` is valid. The context is the `Search` that the
        // callback expects; it outlives the call and is not used otherwise during it. The function
        // may sleep, as this one may.
        unsafe {
            sys::acpi_dev_for_each_child(self.as_raw(), Some(check), (&raw mut search).cast())
        };
        search.found
    }

    /// Returns the interpreter's handle of the device.
    pub(super) fn handle(&self) -> sys::acpi_handle {
        // SAFETY: By the type invariant the device is valid, and its handle does not change while
        // it is borrowed.
        unsafe { (*self.as_raw()).handle }
    }

    pub(super) fn as_raw(&self) -> *mut sys::acpi_device {
        self.0.get()
    }

    /// Returns a reference to an ACPI device.
    ///
    /// # Safety
    ///
    /// `raw` must be an ACPI device that is valid while the returned reference is used.
    unsafe fn from_raw<'a>(raw: NonNull<sys::acpi_device>) -> &'a Self {
        // SAFETY: The caller passes a device that is valid while the reference is used. The type is
        // transparent and its content opaque.
        unsafe { raw.cast::<Self>().as_ref() }
    }

    fn device(&self) -> *mut sys::device {
        // SAFETY: By the type invariant the structure is valid; only the address of a field is
        // taken.
        unsafe { &raw mut (*self.as_raw()).dev }
    }
}

impl AsRef<Device> for AcpiDevice {
    fn as_ref(&self) -> &Device {
        // SAFETY: The device is a field of the structure, which by the type invariant is valid, and
        // is borrowed as long as the result.
        unsafe { Device::from_raw(self.device()) }
    }
}

// SAFETY: By the type invariant every instance is a valid `struct acpi_device`, which is reference
// counted: it is freed when the count of its `struct device` is zero, which `inc_ref` and `dec_ref`
// change.
unsafe impl AlwaysRefCounted for AcpiDevice {
    fn inc_ref(&self) {
        // SAFETY: The device is valid, and the shared reference guarantees that its count is not
        // zero.
        unsafe { sys::get_device(self.device()) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: The caller owns a reference, so the device is valid. The reference to it is not
        // used after the next line.
        let device = unsafe { this.as_ref() }.device();
        // SAFETY: The caller owns a reference, so the device is valid, and gives the reference up.
        unsafe { sys::put_device(device) };
    }
}
