// SPDX-License-Identifier: GPL-2.0

//! Recovery: lanes from the flog, and the map word of an interrupted write from its lane.
//!
//! The newest entry of a lane says that a sector moved from one block to another. If the map still names the old block, the
//! power failed between flog and map, and the map is set to the new one. Every state that the commit protocol can leave
//! behind has at most one lane for a sector of which this is true, so that the order of the lanes does not matter, and doing
//! it again changes nothing.
//!
//! A map word that cannot be read may name the old block, which is the lane's to write then. So nothing is written to an arena of
//! which recovery needs such a word; all other sectors can be read. Without an entry of the flog, on the other hand, any sector may
//! be shown as it was before its last write: the BTT is not opened.
//!
//! All metadata are read and checked first ([`Plan`]); only then anything is stored. If the medium
//! is read-only nothing is: the arena keeps the entries of writes to be finished, shows their
//! sectors as recovery would leave them, and is closed.

use crate::{
    error::OpenError,
    lanes::{
        Lane,
        LaneGroup, //
    },
    media::{
        Media,
        MediaError, //
    },
    sync::{
        LockRing,
        NoMemory,
        Slots, //
    },
};
use core::{
    fmt,
    mem, //
};
use nd_format::btt::{
    flog::{
        RawSlot,
        HALF_SIZE,
        SLOTS,
        SLOT_SIZE, //
    },
    geometry::{
        FLOG_GROUP_SIZE,
        MAP_ENTRY_SIZE, //
    },
    FlogEntry,
    FlogLayout,
    Info,
    LayoutDetector,
    MapEntry,
    MapState, //
};

/// The most lanes that an arena may have: far more than anybody makes, few enough to keep in memory.
const MAX_LANES: u32 = 1 << 16;

/// What recovery will do to an arena.
pub(crate) struct Plan {
    /// Where the arena starts on the medium.
    pub(crate) start: u64,
    pub(crate) info: Info,
    pub(crate) flog_layout: FlogLayout,
    lanes: Slots<Lane>,
    unfinished: Slots<FlogEntry>,
    /// The first map word that is needed and cannot be read.
    pub(crate) lost_word: Option<LostWord>,
}

/// A map word that cannot be read, and that recovery would have to look at: its arena is read-only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LostWord {
    /// Number of the arena.
    pub arena: u32,
    /// Lane that moved the sector last, as far as this is known.
    pub lane: u32,
    /// Sector of the arena.
    pub premap: u32,
    /// Why the word cannot be read.
    pub error: MediaError,
}

impl fmt::Display for LostWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            arena,
            lane,
            premap,
            error,
        } = self;
        write!(
            f,
            "arena {arena} is read only: map entry {premap}, where lane {lane} may have been interrupted, cannot be read: {error}"
        )
    }
}

impl Plan {
    /// Reads and checks the flog of an arena, and the map entries that it names.
    pub(crate) fn new<M: Media>(
        media: &M,
        arena: u32,
        start: u64,
        info: &Info,
    ) -> Result<Self, OpenError> {
        let nfree = info.geometry.nfree();
        if nfree > MAX_LANES {
            return Err(OpenError::TooManyLanes {
                arena,
                found: nfree,
                most: MAX_LANES,
            });
        }
        let flog = Flog {
            media,
            arena,
            start,
            info,
        };
        let mut detector = LayoutDetector::default();
        for lane in 0..nfree {
            let (_, group) = flog.group(lane)?;
            detector
                .inspect(&group)
                .map_err(|error| OpenError::BadFlog { arena, lane, error })?;
        }
        let mut plan = Self {
            start,
            info: *info,
            flog_layout: detector.layout(),
            lanes: Slots::with_capacity(nfree as usize)?,
            unfinished: Slots::with_capacity(nfree as usize)?,
            lost_word: None,
        };
        for lane in 0..nfree {
            let (offset, group) = flog.group(lane)?;
            let pair = plan
                .flog_layout
                .newest(&group)
                .map_err(|error| OpenError::BadFlog { arena, lane, error })?;
            flog.check_range(lane, &pair.entry)?;
            match flog.is_unfinished(&pair.entry) {
                Ok(true) => plan.unfinished.push(pair.entry)?,
                Ok(false) => (),
                Err(error @ MediaError::Poison { .. }) => {
                    plan.lost_word.get_or_insert(LostWord {
                        arena,
                        lane,
                        premap: pair.entry.lba,
                        error,
                    });
                }
                Err(error) => return Err(error.into()),
            }
            plan.lanes
                .push(Lane::new(offset, plan.flog_layout, &pair))?;
        }
        plan.check_free_blocks(arena)?;
        Ok(plan)
    }

    /// Checks that no block is free in two lanes, or free in one and about to be mapped.
    fn check_free_blocks(&self, arena: u32) -> Result<(), OpenError> {
        let mut blocks = Slots::with_capacity(self.lanes.len() + self.unfinished.len())?;
        for block in self.lanes.iter().map(Lane::free) {
            blocks.push(block)?;
        }
        for block in self.unfinished.iter().map(|entry| entry.new) {
            blocks.push(block)?;
        }
        blocks.sort_unstable();
        match blocks.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(OpenError::SharedFreeBlock {
                arena,
                block: pair[0],
            }),
            None => Ok(()),
        }
    }

    /// How many writes are to be finished.
    pub(crate) fn unfinished(&self) -> u32 {
        // CAST: There are not more than lanes.
        self.unfinished.len() as u32
    }

    /// Takes the writes out that are to be finished, in the order of their sectors.
    pub(crate) fn take_unfinished(&mut self) -> Result<Slots<FlogEntry>, NoMemory> {
        let mut unfinished = mem::replace(&mut self.unfinished, Slots::with_capacity(0)?);
        unfinished.sort_unstable_by_key(|entry| entry.lba);
        Ok(unfinished)
    }

    /// Flushes the flog, so that nothing is built upon what a former owner stored but did not make durable.
    pub(crate) fn flush_flog<M: Media>(&self, media: &M) {
        let offset = self.start + self.info.geometry.flog_offset();
        media.flush(offset, self.info.geometry.flog_size());
    }

    /// Stores the map words of the writes that were interrupted, which [`flush_map`](Self::flush_map) flushes. Returns how many there were.
    pub(crate) fn finish<M: Media>(&self, media: &M) -> Result<u32, MediaError> {
        let mut finished = 0;
        for entry in self.unfinished.iter() {
            if let Some(offset) = self.info.geometry.map_entry_offset(entry.lba) {
                let normal = MapEntry {
                    state: MapState::Normal,
                    block: entry.new,
                };
                media.store32(self.start + offset, normal.encode())?;
                finished += 1;
            }
        }
        Ok(finished)
    }

    /// Flushes the map word of each lane's newest entry: that of a write just finished, and one that a former owner stored and,
    /// without a power failure in between, did not make durable.
    pub(crate) fn flush_map<M: Media>(&self, media: &M) {
        let moved = self.lanes.iter().filter_map(Lane::pending_flush);
        for offset in moved.filter_map(|premap| self.info.geometry.map_entry_offset(premap)) {
            media.flush(self.start + offset, MAP_ENTRY_SIZE);
        }
    }

    /// Shares out the lanes among `wanted` groups, or fewer if there are not so many lanes.
    pub(crate) fn into_groups(self, wanted: usize) -> Result<LockRing<LaneGroup>, NoMemory> {
        let count = self.lanes.len();
        let groups = wanted.clamp(1, count.max(1));
        let mut lanes = self.lanes.into_elements();
        LockRing::new(groups, |group| {
            let share = count * (group + 1) / groups - count * group / groups;
            let mut slots = Slots::with_capacity(share)?;
            for lane in lanes.by_ref().take(share) {
                slots.push(lane)?;
            }
            Ok(LaneGroup::new(slots))
        })
    }
}

/// The flog of an arena on the medium.
struct Flog<'a, M> {
    media: &'a M,
    arena: u32,
    start: u64,
    info: &'a Info,
}

impl<M: Media> Flog<'_, M> {
    /// Reads the group of a lane. Also returns where it is on the medium.
    fn group(&self, lane: u32) -> Result<(u64, [RawSlot; SLOTS]), OpenError> {
        let offset = self
            .info
            .geometry
            .flog_group_offset(lane)
            .unwrap_or_default()
            + self.start;
        let mut bytes = [[0; HALF_SIZE as usize]; (FLOG_GROUP_SIZE / HALF_SIZE) as usize];
        self.media.read_bytes(offset, bytes.as_flattened_mut())?;
        let [a, b, c, d, e, f, g, h] = bytes.map(u64::from_le_bytes);
        let group = [(a, b), (c, d), (e, f), (g, h)]
            .map(|(first, second)| RawSlot::from_halves(first, second));
        Ok((offset, group))
    }

    fn check_range(&self, lane: u32, entry: &FlogEntry) -> Result<(), OpenError> {
        let geometry = &self.info.geometry;
        let blocks = geometry.internal_nlba();
        let mut fields = [
            ("lba", entry.lba, geometry.external_nlba()),
            ("old_map", entry.old, blocks),
            ("new_map", entry.new, blocks),
        ]
        .into_iter();
        match fields.find(|(_, found, limit)| found >= limit) {
            // A lane that was never used has its own number for a sector, and there may be more lanes than sectors.
            Some(("lba", ..)) if entry.old == entry.new && entry.lba == lane => Ok(()),
            Some((field, found, limit)) => Err(OpenError::FlogRange {
                arena: self.arena,
                lane,
                field,
                found,
                limit,
            }),
            None => Ok(()),
        }
    }

    /// Tells whether the map has not followed an entry.
    fn is_unfinished(&self, entry: &FlogEntry) -> Result<bool, MediaError> {
        if entry.old == entry.new {
            return Ok(false);
        }
        let Some(offset) = self.info.geometry.map_entry_offset(entry.lba) else {
            return Ok(false);
        };
        let word = self.media.load32(self.start + offset)?;
        Ok(MapEntry::decode(word, entry.lba).block == entry.old)
    }
}

const _: () = assert!(SLOT_SIZE * SLOTS as u64 == FLOG_GROUP_SIZE);
