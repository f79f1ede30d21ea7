// SPDX-License-Identifier: GPL-2.0

//! Lanes: a free block and a flog group each.
//!
//! The lanes of an arena are shared out among groups, one for each CPU, and whoever holds the lock of a group owns all
//! its lanes. Free blocks and flog slots can be reached through `&mut Lane` only. A request uses a lane of its group for
//! each sector, beginning where the request before left off, so that blocks wear evenly and the block just freed, which
//! readers may still look at, is the last to be used again.

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

/// What a lane's free block is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    /// It can be written.
    Ready,
    /// It had a media error and must be cleared first.
    MustClear,
    /// The block, or the lane's flog, has an error that cannot be cleared, or it is in doubt what
    /// the flog says: the lane is not used until the BTT is opened again.
    Retired,
}

/// A lane of an arena.
pub(crate) struct Lane {
    /// Where the two used slots of its flog group are on the medium.
    slots: [u64; 2],
    /// Slot with the newest entry.
    newest: Side,
    /// Sequence number of the newest entry.
    seq: Seq,
    /// The block that belongs to the lane and to no sector.
    free: u32,
    condition: Condition,
    /// Sector of the newest entry if its map word may not be durable yet.
    pending_flush: Option<u32>,
    /// What the lane does for the request that holds the group, or did for one before.
    turn: Turn,
    r#move: Move,
}

/// How far a lane has come with its sector of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// It takes no part.
    Idle,
    /// Its block is for the sector.
    Picked,
    /// The flog says that the sector has moved.
    Committed,
}

/// A move of a sector to the free block of a lane, as it goes to the flog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    /// The sector within its arena.
    pub(crate) premap: u32,
    /// Block that holds it now.
    pub(crate) old: u32,
    /// Whether that block has a media error.
    pub(crate) old_bad: bool,
    /// Block that was the lane's free one, where the sector goes.
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
    /// Makes a lane of its newest flog entry. `group` is where its flog group is on the medium.
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
            // Recovery flushes the word, which the first write then does again.
            pending_flush: (pair.entry.old != pair.entry.new).then_some(pair.entry.lba),
            turn: Turn::Idle,
            r#move: Move::NONE,
        }
    }

    /// The block that belongs to the lane.
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

    /// Sector whose map word must be durable before the lane's newest entry is replaced.
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

    /// The sector of the batch that goes to the free block. The old block is not known before [`stage`](Self::stage).
    #[inline]
    pub(crate) fn sector(&self) -> Move {
        self.r#move
    }

    /// The next entry.
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

    /// Tells whether the flog on the medium says of the lane what the lane goes by.
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

    /// Notes which block holds the sector now, stores the first half of the next entry and flushes it.
    ///
    /// It goes to the older slot, whose sequence number stays, so that it is still the older one: nothing has happened.
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

    /// Stores the second half of the staged entry and flushes it: the move has happened as soon as this is durable.
    ///
    /// The lane now owns the old block.
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

    /// Goes by the map again, which does not follow the move: whether the flog keeps it is for
    /// recovery to see.
    ///
    /// The lane is retired, so all that matters of it is which block is free.
    #[cold]
    pub(crate) fn take_back(&mut self) {
        if self.turn == Turn::Committed {
            self.turn = Turn::Idle;
            self.free = self.r#move.new;
            self.condition = Condition::Retired;
        }
    }

    /// The move, if it has happened.
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
    /// The batch in hand: lane with which it began, and lanes from there on, not all of which take part.
    first: usize,
    span: usize,
    /// What was done with the lanes.
    pub(crate) statistics: Statistics,
}

impl LaneGroup {
    /// Makes a group of lanes.
    pub(crate) fn new(lanes: Slots<Lane>) -> Self {
        Self {
            lanes,
            next: 0,
            first: 0,
            span: 0,
            statistics: Statistics::default(),
        }
    }

    /// Makes a group without lanes.
    pub(crate) fn empty() -> Result<Self, NoMemory> {
        Ok(Self::new(Slots::with_capacity(0)?))
    }

    /// The lanes of the group.
    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Begins a batch: picks up to `wanted` lanes that `usable` agrees to, for sectors from `premap` on.
    ///
    /// Returns how many there are.
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
        // A loop by hand, as an iterator that goes around costs more than what is done for a lane.
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

    /// Calls `step` for each lane of the batch, in ascending order of the sectors, up to an error.
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
