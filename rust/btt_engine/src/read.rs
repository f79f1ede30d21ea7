// SPDX-License-Identifier: GPL-2.0

//! Reading sectors.
//!
//! A read looks up the block of a sector in the map, publishes it in the read tracking table, and
//! reads it if the map has not changed meanwhile ([`tracking`](crate::tracking)). It takes a lock
//! only to mark a sector as lost in the map.

use crate::{
    arena::Arena,
    btt::{
        Btt,
        Part, //
    },
    error::IoError,
    media::{
        Media,
        MediaError,
        Sink, //
    },
    tracking::Reading,
};
use core::ops::Range;
use nd_format::btt::{
    MapEntry,
    MapState, //
};

/// A map entry and its word. While the request's slot publishes the block, no writer reuses it.
struct Held {
    word: u32,
    entry: MapEntry,
}

/// A read in progress.
struct Request<'a> {
    /// The slot that publishes the block being read, if a block was published yet.
    reading: Option<Reading<'a>>,
    cpu: usize,
}

impl<M: Media> Btt<M> {
    /// Reads `count` sectors from `lba` on into the next bytes of `sink`.
    ///
    /// `cpu` may be any number. Callers with different numbers share no cache line.
    #[inline]
    pub fn read<S: Sink<M>>(
        &self,
        lba: u64,
        count: u64,
        sink: &mut S,
        cpu: usize,
    ) -> Result<(), IoError> {
        self.read_sectors::<S, false>(lba, count, sink, cpu)
    }

    /// Reads as [`read`](Self::read) does, but fails with [`IoError::WouldBlock`] if it would have
    /// to wait.
    #[inline(never)]
    pub fn try_read<S: Sink<M>>(
        &self,
        lba: u64,
        count: u64,
        sink: &mut S,
        cpu: usize,
    ) -> Result<(), IoError> {
        self.read_sectors::<S, true>(lba, count, sink, cpu)
    }

    #[inline(always)]
    fn read_sectors<S: Sink<M>, const NOWAIT: bool>(
        &self,
        lba: u64,
        count: u64,
        sink: &mut S,
        cpu: usize,
    ) -> Result<(), IoError> {
        let mut request = Request { reading: None, cpu };
        for Part { arena, premaps } in self.parts(lba, count)? {
            if arena.is_behind() {
                self.read_moved::<S, NOWAIT>(arena, premaps, sink, &mut request)?;
                continue;
            }
            for premap in premaps {
                self.read_sector::<S, NOWAIT>(arena, premap, sink, &mut request)?;
            }
        }
        Ok(())
    }

    /// Reads sectors of an arena whose map is behind the flog. Such an arena is read-only.
    #[cold]
    fn read_moved<'a, S: Sink<M>, const NOWAIT: bool>(
        &'a self,
        arena: &Arena,
        premaps: Range<u32>,
        sink: &mut S,
        request: &mut Request<'a>,
    ) -> Result<(), IoError> {
        for premap in premaps {
            match self.moved(arena, premap) {
                Some(block) => {
                    let Some(offset) = arena.block_offset(block) else {
                        return Err(arena.bad_map_entry(premap, block));
                    };
                    sink.copy_from(self.media(), offset, arena.sector_size())?;
                }
                None => self.read_sector::<S, NOWAIT>(arena, premap, sink, request)?,
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn read_sector<'a, S: Sink<M>, const NOWAIT: bool>(
        &'a self,
        arena: &Arena,
        premap: u32,
        sink: &mut S,
        request: &mut Request<'a>,
    ) -> Result<(), IoError> {
        let held = self.hold::<NOWAIT>(arena, premap, request)?;
        match held.entry.state {
            MapState::Zero => {
                sink.fill_zero(arena.sector_size());
                Ok(())
            }
            MapState::Error => Err(IoError::Lost {
                lba: arena.lba(premap),
            }),
            MapState::Initial | MapState::Normal => {
                let Some(offset) = arena.block_offset(held.entry.block) else {
                    return Err(arena.bad_map_entry(premap, held.entry.block));
                };
                sink.copy_from(self.media(), offset, arena.sector_size())
                    .map_err(|error| self.read_failed::<NOWAIT>(arena, premap, &held, error))
            }
        }
    }

    /// Finds the block of a sector and, if it is to be read, keeps writers from reusing it.
    ///
    /// The block takes the place of the one that the request's slot has published before.
    #[inline(always)]
    fn hold<'a, const NOWAIT: bool>(
        &'a self,
        arena: &Arena,
        premap: u32,
        request: &mut Request<'a>,
    ) -> Result<Held, IoError> {
        let place = arena.map_word_offset(premap)?;
        let mut word = self.media().load32(place)?;
        loop {
            let entry = arena.decode(word, premap)?;
            if matches!(entry.state, MapState::Zero | MapState::Error) {
                return Ok(Held { word, entry });
            }
            let block = arena.tracked(entry.block);
            match &mut request.reading {
                Some(reading) => reading.replace(block),
                none if !NOWAIT => *none = Some(self.table().publish(request.cpu, block)),
                none => {
                    let reading = self.table().try_publish(request.cpu, block);
                    *none = Some(reading.ok_or(IoError::WouldBlock)?);
                }
            }
            // The block may have been freed, and looked for in the table, before it was published.
            let again = self.media().load32(place)?;
            if again == word {
                return Ok(Held { word, entry });
            }
            word = again;
        }
    }

    #[cold]
    fn read_failed<const NOWAIT: bool>(
        &self,
        arena: &Arena,
        premap: u32,
        held: &Held,
        error: MediaError,
    ) -> IoError {
        if matches!(error, MediaError::Poison { .. }) {
            self.mark_lost::<NOWAIT>(arena, premap, held);
        }
        error.into()
    }

    /// Marks a sector as lost in the map, so that later reads need not try.
    ///
    /// This is a hint. If the map word has changed since, the sector was written, and the map is
    /// left as it is. The caller still publishes the block. Otherwise the same word could by now
    /// stand for new data in the same block.
    fn mark_lost<const NOWAIT: bool>(&self, arena: &Arena, premap: u32, held: &Held) {
        if self.media().is_read_only() {
            return;
        }
        let Ok(map) = arena.lock_map::<NOWAIT>(premap..premap + 1) else {
            return;
        };
        if arena.check_writable(&map).is_err()
            || arena.map_word(self.media(), premap) != Ok(held.word)
        {
            return;
        }
        let entry = MapEntry {
            state: MapState::Error,
            block: held.entry.block,
        };
        // If the map word cannot be stored, the sector remains as unreadable as it is.
        if arena
            .set_map_entry(self.media(), &map, premap, entry)
            .is_ok()
        {
            arena.flush_map(self.media(), map.premaps());
        }
    }
}
