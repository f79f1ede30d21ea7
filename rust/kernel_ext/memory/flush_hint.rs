// SPDX-License-Identifier: GPL-2.0

//! Flush hints: registers of a memory controller or a DIMM. A store to one of them, after a fence,
//! makes durable what had reached the controller before (ACPI 6.5, 5.2.25.8).
//!
//! Firmware names their addresses, and a wrong one must do no harm: each store to a hint would
//! change what is there. So the page of a hint is reserved before it is mapped. What belongs to the
//! kernel (all System RAM), to another driver or to a region is refused, and so is what lies beyond
//! all addresses. What is left are registers that no driver has reserved: of these the firmware is
//! believed. Hints of several DIMMs may lie in one page: [`HintPages`] reserves it once.

use super::{
    range::{
        MapError,
        Reservation,
        Use, //
    },
    ProviderRange, //
};
use crate::sys;
use core::ptr::NonNull;
use kernel::{
    fmt,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// Why there is no hint at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintError {
    /// The address is not a multiple of [`FlushHint::SIZE`].
    Misaligned,
    /// The page of the address cannot be reserved: it is memory, persistent or not, belongs to
    /// another driver, or lies beyond all addresses.
    Taken,
    /// The page cannot be mapped without caching, or there is no memory for the page tables.
    NotMapped,
    /// There is no memory for what is kept of a page.
    NoMemory,
}

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => write!(f, "is not a multiple of {}", FlushHint::SIZE),
            Self::Taken => f.write_str(
                "is in memory, in what another driver has or beyond all addresses (see /proc/iomem)",
            ),
            Self::NotMapped => f.write_str("cannot be mapped without caching"),
            Self::NoMemory => f.write_str("cannot be reserved: out of memory"),
        }
    }
}

/// The reserved pages of flush hints. `/proc/iomem` shows them under one name.
///
/// A page is reserved and mapped as long as there is a hint in it. The lock is a leaf.
#[pin_data]
pub struct HintPages {
    name: CString,
    #[pin]
    pages: Mutex<KVec<HintPage>>,
}

/// A page with hints in it. Drop order: the mapping goes before the reservation.
struct HintPage {
    /// Its physical address.
    start: u64,
    /// How many [`FlushHint`]s there are in it, not 0.
    hints: usize,
    mapping: UncachedPage,
    _reservation: Reservation,
}

impl HintPages {
    /// No page yet. Pages will be reserved under `name`.
    pub fn new(name: &CStr) -> Result<Arc<Self>> {
        let name = CString::try_from(name)?;
        Arc::pin_init(
            pin_init!(Self {
                name,
                pages <- new_mutex!(KVec::new(), "nd_hint_pages"),
            }),
            GFP_KERNEL,
        )
    }

    /// Reserves the page that starts at the physical address `start`, or counts one more hint in
    /// it. Returns where it is mapped.
    fn take(&self, start: u64) -> Result<NonNull<u8>, HintError> {
        let mut pages = self.pages.lock();
        if let Some(page) = pages.iter_mut().find(|page| page.start == start) {
            page.hints += 1;
            return Ok(page.mapping.0);
        }

        pages
            .reserve(1, GFP_KERNEL)
            .map_err(|_| HintError::NoMemory)?;
        let reservation = Reservation::new(&self.name, start, PAGE_SIZE as u64, Use::Registers)
            .map_err(|error| match error {
                MapError::NoMemory => HintError::NoMemory,
                _ => HintError::Taken,
            })?;
        let mapping = UncachedPage::new(start)?;
        let address = mapping.0;
        let page = HintPage {
            start,
            hints: 1,
            mapping,
            _reservation: reservation,
        };
        pages
            .push_within_capacity(page)
            .map_err(|_| HintError::NoMemory)?;
        Ok(address)
    }

    /// Counts one hint less in the page that starts at `start`.
    fn give_back(&self, start: u64) {
        self.pages.lock().retain(|page| {
            if page.start == start {
                page.hints -= 1;
            }
            page.hints != 0
        });
    }
}

/// A page of registers.
///
/// # Invariants
///
/// This is the address of a page that comes from `ioremap`.
struct UncachedPage(NonNull<u8>);

// SAFETY: A mapping belongs to no thread.
unsafe impl Send for UncachedPage {}

impl UncachedPage {
    /// Maps the page at the physical address `start`.
    fn new(start: u64) -> Result<Self, HintError> {
        // SAFETY: No requirement: what cannot be mapped gives null.
        let page = unsafe { sys::ioremap(start, PAGE_SIZE) };
        // INVARIANT: The page was just mapped.
        NonNull::new(page.cast())
            .map(Self)
            .ok_or(HintError::NotMapped)
    }
}

impl Drop for UncachedPage {
    fn drop(&mut self) {
        // SAFETY: The page comes from `ioremap` by the type invariant.
        unsafe { sys::iounmap(self.0.as_ptr().cast()) };
    }
}

/// A flush hint, mapped while this lives.
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
    Physical { _page: PageUse },
    /// Memory that a provider lent.
    Lent { _memory: ProviderRange },
}

/// A use of a page.
///
/// # Invariants
///
/// There is a page in `pages` that starts at `start`, and this is counted among its hints.
struct PageUse {
    pages: Arc<HintPages>,
    start: u64,
}

impl Drop for PageUse {
    fn drop(&mut self) {
        self.pages.give_back(self.start);
    }
}

// SAFETY: A mapping belongs to no thread.
unsafe impl Send for FlushHint {}

// SAFETY: Stores to a hint may be made concurrently: what is stored has no meaning.
unsafe impl Sync for FlushHint {}

impl FlushHint {
    /// Length of a hint in bytes.
    pub const SIZE: usize = size_of::<u64>();

    /// Maps the hint at a physical address, in a page of `pages`.
    pub fn map(pages: &Arc<HintPages>, address: u64) -> Result<Self, HintError> {
        const PAGE: u64 = PAGE_SIZE as u64;

        if address % Self::SIZE as u64 != 0 {
            return Err(HintError::Misaligned);
        }

        let offset = address % PAGE;
        let start = address - offset;
        let mapped = pages.take(start)?;
        // INVARIANT: `take` found or made the page, and counted this use of it.
        let page = PageUse {
            pages: pages.clone(),
            start,
        };

        // SAFETY: The offset is less than the size of the page. CAST: So it fits.
        let register = unsafe { mapped.add(offset as usize) }.cast();
        // INVARIANT: The register lies in the page, which stays mapped while it is counted; the
        // alignment was checked.
        Ok(Self {
            register,
            _backing: Backing::Physical { _page: page },
        })
    }

    /// Takes `memory`, which plays a hint; [`HintError::Misaligned`] if it is not aligned to 8
    /// bytes, and [`HintError::NotMapped`] if it is shorter than a hint.
    pub fn lent(memory: ProviderRange) -> Result<Self, HintError> {
        let register = memory.address().cast::<u64>();
        if !register.is_aligned() {
            return Err(HintError::Misaligned);
        }
        if memory.len() < Self::SIZE {
            return Err(HintError::NotMapped);
        }

        // INVARIANT: The memory is mapped as long as it lives; size and alignment were checked.
        Ok(Self {
            register,
            _backing: Backing::Lent { _memory: memory },
        })
    }

    /// Stores to the hint. It concerns what a [fence](super::store_fence) ordered before, and is
    /// itself to be followed by one.
    #[inline]
    pub fn write(&self) {
        // SAFETY: By the type invariant the register is mapped and aligned.
        unsafe { self.register.write_volatile(1) };
    }
}
