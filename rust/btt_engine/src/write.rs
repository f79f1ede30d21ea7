// SPDX-License-Identifier: GPL-2.0

//! Writing sectors: the commit protocol.
//!
//! A request that holds a lane group writes as many sectors at a time as the group has usable lanes, with two fences for
//! all of them. Each sector is atomic by itself; the sectors of a request may become durable in any order until the
//! request is done.

use crate::{
    arena::Arena,
    btt::{
        Btt,
        Part, //
    },
    buckets::MapGuard,
    error::IoError,
    lanes::{
        Condition,
        Lane,
        LaneGroup, //
    },
    media::{
        Media,
        Source, //
    },
    patience::Patience,
    sync::relax,
};
use nd_format::btt::{
    MapEntry,
    MapState, //
};

impl<M: Media> Btt<M> {
    /// Writes `count` sectors from `lba` on with the next bytes of `source`.
    ///
    /// When this returns `Ok`, all sectors are durable. After an error each of them has its old or its new contents.
    /// `cpu` is any number; callers with different numbers do not wait for each other.
    pub fn write<S: Source<M>>(
        &self,
        lba: u64,
        count: u64,
        source: &mut S,
        cpu: usize,
    ) -> Result<(), IoError> {
        self.write_sectors(lba, count, source, cpu, Patience::Wait)
    }

    /// The same, but fails with [`IoError::WouldBlock`] rather than wait for others before anything was stored.
    pub fn try_write<S: Source<M>>(
        &self,
        lba: u64,
        count: u64,
        source: &mut S,
        cpu: usize,
    ) -> Result<(), IoError> {
        self.write_sectors(lba, count, source, cpu, Patience::Refuse)
    }

    fn write_sectors<S: Source<M>>(
        &self,
        lba: u64,
        count: u64,
        source: &mut S,
        cpu: usize,
        mut patience: Patience,
    ) -> Result<(), IoError> {
        for part in self.parts(lba, count)? {
            let Part { arena, premaps } = part;
            let mut premap = premaps.start;
            while premap < premaps.end {
                let mut group = arena.lane_group(cpu, patience)?;
                let wanted = (premaps.end - premap) as usize;
                let batch = self.pick_lanes(arena, &mut group, premap, wanted, patience)?;
                self.write_batch(arena, &mut group, premap, batch, source, patience)?;
                // Something is stored: now the request is carried out.
                patience = Patience::Wait;
                premap += batch;
            }
        }
        Ok(())
    }

    /// Begins a batch with as many lanes as can be used just now, but at least one. Returns their number.
    fn pick_lanes(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        premap: u32,
        wanted: usize,
        patience: Patience,
    ) -> Result<u32, IoError> {
        let mut attempt = 0;
        loop {
            let look = self.table().look();
            let mut awaited = false;
            let picked = group.pick(premap, wanted, |lane| {
                if lane.condition() == Condition::Retired {
                    return false;
                }
                if look.is_read(arena.tracked(lane.free())) {
                    awaited = true;
                    return false;
                }
                if patience == Patience::Refuse && !self.is_ready(arena, lane) {
                    awaited = true;
                    return false;
                }
                self.make_ready(arena, lane)
            });
            if picked > 0 {
                // There are no more lanes than blocks, which have 30 bits.
                return Ok(picked as u32);
            }
            if !awaited {
                return Err(IoError::NoFreeBlock { arena: arena.index });
            }
            if patience == Patience::Refuse {
                return Err(IoError::WouldBlock);
            }
            if attempt == 0 {
                group.statistics.reader_waits += 1;
            }
            relax(attempt);
            attempt = attempt.saturating_add(1);
        }
    }

    /// Whether a lane's free block can be written as it is.
    #[inline]
    fn is_ready(&self, arena: &Arena, lane: &Lane) -> bool {
        let len = arena.geometry().internal_lba_size().into();
        lane.condition() == Condition::Ready
            && arena
                .block_offset(lane.free())
                .is_some_and(|offset| !self.media().is_bad(offset, len))
    }

    /// Clears the errors of a lane's free block, if it has any. Returns whether the lane can be used.
    ///
    /// Nobody else can be using the block: it is free, and not being read.
    fn make_ready(&self, arena: &Arena, lane: &mut Lane) -> bool {
        let len = arena.geometry().internal_lba_size().into();
        let Some(offset) = arena.block_offset(lane.free()) else {
            return false;
        };
        if lane.condition() == Condition::Ready && !self.media().is_bad(offset, len) {
            return true;
        }
        let cleared = self.media().clear(offset, len).is_ok();
        lane.set_condition(if cleared {
            Condition::Ready
        } else {
            Condition::Retired
        });
        cleared
    }

    fn write_batch<S: Source<M>>(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        premap: u32,
        count: u32,
        source: &mut S,
        patience: Patience,
    ) -> Result<(), IoError> {
        let media = self.media();
        let sector_size = arena.sector_size();
        // A request that does not want to wait must know that it need not before it stores the first byte.
        let early = match patience {
            Patience::Wait => None,
            Patience::Refuse => Some(arena.try_lock_map(premap..premap + count)?),
        };
        group.each(|pick, _| {
            let offset = arena
                .block_offset(pick.block)
                .ok_or_else(|| arena.bad_map_entry(pick.r#move.premap, pick.block))?;
            source
                .copy_to(media, offset, sector_size)
                .map_err(IoError::from)
        })?;

        let map = early.unwrap_or_else(|| arena.lock_map(premap..premap + count));
        self.stage(arena, group, &map)?;
        group.statistics.fences += 1;
        media.fence()?;
        let committed = self.commit(arena, group);
        group.statistics.fences += 1;
        let durable = media.fence();
        if durable.is_err() {
            // The flog says one thing to us and perhaps another after a power failure.
            arena.set_read_only();
        }
        self.settle(arena, group, &map)?;
        durable?;
        committed?;
        group.statistics.batches += 1;
        group.statistics.sectors += u64::from(count);
        Ok(())
    }

    /// Notes in the flog what is about to happen. Nothing has happened yet when this fails.
    fn stage(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        map: &MapGuard<'_>,
    ) -> Result<(), IoError> {
        let media = self.media();
        group.each(|pick, lane| {
            let premap = pick.r#move.premap;
            let entry = arena.decode(arena.map_word(media, premap)?, premap)?;
            if entry.block == pick.block {
                // The block is in use and free at once: writing it would have torn the sector.
                return Err(arena.bad_map_entry(premap, entry.block));
            }
            pick.r#move.old = entry.block;
            pick.r#move.old_bad = entry.state == MapState::Error;
            if let Some(unsettled) = lane.unsettled() {
                arena.flush_map(media, unsettled..unsettled + 1);
            }
            lane.stage(media, &pick.r#move).map_err(|error| {
                lane.set_condition(Condition::Retired);
                error.into()
            })
        })?;
        // The words as they were read: whoever stored them may not have had his fence yet.
        arena.flush_map(media, map.premaps());
        Ok(())
    }

    /// Makes the moves happen. Those that fail have not happened, and their lanes are not used again.
    fn commit(&self, arena: &Arena, group: &mut LaneGroup) -> Result<(), IoError> {
        let mut result = Ok(());
        let each = group.each(|pick, lane| {
            match lane.commit(self.media(), &pick.r#move) {
                Ok(()) => pick.committed = true,
                Err(error) => {
                    lane.set_condition(Condition::Retired);
                    result = Err(error.into());
                }
            }
            Ok::<(), IoError>(())
        });
        each.and(result).inspect_err(|_| {
            // The slot may hold a mix of two entries now, and no longer the one that recovery would need.
            arena.set_read_only();
        })
    }

    /// Lets the map follow the flog.
    fn settle(
        &self,
        arena: &Arena,
        group: &mut LaneGroup,
        map: &MapGuard<'_>,
    ) -> Result<(), IoError> {
        let media = self.media();
        let settled = group.each(|pick, _| {
            if !pick.committed {
                return Ok(());
            }
            let entry = MapEntry {
                state: MapState::Normal,
                block: pick.block,
            };
            arena.set_map_entry(media, map, pick.r#move.premap, entry)
        });
        arena.flush_map(media, map.premaps());
        settled.map_err(|error| {
            // The flog is ahead of the map: recovery will finish the write, but until then nothing may be written, as
            // the lanes hold blocks that the map still names.
            arena.set_read_only();
            error.into()
        })
    }
}
