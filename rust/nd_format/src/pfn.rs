// SPDX-License-Identifier: GPL-2.0

//! Info blocks of PFN and DAX devices: a namespace with space for its memmap (an array of the
//! kernel's `struct page`), then the data.
//!
//! ```text
//! namespace  0      4096         8192                data_offset                   end_trunc
//!            | free | info block | page structures … | data, aligned             … | unused |
//!
//! info block
//!     0 signature "NVDIMM_PFN_INFO\0" or "NVDIMM_DAX_INFO\0"    72 mode: 1 ram, 2 pmem
//!    16 uuid of the device                                      76 start_pad     (version 1.1)
//!    32 uuid of the namespace                                   80 end_trunc     (1.1)
//!    48 flags                                                   84 align         (1.2)
//!    52 version major, minor (u16 each)                         88 page_size     (1.4)
//!    56 data_offset, from the start of the namespace            92 struct page   (1.4, u16)
//!    64 pages of data                                           94 zeroes        (1.3)
//!                                                             4088 checksum: Fletcher-64 with zeroes here
//! ```
//!
//! All numbers are little endian. (`drivers/nvdimm/pfn.h` of Linux; no specification has it.)

use crate::{
    fletcher::fletcher64_le_without,
    uuid::Uuid, //
};
use core::{
    fmt,
    ops::Range, //
};
use zerocopy::{
    byteorder::{
        LittleEndian,
        U16,
        U32,
        U64, //
    },
    FromBytes as _,
    IntoBytes as _, //
};

/// Offset of the info block in a namespace, in bytes.
pub const INFO_OFFSET: u64 = 4096;

/// Size of the info block in bytes.
pub const INFO_LEN: usize = 4096;

/// Offset of the memmap, if it is in the namespace, in bytes.
// CAST: 4096.
pub const MAP_OFFSET: u64 = INFO_OFFSET + INFO_LEN as u64;

/// Size in bytes of a section. Memory gets a memmap in whole sections.
pub const SECTION: u64 = 2 << 20;

const CHECKSUM_OFFSET: usize = INFO_LEN - 8;
const PAGE_SIZE: u64 = 4096;
/// Bytes of the memmap for each page.
const MAX_STRUCT_PAGE_SIZE: u64 = 64;
const VERSION: (u16, u16) = (1, 4);

#[derive(
    zerocopy_derive::FromBytes,
    zerocopy_derive::IntoBytes,
    zerocopy_derive::Immutable,
    zerocopy_derive::KnownLayout,
    zerocopy_derive::Unaligned,
)]
#[repr(C)]
struct RawInfo {
    signature: [u8; 16],
    uuid: Uuid,
    parent_uuid: Uuid,
    flags: U32<LittleEndian>,
    version_major: U16<LittleEndian>,
    version_minor: U16<LittleEndian>,
    data_offset: U64<LittleEndian>,
    pages: U64<LittleEndian>,
    mode: U32<LittleEndian>,
    start_pad: U32<LittleEndian>,
    end_trunc: U32<LittleEndian>,
    align: U32<LittleEndian>,
    page_size: U32<LittleEndian>,
    page_struct_size: U16<LittleEndian>,
}

const _: () = assert!(size_of::<RawInfo>() == 94);

/// Mode of a namespace with a memmap, as ndctl calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DaxMode {
    /// fsdax: a block device for file systems with DAX.
    FsDax,
    /// devdax: a character device to map.
    DevDax,
}

impl DaxMode {
    fn signature(self) -> &'static [u8; 16] {
        match self {
            Self::FsDax => b"NVDIMM_PFN_INFO\0",
            Self::DevDax => b"NVDIMM_DAX_INFO\0",
        }
    }
}

/// Location of the memmap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location {
    /// In system memory (`ndctl create-namespace --map=mem`).
    Ram,
    /// In the namespace itself (`--map=dev`).
    Pmem,
}

/// Contents of an info block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Mode of the namespace.
    pub dax_mode: DaxMode,
    /// UUID of the device.
    pub uuid: Uuid,
    /// UUID of the namespace.
    pub parent_uuid: Uuid,
    /// Location of the memmap.
    pub location: Location,
    /// Unused bytes at the start of the namespace. Today's kernels create no such pad.
    pub start_pad: u32,
    /// Bytes from the start of the namespace, or from the end of the pad, to the data.
    pub data_offset: u64,
    /// Unused bytes at the end of the namespace.
    pub end_trunc: u32,
    /// Alignment of the data in bytes, a power of two.
    pub align: u64,
    /// Number of pages of data. A namespace that has shrunk has fewer.
    pub pages: u64,
}

/// Reason why a namespace has no usable info block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// There is no info block of this namespace.
    Absent,
    /// There is one, but a field does not fit.
    Misfit {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// Valid values of the field.
        expected: Expected,
    },
}

/// Valid values of a field of an info block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Numbers of this range, ends included.
    Within(u64, u64),
    /// Powers of two up to this one.
    PowerOfTwo(u64),
    /// Numbers that make this address a multiple of the other number.
    Aligned {
        /// The address, in bytes.
        address: u64,
        /// Required alignment of the address, in bytes.
        to: u64,
    },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no info block of this namespace"),
            Self::Misfit {
                field,
                found,
                expected,
            } => write!(f, "{field} is {found:#x}, expected {expected}"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(least, most) => write!(f, "{least:#x} to {most:#x}"),
            Self::PowerOfTwo(most) => write!(f, "a power of two up to {most:#x}"),
            Self::Aligned { address, to } => {
                write!(f, "one that makes {address:#x} a multiple of {to:#x}")
            }
        }
    }
}

/// Reason why a namespace cannot have a memmap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoRoom {
    /// The namespace does not start on a section boundary.
    Misaligned,
    /// The namespace is too small.
    TooSmall,
}

impl Info {
    /// Plans an fsdax device in a namespace of `size` bytes at the physical address `start`. The
    /// data are aligned to `align` bytes.
    pub fn plan(
        (uuid, parent_uuid): (Uuid, Uuid),
        location: Location,
        align: u64,
        start: u64,
        size: u64,
    ) -> Result<Self, NoRoom> {
        if start % SECTION != 0 {
            return Err(NoRoom::Misaligned);
        }
        let coarse = align.max(SECTION);
        let end = start.checked_add(size).ok_or(NoRoom::TooSmall)?;
        let pages = size.checked_sub(MAP_OFFSET).ok_or(NoRoom::TooSmall)? / PAGE_SIZE;
        let map = match location {
            Location::Ram => 0,
            Location::Pmem => pages * MAX_STRUCT_PAGE_SIZE,
        };
        let data_offset = start
            .checked_add(MAP_OFFSET + map)
            .and_then(|address| address.checked_next_multiple_of(coarse))
            .ok_or(NoRoom::TooSmall)?
            - start;
        let end_trunc = end % coarse;
        if data_offset.saturating_add(end_trunc) >= size {
            return Err(NoRoom::TooSmall);
        }
        Ok(Self {
            dax_mode: DaxMode::FsDax,
            uuid,
            parent_uuid,
            location,
            start_pad: 0,
            data_offset,
            end_trunc: u32::try_from(end_trunc).map_err(|_| NoRoom::TooSmall)?,
            align,
            pages: (size - end_trunc - data_offset) / PAGE_SIZE,
        })
    }

    /// Decodes and checks the info block of a namespace of `size` bytes at the physical address
    /// `start`, whose UUID is `namespace`.
    pub fn read(block: &[u8], namespace: Uuid, start: u64, size: u64) -> Result<Self, Defect> {
        let (raw, _) = RawInfo::read_from_prefix(block).map_err(|_| Defect::Absent)?;
        let dax_mode = [DaxMode::FsDax, DaxMode::DevDax]
            .into_iter()
            .find(|dax_mode| *dax_mode.signature() == raw.signature)
            .ok_or(Defect::Absent)?;
        let stored = block
            .get(CHECKSUM_OFFSET..)
            .and_then(|field| field.first_chunk())
            .ok_or(Defect::Absent)?;
        let sum = fletcher64_le_without(block, CHECKSUM_OFFSET);
        if u64::from_le_bytes(*stored) != sum || raw.parent_uuid != namespace {
            return Err(Defect::Absent);
        }
        let minor = raw.version_minor.get();
        // A field that the version does not have yet counts as zero, whatever the block holds.
        let since = |first: u16, field: U32<LittleEndian>| match minor >= first {
            true => field.get(),
            false => 0,
        };
        let since_1_4 = |field: u32, before: u32| if minor >= 4 { field } else { before };
        let misfit = |field, found, expected| {
            Err(Defect::Misfit {
                field,
                found,
                expected,
            })
        };
        let data_offset = raw.data_offset.get();
        let location = match raw.mode.get() {
            1 => Location::Ram,
            2 => Location::Pmem,
            mode => return misfit("mode", mode.into(), Expected::Within(1, 2)),
        };
        // A memmap in the namespace has too few entries if it was made for larger pages, and too
        // small ones if it was made for a smaller `struct page`.
        // CAST: 4096 and 64.
        let limits = [
            ("page_size", raw.page_size.get(), 0, PAGE_SIZE as u32),
            (
                "page_struct_size",
                raw.page_struct_size.get().into(),
                MAX_STRUCT_PAGE_SIZE as u32,
                u32::MAX,
            ),
        ];
        for (field, found, least, most) in limits {
            let fits = (least..=most).contains(&since_1_4(found, least));
            if location == Location::Pmem && !fits {
                let expected = Expected::Within(least.into(), most.into());
                return misfit(field, found.into(), expected);
            }
        }
        let align = match since(2, raw.align) {
            0 => data_offset
                .checked_ilog2()
                .and_then(|log| 1_u64.checked_shl(log))
                .unwrap_or(0),
            align => u64::from(align),
        };
        let info = Self {
            dax_mode,
            uuid: raw.uuid,
            parent_uuid: raw.parent_uuid,
            location,
            start_pad: since(1, raw.start_pad),
            data_offset,
            end_trunc: since(1, raw.end_trunc),
            align,
            pages: raw.pages.get(),
        };
        if !align.is_power_of_two() || align > size {
            return misfit("align", align, Expected::PowerOfTwo(size));
        }
        // The data start behind the info block and are not empty.
        let unused = u64::from(info.start_pad) + u64::from(info.end_trunc);
        let most = size.saturating_sub(unused).saturating_sub(1);
        if !(MAP_OFFSET..=most).contains(&data_offset) {
            return misfit("dataoff", data_offset, Expected::Within(MAP_OFFSET, most));
        }
        // Powers of two divide 2^64, so the sums may wrap around.
        let first = start.wrapping_add(info.start_pad.into());
        let end = start.wrapping_add(size);
        let aligned = [
            ("dataoff", data_offset, data_offset, PAGE_SIZE),
            (
                "dataoff",
                data_offset,
                first.wrapping_add(data_offset),
                align,
            ),
            ("start_pad", info.start_pad.into(), first, SECTION),
            (
                "end_trunc",
                info.end_trunc.into(),
                end.wrapping_sub(info.end_trunc.into()),
                SECTION,
            ),
        ];
        match aligned
            .into_iter()
            .find(|(.., address, to)| address.checked_rem(*to) != Some(0))
        {
            Some((field, found, address, to)) => {
                misfit(field, found, Expected::Aligned { address, to })
            }
            None => Ok(info),
        }
    }

    /// Returns the number of pages of data in a namespace of `size` bytes if the info block has
    /// more: the namespace has shrunk, and the end of the data is missing. Returns `None`
    /// otherwise.
    pub fn truncated(&self, size: u64) -> Option<u64> {
        let data = self.data(size).unwrap_or_default();
        let pages = (data.end - data.start) / PAGE_SIZE;
        (pages < self.pages).then_some(pages)
    }

    /// Returns the range of the data in a namespace of `size` bytes; `None` if it is empty.
    pub fn data(&self, size: u64) -> Option<Range<u64>> {
        let start = self.data_offset.checked_add(self.start_pad.into())?;
        let end = size.checked_sub(self.end_trunc.into())?;
        (start < end).then_some(start..end)
    }

    /// Encodes the info block of a namespace of `size` bytes into `block`, which has [`INFO_LEN`]
    /// bytes.
    pub fn write(&self, size: u64, block: &mut [u8]) {
        let data = self.data(size).unwrap_or_default();
        let raw = RawInfo {
            signature: *self.dax_mode.signature(),
            uuid: self.uuid,
            parent_uuid: self.parent_uuid,
            flags: 0.into(),
            version_major: VERSION.0.into(),
            version_minor: VERSION.1.into(),
            data_offset: self.data_offset.into(),
            pages: ((data.end - data.start) / PAGE_SIZE).into(),
            mode: match self.location {
                Location::Ram => 1,
                Location::Pmem => 2,
            }
            .into(),
            start_pad: self.start_pad.into(),
            end_trunc: self.end_trunc.into(),
            // The alignment is a page size, which is at most 1 GiB.
            align: u32::try_from(self.align).unwrap_or(u32::MAX).into(),
            // CAST: 4096 and 64.
            page_size: (PAGE_SIZE as u32).into(),
            page_struct_size: (MAX_STRUCT_PAGE_SIZE as u16).into(),
        };
        block.fill(0);
        // The fields and the checksum fit into INFO_LEN bytes.
        let _ = raw.write_to_prefix(block);
        let sum = fletcher64_le_without(block, CHECKSUM_OFFSET);
        if let Some(field) = block.get_mut(CHECKSUM_OFFSET..) {
            let _ = sum.to_le_bytes().write_to_prefix(field);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::{
        vec,
        vec::Vec, //
    };

    const MIB: u64 = 1 << 20;
    const START: u64 = 1 << 32;
    const OWN: Uuid = Uuid::from_bytes([1; 16]);
    const PARENT: Uuid = Uuid::from_bytes([2; 16]);

    fn plan(location: Location, align: u64, size: u64) -> Result<Info, NoRoom> {
        Info::plan((OWN, PARENT), location, align, START, size)
    }

    fn block(info: &Info, size: u64) -> Vec<u8> {
        let mut block = vec![0xff; INFO_LEN];
        info.write(size, &mut block);
        block
    }

    fn seal(block: &mut [u8]) {
        let sum = fletcher64_le_without(block, CHECKSUM_OFFSET);
        block[CHECKSUM_OFFSET..].copy_from_slice(&sum.to_le_bytes());
    }

    #[test]
    fn sizes_are_those_of_the_c_driver() {
        // 64 MiB - 8 KiB are 16382 pages; their memmap needs 1 MiB less 128 bytes.
        let info = plan(Location::Pmem, 2 * MIB, 64 * MIB).unwrap();
        assert_eq!(info.data(64 * MIB), Some(2 * MIB..64 * MIB));
        let info = plan(Location::Ram, 4096, 64 * MIB).unwrap();
        assert_eq!(info.data(64 * MIB), Some(2 * MIB..64 * MIB));
        let info = plan(Location::Pmem, 4096, 256 * MIB).unwrap();
        assert_eq!(info.data(256 * MIB), Some(6 * MIB..256 * MIB));
        let info = plan(Location::Pmem, 4096, 65 * MIB).unwrap();
        assert_eq!(info.end_trunc, MIB as u32);
    }

    #[test]
    fn what_has_no_room_is_refused() {
        assert_eq!(plan(Location::Pmem, 4096, 2 * MIB), Err(NoRoom::TooSmall));
        assert_eq!(
            plan(Location::Pmem, 1 << 30, 64 * MIB),
            Err(NoRoom::TooSmall)
        );
        let low = Info::plan((OWN, PARENT), Location::Ram, 4096, START + 4096, 64 * MIB);
        assert_eq!(low, Err(NoRoom::Misaligned));
    }

    #[test]
    fn fields_are_where_linux_has_them() {
        let info = plan(Location::Pmem, 2 * MIB, 64 * MIB).unwrap();
        let block = block(&info, 64 * MIB);
        assert_eq!(&block[..16], b"NVDIMM_PFN_INFO\0");
        assert_eq!(block[52..56], [1, 0, 4, 0]);
        assert_eq!(block[56..64], (2 * MIB).to_le_bytes());
        assert_eq!(block[64..72], (62 * MIB / 4096).to_le_bytes());
        assert_eq!(block[72..76], [2, 0, 0, 0]);
        assert_eq!(block[84..94], [0, 0, 0x20, 0, 0, 0x10, 0, 0, 64, 0]);
        assert!(block[94..CHECKSUM_OFFSET].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn others_are_not_mistaken() {
        let info = plan(Location::Pmem, 4096, 64 * MIB).unwrap();
        let good = block(&info, 64 * MIB);
        let read = |block: &[u8], parent| Info::read(block, parent, START, 64 * MIB);
        assert_eq!(read(&good, PARENT), Ok(info));
        assert_eq!(read(&good, OWN), Err(Defect::Absent));
        assert_eq!(read(&good[..INFO_LEN - 1], PARENT), Err(Defect::Absent));
        assert_eq!(read(&[0; INFO_LEN], PARENT), Err(Defect::Absent));
        let mut torn = good.clone();
        torn[60] ^= 1;
        assert_eq!(read(&torn, PARENT), Err(Defect::Absent));
        let mut other = good;
        other[72] = 3;
        seal(&mut other);
        assert_eq!(
            read(&other, PARENT),
            Err(Defect::Misfit {
                field: "mode",
                found: 3,
                expected: Expected::Within(1, 2),
            })
        );
    }

    #[test]
    fn what_does_not_fit_is_named_and_not_absent() {
        let size = 64 * MIB;
        let fields: [(usize, &[u8], &str); 9] = [
            (56, &[0; 8], "dataoff is 0x0, expected 0x2000 to 0x3ffffff"),
            (
                56,
                &[0, 16, 0],
                "dataoff is 0x1000, expected 0x2000 to 0x3ffffff",
            ),
            (
                56,
                &[0, 0, 0, 4],
                "dataoff is 0x4000000, expected 0x2000 to 0x3ffffff",
            ),
            (
                56,
                &[1],
                "dataoff is 0x200001, expected one that makes 0x200001 a multiple of 0x1000",
            ),
            (
                76,
                &[0, 16],
                "start_pad is 0x1000, expected one that makes 0x100001000 a multiple of 0x200000",
            ),
            (
                80,
                &[0, 16],
                "end_trunc is 0x1000, expected one that makes 0x103fff000 a multiple of 0x200000",
            ),
            (
                84,
                &[0, 48],
                "align is 0x3000, expected a power of two up to 0x4000000",
            ),
            (
                88,
                &[0, 0, 1],
                "page_size is 0x10000, expected 0x0 to 0x1000",
            ),
            (
                92,
                &[32],
                "page_struct_size is 0x20, expected 0x40 to 0xffffffff",
            ),
        ];
        for (at, bytes, words) in fields {
            let info = plan(Location::Pmem, 4096, size).unwrap();
            let mut block = block(&info, size);
            block[at..at + bytes.len()].copy_from_slice(bytes);
            seal(&mut block);
            let defect = Info::read(&block, PARENT, START, size).unwrap_err();
            assert_eq!(std::format!("{defect}"), words);
        }
    }

    #[test]
    fn a_namespace_that_has_become_smaller() {
        let info = plan(Location::Pmem, 4096, 96 * MIB).unwrap();
        let block = block(&info, 96 * MIB);
        // The start of the data does not move, as in the C driver.
        let read = |size| Info::read(&block, PARENT, START, size);
        let smaller = read(64 * MIB).unwrap();
        assert_eq!(smaller.data(64 * MIB), Some(2 * MIB..64 * MIB));
        assert_eq!(smaller.truncated(64 * MIB), Some(62 * MIB / 4096));
        assert_eq!(smaller.truncated(96 * MIB), None);
        assert_eq!(smaller.truncated(128 * MIB), None);
        // No data is left, or the end of the data is not on a section boundary.
        for size in [2 * MIB, 65 * MIB] {
            assert!(matches!(read(size), Err(Defect::Misfit { .. })));
        }
    }

    #[test]
    fn early_versions_have_fewer_fields() {
        let info = plan(Location::Pmem, 4096, 64 * MIB).unwrap();
        let mut early = block(&info, 64 * MIB);
        early[54] = 0;
        early[76..92].fill(0xff);
        seal(&mut early);
        let read = Info::read(&early, PARENT, START, 64 * MIB).unwrap();
        assert_eq!(
            (read.start_pad, read.end_trunc, read.align),
            (0, 0, 2 * MIB)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(
            sections in 8u64..4096,
            rest in 0u64..512,
            align in prop_oneof![Just(4096u64), Just(2 * MIB)],
            location in prop_oneof![Just(Location::Ram), Just(Location::Pmem)],
        ) {
            let size = sections * SECTION + rest * 4096;
            let info = plan(location, align, size).unwrap();
            prop_assert_eq!(Info::read(&block(&info, size), PARENT, START, size), Ok(info));
            let data = info.data(size).unwrap();
            prop_assert_eq!((START + data.start) % align.max(SECTION), 0);
            prop_assert!(data.end <= size);
            let pages = (size - MAP_OFFSET) / 4096;
            let map = if location == Location::Pmem { pages * 64 } else { 0 };
            prop_assert!(data.start >= MAP_OFFSET + map);
        }

        #[test]
        fn no_bytes_are_a_reason_to_panic(
            bytes in proptest::collection::vec(any::<u8>(), 80),
            start in any::<u64>(),
            size in any::<u64>(),
        ) {
            let mut block = [0; INFO_LEN];
            block[..16].copy_from_slice(b"NVDIMM_PFN_INFO\0");
            block[32..48].copy_from_slice(&[2; 16]);
            block[48..94].copy_from_slice(&bytes[..46]);
            seal(&mut block);
            if let Ok(info) = Info::read(&block, PARENT, start, size) {
                prop_assert!(info.data(size).is_some_and(|data| data.end <= size));
            }
        }
    }
}
