// SPDX-License-Identifier: GPL-2.0

//! Flush hints: registers of a memory controller or a DIMM. A store to one of them, after a fence, makes durable what had
//! reached the controller before (ACPI 6.5, 5.2.25.8).

use crate::sys;
use core::ptr::NonNull;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// A flush hint, mapped while this lives. It is not reserved, since hints of several DIMMs may share a page.
///
/// # Invariants
///
/// - `page` comes from `ioremap` of one page;
/// - `offset` is a multiple of 8 and less than the size of a page.
pub struct FlushHint {
    page: NonNull<u8>,
    offset: usize,
}

// SAFETY: A mapping belongs to no thread.
unsafe impl Send for FlushHint {}

// SAFETY: Stores to a hint may be made concurrently: what is stored has no meaning.
unsafe impl Sync for FlushHint {}

impl FlushHint {
    /// Maps the hint at a physical address; `EINVAL` if it is not aligned to 8 bytes, `ENOMEM` if it cannot be mapped.
    pub fn map(address: u64) -> Result<Self> {
        const WORD: u64 = size_of::<u64>() as u64;
        const PAGE: u64 = PAGE_SIZE as u64;

        if address % WORD != 0 {
            return Err(EINVAL);
        }

        let offset = address % PAGE;
        // SAFETY: No requirement: what cannot be mapped gives null.
        let page = unsafe { sys::ioremap(address - offset, PAGE_SIZE) };

        // INVARIANT: The page was just mapped; the offset was checked above. CAST: It is less than the size of a page.
        Ok(Self {
            page: NonNull::new(page.cast()).ok_or(ENOMEM)?,
            offset: offset as usize,
        })
    }

    /// Stores to the hint. It concerns what a [fence](super::store_fence) ordered before, and is itself to be followed by
    /// one.
    #[inline]
    pub fn write(&self) {
        let register = self.page.as_ptr().wrapping_add(self.offset);

        // SAFETY: By the type invariant the register lies in a mapped page of uncached memory, and is aligned.
        unsafe { register.cast::<u64>().write_volatile(1) };
    }
}

impl Drop for FlushHint {
    fn drop(&mut self) {
        // SAFETY: `page` comes from `ioremap` by the type invariant.
        unsafe { sys::iounmap(self.page.as_ptr().cast()) };
    }
}
