// SPDX-License-Identifier: GPL-2.0

//! Static tables of the firmware.

use super::status;
use crate::sys;
use core::{
    ptr::{
        self,
        NonNull, //
    },
    slice,
};
use kernel::prelude::*;

/// A static table; given back when dropped.
///
/// # Invariants
///
/// The pointer is to a table that is mapped, `length` bytes of it, until it is put.
pub struct Table(NonNull<sys::acpi_table_header>);

impl Table {
    /// The first table with this signature of four characters, if there is one.
    pub fn get(signature: &CStr) -> Option<Self> {
        let mut table = ptr::null_mut();
        // SAFETY: The signature is a C string, which is only read; `table` can be written to.
        let outcome =
            unsafe { sys::acpi_get_table(signature.as_char_ptr().cast_mut(), 0, &raw mut table) };
        if outcome != status::OK {
            return None;
        }
        // INVARIANT: ACPICA maps a table as a whole, after it has checked its length and checksum.
        NonNull::new(table).map(Self)
    }

    /// The table, header and all.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant the header can be read.
        let length = unsafe { (*self.0.as_ptr()).length };
        // SAFETY: By the type invariant this many bytes are mapped as long as `self` lives; nobody
        // writes to tables.
        // CAST: A `usize` has at least 32 bits wherever there is ACPI.
        unsafe { slice::from_raw_parts(self.0.as_ptr().cast::<u8>(), length as usize) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: The table was taken in `Self::get` and is given back once.
        unsafe { sys::acpi_put_table(self.0.as_ptr()) };
    }
}
