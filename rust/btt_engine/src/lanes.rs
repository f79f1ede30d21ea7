// SPDX-License-Identifier: GPL-2.0

//! Lanes: a free block and a flog group each.
//!
//! # Who owns what
//!
//! The lanes of an arena are divided into groups, one for each CPU. The holder of a group's lock
//! owns all lanes of the group. Free blocks and flog slots are reached through `&mut Lane` only, so
//! no two requests use the same free block or the same slot.
//!
//! A request uses one lane of its group for each sector, and begins with the lane after the last
//! one of the request before. Blocks wear evenly that way, and a block that was just freed, which
//! readers may still be reading, is the last one to be used again.
//!
//! # The flog of a lane
//!
//! A lane has two slots, which it uses in turn. The newest entry says that sector `lba` moved from
//! block `old` to block `new`. That also makes `old` the free block of the lane. The older entry is
//! dead. An entry is 16 bytes, and only 8 bytes can be stored atomically, so it is written in two
//! steps:
//!
//! ```text
//!            first half      second half
//!   slot 0   lba, old        new, seq 2       newest: free block = old
//!   slot 1   lba, old        new, seq 1       older: dead
//!
//!   stage    slot 1: { lba, old } of the next move     seq is still 1: still the older slot
//!   fence 1
//!   commit   slot 1: { new, seq 3 }                    now the newest: the sector has moved
//! ```
//!
//! # Why the map word comes first
//!
//! After a write the map word is stored but not flushed. A power failure may lose it, and recovery
//! redoes it from the newest entry of the lane. The next write of the lane makes that entry the
//! older one, which is dead. If the word were still not durable then, nothing could redo it. Let
//! sector `s` be in block `a`, sector `t` in block `c`, and the lane's free block be `b`:
//!
//! ```text
//!   write of s   flog { s: a → b }, fence 2. Map word of s: b, not flushed. Free block: a
//!   write of t   data to a, flog { t: c → a }, fence 2: { s: a → b } is dead
//!   power fails  the map word of s is lost: it is a again
//!   recovery     the newest entry says t: c → a, and the map word of t becomes a
//! ```
//!
//! Both sectors are in block `a` now, and the acknowledged data of `s` are lost in block `b`. So
//! the write of `t` flushes the map word of `s` before its own fence 1. The lane remembers the
//! sector for that purpose ([`Lane::pending_flush`]).
//!
//! [`map_locks`](crate::map_locks) has the other reason to flush a map word: two writes of the same
//! sector, through different lanes.

use crate::{
    media::{
        Media,
        MediaError, //
    },
    statistics::Statistics,
    sync::{
        NoMemory,
        Slots, //
    },
};
use nd_format::btt::{
    flog::{
        RawSlot,
        Side,
        HALF_SIZE,
        SLOT_SIZE, //
    },
    FlogEntry,
    FlogLayout,
    FlogPair,
    Seq, //
};

/// State of a lane's free block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    /// It can be written.
    Ready,
    /// It had a media error, which must be cleared before the block is used.
    MustClear,
    /// The lane is not used until the BTT is opened again: the block, or the lane's flog, has an
    /// error that cannot be cleared, or it is in doubt what the flog says.
    Retired,
}

/// A lane of an arena.
pub(crate) struct Lane {
    /// Offsets of the two used slots of its flog group on the medium, in bytes.
    slots: [u64; 2],
    /// Slot of the newest entry.
    newest: Side,
    /// Sequence number of the newest entry.
    seq: Seq,
    /// The free block: it belongs to the lane and to no sector.
    free: u32,
    condition: Condition,
    /// Sector of the newest entry if its map word may not be durable yet.
    pending_flush: Option<u32>,
    /// Part of the lane in the current batch of the group, or in an earlier one.
    turn: Turn,
    r#move: Move,
}

/// Progress of a lane with its sector of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// The lane takes no part.
    Idle,
    /// The lane's free block is assigned to the sector.
    Picked,
    /// The flog says that the sector has moved.
    Committed,
}

/// A move of a sector to the free block of a lane, as the flog records it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    /// The sector within its arena.
    pub(crate) premap: u32,
    /// The block that holds it now.
    pub(crate) old: u32,
    /// Whether that block has a media error.
    pub(crate) old_bad: bool,
    /// The lane's free block, to which the sector moves.
    pub(crate) new: u32,
}

impl Move {
    const NONE: Self = Self {
        premap: 0,
        old: 0,
        old_bad: false,
        new: 0,
    };
}

impl Lane {
    /// Creates a lane from its newest flog entry. `group` is the offset of its flog group on the
    /// medium, in bytes.
    pub(crate) fn new(group: u64, layout: FlogLayout, pair: &FlogPair) -> Self {
        Self {
            slots: layout.slots().map(|slot| group + slot as u64 * SLOT_SIZE),
            newest: pair.newest,
            seq: pair.entry.seq,
            free: pair.entry.old,
            condition: if pair.entry.old_bad {
                Condition::MustClear
            } else {
                Condition::Ready
            },
            // Recovery flushes this word. The first write flushes it again, which does no harm.
            pending_flush: (pair.entry.old != pair.entry.new).then_some(pair.entry.lba),
            turn: Turn::Idle,
            r#move: Move::NONE,
        }
    }

    /// Returns the lane's free block.
    #[inline]
    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    #[inline]
    pub(crate) fn condition(&self) -> Condition {
        self.condition
    }

    pub(crate) fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// Returns the sector whose map word must be durable before the lane's newest entry is
    /// replaced.
    #[inline]
    pub(crate) fn pending_flush(&self) -> Option<u32> {
        self.pending_flush
    }

    #[inline]
    fn older_slot(&self) -> u64 {
        let [first, second] = self.slots;
        match self.newest {
            Side::First => second,
            Side::Second => first,
        }
    }

    /// Returns the move of the lane's sector in the current batch. Its old block is not known
    /// before [`stage`](Self::stage).
    #[inline]
    pub(crate) fn sector(&self) -> Move {
        self.r#move
    }

    /// Returns the next flog entry.
    #[inline]
    fn entry(&self) -> FlogEntry {
        FlogEntry {
            lba: self.r#move.premap,
            old: self.r#move.old,
            old_bad: self.r#move.old_bad,
            new: self.r#move.new,
            seq: self.seq.next(),
        }
    }

    /// Returns `true` if the flog on the medium agrees with the lane in memory.
    pub(crate) fn agrees_with_flog<M: Media>(&self, media: &M) -> bool {
        let slot = |offset| {
            let mut halves = [[0; HALF_SIZE as usize]; 2];
            media.read_bytes(offset, halves.as_flattened_mut()).ok()?;
            let [first, second] = halves.map(u64::from_le_bytes);
            Some(RawSlot::from_halves(first, second))
        };
        let [first, second] = self.slots.map(slot);
        let pair = first.zip(second);
        let pair = pair.and_then(|(first, second)| FlogPair::decode(first, second).ok());
        pair.is_some_and(|pair| {
            (pair.newest, pair.entry.seq, pair.entry.old) == (self.newest, self.seq, self.free)
        })
    }

    /// Sets the block that holds the sector now, and stores and flushes the first half of the next
    /// entry.
    ///
    /// The half goes to the older slot. The sequence number there stays, so it remains the older
    /// slot: nothing has happened yet.
    #[inline(always)]
    pub(crate) fn stage<M: Media>(
        &mut self,
        media: &M,
        old: u32,
        old_bad: bool,
    ) -> Result<(), MediaError> {
        self.r#move.old = old;
        self.r#move.old_bad = old_bad;
        let [half, _] = self.entry().encode().halves();
        media.store64_flushed(self.older_slot(), half)
    }

    /// Stores and flushes the second half of the staged entry. The sector has moved as soon as this
    /// is durable.
    ///
    /// The lane owns the old block from now on.
    #[inline(always)]
    pub(crate) fn commit<M: Media>(&mut self, media: &M) -> Result<(), MediaError> {
        let [_, half] = self.entry().encode().halves();
        media.store64_flushed(self.older_slot() + HALF_SIZE, half)?;
        self.turn = Turn::Committed;
        self.newest = self.newest.other();
        self.seq = self.seq.next();
        self.free = self.r#move.old;
        self.condition = if self.r#move.old_bad {
            Condition::MustClear
        } else {
            Condition::Ready
        };
        self.pending_flush = Some(self.r#move.premap);
        Ok(())
    }

    /// Goes back to the map's state, as the map does not follow the move. Recovery decides later
    /// whether the flog has kept it.
    ///
    /// The lane is retired, so only its free block matters: it is the one that the map does not
    /// name.
    #[cold]
    pub(crate) fn take_back(&mut self) {
        if self.turn == Turn::Committed {
            self.turn = Turn::Idle;
            self.free = self.r#move.new;
            self.condition = Condition::Retired;
        }
    }

    /// Returns the move, if it has happened.
    #[inline]
    pub(crate) fn committed(&self) -> Option<Move> {
        (self.turn == Turn::Committed).then_some(self.r#move)
    }
}

/// The lanes that one request may use at a time.
pub(crate) struct LaneGroup {
    lanes: Slots<Lane>,
    /// Lane with which the next batch begins.
    next: usize,
    /// The current batch: the lane with which it began, and how many lanes from there on were
    /// considered. Not all of them take part.
    first: usize,
    span: usize,
    /// What writers have done with these lanes.
    pub(crate) statistics: Statistics,
}

impl LaneGroup {
    /// Creates a group of lanes.
    pub(crate) fn new(lanes: Slots<Lane>) -> Self {
        Self {
            lanes,
            next: 0,
            first: 0,
            span: 0,
            statistics: Statistics::default(),
        }
    }

    /// Creates a group without lanes.
    pub(crate) fn empty() -> Result<Self, NoMemory> {
        Ok(Self::new(Slots::with_capacity(0)?))
    }

    /// Returns the lanes of the group.
    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Begins a batch: picks up to `wanted` lanes for which `usable` returns `true`, for the
    /// sectors from `premap` on. Returns the number of lanes picked.
    #[inline]
    pub(crate) fn pick(
        &mut self,
        premap: u32,
        wanted: u32,
        mut usable: impl FnMut(&mut Lane) -> bool,
    ) -> u32 {
        self.first = self.next;
        self.span = 0;
        let mut picked = 0;
        // A loop by hand: an iterator that wraps around costs more than the work on a lane.
        while picked < wanted && self.span < self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(self.next) else {
                self.next = 0;
                continue;
            };
            self.next += 1;
            self.span += 1;
            lane.turn = Turn::Idle;
            if usable(lane) {
                lane.turn = Turn::Picked;
                lane.r#move.premap = premap + picked;
                lane.r#move.new = lane.free;
                picked += 1;
            }
        }
        picked
    }

    /// Calls `step` for each lane of the batch, in ascending order of the sectors, until one fails.
    #[inline(always)]
    pub(crate) fn each<E>(
        &mut self,
        mut step: impl FnMut(&mut Lane) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut index = self.first;
        let mut left = self.span;
        while left != 0 {
            let Some(lane) = self.lanes.get_mut(index) else {
                index = 0;
                continue;
            };
            index += 1;
            left -= 1;
            if lane.turn != Turn::Idle {
                step(lane)?;
            }
        }
        Ok(())
    }
}
