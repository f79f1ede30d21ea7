// SPDX-License-Identifier: GPL-2.0

//! Errors of the engine, with messages for the log. The driver maps them to error numbers.

use crate::{
    media::MediaError,
    sync::NoMemory, //
};
use core::fmt;
use nd_format::btt::{
    FlogError,
    InfoError,
    LbaSize,
    Version,
    ARENA_MIN, //
};
use nd_format::uuid::Uuid;

/// Why a read, write or discard failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoError {
    /// The medium failed.
    Media(MediaError),
    /// The request goes past the last sector.
    OutOfRange {
        /// First sector of the request.
        lba: u64,
        /// Number of sectors of the request.
        count: u64,
        /// Number of sectors of the BTT.
        sectors: u64,
    },
    /// The sector was lost to a media error and not written since.
    Lost {
        /// The sector.
        lba: u64,
    },
    /// A map entry names a block that does not exist or is free.
    BadMapEntry {
        /// Number of the arena.
        arena: u32,
        /// Sector within the arena.
        premap: u32,
        /// Block that the entry names.
        block: u32,
        /// Number of blocks of the arena.
        blocks: u32,
    },
    /// The arena is read-only: its info block has the error flag, or its state on the medium is in
    /// doubt.
    ReadOnly {
        /// Number of the arena.
        arena: u32,
    },
    /// The write was left half done, and recovery has to complete it or take it back. The arena is
    /// read-only from now on. One request to the arena gets this error; others get the error that
    /// they meet.
    Interrupted {
        /// Number of the arena.
        arena: u32,
        /// Why the write could not be completed.
        error: MediaError,
    },
    /// All lanes of the arena are retired: their free blocks have media errors that cannot be
    /// cleared, or their flog slots have failed.
    NoFreeBlock {
        /// Number of the arena.
        arena: u32,
    },
    /// The request may not wait and would have to. Nothing was stored for it.
    WouldBlock,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Media(error) => error.fmt(f),
            Self::OutOfRange { lba, count, sectors } => {
                write!(
                    f,
                    "{count} sectors at {lba} are out of range, the disk has {sectors}"
                )
            }
            Self::Lost { lba } => write!(f, "sector {lba} was lost to a media error"),
            Self::BadMapEntry {
                arena,
                premap,
                block,
                blocks,
            } => write!(
                f,
                "arena {arena}: map entry {premap} names block {block}, expected one in use below {blocks}"
            ),
            Self::ReadOnly { arena } => write!(f, "arena {arena} is read-only"),
            Self::Interrupted { arena, error } => {
                write!(f, "arena {arena}: a write was left half done: {error}")
            }
            Self::NoFreeBlock { arena } => {
                write!(f, "arena {arena}: no free block without media errors")
            }
            Self::WouldBlock => f.write_str("the request would have to wait"),
        }
    }
}

impl From<MediaError> for IoError {
    fn from(error: MediaError) -> Self {
        Self::Media(error)
    }
}

/// Why there is no BTT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// There is no info block of this namespace and no copy of one.
    NoInfo(InfoError),
    /// The first info block was zeroed.
    Erased,
    /// The first info block is unreadable and there is no copy of it.
    Unreadable(MediaError),
    /// Neither the first info block nor the place of its copy can be read.
    CopyUnreadable(MediaError),
    /// The first info block was overwritten with other data, and its copy is good.
    Overwritten {
        /// Offset of the first info block on the medium, in bytes.
        offset: u64,
        /// Offset of its copy on the medium, in bytes.
        copy: u64,
    },
    /// There is a complete info block of this namespace at the place of another version.
    OtherVersion {
        /// Its version.
        version: Version,
        /// Its offset on the medium, in bytes.
        offset: u64,
    },
}

impl Absence {
    /// Returns `true` if nothing of value is lost when a BTT is created here.
    pub fn permits_creation(&self) -> bool {
        match self {
            // A block with the signature was an info block.
            Self::NoInfo(error) => !matches!(error, InfoError::Checksum { .. }),
            Self::Erased => true,
            Self::Unreadable(_)
            | Self::CopyUnreadable(_)
            | Self::Overwritten { .. }
            | Self::OtherVersion { .. } => false,
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInfo(error) => error.fmt(f),
            Self::Erased => f.write_str("info block is all zeroes, expected BTT_ARENA_INFO"),
            Self::Unreadable(error) => {
                write!(f, "info block cannot be read and has no copy: {error}")
            }
            Self::CopyUnreadable(error) => {
                write!(f, "neither info block nor its copy can be read: {error}")
            }
            Self::Overwritten { offset, copy } => write!(
                f,
                "info block at {offset:#x} was overwritten, but its copy at {copy:#x} is good"
            ),
            Self::OtherVersion { version, offset } => write!(
                f,
                "there is no info block, but one of version {version} at {offset:#x}"
            ),
        }?;
        if self.permits_creation() {
            return Ok(());
        }
        f.write_str("; zero the info block if the old data are not needed")
    }
}

/// Why a BTT could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The medium has another BTT than the one in use, or the layout of the BTT has changed.
    Replaced,
    /// There is no BTT. [`Absence::permits_creation`] says whether one may be created.
    NotFound(Absence),
    /// The namespace is too small for an arena.
    TooSmall {
        /// Number of bytes that a BTT could use.
        size: u64,
    },
    /// The first info block of an arena is complete and does not fit. Or it is damaged, the arena
    /// is a later one, and its copy cannot be used either.
    BadArena {
        /// Number of the arena.
        arena: u32,
        /// What is wrong with the first info block.
        error: InfoError,
    },
    /// An arena belongs to another BTT than the first one.
    ForeignArena {
        /// Number of the arena.
        arena: u32,
        /// UUID in its info block.
        found: Uuid,
        /// UUID of the first arena.
        expected: Uuid,
    },
    /// An arena has another sector size than the first one.
    MixedLbaSize {
        /// Number of the arena.
        arena: u32,
        /// Size in its info block.
        found: LbaSize,
        /// Size of the first arena.
        expected: LbaSize,
    },
    /// An arena has more lanes than the engine supports.
    TooManyLanes {
        /// Number of the arena.
        arena: u32,
        /// Number of its lanes.
        found: u32,
        /// The most that are supported.
        most: u32,
    },
    /// A flog group is damaged.
    BadFlog {
        /// Number of the arena.
        arena: u32,
        /// Number of the lane.
        lane: u32,
        /// What is wrong.
        error: FlogError,
    },
    /// A field of a flog entry is out of range for the arena.
    FlogRange {
        /// Number of the arena.
        arena: u32,
        /// Number of the lane.
        lane: u32,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: u32,
        /// The number that it must be below.
        limit: u32,
    },
    /// Two lanes have the same free block.
    SharedFreeBlock {
        /// Number of the arena.
        arena: u32,
        /// The block.
        block: u32,
    },
    /// The medium failed.
    Media(MediaError),
    /// There is not enough memory.
    NoMemory,
}

impl OpenError {
    /// Returns `true` if nothing of value is lost when a BTT is created here.
    pub fn permits_creation(&self) -> bool {
        matches!(self, Self::NotFound(absence) if absence.permits_creation())
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Replaced => f.write_str("the medium has another layout than the BTT in use"),
            Self::NotFound(absence) => absence.fmt(f),
            Self::TooSmall { size } => write!(
                f,
                "usable size is {size} bytes, expected at least {ARENA_MIN}"
            ),
            Self::BadArena { arena, error } => write!(f, "arena {arena}: {error}"),
            Self::ForeignArena {
                arena,
                found,
                expected,
            } => {
                write!(f, "arena {arena}: uuid is {found}, expected {expected}")
            }
            Self::MixedLbaSize {
                arena,
                found,
                expected,
            } => write!(
                f,
                "arena {arena}: external_lbasize is {}, expected {}",
                found.bytes(),
                expected.bytes()
            ),
            Self::TooManyLanes { arena, found, most } => {
                write!(
                    f,
                    "arena {arena}: nfree is {found}, expected at most {most}"
                )
            }
            Self::BadFlog { arena, lane, error } => {
                write!(f, "arena {arena}: flog of lane {lane}: {error}")
            }
            Self::FlogRange {
                arena,
                lane,
                field,
                found,
                limit,
            } => write!(
                f,
                "arena {arena}: flog of lane {lane}: {field} is {found}, expected below {limit}"
            ),
            Self::SharedFreeBlock { arena, block } => {
                write!(
                    f,
                    "arena {arena}: block {block} is free in two lanes, expected in one"
                )
            }
            Self::Media(error) => error.fmt(f),
            Self::NoMemory => NoMemory.fmt(f),
        }
    }
}

impl From<MediaError> for OpenError {
    fn from(error: MediaError) -> Self {
        Self::Media(error)
    }
}

impl From<NoMemory> for OpenError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}
