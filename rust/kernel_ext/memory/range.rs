// SPDX-License-Identifier: GPL-2.0

//! Ranges of physical addresses: reserving, mapping and owning them.
//!
//! [`Reservation`] and [`Mapping`] each own one step, and [`PmemRange`] owns both. There are no
//! locks here; the resource tree has its own.
//!
//! C headers: [`include/linux/ioport.h`](srctree/include/linux/ioport.h),
//! [`include/linux/io.h`](srctree/include/linux/io.h)

use super::SimulatedRange;
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

/// The reason why a range could not be reserved or mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The range is empty, or does not fit in the address space.
    Invalid,
    /// The range does not begin at a page boundary.
    Misaligned,
    /// A part of the range is reserved by another driver or is System RAM, or the range exceeds the
    /// physical address space.
    Busy,
    /// The range is not memory that a provider may use: it belongs to a device or to the firmware.
    NotMemory,
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
            MapError::Busy | MapError::NotMemory => EBUSY,
            MapError::NotMapped | MapError::NoMemory => ENOMEM,
        }
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "is empty or does not fit in the address space",
            Self::Misaligned => "does not begin at a page boundary",
            Self::Busy => "overlaps RAM or a range that is in use (see /proc/iomem)",
            Self::NotMemory => "belongs to a device or to the firmware (see /proc/iomem)",
            Self::NotMapped => "cannot be mapped with write-back caching",
            Self::NoMemory => "cannot be reserved: out of memory",
        })
    }
}

/// The use for which a range is reserved. It decides which descriptions (`IORES_DESC_*`) the range
/// may have in the resource tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Memory of a provider. The range is persistent memory, is reserved by the firmware, or has no
    /// description and no parent but the root.
    Memory,
    /// Registers. The range is reserved by the firmware or has no description; it may lie in a
    /// resource of a device that no driver has reserved.
    Registers,
}

impl Use {
    /// Returns `true` if a range with `description` may have this use. `is_bare` says that its
    /// parent is the root of the tree.
    ///
    /// The resource of a device has a name but no description, so a range without description below
    /// another resource is not memory. ACPI tables, ACPI NVS and the memory of a crash kernel have
    /// descriptions that no use admits.
    fn admits(self, description: c_ulong, is_bare: bool) -> bool {
        // CAST: Small constants that bindgen gives other types.
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

/// A reserved range of physical addresses, which is shown in `/proc/iomem` under its name. Nothing
/// else can reserve any of it, and it is not System RAM, which is always busy.
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
    /// Reserves `len` bytes from `start` on under `name`.
    ///
    /// [`MapError::Busy`]: some of them are reserved, are System RAM, or exceed the physical
    /// address space. [`MapError::NotMemory`]: their description does not admit `for_use`.
    pub(crate) fn new(name: &CStr, start: u64, len: u64, for_use: Use) -> Result<Self, MapError> {
        let name = CString::try_from(name).map_err(|_| MapError::NoMemory)?;

        // SAFETY: The function takes any range and returns null if it cannot be reserved. The name
        // is a C string, which `reservation` keeps until the range is released. The function may
        // sleep, as this one may.
        let region = unsafe { sys::request_mem_region(start, len, name.as_char_ptr()) };

        if region.is_null() {
            return Err(MapError::Busy);
        }
        // INVARIANT: The range was just reserved under `name`.
        let reservation = Self {
            start,
            len,
            _name: name,
        };
        // A new reservation inherits the description of its parent; the root has none.
        //
        // SAFETY: The function returned a resource that stays valid until the range is released,
        // which only `reservation` does. Its description does not change after that. Its parent
        // may: a resource may be inserted between the two, hence the volatile read. The parent is
        // compared and not followed.
        let (description, parent) = unsafe {
            (
                (*region).desc,
                (&raw const (*region).parent).read_volatile(),
            )
        };
        if !for_use.admits(description, parent == &raw mut sys::iomem_resource) {
            return Err(MapError::NotMemory);
        }
        Ok(reservation)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the range was reserved by `request_mem_region`. It is
        // released once, and the name is dropped afterwards.
        unsafe { sys::release_mem_region(self.start, self.len) };
    }
}

/// A mapping in the kernel's address space with write-back caching.
///
/// # Invariants
///
/// `address` was returned by `memremap`, and the mapping is owned.
pub(super) struct Mapping {
    pub(super) address: NonNull<u8>,
}

impl Mapping {
    pub(super) fn new(start: u64, len: usize) -> Result<Self, MapError> {
        // CAST: A flag of one bit.
        const WRITE_BACK: c_ulong = sys::MEMREMAP_WB as c_ulong;

        // SAFETY: `memremap` takes any range and returns null if it cannot map it in this way. It
        // may sleep, as all callers may: they have just allocated memory with `GFP_KERNEL`.
        let address = unsafe { sys::memremap(start, len, WRITE_BACK) };

        // INVARIANT: `address` was just returned by `memremap`.
        NonNull::new(address.cast())
            .map(|address| Self { address })
            .ok_or(MapError::NotMapped)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant `address` comes from `memremap` and the mapping is owned;
        // it is undone once.
        unsafe { sys::memunmap(self.address.as_ptr().cast()) };
    }
}

/// Owner of the memory of a range.
enum Backing {
    /// Physical addresses. Fields are dropped in order: the mapping before the reservation.
    Physical {
        _mapping: Mapping,
        _reservation: Reservation,
    },
    /// Memory that simulates a range.
    Borrowed { _memory: SimulatedRange },
}

/// A range of persistent memory, reserved and mapped. Dropping it undoes both.
///
/// Offsets are in bytes from the start of the range. Methods that transfer data check them and fail
/// with [`AccessError`](super::AccessError).
///
/// # Invariants
///
/// - `address` is page-aligned, and `len` bytes from there on are mapped for reads and writes while
///   `_backing` lives.
/// - No memory of a request is part of the mapping, as the pages behind it are not handed out: no
///   allocator owns those of reserved physical addresses, if they have a `struct page` at all, and
///   a [`SimulatedMemory`](super::SimulatedMemory) does not expose its own.
pub struct PmemRange {
    address: NonNull<u8>,
    len: usize,
    start: u64,
    _backing: Backing,
}

// SAFETY: The mapping is in the kernel's address space, which all threads share, and may be undone
// by any of them.
unsafe impl Send for PmemRange {}

// SAFETY: No method forms a reference to the mapped memory. All accesses are volatile or made by
// assembly or C, and tolerate concurrent ones.
unsafe impl Sync for PmemRange {}

impl PmemRange {
    /// Reserves `len` bytes of physical addresses from `start` on under `name`, and maps them. May
    /// sleep.
    ///
    /// [`MapError::Invalid`]: the range is empty or does not fit in the address space.
    /// [`MapError::Misaligned`]: `start` is not a page boundary. [`MapError::Busy`] and
    /// [`MapError::NotMemory`]: the range is not memory that a provider may use.
    pub fn new(name: &CStr, start: u64, len: u64) -> Result<Self, MapError> {
        let mapped = usize::try_from(len).map_err(|_| MapError::Invalid)?;

        if len == 0 || start.checked_add(len).is_none() {
            return Err(MapError::Invalid);
        }
        // The rest of the page does not belong to this range, and a word that is aligned in memory
        // would not have to be aligned in the range.
        if start % PAGE_SIZE as u64 != 0 {
            return Err(MapError::Misaligned);
        }

        let reservation = Reservation::new(name, start, len, Use::Memory)?;
        let mapping = Mapping::new(start, mapped)?;

        // INVARIANT: The mapping is of the whole range, which begins at a page boundary. No
        // allocator owns memory that could be reserved.
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

    /// Uses `memory` of a provider, which simulates the physical addresses from `start` on.
    ///
    /// [`MapError::Invalid`]: `memory` is empty. [`MapError::Misaligned`]: it does not begin at a
    /// page boundary.
    pub fn borrowed(start: u64, memory: SimulatedRange) -> Result<Self, MapError> {
        let address = memory.address();
        if memory.is_empty() {
            return Err(MapError::Invalid);
        }
        if address.addr().get() % PAGE_SIZE != 0 {
            return Err(MapError::Misaligned);
        }

        // INVARIANT: The memory stays mapped while `memory` lives, the alignment was checked above,
        // and its pages are not handed out.
        Ok(Self {
            address,
            len: memory.len(),
            start,
            _backing: Backing::Borrowed { _memory: memory },
        })
    }

    /// Limits access to the bytes `part`, counted from the start of the range. The rest stays
    /// reserved and mapped.
    ///
    /// [`MapError::Invalid`]: `part` is empty or exceeds the range. [`MapError::Misaligned`]: it
    /// does not begin at a page boundary.
    pub fn narrow(self, part: Range<u64>) -> Result<Self, MapError> {
        let len = usize::try_from(part.end.saturating_sub(part.start)).unwrap_or(0);
        let address = self.address(part.start, len).and_then(NonNull::new);
        let Some(address) = address.filter(|_| len != 0) else {
            return Err(MapError::Invalid);
        };
        if part.start % PAGE_SIZE as u64 != 0 {
            return Err(MapError::Misaligned);
        }

        // INVARIANT: `len` bytes from `address` on are a part of the range. The offset is a
        // multiple of a page, so `address` is page-aligned like the start.
        Ok(Self {
            address,
            len,
            start: self.start + part.start,
            _backing: self._backing,
        })
    }

    /// Returns the length in bytes.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len as u64
    }

    /// Returns `false`, as a range is never empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the physical address of the first byte.
    #[inline]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the address at `offset`, or `None` unless `len` bytes from there on are mapped.
    #[inline(always)]
    pub(super) fn address(&self, offset: u64, len: usize) -> Option<*mut u8> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(len)?;

        (end <= self.len).then(|| self.address.as_ptr().wrapping_add(offset))
    }

    /// Returns the offset of an address in the range.
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
    use crate::{
        acpi::FirmwareAddress,
        resource::{
            AddressRange,
            Description,
            InsertedRange, //
        }, //
    };

    const PAGE: u64 = PAGE_SIZE as u64;

    /// RAM on every PC.
    const RAM: u64 = 1 << 20;

    /// The memory of a VGA adapter on every PC. It lies in the window of the first PCI bus.
    const VGA: u64 = 0xa0000;

    /// Beyond what any CPU can address.
    const NOWHERE: u64 = 1 << 60;

    fn map(start: u64) -> Result<(), MapError> {
        PmemRange::new(c"nd_kunit", start, PAGE).map(|_| ())
    }

    #[test]
    fn only_memory_is_mapped_as_such() {
        assert!(map(RAM) == Err(MapError::Busy));
        assert!(map(NOWHERE) == Err(MapError::Busy));
        // Busy if a driver has reserved it.
        assert!(matches!(
            map(VGA),
            Err(MapError::NotMemory | MapError::Busy)
        ));
    }

    #[test]
    fn nothing_becomes_memory_by_a_description() {
        for first in [RAM, VGA] {
            let range = AddressRange {
                first,
                last: first + PAGE - 1,
            };
            let described = InsertedRange::new(range, Description::PersistentMemory);
            assert!(matches!(
                described,
                Err(MapError::NotMemory | MapError::Busy)
            ));
        }
    }

    #[test]
    fn no_hint_is_in_memory() -> Result {
        let pages = HintPages::new(c"nd_kunit")?;
        for (address, error) in [
            (RAM, HintError::Busy),
            (NOWHERE, HintError::Busy),
            (RAM + 4, HintError::Misaligned),
        ] {
            let bytes = address.to_le_bytes();
            // SAFETY: No firmware has supplied the address, but it is one that is not mapped.
            let address = unsafe { FirmwareAddress::read(&bytes, &bytes) }.ok_or(EINVAL)?;
            assert!(FlushHint::map(&pages, address).err() == Some(error));
        }
        Ok(())
    }
}
