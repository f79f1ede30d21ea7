// SPDX-License-Identifier: GPL-2.0

//! The info block at the start of an arena, and its copy at the end.
//!
//! ```text
//!     0 signature "BTT_ARENA_INFO\0\0"        72 nfree
//!    16 uuid of the BTT                       76 infosize (4096)
//!    32 uuid of the namespace, or zero        80 nextoff: to the next arena, 0 in the last one
//!    48 flags (bit 0: error)                  88 dataoff
//!    52 version major, minor (u16 each)       96 mapoff
//!    56 external_lbasize                     104 logoff
//!    60 external_nlba                        112 info2off
//!    64 internal_lbasize                     120 zeroes
//!    68 internal_nlba                       4088 checksum: Fletcher-64 of the block with zeroes here
//! ```
//!
//! All numbers are little endian, all offsets relative to the start of the arena. (UEFI, "BTT Arena
//! Info Block".)

use super::{
    geometry::MediaGeometry,
    ArenaGeometry,
    GeometryError,
    ARENA_MIN,
    INFO_SIZE, //
};
use crate::{
    fletcher::fletcher64_le_without,
    uuid::Uuid, //
};
use core::fmt;
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

/// Size of an info block in bytes, as `usize`.
// CAST: 4096.
pub const INFO_LEN: usize = INFO_SIZE as usize;

const SIGNATURE: [u8; 16] = *b"BTT_ARENA_INFO\0\0";

/// Bit of the `flags` field: the arena must not be written.
const FLAG_ERROR: u32 = 1 << 0;

const CHECKSUM_OFFSET: usize = INFO_LEN - 8;

/// Offset at which the fields end and the zeroes begin.
const FIELDS_LEN: usize = 120;

/// The info block as it is on media, without the zeroes and the checksum behind the fields.
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
    external_lba_size: U32<LittleEndian>,
    external_nlba: U32<LittleEndian>,
    internal_lba_size: U32<LittleEndian>,
    internal_nlba: U32<LittleEndian>,
    nfree: U32<LittleEndian>,
    info_size: U32<LittleEndian>,
    next_offset: U64<LittleEndian>,
    data_offset: U64<LittleEndian>,
    map_offset: U64<LittleEndian>,
    flog_offset: U64<LittleEndian>,
    info2_offset: U64<LittleEndian>,
}

const _: () = assert!(size_of::<RawInfo>() == FIELDS_LEN);

/// Version of the layout. It decides where the first arena starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Version {
    /// 1.1: a partition table may precede the first arena. For namespaces of Linux' own class and
    /// for those without labels.
    V1_1,
    /// 2.0: the first arena starts with the namespace. For namespaces of UEFI's class.
    V2_0,
}

impl Version {
    /// Returns the bytes in front of the first arena.
    pub const fn initial_offset(self) -> u64 {
        match self {
            Self::V1_1 => 4096,
            Self::V2_0 => 0,
        }
    }

    /// Returns the major and the minor number.
    pub const fn numbers(self) -> (u16, u16) {
        match self {
            Self::V1_1 => (1, 1),
            Self::V2_0 => (2, 0),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.numbers();
        write!(f, "{major}.{minor}")
    }
}

/// An info block, decoded and checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// UUID of the BTT.
    pub uuid: Uuid,
    /// UUID of the namespace in which the BTT was created; nil if the namespace has none.
    pub parent_uuid: Uuid,
    /// Error flag: an implementation has found the arena to be damaged. The arena may be read, but
    /// not written.
    pub error: bool,
    /// Version of the layout.
    pub version: Version,
    /// Layout of the arena.
    pub geometry: ArenaGeometry,
    /// Bytes from this arena to the next one; 0 in the last one.
    pub next_offset: u64,
}

/// The place of an info block, which the block must fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Version that the class of the namespace requires.
    pub version: Version,
    /// UUID of the namespace; nil if it has none.
    pub namespace_uuid: Uuid,
    /// Bytes from the start of the arena to the end of the namespace.
    pub available: u64,
}

impl Info {
    /// Decodes the info block `block` of an arena.
    ///
    /// Errors other than [`InfoError::Signature`] and [`InfoError::Checksum`] mean that the block
    /// was written as it is. [`InfoError::is_misfit`] then returns `true` if it was written for
    /// this namespace.
    pub fn decode(block: &[u8; INFO_LEN], place: &Place) -> Result<Self, InfoError> {
        let (raw, _) = RawInfo::ref_from_prefix(block).map_err(|_| InfoError::Signature)?;
        if raw.signature != SIGNATURE {
            return Err(InfoError::Signature);
        }
        let (found, expected) = (stored_checksum(block), checksum(block));
        if found != expected {
            return Err(InfoError::Checksum { found, expected });
        }
        if !raw.parent_uuid.is_nil() && raw.parent_uuid != place.namespace_uuid {
            return Err(InfoError::ParentUuid {
                found: raw.parent_uuid,
                expected: place.namespace_uuid,
            });
        }
        let found = (raw.version_major.get(), raw.version_minor.get());
        if found != place.version.numbers() {
            return Err(InfoError::Version {
                found,
                expected: place.version,
            });
        }
        let media = MediaGeometry {
            external_lba_size: raw.external_lba_size.get(),
            external_nlba: raw.external_nlba.get(),
            internal_lba_size: raw.internal_lba_size.get(),
            internal_nlba: raw.internal_nlba.get(),
            nfree: raw.nfree.get(),
            info_size: raw.info_size.get(),
            data_offset: raw.data_offset.get(),
            map_offset: raw.map_offset.get(),
            flog_offset: raw.flog_offset.get(),
            info2_offset: raw.info2_offset.get(),
        };
        let geometry =
            ArenaGeometry::from_media(&media, place.available).map_err(InfoError::Geometry)?;
        let next_offset = raw.next_offset.get();
        let least = geometry.end();
        let most = place.available.saturating_sub(ARENA_MIN);
        if next_offset != 0 && !(least..=most).contains(&next_offset) {
            return Err(InfoError::NextOffset {
                found: next_offset,
                least,
                most,
            });
        }
        Ok(Self {
            uuid: raw.uuid,
            parent_uuid: raw.parent_uuid,
            error: raw.flags.get() & FLAG_ERROR != 0,
            version: place.version,
            geometry,
            next_offset,
        })
    }

    /// Encodes the info block, with its checksum.
    pub fn encode(&self, block: &mut [u8; INFO_LEN]) {
        let media = self.geometry.to_media();
        let (major, minor) = self.version.numbers();
        let raw = RawInfo {
            signature: SIGNATURE,
            uuid: self.uuid,
            parent_uuid: self.parent_uuid,
            flags: U32::new(if self.error { FLAG_ERROR } else { 0 }),
            version_major: U16::new(major),
            version_minor: U16::new(minor),
            external_lba_size: U32::new(media.external_lba_size),
            external_nlba: U32::new(media.external_nlba),
            internal_lba_size: U32::new(media.internal_lba_size),
            internal_nlba: U32::new(media.internal_nlba),
            nfree: U32::new(media.nfree),
            info_size: U32::new(media.info_size),
            next_offset: U64::new(self.next_offset),
            data_offset: U64::new(media.data_offset),
            map_offset: U64::new(media.map_offset),
            flog_offset: U64::new(media.flog_offset),
            info2_offset: U64::new(media.info2_offset),
        };
        block.fill(0);
        block[..FIELDS_LEN].copy_from_slice(raw.as_bytes());
        let sum = checksum(block);
        block[CHECKSUM_OFFSET..].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Returns the parent UUID of `block`, which need not be valid; nil if it names no namespace.
pub fn parent_uuid(block: &[u8; INFO_LEN]) -> Uuid {
    RawInfo::ref_from_prefix(block).map_or(Uuid::NIL, |(raw, _)| raw.parent_uuid)
}

/// Returns the checksum that `block` should have.
pub fn checksum(block: &[u8; INFO_LEN]) -> u64 {
    fletcher64_le_without(block, CHECKSUM_OFFSET)
}

fn stored_checksum(block: &[u8; INFO_LEN]) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *block;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Returns `true` if `damaged` is recognisable as what is left of the info block `copy`, or as
/// `copy` partly written.
///
/// There are two cases. Either a word of the UUID or the checksum has survived: no other data has
/// these at this place. Or the block is zeroes except for some words of the copy, as a power
/// failure leaves an info block that is written for the first time.
///
/// A block of zeroes is not a remnant. Neither is a block of other data that shares only the
/// signature: that may belong to a later BTT of another size.
pub fn is_remnant(damaged: &[u8; INFO_LEN], copy: &[u8; INFO_LEN]) -> bool {
    const WORD: usize = 8;
    const NOTHING: [u8; WORD] = [0; WORD];
    let words = damaged.chunks_exact(WORD).zip(copy.chunks_exact(WORD));
    let is_same = |(found, copy): (&[u8], &[u8])| found == copy && found != NOTHING;
    let marks = [16..32, CHECKSUM_OFFSET..INFO_LEN];
    let marks = marks.into_iter().flatten().step_by(WORD);
    let mut marks = marks.filter_map(|mark| words.clone().nth(mark / WORD));
    let is_partial = words
        .clone()
        .all(|(found, copy)| found == copy || found == NOTHING);
    marks.any(is_same) || (is_partial && words.clone().any(is_same))
}

/// Reason why a block is not a valid info block of its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InfoError {
    /// No signature: most likely there never was a BTT.
    Signature,
    /// The BTT was created in another namespace.
    ParentUuid {
        /// UUID in the block.
        found: Uuid,
        /// UUID of the namespace.
        expected: Uuid,
    },
    /// The checksum is wrong.
    Checksum {
        /// Checksum in the block.
        found: u64,
        /// Checksum computed from the block.
        expected: u64,
    },
    /// The version is not that of the namespace's class.
    Version {
        /// Major and minor number in the block.
        found: (u16, u16),
        /// Version of the class.
        expected: Version,
    },
    /// The layout of the arena is not valid.
    Geometry(GeometryError),
    /// The next arena starts inside this one or too close to the end of the namespace.
    NextOffset {
        /// Offset in the block.
        found: u64,
        /// Smallest valid offset.
        least: u64,
        /// Largest valid offset.
        most: u64,
    },
}

impl InfoError {
    /// Returns `true` if the block is intact and of this namespace, but a field does not fit. There
    /// is a BTT then, which is damaged or larger than the namespace.
    pub fn is_misfit(&self) -> bool {
        match self {
            Self::Version { .. } | Self::Geometry(_) | Self::NextOffset { .. } => true,
            Self::Signature | Self::Checksum { .. } | Self::ParentUuid { .. } => false,
        }
    }

    /// Returns `true` if the block is intact, that is, has a good checksum, whether it is of this
    /// namespace or of another.
    pub fn is_whole(&self) -> bool {
        self.is_misfit() || matches!(self, Self::ParentUuid { .. })
    }
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("signature is wrong, expected BTT_ARENA_INFO"),
            Self::ParentUuid { found, expected } => {
                write!(f, "parent_uuid is {found}, expected {expected} or zero")
            }
            Self::Checksum { found, expected } => {
                write!(f, "checksum is {found:#018x}, expected {expected:#018x}")
            }
            Self::Version {
                found: (major, minor),
                expected,
            } => write!(f, "version is {major}.{minor}, expected {expected}"),
            Self::Geometry(error) => error.fmt(f),
            Self::NextOffset { found, least, most } => {
                write!(
                    f,
                    "nextoff is {found:#x}, expected 0 or {least:#x} to {most:#x}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
