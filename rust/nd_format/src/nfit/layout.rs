// SPDX-License-Identifier: GPL-2.0

//! The structures of the table as they lie in memory. Numbers are little endian, except where
//! noted.

use super::range::RangeKind;
use crate::uuid::Guid;
use core::fmt;
use zerocopy::{
    little_endian::{
        U16,
        U32,
        U64, //
    }, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// Header of the static table: the ACPI header and four reserved bytes.
///
/// ```text
/// 0           4        8          9          10       36         40
/// | signature | length | revision | checksum | creator | reserved | structures
/// ```
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TableHeader {
    /// `NFIT`.
    pub signature: [u8; 4],
    /// Bytes of the table, including this header.
    pub length: U32,
    /// Revision of the table's format.
    pub revision: u8,
    /// Makes the bytes of the table add up to zero; the ACPI core has checked it.
    pub checksum: u8,
    /// Creator of the table and its version.
    pub creator: [u8; 26],
    /// Zero.
    pub reserved: U32,
}

/// Header of every structure.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct StructureHeader {
    /// Type of the structure.
    pub kind: U16,
    /// Bytes of the structure, including this header.
    pub length: U16,
}

/// Type 0: a range of system physical addresses (SPA).
///
/// ```text
/// 0        4       6       8          12          16     32     40       48           56
/// | header | index | flags | reserved | proximity | kind | base | length | attributes | location cookie, if flagged |
/// ```
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SystemRange {
    /// Type 0.
    pub header: StructureHeader,
    /// Index by which mappings refer to the range; 0 refers to none.
    pub index: U16,
    /// See [`SystemRange::proximity_domain`] and [`SystemRange::has_location_cookie`].
    pub flags: U16,
    /// Zero.
    pub reserved: U32,
    /// Proximity domain as in the SRAT, if flagged as valid.
    pub proximity: U32,
    /// Type of the range; see [`SystemRange::kind`].
    pub guid: Guid,
    /// First address.
    pub base: U64,
    /// Length in bytes.
    pub length: U64,
    /// UEFI memory attributes.
    pub attributes: U64,
}

impl SystemRange {
    const PROXIMITY_VALID: u16 = 1 << 1;
    const LOCATION_COOKIE_VALID: u16 = 1 << 2;

    /// Returns the proximity domain if the firmware marks it as valid.
    pub fn proximity_domain(&self) -> Option<u32> {
        (self.flags.get() & Self::PROXIMITY_VALID != 0).then(|| self.proximity.get())
    }

    /// Returns `true` if eight bytes of location cookie follow.
    pub fn has_location_cookie(&self) -> bool {
        self.flags.get() & Self::LOCATION_COOKIE_VALID != 0
    }

    /// Returns the kind of the range.
    pub fn kind(&self) -> RangeKind {
        RangeKind::of(&self.guid)
    }

    /// Returns the first and the last address; `None` if the range is empty or wraps around.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        let base = self.base.get();
        let last = base.checked_add(self.length.get().checked_sub(1)?)?;
        Some((base, last))
    }
}

/// Handle of a DIMM: node, socket, memory controller, channel and slot in one number, as in `_ADR`
/// of its ACPI device.
///
/// ```text
/// 31      28 27    16 15    12 11        8 7      4 3    0
/// | reserved | node  | socket | controller | channel | DIMM |
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceHandle(pub u32);

impl fmt::Display for DeviceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Type 1: a part of a DIMM's memory in a range of system addresses ("NVDIMM region mapping").
///
/// ```text
/// 0        4        8             10          12            14               16     24              32
/// | header | handle | physical id | region id | range index | control region | size | region offset | dpa ...
///
///     40                 42     44      46         48
/// ... | interleave index | ways | flags | reserved |
/// ```
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Mapping {
    /// Type 1.
    pub header: StructureHeader,
    /// The DIMM; see [`Mapping::device`].
    pub handle: U32,
    /// SMBIOS handle of the DIMM.
    pub physical_id: U16,
    /// Number of the mapped region within the DIMM.
    pub region_id: U16,
    /// [`SystemRange::index`] of the range; 0 if the region is not mapped.
    pub range_index: U16,
    /// [`ControlRegion::index`] of the DIMM; 0 if it has no control region.
    pub control_region_index: U16,
    /// Bytes that the DIMM contributes.
    pub size: U64,
    /// Offset of the DIMM's first byte within the interleave set.
    pub region_offset: U64,
    /// First DIMM physical address.
    pub dpa: U64,
    /// Index of the interleave structure; 0 if the set is not interleaved.
    pub interleave_index: U16,
    /// Number of DIMMs in the set.
    pub ways: U16,
    /// State of the DIMM; see [`Mapping::state`].
    pub flags: U16,
    /// Zero.
    pub reserved: U16,
}

impl Mapping {
    /// Returns the handle of the DIMM.
    pub fn device(&self) -> DeviceHandle {
        DeviceHandle(self.handle.get())
    }

    /// Returns the state of the DIMM.
    pub fn state(&self) -> MappingFlags {
        MappingFlags(self.flags.get())
    }
}

/// The first fields of a mapping, enough to tell what it maps.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct MappingKey {
    /// Type 1.
    pub(super) header: StructureHeader,
    /// The DIMM.
    pub(super) handle: U32,
    /// SMBIOS handle of the DIMM.
    pub(super) physical_id: U16,
    /// Number of the mapped region within the DIMM.
    pub(super) region_id: U16,
    /// The range.
    pub(super) range_index: U16,
}

/// State of a DIMM, as the firmware found it at boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MappingFlags(u16);

impl MappingFlags {
    /// The last save failed.
    pub const SAVE_FAILED: Self = Self(1 << 0);
    /// The last restore failed.
    pub const RESTORE_FAILED: Self = Self(1 << 1);
    /// The platform's flush at the last power-down failed: data may be lost.
    pub const FLUSH_FAILED: Self = Self(1 << 2);
    /// The DIMM is not armed: it will not save at the next power-down.
    pub const NOT_ARMED: Self = Self(1 << 3);
    /// A health event was seen.
    pub const HEALTH_OBSERVED: Self = Self(1 << 4);
    /// The firmware notifies of health events.
    pub const HEALTH_ENABLED: Self = Self(1 << 5);
    /// The firmware could not map the DIMM.
    pub const MAP_FAILED: Self = Self(1 << 6);

    /// Words of the `nfit/flags` attribute, in its order.
    const WORDS: [(Self, &'static str); 7] = [
        (Self::SAVE_FAILED, "save_fail"),
        (Self::RESTORE_FAILED, "restore_fail"),
        (Self::FLUSH_FAILED, "flush_fail"),
        (Self::NOT_ARMED, "not_armed"),
        (Self::HEALTH_OBSERVED, "smart_event"),
        (Self::MAP_FAILED, "map_fail"),
        (Self::HEALTH_ENABLED, "smart_notify"),
    ];

    /// Returns `true` if all of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the flags that are set in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the flags as a mapping has them.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Returns only the flags of failures, which are worth a message.
    pub fn failures(self) -> Self {
        let failures = Self::SAVE_FAILED
            .union(Self::RESTORE_FAILED)
            .union(Self::FLUSH_FAILED)
            .union(Self::NOT_ARMED)
            .union(Self::MAP_FAILED);
        Self(self.0 & failures.0)
    }

    /// Returns `true` if nothing is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Formats the flags as in sysfs: each word is followed by a space.
impl fmt::Display for MappingFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::WORDS
            .iter()
            .filter(|&&(flag, _)| self.contains(flag))
            .try_for_each(|(_, word)| write!(f, "{word} "))
    }
}

/// Type 2 without its lines: how the DIMMs of a set are interleaved.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InterleaveHeader {
    /// Type 2.
    pub header: StructureHeader,
    /// Index by which mappings refer to the structure.
    pub index: U16,
    /// Zero.
    pub reserved: U16,
    /// Number of lines that follow, each as a 32-bit offset.
    pub line_count: U32,
    /// Size of a line in bytes.
    pub line_size: U32,
}

/// Type 4 up to the block windows: identity and programming interface of a DIMM.
///
/// Vendor, device and serial numbers are big endian by convention (JEDEC SPD order), although the
/// table is little endian. They are kept as bytes, so that no code reads them in the wrong byte
/// order by accident.
///
/// ```text
/// 0        4       6        8        10         12  subsystem  18      19         20     22         24       28
/// | header | index | vendor | device | revision | 3 x 16 bits | valid | location | date | reserved | serial | ...
///
///     28       30        32
/// ... | format | windows | 48 bytes about them, if there are any |
/// ```
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ControlRegion {
    /// Type 4.
    pub header: StructureHeader,
    /// Index by which mappings refer to the structure.
    pub index: U16,
    /// JEDEC vendor ID.
    pub vendor: [u8; 2],
    /// Device ID, assigned by the vendor.
    pub device: [u8; 2],
    /// Revision of the device.
    pub revision: [u8; 2],
    /// Vendor ID of the subsystem controller.
    pub subsystem_vendor: [u8; 2],
    /// Device ID of the subsystem controller.
    pub subsystem_device: [u8; 2],
    /// Revision of the subsystem controller.
    pub subsystem_revision: [u8; 2],
    /// Flags of the following fields that are valid; see [`ControlRegion::has_manufacturing_data`].
    pub valid_fields: u8,
    /// Manufacturing location.
    pub manufacturing_location: u8,
    /// Manufacturing date.
    pub manufacturing_date: [u8; 2],
    /// Zero.
    pub reserved: [u8; 2],
    /// Serial number.
    pub serial: [u8; 4],
    /// Format interface code; little endian, unlike the fields around it.
    pub format: U16,
    /// Number of block windows, an obsolete interface.
    pub windows: U16,
}

impl ControlRegion {
    /// Returns `true` if manufacturing location and date are valid.
    pub fn has_manufacturing_data(&self) -> bool {
        self.valid_fields & 1 != 0
    }
}

/// Type 5: a block window.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DataWindow {
    /// Type 5.
    pub header: StructureHeader,
    /// The control region to which the window belongs.
    pub control_region_index: U16,
    /// Number of windows.
    pub windows: U16,
    /// Offset of the first window in the range.
    pub offset: U64,
    /// Size of a window in bytes.
    pub size: U64,
    /// Bytes that are accessible through the windows.
    pub capacity: U64,
    /// First address that is accessible through the windows.
    pub start: U64,
}

/// Type 6 without its addresses: addresses to which a write flushes a DIMM's queues.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FlushHintsHeader {
    /// Type 6.
    pub header: StructureHeader,
    /// The DIMM.
    pub handle: U32,
    /// Number of addresses that follow, 64 bits each.
    pub count: U16,
    /// Zero.
    pub reserved: [u8; 6],
}

/// The first fields of flush hints, up to the DIMM.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FlushHintsKey {
    /// Type 6.
    pub(super) header: StructureHeader,
    /// The DIMM.
    pub(super) handle: U32,
}

/// Type 7: capabilities of the platform at power loss.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Capabilities {
    /// Type 7.
    pub header: StructureHeader,
    /// Highest bit of `bits` that is valid.
    pub highest_bit: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The capabilities; see [`Capabilities::persistence_domain`].
    pub bits: U32,
    /// Zero.
    pub reserved2: U32,
}

impl Capabilities {
    const CACHE_FLUSH: u32 = 1 << 0;
    const MEMORY_FLUSH: u32 = 1 << 1;

    /// Returns the persistence domain; `None` if the platform does not report it. A flush of the
    /// CPU caches includes one of the memory controller.
    pub fn persistence_domain(&self) -> Option<PersistenceDomain> {
        let unused = 31_u32.saturating_sub(u32::from(self.highest_bit));
        let bits = self.bits.get() & (u32::MAX >> unused);
        if bits & Self::CACHE_FLUSH != 0 {
            Some(PersistenceDomain::CpuCache)
        } else if bits & Self::MEMORY_FLUSH != 0 {
            Some(PersistenceDomain::MemoryController)
        } else {
            None
        }
    }
}

/// Where data must be to survive a power loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PersistenceDomain {
    /// In the CPU caches: the platform flushes them.
    CpuCache,
    /// In the memory controller: the platform flushes its queues.
    MemoryController,
}
