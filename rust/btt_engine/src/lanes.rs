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
    /// The block, or the lane's flog, has an error that cannot be cleared: the lane is not used until the BTT is opened
    /// again.
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
    unsettled: Option<u32>,
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
            // Recovery has made the word durable, but it costs nothing to be sure.
            unsettled: (pair.entry.old != pair.entry.new).then_some(pair.entry.lba),
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
    pub(crate) fn unsettled(&self) -> Option<u32> {
        self.unsettled
    }

    #[inline]
    fn older_slot(&self) -> u64 {
        let [first, second] = self.slots;
        match self.newest {
            Side::First => second,
            Side::Second => first,
        }
    }

    #[inline]
    fn entry(&self, r#move: &Move) -> FlogEntry {
        FlogEntry {
            lba: r#move.premap,
            old: r#move.old,
            old_bad: r#move.old_bad,
            new: self.free,
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

    /// Stores the first half of the next entry and flushes it.
    ///
    /// It goes to the older slot, whose sequence number stays, so that it is still the older one: nothing has happened.
    #[inline]
    pub(crate) fn stage<M: Media>(&mut self, media: &M, r#move: &Move) -> Result<(), MediaError> {
        let [half, _] = self.entry(r#move).encode().halves();
        let offset = self.older_slot();
        media.store64(offset, half)?;
        media.flush(offset, HALF_SIZE);
        Ok(())
    }

    /// Stores the second half of the staged entry and flushes it: the move has happened as soon as this is durable.
    ///
    /// The lane now owns the old block.
    #[inline]
    pub(crate) fn commit<M: Media>(&mut self, media: &M, r#move: &Move) -> Result<(), MediaError> {
        let [_, half] = self.entry(r#move).encode().halves();
        let offset = self.older_slot() + HALF_SIZE;
        media.store64(offset, half)?;
        media.flush(offset, HALF_SIZE);
        self.newest = self.newest.other();
        self.seq = self.seq.next();
        self.free = r#move.old;
        self.condition = if r#move.old_bad {
            Condition::MustClear
        } else {
            Condition::Ready
        };
        self.unsettled = Some(r#move.premap);
        Ok(())
    }
}

/// One sector of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    /// Index of the lane in its group.
    pub(crate) lane: usize,
    /// The lane's free block: where the sector goes.
    pub(crate) block: u32,
    /// What is to be noted in the flog.
    pub(crate) r#move: Move,
    /// Whether it has been noted.
    pub(crate) committed: bool,
}

impl Pick {
    const NONE: Self = Self {
        lane: 0,
        block: 0,
        r#move: Move {
            premap: 0,
            old: 0,
            old_bad: false,
        },
        committed: false,
    };
}

/// The lanes that one request may use at a time, and room for its notes.
pub(crate) struct LaneGroup {
    lanes: Slots<Lane>,
    /// Lane with which the next request begins.
    next: usize,
    /// Sectors of the request in hand; here because a kernel stack has no room for them.
    picks: Slots<Pick>,
    picked: usize,
    /// What was done with the lanes.
    pub(crate) statistics: Statistics,
}

impl LaneGroup {
    /// Makes a group of lanes.
    pub(crate) fn new(lanes: Slots<Lane>) -> Result<Self, NoMemory> {
        let picks = Slots::new(lanes.len(), |_| Pick::NONE)?;
        Ok(Self {
            lanes,
            next: 0,
            picks,
            picked: 0,
            statistics: Statistics::default(),
        })
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
        wanted: usize,
        mut usable: impl FnMut(&mut Lane) -> bool,
    ) -> usize {
        let len = self.lanes.len();
        let start = self.next;
        let mut picks = self.picks.iter_mut().take(wanted).zip(premap..).peekable();
        self.picked = 0;
        for index in (start..len).chain(0..start) {
            if picks.peek().is_none() {
                break;
            }
            let Some(lane) = self.lanes.get_mut(index) else {
                continue;
            };
            if !usable(lane) {
                continue;
            }
            if let Some((pick, premap)) = picks.next() {
                *pick = Pick {
                    lane: index,
                    block: lane.free(),
                    r#move: Move {
                        premap,
                        ..Pick::NONE.r#move
                    },
                    committed: false,
                };
                self.picked += 1;
                self.next = (index + 1) % len;
            }
        }
        self.picked
    }

    /// Calls `step` for each sector of the batch and its lane, in ascending order of the sectors, up to an error.
    #[inline]
    pub(crate) fn each<E>(
        &mut self,
        mut step: impl FnMut(&mut Pick, &mut Lane) -> Result<(), E>,
    ) -> Result<(), E> {
        let lanes = &mut self.lanes;
        let mut picks = self.picks.iter_mut().take(self.picked);
        picks.try_for_each(|pick| match lanes.get_mut(pick.lane) {
            Some(lane) => step(pick, lane),
            None => Ok(()),
        })
    }
}
