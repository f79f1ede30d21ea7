// SPDX-License-Identifier: GPL-2.0

//! An arena in use: where its parts are on the medium, its lanes and its map locks.

use crate::{
    buckets::{
        Buckets,
        MapGuard, //
    },
    error::IoError,
    gate::{
        Gate,
        Pause,
        State, //
    },
    lanes::LaneGroup,
    media::{
        Media,
        MediaError, //
    },
    patience::Patience,
    sync::{
        Guard,
        LockRing, //
    },
    tracking::Tracked,
};
use core::ops::Range;
use nd_format::btt::{
    geometry::MAP_ENTRY_SIZE,
    ArenaGeometry,
    FlogLayout,
    Info,
    MapEntry, //
};

/// What is known of an arena, for debugfs and for tools.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArenaInfo {
    /// Bytes from the first arena to this one.
    pub offset: u64,
    /// First sector of the arena.
    pub first_sector: u64,
    /// Its info block.
    pub info: Info,
    /// Flog slots that are used.
    pub flog_layout: FlogLayout,
    /// Whether writes are refused: the info block has the error flag, or the state on media came into doubt.
    pub read_only: bool,
}

impl ArenaInfo {
    /// Bytes of the arena.
    pub fn size(&self) -> u64 {
        match self.info.next_offset {
            0 => self.info.geometry.end(),
            next => next,
        }
    }
}

/// An arena.
pub(crate) struct Arena {
    /// Number of the arena.
    pub(crate) index: u32,
    /// Where it starts on the medium.
    start: u64,
    first_sector: u64,
    /// Where the first arena starts on the medium.
    origin: u64,
    info: Info,
    flog_layout: FlogLayout,
    groups: LockRing<LaneGroup>,
    buckets: Buckets,
    /// Whether writers may come in.
    gate: Gate,
}

/// What an [`Arena`] is made of.
pub(crate) struct Parts {
    pub(crate) index: u32,
    pub(crate) start: u64,
    pub(crate) origin: u64,
    pub(crate) first_sector: u64,
    pub(crate) info: Info,
    pub(crate) flog_layout: FlogLayout,
    pub(crate) groups: LockRing<LaneGroup>,
    pub(crate) buckets: Buckets,
    pub(crate) gate: Gate,
}

impl Arena {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            index: parts.index,
            start: parts.start,
            first_sector: parts.first_sector,
            origin: parts.origin,
            info: parts.info,
            flog_layout: parts.flog_layout,
            groups: parts.groups,
            buckets: parts.buckets,
            gate: parts.gate,
        }
    }

    pub(crate) fn info(&self) -> ArenaInfo {
        ArenaInfo {
            offset: self.start - self.origin,
            first_sector: self.first_sector,
            info: self.info,
            flog_layout: self.flog_layout,
            read_only: self.is_read_only(),
        }
    }

    #[inline]
    pub(crate) fn geometry(&self) -> &ArenaGeometry {
        &self.info.geometry
    }

    /// Bytes of a sector without metadata.
    #[inline]
    pub(crate) fn sector_size(&self) -> u32 {
        self.info.geometry.lba_size().sector()
    }

    /// Disk sector of sector `premap` of the arena.
    #[inline]
    pub(crate) fn lba(&self, premap: u32) -> u64 {
        self.first_sector + u64::from(premap)
    }

    /// Sectors of the arena that are among the disk sectors `lbas`.
    #[inline]
    pub(crate) fn premaps_of(&self, lbas: Range<u64>) -> Range<u32> {
        let count = self.info.geometry.external_nlba();
        let premap = |lba: u64| {
            let distance = lba.saturating_sub(self.first_sector);
            u32::try_from(distance).map_or(count, |premap| premap.min(count))
        };
        premap(lbas.start)..premap(lbas.end)
    }

    #[inline]
    pub(crate) fn is_read_only(&self) -> bool {
        self.gate.state() == State::Closed
    }

    /// Refuses writes from now on.
    pub(crate) fn set_read_only(&self) {
        self.gate.close();
    }

    #[inline]
    pub(crate) fn check_writable(&self) -> Result<(), IoError> {
        if self.is_read_only() {
            return Err(IoError::ReadOnly { arena: self.index });
        }
        Ok(())
    }

    /// A block for the read tracking table.
    #[inline]
    pub(crate) fn tracked(&self, block: u32) -> Tracked {
        Tracked::new(self.index, block)
    }

    /// Where a block is on the medium.
    #[inline]
    pub(crate) fn block_offset(&self, block: u32) -> Option<u64> {
        Some(self.start + self.info.geometry.block_offset(block)?)
    }

    /// Takes a lane group for a write: that of the CPU or, if somebody else has it, any that is free, or else waits for the
    /// first.
    #[inline]
    pub(crate) fn lane_group(
        &self,
        cpu: usize,
        patience: Patience,
    ) -> Result<Guard<'_, LaneGroup>, IoError> {
        loop {
            let groups = (0..self.groups.len()).map(|distance| cpu.wrapping_add(distance));
            let mut free = groups.filter_map(|group| self.groups.try_lock(group));
            let group = match (free.next(), patience) {
                (Some(group), _) => group,
                (None, Patience::Wait) => self.groups.lock(cpu),
                (None, Patience::Refuse) => return Err(IoError::WouldBlock),
            };
            // With the group in hand: whoever closes the gate takes all groups afterwards.
            match self.gate.state() {
                State::Open => return Ok(group),
                State::Closed => return Err(IoError::ReadOnly { arena: self.index }),
                State::Paused => self.wait_for_gate(group, patience)?,
            }
        }
    }

    #[cold]
    fn wait_for_gate(
        &self,
        group: Guard<'_, LaneGroup>,
        patience: Patience,
    ) -> Result<(), IoError> {
        drop(group);
        match patience {
            Patience::Wait => self.gate.wait(),
            Patience::Refuse => return Err(IoError::WouldBlock),
        }
        Ok(())
    }

    /// Keeps writers out until the value is dropped; `None` if somebody else does so already.
    ///
    /// Those under way are through when each of the [`groups`](Self::groups) was had once.
    pub(crate) fn pause(&self) -> Option<Pause<'_>> {
        self.gate.pause()
    }

    /// All lane groups, one after the other, each of which is waited for.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Guard<'_, LaneGroup>> {
        (0..self.groups.len()).map(|group| self.groups.lock(group))
    }

    /// Waits for the right to change the map words of `premaps`.
    #[inline]
    pub(crate) fn lock_map(&self, premaps: Range<u32>) -> MapGuard<'_> {
        self.buckets.lock(premaps)
    }

    /// The same, unless somebody would have to be waited for and the request does not want to.
    #[inline]
    pub(crate) fn try_lock_map(&self, premaps: Range<u32>) -> Result<MapGuard<'_>, IoError> {
        self.buckets.try_lock(premaps).ok_or(IoError::WouldBlock)
    }

    /// Reads a map entry. The word may change at once unless its bucket is locked.
    #[inline(always)]
    pub(crate) fn map_word<M: Media>(&self, media: &M, premap: u32) -> Result<u32, MediaError> {
        media.load32(self.map_word_offset(premap)?)
    }

    /// Decodes a map word and checks the block that it names.
    #[inline]
    pub(crate) fn decode(&self, word: u32, premap: u32) -> Result<MapEntry, IoError> {
        let entry = MapEntry::decode(word, premap);
        if entry.block >= self.info.geometry.internal_nlba() {
            return Err(self.bad_map_entry(premap, entry.block));
        }
        Ok(entry)
    }

    pub(crate) fn bad_map_entry(&self, premap: u32, block: u32) -> IoError {
        IoError::BadMapEntry {
            arena: self.index,
            premap,
            block,
            blocks: self.info.geometry.internal_nlba(),
        }
    }

    /// Stores a map entry of a locked bucket. The caller flushes it.
    #[inline]
    pub(crate) fn set_map_entry<M: Media>(
        &self,
        media: &M,
        _guard: &MapGuard<'_>,
        premap: u32,
        entry: MapEntry,
    ) -> Result<(), MediaError> {
        media.store32(self.map_word_offset(premap)?, entry.encode())
    }

    /// Flushes map words.
    #[inline]
    pub(crate) fn flush_map<M: Media>(&self, media: &M, premaps: Range<u32>) {
        if let Ok(offset) = self.map_word_offset(premaps.start) {
            media.flush(offset, premaps.len() as u64 * MAP_ENTRY_SIZE);
        }
    }

    #[inline(always)]
    fn map_word_offset(&self, premap: u32) -> Result<u64, MediaError> {
        let offset = self.info.geometry.map_entry_offset(premap);
        offset
            .map(|offset| self.start + offset)
            .ok_or(MediaError::OutOfRange {
                offset: self.start
                    + self.info.geometry.map_offset()
                    + u64::from(premap) * MAP_ENTRY_SIZE,
                len: MAP_ENTRY_SIZE,
            })
    }
}
