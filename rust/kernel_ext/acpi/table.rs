// SPDX-License-Identifier: GPL-2.0

//! Static ACPI tables.

use super::{
    status,
    FirmwareAddress, //
};
use crate::sys;
use core::{
    ptr::{
        self,
        NonNull, //
    },
    slice,
};
use kernel::prelude::*;

/// A static table. Dropping it releases the table.
///
/// # Invariants
///
/// The pointer is to a table with `length` bytes, which stays mapped until it is put. A reference
/// to it is owned.
pub struct Table(NonNull<sys::acpi_table_header>);

impl Table {
    /// Returns the first table with this signature of four characters, if there is one. May sleep.
    pub fn get(signature: &CStr) -> Option<Self> {
        let mut table = ptr::null_mut();
        // SAFETY: The signature is a C string, which is only read. `table` is valid for writes. The
        // function may sleep, as this one may.
        let outcome =
            unsafe { sys::acpi_get_table(signature.as_char_ptr().cast_mut(), 0, &raw mut table) };
        if outcome != status::OK {
            return None;
        }
        // INVARIANT: ACPICA maps the whole table, checks its length and checksum, and counts a
        // reference for the caller.
        NonNull::new(table).map(Self)
    }

    /// Returns the table, including its header.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant the table is mapped, and every table has a header.
        let length = unsafe { (*self.0.as_ptr()).length };
        // SAFETY: By the type invariant `length` bytes are mapped while `self` lives. They are
        // initialised, and nothing writes to tables.
        // CAST: A `usize` has at least 32 bits wherever there is ACPI.
        unsafe { slice::from_raw_parts(self.0.as_ptr().cast::<u8>(), length as usize) }
    }

    /// Returns the address in `field`, eight bytes of [`Self::bytes`]. Returns `None` for other
    /// memory or another length.
    pub fn address_at(&self, field: &[u8]) -> Option<FirmwareAddress> {
        // SAFETY: The bytes are those of a table of the firmware.
        unsafe { FirmwareAddress::read(self.bytes(), field) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: By the type invariant a reference to the table is owned. It is put once, and the
        // table is not used afterwards.
        unsafe { sys::acpi_put_table(self.0.as_ptr()) };
    }
}
