// SPDX-License-Identifier: GPL-2.0

//! Flush hints: registers of a memory controller or a DIMM. A store to a hint after a fence makes
//! everything durable that had reached the controller before (ACPI 6.5, 5.2.25.8).
//!
//! Firmware gives their addresses, and only a [`FirmwareAddress`] is mapped. A wrong address must
//! do no harm, as each flush stores to it. The page of a hint is therefore reserved before it is
//! mapped. The reservation fails for all System RAM, for addresses that another driver or a region
//! has reserved, and for addresses beyond the end of the physical address space. What remains are
//! registers that no driver has reserved; for these the driver trusts the firmware. Several hints
//! may lie in one page, which [`HintPages`] reserves once.
//!
//! [`HintPages`] owns the reserved pages, and each [`FlushHint`] owns a use of one.

use super::{
    range::{
        MapError,
        Reservation,
        Use, //
    },
    SimulatedRange, //
};
use crate::{
    acpi::FirmwareAddress,
    sys, //
};
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

/// The reason why an address cannot be used as a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintError {
    /// The address is not a multiple of [`FlushHint::SIZE`].
    Misaligned,
    /// The page of the address cannot be reserved: it is memory, persistent or not, belongs to
    /// another driver, or lies beyond the end of the physical address space.
    Busy,
    /// The page cannot be mapped without caching, or there is no memory for the page tables.
    NotMapped,
    /// There is no memory to keep track of a page.
    NoMemory,
    /// The address is simulated, but not backed by memory of the provider.
    NotSimulated,
}

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => write!(f, "is not a multiple of {}", FlushHint::SIZE),
            Self::Busy => f.write_str(
                "is in memory, reserved by another driver or beyond all addresses (see /proc/iomem)",
            ),
            Self::NotMapped => f.write_str("cannot be mapped without caching"),
            Self::NoMemory => f.write_str("cannot be reserved: out of memory"),
            Self::NotSimulated => f.write_str("is not in simulated memory"),
        }
    }
}

/// The reserved pages of flush hints, all of which have the same name in `/proc/iomem`.
///
/// A page stays reserved and mapped while there is a hint in it. The lock is a leaf.
#[pin_data]
pub struct HintPages {
    name: CString,
    #[pin]
    pages: Mutex<KVec<HintPage>>,
}

/// A page with hints in it. Fields are dropped in order: the mapping before the reservation.
struct HintPage {
    /// Physical address of its first byte.
    start: u64,
    /// Number of [`FlushHint`]s in it, not 0.
    hints: usize,
    mapping: UncachedPage,
    _reservation: Reservation,
}

impl HintPages {
    /// Returns an empty set, whose pages will be reserved under `name`. `ENOMEM`: out of memory.
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

    /// Reserves and maps the page at the physical address `start`, or counts one more hint in it if
    /// that was done before. Returns the address of the mapping.
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
                _ => HintError::Busy,
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

    /// Removes one hint from the count of the page at `start`, and drops the page after its last
    /// hint.
    fn give_back(&self, start: u64) {
        self.pages.lock().retain(|page| {
            if page.start == start {
                page.hints -= 1;
            }
            page.hints != 0
        });
    }
}

/// An uncached mapping of a page of registers.
///
/// # Invariants
///
/// The address was returned by `ioremap` for one page, and the mapping is owned.
struct UncachedPage(NonNull<u8>);

// SAFETY: The mapping is in the kernel's address space, which all threads share, and may be undone
// by any of them.
unsafe impl Send for UncachedPage {}

impl UncachedPage {
    /// Maps the page at the physical address `start`.
    fn new(start: u64) -> Result<Self, HintError> {
        // SAFETY: `ioremap` takes any range and returns null if it cannot map it. It may sleep, as
        // the only caller may, which holds a mutex.
        let page = unsafe { sys::ioremap(start, PAGE_SIZE) };
        // INVARIANT: The page was just mapped.
        NonNull::new(page.cast())
            .map(Self)
            .ok_or(HintError::NotMapped)
    }
}

impl Drop for UncachedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the address comes from `ioremap` and the mapping is owned;
        // it is undone once. The function may sleep, as the owner of a mutex may, under which this
        // is dropped.
        unsafe { sys::iounmap(self.0.as_ptr().cast()) };
    }
}

/// A flush hint, mapped while this lives.
///
/// # Invariants
///
/// `register` is aligned to 8 bytes and mapped for writes while `_backing` lives.
pub struct FlushHint {
    register: NonNull<u64>,
    _backing: Backing,
}

/// Owner of the mapping of a hint.
enum Backing {
    /// A page of physical addresses.
    Physical { _page: PageUse },
    /// Memory of a provider that simulates a hint.
    Borrowed { _memory: SimulatedRange },
}

/// One use of a page.
///
/// # Invariants
///
/// `pages` has a page that starts at `start`, whose count includes this use.
struct PageUse {
    pages: Arc<HintPages>,
    start: u64,
}

impl Drop for PageUse {
    fn drop(&mut self) {
        self.pages.give_back(self.start);
    }
}

// SAFETY: The mapping is in the kernel's address space, which all threads share, and its owner,
// `_backing`, is `Send`.
unsafe impl Send for FlushHint {}

// SAFETY: Stores to a hint may be concurrent, as the stored value has no meaning.
unsafe impl Sync for FlushHint {}

impl FlushHint {
    /// Length of a hint in bytes.
    pub const SIZE: usize = size_of::<u64>();

    /// Maps the hint at the physical address `address`, in a page of `pages`. May sleep.
    pub fn map(pages: &Arc<HintPages>, address: FirmwareAddress) -> Result<Self, HintError> {
        const PAGE: u64 = PAGE_SIZE as u64;

        let address = address.get();
        if address % Self::SIZE as u64 != 0 {
            return Err(HintError::Misaligned);
        }

        let offset = address % PAGE;
        let start = address - offset;
        let mapped = pages.take(start)?;
        // INVARIANT: `take` found or added the page and counted this use.
        let page = PageUse {
            pages: pages.clone(),
            start,
        };

        // SAFETY: The offset is less than the size of the page, so the result stays within the
        // mapping. CAST: For the same reason it fits.
        let register = unsafe { mapped.add(offset as usize) }.cast();
        // INVARIANT: The register lies in the page, which stays mapped while `page` is counted; the
        // alignment was checked above, and a page is aligned.
        Ok(Self {
            register,
            _backing: Backing::Physical { _page: page },
        })
    }

    /// Uses `memory` of a provider, which simulates a hint.
    ///
    /// [`HintError::Misaligned`]: it is not aligned to 8 bytes. [`HintError::NotMapped`]: it is
    /// shorter than a hint.
    pub fn borrowed(memory: SimulatedRange) -> Result<Self, HintError> {
        let register = memory.address().cast::<u64>();
        if !register.is_aligned() {
            return Err(HintError::Misaligned);
        }
        if memory.len() < Self::SIZE {
            return Err(HintError::NotMapped);
        }

        // INVARIANT: The memory stays mapped while `memory` lives; size and alignment were checked
        // above.
        Ok(Self {
            register,
            _backing: Backing::Borrowed { _memory: memory },
        })
    }

    /// Stores to the hint. The store flushes what a [fence](super::store_fence) ordered before it.
    /// The caller must execute another fence afterwards.
    #[inline]
    pub fn write(&self) {
        // SAFETY: By the type invariant the register is aligned and mapped for writes. There are no
        // references to it, and a volatile store is what registers need.
        unsafe { self.register.write_volatile(1) };
    }
}
