// SPDX-License-Identifier: GPL-2.0

//! Discarding sectors, so that they read as zeroes: four bytes a sector.
//!
//! The sector keeps its block, so that no lane and no flog is needed: only the state in the map word changes. Sectors are
//! taken cache line by cache line of the map, with one fence for all.

use crate::{
    arena::Arena,
    btt::Btt,
    buckets::{
        MapGuard,
        WORDS_PER_BUCKET, //
    },
    error::IoError,
    media::Media,
    patience::Patience, //
};
use nd_format::btt::{
    MapEntry,
    MapState, //
};

impl<M: Media> Btt<M> {
    /// Makes `count` sectors from `lba` on read as zeroes.
    ///
    /// When this returns `Ok`, this is durable. After an error some of the sectors may have their old contents. The
    /// old data stay on the medium until their blocks are used again.
    pub fn discard(&self, lba: u64, count: u64) -> Result<(), IoError> {
        self.discard_sectors(lba, count, Patience::Wait)
    }

    /// The same without waiting for others: then it fails with [`IoError::WouldBlock`].
    pub fn try_discard(&self, lba: u64, count: u64) -> Result<(), IoError> {
        self.discard_sectors(lba, count, Patience::Refuse)
    }

    fn discard_sectors(&self, lba: u64, count: u64, mut patience: Patience) -> Result<(), IoError> {
        for part in self.parts(lba, count)? {
            part.arena.check_writable()?;
            let mut start = part.premaps.start;
            while start < part.premaps.end {
                let line_end = (start - start % WORDS_PER_BUCKET).saturating_add(WORDS_PER_BUCKET);
                let end = line_end.min(part.premaps.end);
                let map = match patience {
                    Patience::Wait => part.arena.lock_map(start..end),
                    Patience::Refuse => part.arena.try_lock_map(start..end)?,
                };
                patience = Patience::Wait;
                self.discard_line(part.arena, &map)?;
                start = end;
            }
        }
        Ok(self.media().fence()?)
    }

    fn discard_line(&self, arena: &Arena, map: &MapGuard<'_>) -> Result<(), IoError> {
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
        // Also the words that were zero already: whoever stored them may not have had his fence yet.
        arena.flush_map(media, map.premaps());
        result
    }
}
