// SPDX-License-Identifier: GPL-2.0

//! An arena in use: where its parts are on the medium, its lanes and its map locks.

#[cfg(any(loom, shuttle))]
use crate::sync::weak;
use crate::{
    error::IoError,
    lanes::LaneGroup,
    map_locks::{
        MapGuard,
        MapLocks,
        WORDS_PER_LINE, //
    },
    media::{
        Media,
        MediaError, //
    },
    recover::Plan,
    sync::{
        Guard,
        LockRing,
        NoMemory, //
    },
    tracking::Tracked,
    write_gate::{
        Pause,
        State, //
        WriteGate,
    },
};
use core::{
    mem,
    ops::Range, //
};
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
    /// Where its map and its first block are on the medium.
    map: u64,
    data: u64,
    first_sector: u64,
    /// Where the first arena starts on the medium.
    origin: u64,
    info: Info,
    flog_layout: FlogLayout,
    groups: LockRing<LaneGroup>,
    map_locks: MapLocks,
    /// Whether writers may come in.
    gate: WriteGate,
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
    pub(crate) map_locks: MapLocks,
    pub(crate) gate: WriteGate,
}

impl Arena {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            index: parts.index,
            start: parts.start,
            map: parts.start + parts.info.geometry.map_offset(),
            data: parts.start + parts.info.geometry.data_offset(),
            first_sector: parts.first_sector,
            origin: parts.origin,
            info: parts.info,
            flog_layout: parts.flog_layout,
            groups: parts.groups,
            map_locks: parts.map_locks,
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

    /// Sectors of the arena from the first one of the disk sectors `lbas` on; `None` if that is in another arena.
    #[inline]
    pub(crate) fn premaps_of(&self, lbas: &Range<u64>) -> Option<Range<u32>> {
        let count = self.info.geometry.external_nlba();
        let premap = lbas.start.checked_sub(self.first_sector)?;
        let premap = u32::try_from(premap)
            .ok()
            .filter(|&premap| premap < count)?;
        let wanted = lbas.end - lbas.start;
        // CAST: The smaller one of two numbers of which one has 32 bits.
        let len = wanted.min(u64::from(count - premap)) as u32;
        Some(premap..premap + len)
    }

    /// Whether some sectors are not where the map says.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.gate.is_behind()
    }

    /// Notes whether some sectors are not where the map says, and whether writes are refused. To be
    /// called while the arena is frozen, or not used yet.
    pub(crate) fn set_state(&self, is_behind: bool, is_closed: bool) {
        self.gate.set_behind(is_behind);
        if is_closed {
            self.gate.close();
        }
    }

    #[inline]
    pub(crate) fn is_read_only(&self) -> bool {
        self.gate.is_closed()
    }

    /// Refuses writes from now on.
    pub(crate) fn close(&self) {
        self.gate.close();
    }

    /// Lets no map word and no lane change until [`thaw`](Self::thaw). Waits for those who came
    /// before.
    pub(crate) fn freeze(&self) {
        self.gate.freeze();
        self.groups().for_each(drop);
        // Only now: writers under way want them.
        self.map_locks.hold(self.premaps());
    }

    /// Ends what [`freeze`](Self::freeze) began.
    pub(crate) fn thaw(&self) {
        self.map_locks.release(self.premaps());
        self.gate.thaw();
    }

    /// Takes other lanes instead of those of a frozen arena. All words of the map are durable.
    pub(crate) fn set_lanes(&self, groups: &LockRing<LaneGroup>) -> Result<(), NoMemory> {
        for number in 0..self.groups.len() {
            // One lock at a time.
            let mut new = mem::replace(&mut *groups.lock(number), LaneGroup::empty()?);
            let mut old = self.groups.lock(number);
            new.statistics = old.statistics;
            *old = new;
        }
        self.map_locks.forget_lines();
        Ok(())
    }

    fn premaps(&self) -> Range<u32> {
        0..self.info.geometry.external_nlba()
    }

    /// Whether a plan is for this very arena.
    pub(crate) fn is_at(&self, plan: &Plan) -> bool {
        let found = (plan.start, plan.info, plan.flog_layout);
        found == (self.start, self.info, self.flog_layout)
    }

    /// Refuses writes from now on, as `error` has left one half done. Returns what its caller is told.
    #[cold]
    pub(crate) fn interrupted(&self, error: MediaError) -> IoError {
        if self.gate.close() {
            IoError::Interrupted {
                arena: self.index,
                error,
            }
        } else {
            error.into()
        }
    }

    /// Refuses the change of map words whose locks were waited for. A request that had them before
    /// may have left a write half done.
    #[inline]
    pub(crate) fn check_writable(&self, _map: &MapGuard<'_>) -> Result<(), IoError> {
        #[cfg(any(loom, shuttle))]
        if weak::is(weak::Side::GateUnderLocks) {
            return Ok(());
        }
        // It was closed before the locks were given back, so who has them now sees that. A check in
        // progress waits for this writer.
        if self.gate.is_closed() {
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
        let geometry = &self.info.geometry;
        let offset = u64::from(block) * u64::from(geometry.internal_lba_size());
        (block < geometry.internal_nlba()).then_some(self.data + offset)
    }

    /// Takes a lane group for a write: that of the CPU or, if somebody else has it, any that is free, or else waits for the
    /// first.
    #[inline]
    pub(crate) fn lane_group<const NOWAIT: bool>(
        &self,
        cpu: usize,
    ) -> Result<Guard<'_, LaneGroup>, IoError> {
        self.enter::<NOWAIT>(|| match self.groups.try_lock(cpu) {
            Some(group) => Ok(group),
            None => self.other_lane_group::<NOWAIT>(cpu),
        })
    }

    /// Takes all lane groups in turn, that of the CPU first, each of which is waited for.
    pub(crate) fn each_lane_group<const NOWAIT: bool>(
        &self,
        cpu: usize,
    ) -> impl Iterator<Item = Result<Guard<'_, LaneGroup>, IoError>> {
        let groups = (0..self.groups.len()).map(move |distance| cpu.wrapping_add(distance));
        groups.map(|cpu| {
            self.enter::<NOWAIT>(|| {
                if NOWAIT {
                    self.groups.try_lock(cpu).ok_or(IoError::WouldBlock)
                } else {
                    Ok(self.groups.lock(cpu))
                }
            })
        })
    }

    /// Takes a lane group with `take`, through the gate.
    #[inline(always)]
    fn enter<'a, const NOWAIT: bool>(
        &self,
        take: impl Fn() -> Result<Guard<'a, LaneGroup>, IoError>,
    ) -> Result<Guard<'a, LaneGroup>, IoError> {
        loop {
            let group = take()?;
            // With the group in hand: whoever closes the gate takes all groups afterwards.
            match self.gate.state() {
                State::Open => return Ok(group),
                State::Closed => return Err(IoError::ReadOnly { arena: self.index }),
                State::Paused => self.wait_for_gate::<NOWAIT>(group)?,
            }
        }
    }

    #[cold]
    fn other_lane_group<const NOWAIT: bool>(
        &self,
        cpu: usize,
    ) -> Result<Guard<'_, LaneGroup>, IoError> {
        let mut others = (1..self.groups.len()).map(|distance| cpu.wrapping_add(distance));
        match others.find_map(|group| self.groups.try_lock(group)) {
            Some(group) => Ok(group),
            None if !NOWAIT => Ok(self.groups.lock(cpu)),
            None => Err(IoError::WouldBlock),
        }
    }

    #[cold]
    fn wait_for_gate<const NOWAIT: bool>(
        &self,
        group: Guard<'_, LaneGroup>,
    ) -> Result<(), IoError> {
        drop(group);
        if NOWAIT {
            return Err(IoError::WouldBlock);
        }
        self.gate.wait();
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

    /// Takes the right to change the map words of `premaps`, for which a request that has patience waits.
    #[inline]
    pub(crate) fn lock_map<const NOWAIT: bool>(
        &self,
        premaps: Range<u32>,
    ) -> Result<MapGuard<'_>, IoError> {
        if NOWAIT {
            self.map_locks.try_lock(premaps).ok_or(IoError::WouldBlock)
        } else {
            Ok(self.map_locks.lock(premaps))
        }
    }

    /// Reads a map entry. The word may change at once unless its bucket is locked.
    #[inline(always)]
    pub(crate) fn map_word<M: Media>(&self, media: &M, premap: u32) -> Result<u32, MediaError> {
        media.load32(self.map_word_offset(premap)?)
    }

    /// Decodes a map word and checks the block that it names.
    #[inline(always)]
    pub(crate) fn decode(&self, word: u32, premap: u32) -> Result<MapEntry, IoError> {
        let entry = MapEntry::decode(word, premap);
        if entry.block >= self.info.geometry.internal_nlba() {
            return Err(self.bad_map_entry(premap, entry.block));
        }
        Ok(entry)
    }

    #[cold]
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

    /// Flushes the lines of the map that earlier writes have left to the holder of these locks.
    #[inline]
    pub(crate) fn flush_pending_lines<M: Media>(&self, media: &M, map: &MapGuard<'_>) {
        const LINE: u64 = WORDS_PER_LINE as u64 * MAP_ENTRY_SIZE;
        for line in map.pending_lines() {
            media.flush(self.map + u64::from(line) * LINE, LINE);
        }
    }

    /// Flushes the whole flog.
    #[cold]
    pub(crate) fn flush_flog<M: Media>(&self, media: &M) {
        let geometry = &self.info.geometry;
        media.flush(self.start + geometry.flog_offset(), geometry.flog_size());
    }

    #[inline(always)]
    pub(crate) fn map_word_offset(&self, premap: u32) -> Result<u64, MediaError> {
        let offset = self.map + u64::from(premap) * MAP_ENTRY_SIZE;
        if premap >= self.info.geometry.external_nlba() {
            return Err(MediaError::OutOfRange {
                offset,
                len: MAP_ENTRY_SIZE,
            });
        }
        Ok(offset)
    }
}
