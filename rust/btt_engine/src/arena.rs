// SPDX-License-Identifier: GPL-2.0

//! An arena in use: the places of its parts on the medium, its lane groups, map locks and write
//! gate.
//!
//! All requests to an arena lock through the methods of [`Arena`], which keep the lock order of the
//! crate: write gate and lane group first, then map locks.

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

/// Properties of an arena, for debugfs and for tools.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArenaInfo {
    /// Offset of the arena in bytes, from the first arena.
    pub offset: u64,
    /// First sector of the arena, as a sector of the disk.
    pub first_sector: u64,
    /// Its info block.
    pub info: Info,
    /// Which two slots of a flog group are used.
    pub flog_layout: FlogLayout,
    /// Whether writes are refused: the info block has the error flag, or the state on the medium is
    /// in doubt.
    pub read_only: bool,
}

impl ArenaInfo {
    /// Returns the size of the arena in bytes.
    pub fn size(&self) -> u64 {
        match self.info.next_offset {
            0 => self.info.geometry.end(),
            next => next,
        }
    }
}

/// An arena.
pub(crate) struct Arena {
    /// Number of the arena, from 0.
    pub(crate) index: u32,
    /// Offset of the arena on the medium, in bytes.
    start: u64,
    /// Offsets of the map and of the first block on the medium, in bytes.
    map: u64,
    data: u64,
    first_sector: u64,
    /// Offset of the first arena on the medium, in bytes.
    origin: u64,
    info: Info,
    flog_layout: FlogLayout,
    groups: LockRing<LaneGroup>,
    map_locks: MapLocks,
    /// Whether writers may enter.
    gate: WriteGate,
}

/// The parts of an [`Arena`].
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

    /// Returns the size of a sector in bytes, without metadata.
    #[inline]
    pub(crate) fn sector_size(&self) -> u32 {
        self.info.geometry.lba_size().sector()
    }

    /// Returns the sector of the disk that is sector `premap` of the arena.
    #[inline]
    pub(crate) fn lba(&self, premap: u32) -> u64 {
        self.first_sector + u64::from(premap)
    }

    /// Returns the sectors of the arena that begin with the first of the disk sectors `lbas`.
    /// `None` if that sector is in another arena.
    #[inline]
    pub(crate) fn premaps_of(&self, lbas: &Range<u64>) -> Option<Range<u32>> {
        let count = self.info.geometry.external_nlba();
        let premap = lbas.start.checked_sub(self.first_sector)?;
        let premap = u32::try_from(premap)
            .ok()
            .filter(|&premap| premap < count)?;
        let wanted = lbas.end - lbas.start;
        // CAST: The smaller one of two numbers, one of which has 32 bits.
        let len = wanted.min(u64::from(count - premap)) as u32;
        Some(premap..premap + len)
    }

    /// Returns `true` if the map is behind the flog for some sectors: recovery could not complete
    /// their writes.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.gate.is_behind()
    }

    /// Sets whether the map is behind the flog for some sectors, and closes the arena if
    /// `is_closed`. The arena must be frozen, or not in use yet.
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

    /// Keeps all map words and lanes as they are until [`thaw`](Self::thaw). Waits for requests in
    /// flight.
    pub(crate) fn freeze(&self) {
        self.gate.freeze();
        self.groups().for_each(drop);
        // Only now: the writers that were waited for need map locks.
        self.map_locks.hold(self.premaps());
    }

    /// Ends a [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        self.map_locks.release(self.premaps());
        self.gate.thaw();
    }

    /// Replaces the lanes of a frozen arena. All words of its map must be durable.
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

    /// Returns `true` if `plan` is for this arena: same place, info block and flog layout.
    pub(crate) fn is_at(&self, plan: &Plan) -> bool {
        let found = (plan.start, plan.info, plan.flog_layout);
        found == (self.start, self.info, self.flog_layout)
    }

    /// Refuses writes from now on, because `error` has interrupted one. Returns the error for the
    /// submitter: [`IoError::Interrupted`] for the first interrupted request of the arena only.
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

    /// Fails if the arena was closed while the caller waited for its map locks: the holder before
    /// may have left a write half done.
    #[inline]
    pub(crate) fn check_writable(&self, _map: &MapGuard<'_>) -> Result<(), IoError> {
        #[cfg(any(loom, shuttle))]
        if weak::is(weak::Side::GateUnderLocks) {
            return Ok(());
        }
        // A writer closes the gate before it releases its map locks, so the next holder of the
        // locks sees that. A paused gate does not matter here: the check waits for this writer.
        if self.gate.is_closed() {
            return Err(IoError::ReadOnly { arena: self.index });
        }
        Ok(())
    }

    /// Returns the name of a block in the read tracking table.
    #[inline]
    pub(crate) fn tracked(&self, block: u32) -> Tracked {
        Tracked::new(self.index, block)
    }

    /// Returns the offset of a block on the medium, in bytes. `None` if the arena has no such
    /// block.
    #[inline]
    pub(crate) fn block_offset(&self, block: u32) -> Option<u64> {
        let geometry = &self.info.geometry;
        let offset = u64::from(block) * u64::from(geometry.internal_lba_size());
        (block < geometry.internal_nlba()).then_some(self.data + offset)
    }

    /// Takes a lane group for a write: that of the CPU; if it is taken, any free one; if all are
    /// taken, that of the CPU, for which it waits.
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

    /// Takes all lane groups in turn, beginning with that of the CPU. Waits for each of them.
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

    /// Takes a lane group with `take` and checks the write gate.
    #[inline(always)]
    fn enter<'a, const NOWAIT: bool>(
        &self,
        take: impl Fn() -> Result<Guard<'a, LaneGroup>, IoError>,
    ) -> Result<Guard<'a, LaneGroup>, IoError> {
        loop {
            let group = take()?;
            // With the group locked: a thread that pauses the gate takes all groups afterwards.
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

    /// Keeps writers out until the value is dropped. `None` if another thread is doing so already.
    ///
    /// Writers in flight have finished once each of the [`groups`](Self::groups) was locked once.
    pub(crate) fn pause(&self) -> Option<Pause<'_>> {
        self.gate.pause()
    }

    /// Locks all lane groups, one after the other. Waits for each of them.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Guard<'_, LaneGroup>> {
        (0..self.groups.len()).map(|group| self.groups.lock(group))
    }

    /// Locks the map words of `premaps`. Waits for them unless `NOWAIT`.
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

    /// Reads a map word. Unless it is locked it may change at any time.
    #[inline(always)]
    pub(crate) fn map_word<M: Media>(&self, media: &M, premap: u32) -> Result<u32, MediaError> {
        media.load32(self.map_word_offset(premap)?)
    }

    /// Decodes a map word and checks that the arena has the block that it names.
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

    /// Stores a map entry. The caller flushes it.
    ///
    /// `_guard` shows that the caller holds map locks. That they cover `premap` is up to the
    /// caller.
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

    /// Flushes the map words of `premaps`.
    #[inline]
    pub(crate) fn flush_map<M: Media>(&self, media: &M, premaps: Range<u32>) {
        if let Ok(offset) = self.map_word_offset(premaps.start) {
            media.flush(offset, premaps.len() as u64 * MAP_ENTRY_SIZE);
        }
    }

    /// Flushes the map lines that earlier writes under the same locks may have left pending.
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
