// SPDX-License-Identifier: GPL-2.0

//! Flush hints: registers of a memory controller or a DIMM. A store to one of them, after a fence, makes durable what had
//! reached the controller before (ACPI 6.5, 5.2.25.8).

use super::ProviderRange;
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
/// `register` is aligned to 8 bytes, and mapped as long as `_backing` lives.
pub struct FlushHint {
    register: NonNull<u64>,
    _backing: Backing,
}

/// What keeps a hint mapped.
enum Backing {
    /// A page of physical addresses.
    Physical { _page: UncachedPage },
    /// Memory that a provider lent.
    Lent { _memory: ProviderRange },
}

/// # Invariants
///
/// This is the address of a page that comes from `ioremap`.
struct UncachedPage(NonNull<u8>);

impl Drop for UncachedPage {
    fn drop(&mut self) {
        // SAFETY: The page comes from `ioremap` by the type invariant.
        unsafe { sys::iounmap(self.0.as_ptr().cast()) };
    }
}

// SAFETY: A mapping belongs to no thread.
unsafe impl Send for FlushHint {}

// SAFETY: Stores to a hint may be made concurrently: what is stored has no meaning.
unsafe impl Sync for FlushHint {}

impl FlushHint {
    /// Length of a hint in bytes.
    pub const SIZE: usize = size_of::<u64>();

    /// Maps the hint at a physical address; `EINVAL` if it is not aligned to 8 bytes, `ENOMEM` if it cannot be mapped.
    pub fn map(address: u64) -> Result<Self> {
        const PAGE: u64 = PAGE_SIZE as u64;

        if address % Self::SIZE as u64 != 0 {
            return Err(EINVAL);
        }

        let offset = address % PAGE;
        // SAFETY: No requirement: what cannot be mapped gives null.
        let page = unsafe { sys::ioremap(address - offset, PAGE_SIZE) };
        // INVARIANT: The page was just mapped.
        let page = UncachedPage(NonNull::new(page.cast()).ok_or(ENOMEM)?);

        // SAFETY: The offset is less than the size of the page. CAST: So it fits.
        let register = unsafe { page.0.add(offset as usize) }.cast();
        // INVARIANT: The register lies in the page, and its alignment was checked.
        Ok(Self {
            register,
            _backing: Backing::Physical { _page: page },
        })
    }

    /// Takes `memory`, which plays a hint; `EINVAL` if it is shorter than one, or not aligned to 8 bytes.
    pub fn lent(memory: ProviderRange) -> Result<Self> {
        let register = memory.address().cast::<u64>();
        if memory.len() < Self::SIZE || !register.is_aligned() {
            return Err(EINVAL);
        }

        // INVARIANT: The memory is mapped as long as it lives; size and alignment were checked.
        Ok(Self {
            register,
            _backing: Backing::Lent { _memory: memory },
        })
    }

    /// Stores to the hint. It concerns what a [fence](super::store_fence) ordered before, and is itself to be followed by
    /// one.
    #[inline]
    pub fn write(&self) {
        // SAFETY: By the type invariant the register is mapped and aligned.
        unsafe { self.register.write_volatile(1) };
    }
}
