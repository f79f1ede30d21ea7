// SPDX-License-Identifier: GPL-2.0

//! What can go wrong, in words for the log. The driver turns them into error numbers.

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

/// A read, write or discard failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoError {
    /// The medium failed.
    Media(MediaError),
    /// The request goes past the last sector.
    OutOfRange {
        /// First sector of the request.
        lba: u64,
        /// Sectors of the request.
        count: u64,
        /// Sectors of the BTT.
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
        /// Blocks of the arena.
        blocks: u32,
    },
    /// The arena must not be written, as its media state is in doubt.
    ReadOnly {
        /// Number of the arena.
        arena: u32,
    },
    /// The write was left half done, and recovery has to finish it or to take it back: the arena is read-only from now on. Of all
    /// requests to an arena one is told this, the others get the error that they meet.
    Interrupted {
        /// Number of the arena.
        arena: u32,
        /// Why it could not be finished.
        error: MediaError,
    },
    /// All free blocks of a lane group have media errors that cannot be cleared.
    NoFreeBlock {
        /// Number of the arena.
        arena: u32,
    },
    /// The request was not to wait, and would have had to. Nothing was stored for it.
    WouldBlock,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Media(error) => error.fmt(f),
            Self::OutOfRange { lba, count, sectors } => {
                write!(f, "{count} sectors at {lba} are out of range, the disk has {sectors}")
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
            Self::NoFreeBlock { arena } => write!(f, "arena {arena}: no free block without media errors"),
            Self::WouldBlock => f.write_str("the request would have had to wait"),
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
    /// There is no info block of this namespace, nor a copy of one.
    NoInfo(InfoError),
    /// The first info block was zeroed.
    Erased,
    /// The first info block is unreadable and there is no copy of it.
    Unreadable(MediaError),
    /// Neither the first info block nor the place of its copy can be read.
    CopyUnreadable(MediaError),
    /// Other data are where the first info block was, while its copy is good.
    Overwritten {
        /// Where the first info block should be.
        offset: u64,
        /// Where its copy is.
        copy: u64,
    },
    /// There is a whole info block of this namespace where another version has it.
    OtherVersion {
        /// Its version.
        version: Version,
        /// Where it is.
        offset: u64,
    },
}

impl Absence {
    /// Tells whether nothing of value is lost when a BTT is made here.
    pub fn permits_creation(&self) -> bool {
        match self {
            // What has the signature was an info block.
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

/// A BTT could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Another BTT, or one that was changed in its layout, is where this one was.
    Replaced,
    /// There is no BTT. Whether one may be made is for [`Absence::permits_creation`] to say.
    NotFound(Absence),
    /// The namespace has no room for an arena.
    TooSmall {
        /// Bytes that a BTT could use.
        size: u64,
    },
    /// The first info block of an arena is whole and does not fit; or it is of a later arena, and its copy cannot be used either.
    BadArena {
        /// Number of the arena.
        arena: u32,
        /// What is wrong with the first info block.
        error: InfoError,
    },
    /// An arena is not of the same BTT as the first one.
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
    /// An arena has more free blocks than we care to keep.
    TooManyLanes {
        /// Number of the arena.
        arena: u32,
        /// Its free blocks.
        found: u32,
        /// The most that there may be.
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
    /// A flog entry has a number that the arena does not have.
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
    /// There was not enough memory.
    NoMemory,
}

impl OpenError {
    /// Tells whether nothing of value is lost when a BTT is made here.
    pub fn permits_creation(&self) -> bool {
        matches!(self, Self::NotFound(absence) if absence.permits_creation())
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Replaced => f.write_str("another layout is on the medium than the one in use"),
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
