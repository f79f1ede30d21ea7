// SPDX-License-Identifier: GPL-2.0

//! The function `nfit_get_smbios_id`, which a provider of NFIT buses implements for C drivers.
//!
//! EDAC drivers of Intel's memory controllers call it. They know the NFIT device handle of a DIMM
//! from where it is plugged in, and look up its size in SMBIOS.
//!
//! C header: [`include/acpi/nfit.h`](srctree/include/acpi/nfit.h)

use kernel::{
    ffi::c_int,
    prelude::*, //
};

/// What the NFIT says about a DIMM to drivers outside of the subsystem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SmbiosId {
    /// Handle of the DIMM's memory device structure in SMBIOS.
    pub physical_id: u16,
    /// State flags of the DIMM's mappings.
    pub flags: u16,
}

/// Type of the C function.
#[doc(hidden)]
pub type Function = unsafe extern "C" fn(device_handle: u32, flags: *mut u16) -> c_int;

// The C declaration has this type. Without the option it is an inline function.
#[cfg(CONFIG_ACPI_NFIT)]
const _: Function = crate::sys::nfit_get_smbios_id;

/// Implements the C function `nfit_get_smbios_id` by a function `fn(u32) -> Option<SmbiosId>`,
/// which gets the device handle. `None` becomes `-ENODEV`. It may sleep.
///
/// The module exports the symbol with `EXPORT_SYMBOL_GPL` in a C file that includes `acpi/nfit.h`.
#[macro_export]
macro_rules! nfit_get_smbios_id {
    ($find:path) => {
        const _: () = {
            const FIND: fn(u32) -> ::core::option::Option<$crate::acpi::SmbiosId> = $find;
            const _: $crate::acpi::SmbiosIdFunction = nfit_get_smbios_id;

            /// # Safety
            ///
            /// `flags` must be valid for a write of a `u16` and aligned.
            #[no_mangle]
            unsafe extern "C" fn nfit_get_smbios_id(
                device_handle: u32,
                flags: *mut u16,
            ) -> ::kernel::ffi::c_int {
                // SAFETY: The caller promises that `flags` is valid for a write and aligned.
                unsafe { $crate::acpi::answer_smbios_id(FIND(device_handle), flags) }
            }
        };
    };
}

/// Stores the flags and returns the SMBIOS handle, or returns `-ENODEV` and stores nothing.
///
/// # Safety
///
/// `flags` must be valid for a write of a `u16` and aligned.
#[doc(hidden)]
pub unsafe fn answer(found: Option<SmbiosId>, flags: *mut u16) -> c_int {
    let Some(SmbiosId {
        physical_id,
        flags: of_dimm,
    }) = found
    else {
        return ENODEV.to_errno();
    };
    // SAFETY: The caller promises that the pointer is valid for a write and aligned. A `u16` has
    // nothing to drop.
    unsafe { flags.write(of_dimm) };
    c_int::from(physical_id)
}
