// SPDX-License-Identifier: GPL-2.0

//! Checking an arena that is in use.
//!
//! Each block of an arena is named by one map word, or it is the free block of one lane. There are
//! as many blocks as map words and lanes. So it is sufficient that no block number is out of range
//! and no block is named twice. In addition, the newest entry in a lane's flog must match the state
//! of the lane in memory.
//!
//! # What is checked
//!
//! Writers move blocks between map and lanes. The check keeps them out of an arena and waits for
//! those in flight ([`write_gate`](crate::write_gate)). Readers and other arenas are not affected.
//! Discards, and readers that mark a sector as lost, change the state in a map word but never the
//! block that it names. Therefore the check sees the arena as it was at one moment.

use crate::{
    arena::Arena,
    btt::Btt,
    error::IoError,
    lanes::{
        Condition,
        Lane, //
    },
    media::{
        Media,
        MediaError, //
    },
    sync::{
        relax,
        NoMemory,
        Slots, //
    },
};
use core::fmt;

/// Number of map words that are checked between two pauses.
const WORDS_WITHOUT_BREAK: u32 = 1 << 16;

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Number of arenas that were checked.
    pub arenas: u32,
    /// Number of map words that were checked.
    pub sectors: u64,
    /// Number of lanes that were checked.
    pub lanes: u64,
    /// Number of defects.
    pub defects: u64,
    /// The first defect.
    pub first: Option<Defect>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            arenas,
            sectors,
            lanes,
            defects,
            first,
        } = self;
        write!(
            f,
            "{defects} defects in {arenas} arenas, {sectors} sectors, {lanes} lanes"
        )?;
        match first {
            Some(first) => write!(f, "; the first: {first}"),
            None => Ok(()),
        }
    }
}

/// A defect of an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// A map word cannot be read, or names a block that the arena does not have.
    Map(IoError),
    /// The free block of a lane is one that the arena does not have.
    FreeBlock {
        /// Number of the arena.
        arena: u32,
        /// The block.
        block: u32,
        /// Number of blocks of the arena.
        blocks: u32,
    },
    /// A lane has the same free block as another lane.
    SharedFreeBlock {
        /// Number of the arena.
        arena: u32,
        /// The block.
        block: u32,
    },
    /// A map word names a block that is free in a lane, or that another map word names.
    SharedBlock {
        /// Number of the arena.
        arena: u32,
        /// Sector within the arena.
        premap: u32,
        /// The block.
        block: u32,
    },
    /// The newest entry in a lane's flog does not match the state of the lane.
    Flog {
        /// Number of the arena.
        arena: u32,
        /// Free block of the lane.
        block: u32,
    },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Map(error) => error.fmt(f),
            Self::FreeBlock {
                arena,
                block,
                blocks,
            } => write!(
                f,
                "arena {arena}: block {block} is free in a lane, expected one below {blocks}"
            ),
            Self::SharedFreeBlock { arena, block } => write!(
                f,
                "arena {arena}: block {block} is free in two lanes, expected in one"
            ),
            Self::SharedBlock {
                arena,
                premap,
                block,
            } => write!(
                f,
                "arena {arena}: map entry {premap} names block {block}, which is in use already"
            ),
            Self::Flog { arena, block } => write!(
                f,
                "arena {arena}: the flog of the lane with free block {block} does not match the lane"
            ),
        }
    }
}

/// Why a check could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckError {
    /// An arena is being checked already.
    Busy,
    /// There is not enough memory: a check needs one bit for each block of an arena.
    NoMemory,
    /// The caller has ended the check early.
    Interrupted,
}

impl From<NoMemory> for CheckError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

impl<M: Media> Btt<M> {
    /// Checks all arenas, one after the other. Changes nothing. Writers of an arena wait while it
    /// is checked.
    pub fn check(&self) -> Result<Report, CheckError> {
        self.check_while(|| true)
    }

    /// Checks all arenas as [`check`](Self::check) does, as long as `goes_on` returns `true`. It is
    /// called now and then, as the map of a large BTT takes minutes.
    pub fn check_while(&self, goes_on: impl Fn() -> bool) -> Result<Report, CheckError> {
        let mut report = Report::default();
        for arena in self.all_arenas() {
            let geometry = arena.geometry();
            let mut used = BlockSet::new(geometry.internal_nlba())?;
            let _pause = arena.pause().ok_or(CheckError::Busy)?;
            // This locks every lane group, so no writer is in flight when the map is checked.
            self.check_lanes(arena, &mut used, &mut report);
            self.check_map(arena, &mut used, &mut report, &goes_on)?;
            report.arenas += 1;
        }
        Ok(report)
    }

    fn check_lanes(&self, arena: &Arena, used: &mut BlockSet, report: &mut Report) {
        for group in arena.groups() {
            for lane in group.lanes() {
                report.lanes += 1;
                if let Err(defect) = self.check_lane(arena, lane, used) {
                    report.note(defect);
                }
            }
        }
    }

    fn check_lane(&self, arena: &Arena, lane: &Lane, used: &mut BlockSet) -> Result<(), Defect> {
        let block = lane.free();
        let place = arena.index;
        match used.insert(block) {
            Some(true) => {}
            Some(false) => {
                return Err(Defect::SharedFreeBlock {
                    arena: place,
                    block,
                })
            }
            None => {
                return Err(Defect::FreeBlock {
                    arena: place,
                    block,
                    blocks: used.len,
                })
            }
        }
        // The flog of a retired lane may hold anything.
        if lane.condition() != Condition::Retired && !lane.agrees_with_flog(self.media()) {
            return Err(Defect::Flog {
                arena: place,
                block,
            });
        }
        Ok(())
    }

    fn check_map(
        &self,
        arena: &Arena,
        used: &mut BlockSet,
        report: &mut Report,
        goes_on: &impl Fn() -> bool,
    ) -> Result<(), CheckError> {
        for premap in 0..arena.geometry().external_nlba() {
            report.sectors += 1;
            if let Err(defect) = self.check_sector(arena, premap, used) {
                report.note(defect);
            }
            if premap % WORDS_WITHOUT_BREAK == WORDS_WITHOUT_BREAK - 1 {
                // The longest pause: other threads may need the CPU.
                relax(u32::MAX);
                if !goes_on() {
                    return Err(CheckError::Interrupted);
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn check_sector(&self, arena: &Arena, premap: u32, used: &mut BlockSet) -> Result<(), Defect> {
        let word = arena.map_word(self.media(), premap);
        let word = word.map_err(|error: MediaError| Defect::Map(error.into()))?;
        let entry = arena.decode(word, premap).map_err(Defect::Map)?;
        let block = match arena.is_behind() {
            true => self.moved(arena, premap).unwrap_or(entry.block),
            false => entry.block,
        };
        match used.insert(block) {
            Some(true) => Ok(()),
            _ => Err(Defect::SharedBlock {
                arena: arena.index,
                premap,
                block,
            }),
        }
    }
}

impl Report {
    fn note(&mut self, defect: Defect) {
        self.defects += 1;
        self.first.get_or_insert(defect);
    }
}

/// A set of the blocks of an arena.
struct BlockSet {
    words: Slots<u64>,
    /// Number of blocks of the arena.
    len: u32,
}

impl BlockSet {
    fn new(len: u32) -> Result<Self, NoMemory> {
        Ok(Self {
            words: Slots::new(len.div_ceil(u64::BITS) as usize, |_| 0)?,
            len,
        })
    }

    /// Adds a block. Returns `true` if it is new; `None` if the arena has no such block.
    #[inline]
    fn insert(&mut self, block: u32) -> Option<bool> {
        if block >= self.len {
            return None;
        }
        let bit = 1 << (block % u64::BITS);
        let word = self.words.get_mut((block / u64::BITS) as usize)?;
        let is_new = *word & bit == 0;
        *word |= bit;
        Some(is_new)
    }
}
