// SPDX-License-Identifier: GPL-2.0

//! Recovery: takes the lanes from the flog and completes interrupted writes.
//!
//! The newest entry of a lane says that a sector moved from an old block to a new one. If the map
//! still names the old block, the power failed between flog and map, and recovery sets the map word
//! to the new block. In every state that the commit protocol can leave, this holds for at most one
//! lane for each sector. So the order of the lanes does not matter, and doing it again changes
//! nothing.
//!
//! A map word that cannot be read may name the old block, which the lane would then overwrite. So
//! an arena is read-only if recovery needs such a word; all other sectors can be read. A flog entry
//! that cannot be read is worse: without it any sector may be shown as it was before its last
//! write. So the BTT is not opened.
//!
//! All metadata are read and checked before anything is stored ([`Plan`]). If the medium is
//! read-only, nothing is stored at all. The arena then keeps the flog entries of the interrupted
//! writes, shows their sectors as recovery would leave them, and is closed.

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
use nd_format::{
    btt::{
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
    },
    sort::sort_by_key, //
};

/// The most lanes that an arena may have: far more than drivers create, few enough to keep in
/// memory.
const MAX_LANES: u32 = 1 << 16;

/// The result of reading the flog of an arena, and what recovery will do.
pub(crate) struct Plan {
    /// Offset of the arena on the medium, in bytes.
    pub(crate) start: u64,
    pub(crate) info: Info,
    pub(crate) flog_layout: FlogLayout,
    lanes: Slots<Lane>,
    unfinished: Slots<FlogEntry>,
    /// The first map word that recovery needs and cannot read.
    pub(crate) lost_word: Option<LostWord>,
}

/// A map word that recovery needs and cannot read. Its arena is read-only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LostWord {
    /// Number of the arena.
    pub arena: u32,
    /// The first lane whose newest flog entry names the sector.
    pub lane: u32,
    /// Sector within the arena.
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
    /// Reads and checks the flog of an arena, and the map words that it names.
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
        sort_by_key(&mut blocks, |block| *block);
        match blocks.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(OpenError::SharedFreeBlock {
                arena,
                block: pair[0],
            }),
            None => Ok(()),
        }
    }

    /// Returns the number of interrupted writes.
    pub(crate) fn unfinished(&self) -> u32 {
        // CAST: There are at most as many as lanes.
        self.unfinished.len() as u32
    }

    /// Takes the flog entries of the interrupted writes, ordered by sector.
    pub(crate) fn take_unfinished(&mut self) -> Result<Slots<FlogEntry>, NoMemory> {
        let mut unfinished = mem::replace(&mut self.unfinished, Slots::with_capacity(0)?);
        sort_by_key(&mut unfinished, |entry| entry.lba);
        Ok(unfinished)
    }

    /// Flushes the flog, so that nothing is built on what an earlier driver has stored but not made
    /// durable.
    pub(crate) fn flush_flog<M: Media>(&self, media: &M) {
        let offset = self.start + self.info.geometry.flog_offset();
        media.flush(offset, self.info.geometry.flog_size());
    }

    /// Stores the map words of the interrupted writes; [`flush_map`](Self::flush_map) flushes them.
    /// Returns their number.
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

    /// Flushes the map word of each lane's newest entry: the word of a write that was just
    /// completed, or one that an earlier driver has stored and, without a power failure since, not
    /// made durable.
    pub(crate) fn flush_map<M: Media>(&self, media: &M) {
        let moved = self.lanes.iter().filter_map(Lane::pending_flush);
        for offset in moved.filter_map(|premap| self.info.geometry.map_entry_offset(premap)) {
            media.flush(self.start + offset, MAP_ENTRY_SIZE);
        }
    }

    /// Distributes the lanes among `wanted` groups, or among fewer if there are fewer lanes.
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
    /// Reads the flog group of a lane. Returns its offset on the medium as well.
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
            // A lane that was never used has its own number as the sector, and there may be more
            // lanes than sectors.
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

    /// Returns `true` if the map still names the old block of an entry.
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
