// SPDX-License-Identifier: GPL-2.0

//! Discarding sectors: they read as zeroes afterwards.
//!
//! A discard changes only the state in the map word, four bytes a sector. The sector keeps its
//! block, so no lane and no flog entry is needed. The map is locked one cache line at a time, and
//! one fence serves the whole request.

use crate::{
    arena::Arena,
    btt::{
        Btt,
        Part, //
    },
    error::IoError,
    map_locks::{
        MapGuard,
        WORDS_PER_LINE, //
    },
    media::Media,
};
use core::ops::Range;
use nd_format::btt::{
    MapEntry,
    MapState, //
};

impl<M: Media> Btt<M> {
    /// Makes `count` sectors from `lba` on read as zeroes.
    ///
    /// When this returns `Ok`, that is durable. After an error some of the sectors may have their
    /// old contents. The old data remain on the medium until their blocks are reused.
    pub fn discard(&self, lba: u64, count: u64) -> Result<(), IoError> {
        for Part { arena, mut premaps } in self.parts(lba, count)? {
            while !premaps.is_empty() {
                premaps.start = self.discard_line::<false>(arena, &premaps)?;
            }
        }
        Ok(self.media().fence()?)
    }

    /// Discards as [`discard`](Self::discard) does, but fails with [`IoError::WouldBlock`] if it
    /// would have to wait before anything was stored.
    pub fn try_discard(&self, lba: u64, count: u64) -> Result<(), IoError> {
        let Some(Part { arena, premaps }) = self.parts(lba, count)?.next() else {
            return Ok(());
        };
        let end = self.discard_line::<true>(arena, &premaps)?;
        // Something is stored, so the rest of the request may wait.
        let discarded = u64::from(end - premaps.start);
        self.discard(lba + discarded, count - discarded)
    }

    /// Discards the first of `premaps`, up to the end of their map line. Returns the sector after
    /// the last one discarded.
    fn discard_line<const NOWAIT: bool>(
        &self,
        arena: &Arena,
        premaps: &Range<u32>,
    ) -> Result<u32, IoError> {
        let start = premaps.start;
        let line_end = (start - start % WORDS_PER_LINE).saturating_add(WORDS_PER_LINE);
        let end = line_end.min(premaps.end);
        let map = arena.lock_map::<NOWAIT>(start..end)?;
        arena.check_writable(&map)?;
        self.discard_locked(arena, &map)?;
        Ok(end)
    }

    fn discard_locked(&self, arena: &Arena, map: &MapGuard<'_>) -> Result<(), IoError> {
        let media = self.media();
        let result = map.premaps().try_for_each(|premap| {
            let entry = arena.decode(arena.map_word(media, premap)?, premap)?;
            if entry.state == MapState::Zero {
                return Ok(());
            }
            let entry = MapEntry {
                state: MapState::Zero,
                ..entry
            };
            Ok(arena.set_map_entry(media, map, premap, entry)?)
        });
        // This includes words that were zero already: the discard that has stored them may not have
        // fenced yet.
        arena.flush_map(media, map.premaps());
        result
    }
}
