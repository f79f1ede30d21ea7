// SPDX-License-Identifier: GPL-2.0

//! Checking an arena that is in use.
//!
//! Each block of an arena is named by one map word, or is the free block of one lane. There are as many blocks as map words and
//! lanes, so this is the case if no name is out of range and no block is named twice. Besides, the newest entry in a lane's flog
//! must be the one that the lane goes by.
//!
//! # What is looked at
//!
//! Writers move blocks between map and lanes, so they are kept out of an arena while it is checked, and those under way are
//! waited for ([`write_gate`](crate::write_gate)). Readers and other arenas are not concerned. Discards and lost sectors change the state of a map
//! word but never the block that it names. What is checked is therefore the arena as it was at one moment.

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

/// Map words that are looked at without a break.
const WORDS_WITHOUT_BREAK: u32 = 1 << 16;

/// What a check has found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Arenas that were checked.
    pub arenas: u32,
    /// Map words that were checked.
    pub sectors: u64,
    /// Lanes that were checked.
    pub lanes: u64,
    /// How many defects there are.
    pub defects: u64,
    /// The first of them.
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

/// Something that is not as it should be.
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
        /// Blocks of the arena.
        blocks: u32,
    },
    /// A lane has a free block that another lane has, too.
    SharedFreeBlock {
        /// Number of the arena.
        arena: u32,
        /// The block.
        block: u32,
    },
    /// A map word names a block that a lane has free, or that another map word names.
    SharedBlock {
        /// Number of the arena.
        arena: u32,
        /// Sector within the arena.
        premap: u32,
        /// The block.
        block: u32,
    },
    /// The flog of a lane does not say what the lane goes by.
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
                "arena {arena}: the flog of the lane with free block {block} says something else"
            ),
        }
    }
}

/// A check could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckError {
    /// An arena is being checked already.
    Busy,
    /// There was not enough memory: a bit for each block of an arena.
    NoMemory,
    /// Whoever asked for it did not want to wait any more.
    Interrupted,
}

impl From<NoMemory> for CheckError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

impl<M: Media> Btt<M> {
    /// Checks all arenas, one after the other. Changes nothing. Writers of an arena wait meanwhile.
    pub fn check(&self) -> Result<Report, CheckError> {
        self.check_while(|| true)
    }

    /// The same, as long as `goes_on` says so, which is asked now and then: the map of a large BTT takes minutes.
    pub fn check_while(&self, goes_on: impl Fn() -> bool) -> Result<Report, CheckError> {
        let mut report = Report::default();
        for arena in self.all_arenas() {
            let geometry = arena.geometry();
            let mut used = BlockSet::new(geometry.internal_nlba())?;
            let _pause = arena.pause().ok_or(CheckError::Busy)?;
            // Every lane group is had here, so no writer is under way when it comes to the map.
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
        // The flog of a lane that is not used any more may hold anything.
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
                // The longest wait: others may want the CPU.
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
    /// Number of blocks that there are.
    len: u32,
}

impl BlockSet {
    fn new(len: u32) -> Result<Self, NoMemory> {
        Ok(Self {
            words: Slots::new(len.div_ceil(u64::BITS) as usize, |_| 0)?,
            len,
        })
    }

    /// Adds a block. Tells whether it is new; `None` if there is no such block.
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
