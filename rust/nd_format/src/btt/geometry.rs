// SPDX-License-Identifier: GPL-2.0

//! Layout of an arena: computed for new arenas, checked for those on media.

use super::{
    LbaSize,
    ARENA_MAX,
    ARENA_MIN,
    INFO_SIZE,
    NFREE, //
};
use core::fmt;

/// Size of a map entry in bytes.
pub const MAP_ENTRY_SIZE: u64 = 4;

/// Size of a flog group in bytes: the slots and the padding of one lane.
pub const FLOG_GROUP_SIZE: u64 = 64;

/// Largest number of blocks of an arena. Block numbers have 30 bits; the two bits above them are
/// flags of the map entry.
pub const MAX_BLOCKS: u32 = 1 << 30;

/// Largest internal LBA size in bytes that is accepted from media, far above what any
/// implementation writes.
const MAX_INTERNAL_LBA_SIZE: u32 = 1 << 20;

/// Layout of one arena. All offsets are in bytes from the start of the arena.
///
/// # Invariants
///
/// The parts are in order and do not overlap, block numbers fit a map entry, the map and the flog
/// are aligned to cache lines, and no sum of offsets and lengths overflows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArenaGeometry {
    lba_size: LbaSize,
    internal_lba_size: u32,
    external_nlba: u32,
    internal_nlba: u32,
    data_offset: u64,
    map_offset: u64,
    flog_offset: u64,
    info2_offset: u64,
}

/// Fields of an info block that [`ArenaGeometry::from_media`] checks. The names follow those of the
/// info block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaGeometry {
    /// Bytes of a sector with its metadata.
    pub external_lba_size: u32,
    /// Number of sectors of the arena.
    pub external_nlba: u32,
    /// Bytes from one block to the next.
    pub internal_lba_size: u32,
    /// Number of blocks of the arena.
    pub internal_nlba: u32,
    /// Number of free blocks of the arena.
    pub nfree: u32,
    /// Bytes of an info block.
    pub info_size: u32,
    /// Offset of block 0.
    pub data_offset: u64,
    /// Offset of the map.
    pub map_offset: u64,
    /// Offset of the flog.
    pub flog_offset: u64,
    /// Offset of the backup info block.
    pub info2_offset: u64,
}

/// Reason why a layout is not valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GeometryError {
    /// The space is smaller than the smallest arena.
    TooSmall {
        /// Bytes available.
        size: u64,
    },
    /// The external LBA size is not one of [`LbaSize::ALL`].
    ExternalLbaSize(u32),
    /// A block is too small for a sector with its metadata, or absurdly large.
    InternalLbaSize {
        /// Bytes of a block on media.
        found: u32,
        /// Smallest valid size in bytes.
        least: u32,
    },
    /// Unknown size of info blocks.
    InfoSize(u32),
    /// An arena without free blocks cannot be written.
    NoFreeBlocks,
    /// The number of blocks is not the sum of sectors and free blocks, is zero or does not fit a
    /// map entry.
    BlockCount {
        /// Blocks on media.
        internal: u32,
        /// Sectors on media.
        external: u32,
        /// Free blocks on media.
        nfree: u32,
    },
    /// A table does not start on a cache line.
    Misaligned {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// A part starts before the part in front of it ends.
    Overlap {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// Smallest valid value.
        least: u64,
    },
    /// The arena ends past the end of the available space: the namespace has shrunk, or the numbers
    /// are wrong.
    PastEnd {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// Largest valid value.
        most: u64,
    },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSmall { size } => {
                write!(f, "size is {size} bytes, expected at least {ARENA_MIN}")
            }
            Self::ExternalLbaSize(found) => write!(
                f,
                "external_lbasize is {found}, expected one of 512 520 528 4096 4104 4160 4224"
            ),
            Self::InternalLbaSize { found, least } => write!(
                f,
                "internal_lbasize is {found}, expected {least} to {MAX_INTERNAL_LBA_SIZE}"
            ),
            Self::InfoSize(found) => write!(f, "infosize is {found}, expected {INFO_SIZE}"),
            Self::NoFreeBlocks => write!(f, "nfree is 0, expected at least 1"),
            Self::BlockCount {
                internal,
                external,
                nfree,
            } => write!(
                f,
                "internal_nlba is {internal}, expected external_nlba {external} (at least 1) plus \
                 nfree {nfree}, at most {MAX_BLOCKS}"
            ),
            Self::Misaligned { field, found } => {
                write!(
                    f,
                    "{field} is {found:#x}, expected a multiple of {FLOG_GROUP_SIZE}"
                )
            }
            Self::Overlap {
                field,
                found,
                least,
            } => {
                write!(f, "{field} is {found:#x}, expected at least {least:#x}")
            }
            Self::PastEnd { field, found, most } => {
                write!(
                    f,
                    "{field} is {found:#x}, expected at most {most:#x} in a namespace of this size"
                )
            }
        }
    }
}

impl ArenaGeometry {
    /// Lays out a new arena in `size` bytes, of which at most [`ARENA_MAX`] are used.
    pub fn new(size: u64, lba_size: LbaSize) -> Result<Self, GeometryError> {
        if size < ARENA_MIN {
            return Err(GeometryError::TooSmall { size });
        }
        let size = size.min(ARENA_MAX);
        let end = size - size % INFO_SIZE;
        let info2_offset = end - INFO_SIZE;
        let flog_offset =
            info2_offset - (FLOG_GROUP_SIZE * u64::from(NFREE)).next_multiple_of(INFO_SIZE);
        // One page less than the space between the first info block and the flog: every
        // implementation leaves that page unused.
        let blocks_and_map = flog_offset - 2 * INFO_SIZE;
        let internal_lba_size = lba_size.internal();
        let blocks = blocks_and_map / (u64::from(internal_lba_size) + MAP_ENTRY_SIZE);
        let (internal_nlba, external_nlba) = u32::try_from(blocks)
            .ok()
            .and_then(|blocks| Some((blocks, blocks.checked_sub(NFREE)?)))
            .ok_or(GeometryError::TooSmall { size })?;
        let map_size = (u64::from(external_nlba) * MAP_ENTRY_SIZE).next_multiple_of(INFO_SIZE);
        Ok(Self {
            lba_size,
            internal_lba_size,
            external_nlba,
            internal_nlba,
            data_offset: INFO_SIZE,
            map_offset: flog_offset - map_size,
            flog_offset,
            info2_offset,
        })
    }

    /// Returns the same arena with fewer lanes: at least one, and no more than it has. The free
    /// blocks of the other lanes stay unused.
    pub fn with_lanes(self, lanes: u32) -> Self {
        Self {
            internal_nlba: self.external_nlba + lanes.clamp(1, self.nfree()),
            ..self
        }
    }

    /// Checks the fields of an info block at the start of a space of `available` bytes.
    pub fn from_media(media: &MediaGeometry, available: u64) -> Result<Self, GeometryError> {
        let lba_size = LbaSize::from_bytes(media.external_lba_size)
            .ok_or(GeometryError::ExternalLbaSize(media.external_lba_size))?;
        if !(lba_size.bytes()..=MAX_INTERNAL_LBA_SIZE).contains(&media.internal_lba_size) {
            return Err(GeometryError::InternalLbaSize {
                found: media.internal_lba_size,
                least: lba_size.bytes(),
            });
        }
        if u64::from(media.info_size) != INFO_SIZE {
            return Err(GeometryError::InfoSize(media.info_size));
        }
        if media.nfree == 0 {
            return Err(GeometryError::NoFreeBlocks);
        }
        if media.external_nlba == 0
            || media.internal_nlba > MAX_BLOCKS
            || media.external_nlba.checked_add(media.nfree) != Some(media.internal_nlba)
        {
            return Err(GeometryError::BlockCount {
                internal: media.internal_nlba,
                external: media.external_nlba,
                nfree: media.nfree,
            });
        }
        for (field, found) in [("mapoff", media.map_offset), ("logoff", media.flog_offset)] {
            if found % FLOG_GROUP_SIZE != 0 {
                return Err(GeometryError::Misaligned { field, found });
            }
        }
        // Offsets are checked from front to back, and the end of the last part is compared with the
        // available space at the end. Any other defect of an arena of a larger namespace is
        // therefore reported first. Lengths do not overflow: they are products of a 30-bit and a
        // 21-bit number.
        let geometry = Self {
            lba_size,
            internal_lba_size: media.internal_lba_size,
            external_nlba: media.external_nlba,
            internal_nlba: media.internal_nlba,
            data_offset: media.data_offset,
            map_offset: media.map_offset,
            flog_offset: media.flog_offset,
            info2_offset: media.info2_offset,
        };
        let parts = [
            ("dataoff", geometry.data_offset, geometry.data_size()),
            ("mapoff", geometry.map_offset, geometry.map_size()),
            ("logoff", geometry.flog_offset, geometry.flog_size()),
            ("info2off", geometry.info2_offset, INFO_SIZE),
        ];
        let mut end = INFO_SIZE;
        for (field, found, size) in parts {
            if found < end {
                let least = end;
                return Err(GeometryError::Overlap {
                    field,
                    found,
                    least,
                });
            }
            end = found.checked_add(size).ok_or(GeometryError::PastEnd {
                field,
                found,
                most: available.saturating_sub(size),
            })?;
        }
        if end > available {
            return Err(GeometryError::PastEnd {
                field: "info2off",
                found: geometry.info2_offset,
                most: available.saturating_sub(INFO_SIZE),
            });
        }
        Ok(geometry)
    }

    /// Returns the fields for an info block.
    pub fn to_media(&self) -> MediaGeometry {
        MediaGeometry {
            external_lba_size: self.lba_size.bytes(),
            external_nlba: self.external_nlba,
            internal_lba_size: self.internal_lba_size,
            internal_nlba: self.internal_nlba,
            nfree: self.nfree(),
            // CAST: The constant is 4096.
            info_size: INFO_SIZE as u32,
            data_offset: self.data_offset,
            map_offset: self.map_offset,
            flog_offset: self.flog_offset,
            info2_offset: self.info2_offset,
        }
    }

    /// Returns the size of a sector with its metadata.
    #[inline]
    pub fn lba_size(&self) -> LbaSize {
        self.lba_size
    }

    /// Returns the bytes from one block to the next.
    #[inline]
    pub fn internal_lba_size(&self) -> u32 {
        self.internal_lba_size
    }

    /// Returns the number of sectors: what the user sees of the arena.
    #[inline]
    pub fn external_nlba(&self) -> u32 {
        self.external_nlba
    }

    /// Returns the number of blocks: sectors and free blocks.
    #[inline]
    pub fn internal_nlba(&self) -> u32 {
        self.internal_nlba
    }

    /// Returns the number of free blocks, and therefore of lanes and flog groups.
    pub fn nfree(&self) -> u32 {
        self.internal_nlba - self.external_nlba
    }

    /// Returns the offset of block 0.
    #[inline]
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Returns the bytes of all blocks.
    pub fn data_size(&self) -> u64 {
        u64::from(self.internal_nlba) * u64::from(self.internal_lba_size)
    }

    /// Returns the offset of the map.
    #[inline]
    pub fn map_offset(&self) -> u64 {
        self.map_offset
    }

    /// Returns the bytes of all map entries, without the padding behind them.
    pub fn map_size(&self) -> u64 {
        u64::from(self.external_nlba) * MAP_ENTRY_SIZE
    }

    /// Returns the offset of the flog.
    pub fn flog_offset(&self) -> u64 {
        self.flog_offset
    }

    /// Returns the bytes of all flog groups, without the padding behind them.
    pub fn flog_size(&self) -> u64 {
        u64::from(self.nfree()) * FLOG_GROUP_SIZE
    }

    /// Returns the offset of the backup info block.
    pub fn info2_offset(&self) -> u64 {
        self.info2_offset
    }

    /// Returns the offset just behind the backup info block.
    pub fn end(&self) -> u64 {
        self.info2_offset + INFO_SIZE
    }

    /// Returns the offset of a block; `None` if there is no such block.
    #[inline]
    pub fn block_offset(&self, block: u32) -> Option<u64> {
        let offset = u64::from(block) * u64::from(self.internal_lba_size);
        (block < self.internal_nlba).then_some(self.data_offset + offset)
    }

    /// Returns the offset of the map entry of a sector; `None` if there is no such sector.
    #[inline]
    pub fn map_entry_offset(&self, premap: u32) -> Option<u64> {
        (premap < self.external_nlba)
            .then_some(self.map_offset + u64::from(premap) * MAP_ENTRY_SIZE)
    }

    /// Returns the offset of the flog group of a lane; `None` if there is no such lane.
    pub fn flog_group_offset(&self, lane: u32) -> Option<u64> {
        (lane < self.nfree()).then_some(self.flog_offset + u64::from(lane) * FLOG_GROUP_SIZE)
    }
}

/// Space of one arena of a new BTT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArenaSpan {
    /// Bytes from the first arena to this one.
    pub offset: u64,
    /// Bytes of the arena.
    pub size: u64,
    /// `true` if no arena follows.
    pub last: bool,
}

impl ArenaSpan {
    /// Returns the space of the arena at `offset` in a BTT of `raw_size` bytes; `None` if no arena
    /// fits there.
    pub fn at(offset: u64, raw_size: u64) -> Option<Self> {
        let room = raw_size
            .checked_sub(offset)
            .filter(|&room| room >= ARENA_MIN)?;
        let size = room.min(ARENA_MAX);
        let last = room - size < ARENA_MIN;
        Some(Self { offset, size, last })
    }

    /// Returns `nextoff` of the info block: the distance to the next arena, or 0 for the last
    /// arena.
    pub fn next_offset(&self) -> u64 {
        if self.last {
            0
        } else {
            self.size
        }
    }

    /// Returns the arenas into which `raw_size` bytes are split, in order.
    ///
    /// `raw_size` does not include the initial offset. There is no arena in less than [`ARENA_MIN`]
    /// bytes.
    pub fn split(raw_size: u64) -> impl DoubleEndedIterator<Item = Self> {
        let whole = raw_size / ARENA_MAX;
        let rest = raw_size % ARENA_MAX;
        let count = whole + u64::from(rest >= ARENA_MIN);
        (0..count).filter_map(move |index| Self::at(index * ARENA_MAX, raw_size))
    }
}

#[cfg(test)]
mod tests;
