// SPDX-License-Identifier: GPL-2.0

//! Writing sectors: the commit protocol.
//!
//! A request that holds a lane group writes as many sectors at a time as the group has usable lanes, with two fences for
//! all of them. Each sector is atomic by itself; the sectors of a request may become durable in any order until the
//! request is done.

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
    /// its new contents; which of them is in doubt if the arena is read-only afterwards, until the
    /// BTT is opened again. `cpu` is any number; callers with different numbers do not wait for
    /// each other.
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

    /// The same, but fails with [`IoError::WouldBlock`] rather than wait for others before anything was stored.
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
        // Something is stored: now the request is carried out.
        let written = u64::from(written);
        self.write(lba + written, count - written, source, cpu)
    }

    /// Writes as many sectors of an arena as a lane group has lanes that can be used just now. Returns their number, which is
    /// not zero.
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
        // The locks are taken before the first store: a request without patience gets them now or not at all, and a locked
        // instruction after the stores would wait for them to drain, as the fence does anyway.
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
        // The first error is the one that says that it was the first.
        committed?;
        mapped?;
        group.statistics.batches += 1;
        group.statistics.sectors += u64::from(count);
        Ok(count)
    }

    /// Begins a batch with as many lanes as can be used just now. Returns their number, which is zero if none of the group can be used any
    /// more.
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

    /// Begins a batch with lanes of any group: those of the CPU have media errors that cannot be cleared.
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

    /// Goes on looking for lanes until there is one. `awaited` tells whether there will be.
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

    /// Picks lanes. Tells whether some of the others may be of use later.
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

    /// Whether a lane's free block can be written as it is.
    #[inline(always)]
    fn is_ready(&self, arena: &Arena, lane: &Lane) -> bool {
        let len = arena.geometry().internal_lba_size().into();
        lane.condition() == Condition::Ready
            && arena
                .block_offset(lane.free())
                .is_some_and(|offset| !self.media().is_bad(offset, len))
    }

    /// Clears the errors of a lane's free block. Returns whether the lane can be used.
    ///
    /// Nobody else can be using the block: it is free, and not being read.
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

    /// Writes the data and notes in the flog what is about to happen. Nothing has happened yet when this fails.
    ///
    /// What is flushed here may become durable in any order. The metadata come first: their lines are written back while the
    /// data are copied, which takes longer.
    #[inline(always)]
    fn stage<S: Source<M>>(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        map: &MapGuard<'_>,
        source: &mut S,
    ) -> Result<(), IoError> {
        let media = self.media();
        // A flog entry must not name a block as the old one that the map may forget: all words of these locks are to be durable.
        arena.flush_pending_lines(media, map);
        group.each(|lane| {
            let Move { premap, new, .. } = lane.sector();
            let entry = arena.decode(arena.map_word(media, premap)?, premap)?;
            let data = match arena.block_offset(new) {
                // A block in use and free at once: writing it would tear the sector.
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

    /// Makes the moves happen. Those that fail have not happened, and their lanes are not used again.
    #[inline(always)]
    fn commit(&self, arena: &Arena, group: &mut LaneGroup) -> Result<(), IoError> {
        let mut result = Ok(());
        let each = group.each(|lane| {
            if let Err(error) = lane.commit(self.media()) {
                // The slot may hold a mix of two entries now, and no longer the one that recovery would need.
                let error = arena.interrupted(error);
                lane.set_condition(Condition::Retired);
                result = result.and(Err(error));
            }
            Ok(())
        });
        each.and(result)
    }

    /// Lets the map follow the flog. The words are flushed by whoever builds upon them: a flush here would only delay the locked
    /// instructions that give the locks back.
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
                // The flog is ahead of the map: recovery will finish the write, but until then
                // nothing may be built on the map. The other sectors are not concerned.
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

    /// Ends a batch whose entries in the flog may be durable or not. Returns what its submitter is
    /// told.
    ///
    /// The map stays as it is: were one of its words durable and the entry of the flog lost, the
    /// block would be mapped and free. So the sectors show what they held before, until recovery
    /// finds them moved or not.
    #[cold]
    fn abandon(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        _map: &MapGuard<'_>,
        error: MediaError,
    ) -> IoError {
        // While the locks are held: requests that wait for them must not build on a word that
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
