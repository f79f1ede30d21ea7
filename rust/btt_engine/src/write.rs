// SPDX-License-Identifier: GPL-2.0

//! Writing sectors: the commit protocol.
//!
//! A request that holds a lane group writes a batch: as many sectors as the group has usable lanes.
//! Two fences serve the whole batch. Each sector is atomic by itself. The sectors of a request may
//! become durable in any order until the request ends.
//!
//! # The steps of a batch
//!
//! | Step | What it does |
//! |---|---|
//! | `lane_group` | locks lanes; checks the write gate |
//! | `pick_lanes` | finds lanes whose free blocks no reader uses; clears media errors of a block |
//! | `lock_map` | locks the map words of the batch; then the gate is checked again |
//! | `stage` | flushes words of earlier writes; stores data and first halves of flog entries |
//! | fence 1 | makes all of that durable |
//! | `commit` | stores the second halves of the flog entries: each moves one sector |
//! | fence 2 | makes the moves durable; recovery would complete them |
//! | `update_map` | stores the map words, for readers; their flush is left to a later write |
//!
//! Nothing has happened before fence 1: the data are in free blocks, and the entries are in slots
//! that still count as the older ones.
//!
//! # Why two fences
//!
//! Without fence 1 a second half may become durable before the data or before its first half. The
//! sector would be torn, or the entry would be a mix of two entries.
//!
//! Without fence 2 a map word may become durable before its flog entry. Let sector `s` be in block
//! `a`, and the lane's free block be `b`:
//!
//! ```text
//!   commit       flog { s: a → b }, not durable yet
//!   update_map   the map word of s: b, durable by chance
//!   power fails  the entry is lost
//!   recovery     the lane's newest entry is the one before: its free block is still b
//! ```
//!
//! Block `b` is mapped and free, and the lane's next write overwrites the sector in place. For the
//! same reason `abandon` leaves the map alone after a fence 2 that has failed.
//!
//! # Two writers
//!
//! | They meet | What orders them | Timeline in |
//! |---|---|---|
//! | in one lane | lock of the lane group; flush of the earlier map word | `lanes.rs` |
//! | at one sector | map lock; flush of the line that it remembers | `map_locks.rs` |
//! | at one sector, the first one fails | second check of the gate | `write_gate.rs` |
//!
//! A writer finds the readers of a block that it is about to reuse in the read tracking table
//! (`tracking.rs`).

#[cfg(any(loom, shuttle))]
use crate::sync::weak;
use crate::{
    arena::Arena,
    btt::{
        Btt,
        Part, //
    },
    error::IoError,
    lanes::{
        Condition,
        Lane,
        LaneGroup,
        Move, //
    },
    map_locks::{
        MapGuard,
        MAX_LOCKED, //
    },
    media::{
        Media,
        MediaError,
        Source, //
    },
    sync::{
        relax,
        Guard, //
    },
};
use core::{
    convert::Infallible,
    ops::Range, //
};
use nd_format::btt::{
    MapEntry,
    MapState, //
};

impl<M: Media> Btt<M> {
    /// Writes `count` sectors from `lba` on with the next bytes of `source`.
    ///
    /// When this returns `Ok`, all sectors are durable. After an error each of them has its old or
    /// its new contents. If the arena is read-only afterwards, which of the two is in doubt until
    /// the BTT is opened again. `cpu` may be any number. Callers with different numbers do not wait
    /// for each other.
    #[inline]
    pub fn write<S: Source<M>>(
        &self,
        lba: u64,
        count: u64,
        source: &mut S,
        cpu: usize,
    ) -> Result<(), IoError> {
        for Part { arena, mut premaps } in self.parts(lba, count)? {
            while !premaps.is_empty() {
                premaps.start += self.write_batch::<S, false>(arena, &premaps, source, cpu)?;
            }
        }
        Ok(())
    }

    /// Writes as [`write`](Self::write) does, but fails with [`IoError::WouldBlock`] if it would
    /// have to wait before anything was stored.
    #[inline(never)]
    pub fn try_write<S: Source<M>>(
        &self,
        lba: u64,
        count: u64,
        source: &mut S,
        cpu: usize,
    ) -> Result<(), IoError> {
        let Some(Part { arena, premaps }) = self.parts(lba, count)?.next() else {
            return Ok(());
        };
        let written = self.write_batch::<S, true>(arena, &premaps, source, cpu)?;
        // Something is stored, so the rest of the request may wait.
        let written = u64::from(written);
        self.write(lba + written, count - written, source, cpu)
    }

    /// Writes as many sectors of an arena as a lane group has usable lanes. Returns their number,
    /// which is not zero.
    #[inline]
    fn write_batch<S: Source<M>, const NOWAIT: bool>(
        &self,
        arena: &Arena,
        premaps: &Range<u32>,
        source: &mut S,
        cpu: usize,
    ) -> Result<u32, IoError> {
        let media = self.media();
        let mut group = arena.lane_group::<NOWAIT>(cpu)?;
        let mut count = self.pick_lanes::<NOWAIT>(arena, &mut group, premaps)?;
        if count == 0 {
            drop(group);
            (group, count) = self.pick_anywhere::<NOWAIT>(arena, premaps, cpu)?;
        }
        // The locks are taken before the first store. A request with `NOWAIT` gets them now or
        // fails while nothing is stored. Besides, a locked instruction after the stores would wait
        // for them to drain, which the fence does anyway.
        let map = arena.lock_map::<NOWAIT>(premaps.start..premaps.start + count)?;
        arena.check_writable(&map)?;
        self.stage(arena, &mut group, &map, source)?;
        group.statistics.fences += 1;
        media.fence()?;
        map.set_pending();
        let committed = self.commit(arena, &mut group);
        group.statistics.fences += 1;
        let mapped = match media.fence() {
            Ok(()) => self.update_map(arena, &mut group, &map),
            Err(error) => Err(self.abandon(arena, &mut group, &map, error)),
        };
        // The first error first: the one that has closed the arena is `IoError::Interrupted`.
        committed?;
        mapped?;
        group.statistics.batches += 1;
        group.statistics.sectors += u64::from(count);
        Ok(count)
    }

    /// Begins a batch with as many lanes as are usable now. Returns their number: zero if no lane
    /// of the group will be usable again.
    #[inline(always)]
    fn pick_lanes<const NOWAIT: bool>(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        premaps: &Range<u32>,
    ) -> Result<u32, IoError> {
        let mut awaited = false;
        let picked = self.try_pick::<NOWAIT>(arena, group, premaps, &mut awaited);
        if picked > 0 {
            return Ok(picked);
        }
        self.wait_for_lanes::<NOWAIT>(arena, group, premaps, awaited)
    }

    /// Begins a batch with lanes of any group, as all lanes of the CPU's group are retired.
    #[cold]
    fn pick_anywhere<'a, const NOWAIT: bool>(
        &self,
        arena: &'a Arena,
        premaps: &Range<u32>,
        cpu: usize,
    ) -> Result<(Guard<'a, LaneGroup>, u32), IoError> {
        for group in arena.each_lane_group::<NOWAIT>(cpu) {
            let mut group = group?;
            let count = self.pick_lanes::<NOWAIT>(arena, &mut group, premaps)?;
            if count > 0 {
                return Ok((group, count));
            }
        }
        Err(IoError::NoFreeBlock { arena: arena.index })
    }

    /// Looks for lanes until there is one. `awaited` says whether there will be one.
    #[cold]
    fn wait_for_lanes<const NOWAIT: bool>(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        premaps: &Range<u32>,
        mut awaited: bool,
    ) -> Result<u32, IoError> {
        let mut attempt = 0;
        loop {
            if !awaited {
                return Ok(0);
            }
            if NOWAIT {
                return Err(IoError::WouldBlock);
            }
            if attempt == 0 {
                group.statistics.reader_waits += 1;
            }
            relax(attempt);
            attempt = attempt.saturating_add(1);
            awaited = false;
            let picked = self.try_pick::<NOWAIT>(arena, group, premaps, &mut awaited);
            if picked > 0 {
                return Ok(picked);
            }
        }
    }

    /// Picks lanes. Sets `awaited` if some of the others may become usable later.
    #[inline]
    fn try_pick<const NOWAIT: bool>(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        premaps: &Range<u32>,
        awaited: &mut bool,
    ) -> u32 {
        let look = self.table().look();
        // CAST: The length of a range of 32-bit numbers.
        let wanted = (premaps.len() as u32).min(MAX_LOCKED);
        group.pick(premaps.start, wanted, |lane| {
            if lane.condition() == Condition::Retired {
                return false;
            }
            if look.is_read(arena.tracked(lane.free())) {
                *awaited = true;
                return false;
            }
            if self.is_ready(arena, lane) {
                return true;
            }
            if NOWAIT {
                *awaited = true;
                return false;
            }
            self.make_ready(arena, lane)
        })
    }

    /// Returns `true` if a lane's free block can be written as it is.
    #[inline(always)]
    fn is_ready(&self, arena: &Arena, lane: &Lane) -> bool {
        let len = arena.geometry().internal_lba_size().into();
        lane.condition() == Condition::Ready
            && arena
                .block_offset(lane.free())
                .is_some_and(|offset| !self.media().is_bad(offset, len))
    }

    /// Clears the media errors of a lane's free block. Returns `true` if the lane is usable then.
    ///
    /// The block is free and no reader uses it, so no other request accesses it.
    #[cold]
    fn make_ready(&self, arena: &Arena, lane: &mut Lane) -> bool {
        let len = arena.geometry().internal_lba_size().into();
        let Some(offset) = arena.block_offset(lane.free()) else {
            return false;
        };
        let cleared = self.media().clear(offset, len).is_ok();
        lane.set_condition(if cleared {
            Condition::Ready
        } else {
            Condition::Retired
        });
        cleared
    }

    /// Writes the data and the first halves of the flog entries. If this fails, nothing has
    /// happened yet.
    ///
    /// What is flushed here may become durable in any order. The metadata come first: their lines
    /// are written back while the data are copied, which takes longer.
    #[inline(always)]
    fn stage<S: Source<M>>(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        map: &MapGuard<'_>,
        source: &mut S,
    ) -> Result<(), IoError> {
        let media = self.media();
        // The old block in a flog entry must match a durable map word, so all words of these locks
        // are flushed.
        arena.flush_pending_lines(media, map);
        group.each(|lane| {
            let Move { premap, new, .. } = lane.sector();
            let entry = arena.decode(arena.map_word(media, premap)?, premap)?;
            let data = match arena.block_offset(new) {
                // The block is in use and free at once: writing it would tear the sector.
                Some(offset) if new != entry.block => offset,
                _ => return Err(arena.bad_map_entry(premap, new)),
            };
            if let Some(pending) = lane.pending_flush() {
                arena.flush_map(media, pending..pending + 1);
            }
            let old_bad = entry.state == MapState::Error;
            if let Err(error) = lane.stage(media, entry.block, old_bad) {
                lane.set_condition(Condition::Retired);
                return Err(error.into());
            }
            Ok(source.copy_to(media, data, arena.sector_size())?)
        })
    }

    /// Makes the moves happen. A move that fails has not happened, and its lane is retired.
    #[inline(always)]
    fn commit(&self, arena: &Arena, group: &mut LaneGroup) -> Result<(), IoError> {
        let mut result = Ok(());
        let each = group.each(|lane| {
            if let Err(error) = lane.commit(self.media()) {
                // The slot may be a mix of two entries now, and no longer the one that recovery
                // would need.
                let error = arena.interrupted(error);
                lane.set_condition(Condition::Retired);
                result = result.and(Err(error));
            }
            Ok(())
        });
        each.and(result)
    }

    /// Updates the map from the flog. The words are not flushed: a later writer does it before it
    /// builds on them, and a flush here would delay the locked instructions that release the locks.
    #[inline(always)]
    fn update_map(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        map: &MapGuard<'_>,
    ) -> Result<(), IoError> {
        let media = self.media();
        let mut result = Ok(());
        let each = group.each(|lane| {
            let Some(Move { premap, new, .. }) = lane.committed() else {
                return Ok(());
            };
            let entry = MapEntry {
                state: MapState::Normal,
                block: new,
            };
            if let Err(error) = arena.set_map_entry(media, map, premap, entry) {
                // The flog is ahead of the map: recovery will complete the write, but until then
                // nothing may be built on the map. The other sectors are not affected.
                result = result.and(Err(arena.interrupted(error)));
                let word = arena.map_word(media, premap);
                // A store that fails may have been carried out.
                if word != Ok(entry.encode()) {
                    lane.take_back();
                }
                #[cfg(any(loom, shuttle))]
                if weak::is(weak::Side::Settling) {
                    return result;
                }
            }
            Ok(())
        });
        each.and(result)
    }

    /// Ends a batch whose flog entries may or may not be durable. Returns the error for its
    /// submitter.
    ///
    /// The map stays as it is. If one of its words became durable and the flog entry did not, the
    /// block would be mapped and free. So the sectors show their old contents until recovery finds
    /// out whether they have moved.
    #[cold]
    fn abandon(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        _map: &MapGuard<'_>,
        error: MediaError,
    ) -> IoError {
        // While the locks are held: a request that waits for them must not build on a word that
        // recovery may change.
        let error = arena.interrupted(error);
        #[cfg(any(loom, shuttle))]
        if weak::is(weak::Side::Doubt) {
            return self.update_map(arena, group, _map).err().unwrap_or(error);
        }
        let Ok(()) = group.each(|lane| {
            lane.take_back();
            Ok::<_, Infallible>(())
        });
        error
    }
}
