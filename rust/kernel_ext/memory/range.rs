// SPDX-License-Identifier: GPL-2.0

//! Owning a range of persistent memory.
//!
//! C headers: [`include/linux/ioport.h`](srctree/include/linux/ioport.h),
//! [`include/linux/io.h`](srctree/include/linux/io.h)

use super::ProviderRange;
use crate::sys;
use core::{
    ops::Range,
    ptr::NonNull, //
};
use kernel::{
    fmt,
    page::PAGE_SIZE,
    prelude::*,
    str::CString, //
};

/// Why a range could not be reserved or mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The range is empty, or does not fit in the address space.
    Invalid,
    /// The range does not begin with a page.
    Misaligned,
    /// A part of the range is reserved by another driver, or is System RAM, or the range lies
    /// beyond all addresses.
    Busy,
    /// The range is not memory that a provider may use: it belongs to a device or to the firmware.
    Foreign,
    /// The range cannot be mapped with write-back caching, or there is no memory for the page
    /// tables.
    NotMapped,
    /// There is no memory for the name of the reservation.
    NoMemory,
}

impl From<MapError> for Error {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Invalid | MapError::Misaligned => EINVAL,
            MapError::Busy | MapError::Foreign => EBUSY,
            MapError::NotMapped | MapError::NoMemory => ENOMEM,
        }
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "is empty or does not fit in the address space",
            Self::Misaligned => "does not begin with a page",
            Self::Busy => "overlaps RAM, or what is in use already (see /proc/iomem)",
            Self::Foreign => "belongs to a device or to the firmware (see /proc/iomem)",
            Self::NotMapped => "cannot be mapped with write-back caching",
            Self::NoMemory => "cannot be reserved: out of memory",
        })
    }
}

/// What a range may be described as in the tree of physical addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Memory of a provider: persistent, reserved by the firmware, or not described at all.
    Memory,
    /// Registers: not described, reserved by the firmware, or of a device whose driver has not
    /// reserved them.
    Registers,
}

impl Use {
    /// Tells whether a range may be used in this way that has `description`, and nothing above it
    /// if `is_bare`.
    ///
    /// What belongs to a device has no description, as there is nothing to say but its name: it is
    /// no memory. ACPI's tables and storage, and the memory of a crash kernel, are nothing of
    /// these.
    fn admits(self, description: c_ulong, is_bare: bool) -> bool {
        // CAST: Small constants that C happens to type otherwise.
        const NONE: c_ulong = sys::IORES_DESC_NONE as c_ulong;
        const RESERVED: c_ulong = sys::IORES_DESC_RESERVED as c_ulong;
        const SOFT_RESERVED: c_ulong = sys::IORES_DESC_SOFT_RESERVED as c_ulong;
        const PERSISTENT: c_ulong = sys::IORES_DESC_PERSISTENT_MEMORY as c_ulong;
        const LEGACY: c_ulong = sys::IORES_DESC_PERSISTENT_MEMORY_LEGACY as c_ulong;

        match description {
            NONE => is_bare || self == Self::Registers,
            RESERVED => true,
            SOFT_RESERVED | PERSISTENT | LEGACY => self == Self::Memory,
            _ => false,
        }
    }
}

/// A range of physical addresses that nothing else can reserve, and that is no System RAM: that is
/// always busy. It is shown in `/proc/iomem` under its name.
///
/// # Invariants
///
/// The range was reserved with `request_mem_region` under `_name`, which lives as long as the
/// reservation.
pub(crate) struct Reservation {
    start: u64,
    len: u64,
    _name: CString,
}

impl Reservation {
    /// Reserves `len` bytes from `start` on. [`MapError::Foreign`]: they are described as something
    /// else than `for_use`.
    pub(crate) fn new(name: &CStr, start: u64, len: u64, for_use: Use) -> Result<Self, MapError> {
        let name = CString::try_from(name).map_err(|_| MapError::NoMemory)?;

        // SAFETY: The name is a valid C string. INVARIANT: It is kept until the reservation is
        // given up.
        let region = unsafe { sys::request_mem_region(start, len, name.as_char_ptr()) };

        if region.is_null() {
            return Err(MapError::Busy);
        }
        // INVARIANT: It was just reserved.
        let reservation = Self {
            start,
            len,
            _name: name,
        };
        // What covers a new reservation gives it its description; the root has none.
        //
        // SAFETY: The region is ours, and valid until it is given up. Its description does not
        // change; its parent may, to another parent of that.
        let (description, parent) = unsafe {
            (
                (*region).desc,
                (&raw const (*region).parent).read_volatile(),
            )
        };
        if !for_use.admits(description, parent == &raw mut sys::iomem_resource) {
            return Err(MapError::Foreign);
        }
        Ok(reservation)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: The range was reserved by the type invariant.
        unsafe { sys::release_mem_region(self.start, self.len) };
    }
}

/// A mapping in the address space of the kernel, with write-back caching.
///
/// # Invariants
///
/// `address` comes from `memremap`.
pub(super) struct Mapping {
    pub(super) address: NonNull<u8>,
}

impl Mapping {
    pub(super) fn new(start: u64, len: usize) -> Result<Self, MapError> {
        // CAST: A flag of one bit.
        const WRITE_BACK: c_ulong = sys::MEMREMAP_WB as c_ulong;

        // SAFETY: No requirement: a range that cannot be mapped in this way gives null.
        let address = unsafe { sys::memremap(start, len, WRITE_BACK) };

        // INVARIANT: `address` comes from `memremap`.
        NonNull::new(address.cast())
            .map(|address| Self { address })
            .ok_or(MapError::NotMapped)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `address` comes from `memremap` by the type invariant.
        unsafe { sys::memunmap(self.address.as_ptr().cast()) };
    }
}

/// What keeps the memory of a range where it is.
enum Backing {
    /// Physical addresses of the range's own. Drop order: the mapping goes before the reservation.
    Physical {
        _mapping: Mapping,
        _reservation: Reservation,
    },
    /// Memory that a provider lent.
    Lent { _memory: ProviderRange },
}

/// A range of persistent memory, reserved and mapped, both undone when it is dropped.
///
/// Offsets into the range are in bytes from its start. Methods that transfer data check them and
/// answer with [`AccessError`](super::AccessError).
///
/// # Invariants
///
/// - `address` is that of `len` bytes, mapped as long as `_backing` lives, and aligned to pages.
/// - No memory of a request is part of the mapping, as nobody is given the pages behind it: no
///   allocator owns those of reserved physical addresses, if they have a `struct page` at all, and
///   a [`ProviderMemory`](super::ProviderMemory) keeps its own to itself.
pub struct PmemRange {
    address: NonNull<u8>,
    len: usize,
    start: u64,
    _backing: Backing,
}

// SAFETY: A range belongs to no thread.
unsafe impl Send for PmemRange {}

// SAFETY: No method forms a reference to the mapped memory; concurrent accesses are those of
// hardware.
unsafe impl Sync for PmemRange {}

impl PmemRange {
    /// Reserves `len` bytes of physical addresses from `start` on, under `name`, and maps them.
    ///
    /// [`MapError::Misaligned`]: `start` is not the start of a page. Only memory is mapped that a
    /// provider may use: see [`MapError::Busy`] and [`MapError::Foreign`].
    pub fn new(name: &CStr, start: u64, len: u64) -> Result<Self, MapError> {
        let mapped = usize::try_from(len).map_err(|_| MapError::Invalid)?;

        if len == 0 || start.checked_add(len).is_none() {
            return Err(MapError::Invalid);
        }
        // What the rest of the page holds is not this range's, and a word that is aligned in memory
        // need not be so in the range.
        if start % PAGE_SIZE as u64 != 0 {
            return Err(MapError::Misaligned);
        }

        let reservation = Reservation::new(name, start, len, Use::Memory)?;
        let mapping = Mapping::new(start, mapped)?;

        // INVARIANT: The mapping is of the range, which begins with a page; what could be reserved
        // is owned by no allocator.
        Ok(Self {
            address: mapping.address,
            len: mapped,
            start,
            _backing: Backing::Physical {
                _mapping: mapping,
                _reservation: reservation,
            },
        })
    }

    /// Takes `memory`, which plays the physical addresses from `start` on.
    ///
    /// [`MapError::Invalid`]: it is empty. [`MapError::Misaligned`]: it does not begin with a page.
    pub fn lent(start: u64, memory: ProviderRange) -> Result<Self, MapError> {
        let address = memory.address();
        if memory.is_empty() {
            return Err(MapError::Invalid);
        }
        if address.addr().get() % PAGE_SIZE != 0 {
            return Err(MapError::Misaligned);
        }

        // INVARIANT: The memory is mapped as long as it lives; the alignment was checked; no pages
        // of it are given away.
        Ok(Self {
            address,
            len: memory.len(),
            start,
            _backing: Backing::Lent { _memory: memory },
        })
    }

    /// Gives up all but the bytes `part`, counted from the start. They stay reserved and mapped
    /// with the rest.
    ///
    /// [`MapError::Invalid`]: there are none, or they are not in the range.
    /// [`MapError::Misaligned`]: they do not begin with a page.
    pub fn narrow(self, part: Range<u64>) -> Result<Self, MapError> {
        let len = usize::try_from(part.end.saturating_sub(part.start)).unwrap_or(0);
        let address = self.address(part.start, len).and_then(NonNull::new);
        let Some(address) = address.filter(|_| len != 0) else {
            return Err(MapError::Invalid);
        };
        if part.start % PAGE_SIZE as u64 != 0 {
            return Err(MapError::Misaligned);
        }

        // INVARIANT: `len` bytes from `address` on are a part of the range, and aligned like its
        // start.
        Ok(Self {
            address,
            len,
            start: self.start + part.start,
            _backing: self._backing,
        })
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len as u64
    }

    /// A range is never empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The physical address of the first byte.
    #[inline]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The address at `offset`, if `len` bytes from there on are mapped.
    #[inline(always)]
    pub(super) fn address(&self, offset: u64, len: usize) -> Option<*mut u8> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(len)?;

        (end <= self.len).then(|| self.address.as_ptr().wrapping_add(offset))
    }

    /// The offset of an address in the range.
    #[inline]
    pub(super) fn offset_of(&self, address: *const u8) -> u64 {
        address.addr().wrapping_sub(self.address.addr().get()) as u64
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_range)]
mod tests {
    use super::{
        super::{
            FlushHint,
            HintError,
            HintPages, //
        },
        *,
    };
    use crate::resource::{
        AddressRange,
        Description,
        InsertedRange, //
    };

    const PAGE: u64 = PAGE_SIZE as u64;

    /// RAM on every PC.
    const RAM: u64 = 1 << 20;

    /// The memory of a VGA adapter on every PC: a part of what the first PCI bus has.
    const VGA: u64 = 0xa0000;

    /// More than any CPU can address.
    const NOWHERE: u64 = 1 << 60;

    fn map(start: u64) -> Result<(), MapError> {
        PmemRange::new(c"nd_kunit", start, PAGE).map(|_| ())
    }

    #[test]
    fn only_memory_is_mapped_as_such() {
        assert!(map(RAM) == Err(MapError::Busy));
        assert!(map(NOWHERE) == Err(MapError::Busy));
        // Unless a driver has it.
        assert!(matches!(map(VGA), Err(MapError::Foreign | MapError::Busy)));
    }

    #[test]
    fn nothing_becomes_memory_by_a_description() {
        for first in [RAM, VGA] {
            let range = AddressRange {
                first,
                last: first + PAGE - 1,
            };
            let described = InsertedRange::new(range, Description::PersistentMemory);
            assert!(matches!(described, Err(MapError::Foreign | MapError::Busy)));
        }
    }

    #[test]
    fn no_hint_is_in_memory() -> Result {
        let pages = HintPages::new(c"nd_kunit")?;
        for (address, error) in [
            (RAM, HintError::Taken),
            (NOWHERE, HintError::Taken),
            (RAM + 4, HintError::Misaligned),
        ] {
            assert!(FlushHint::map(&pages, address).err() == Some(error));
        }
        Ok(())
    }
}
