// SPDX-License-Identifier: GPL-2.0

//! The only arena of a BTT of version 1.1, for protocols that are written beside the engine:
//! offsets, and words of the map.

use crate::{
    medium::Medium,
    strategy, //
};
use anyhow::{
    anyhow,
    bail,
    Result, //
};
use btt_engine::{
    Btt,
    Media as _, //
};
use nd_format::btt::{
    flog::SLOT_SIZE,
    ArenaGeometry,
    MapEntry,
    MapState, //
};

/// Bytes of a lane's group in the flog.
const FLOG_GROUP: u64 = 64;
/// Bytes of a map word.
const MAP_WORD: u64 = 4;

/// The arena.
pub(crate) struct OneArena {
    pub(crate) medium: Medium,
    /// Offset of the arena on the medium.
    start: u64,
    geometry: ArenaGeometry,
}

impl OneArena {
    /// Opens a BTT that was just created.
    pub(crate) fn open(medium: &Medium) -> Result<Self> {
        let opened = Btt::open(medium.clone(), &strategy::open_params());
        let btt = opened.map_err(|error| anyhow!("{error}"))?.btt;
        let Some(arena) = btt.arenas().next() else {
            bail!("no arena");
        };
        Ok(Self {
            medium: medium.clone(),
            start: btt.detected().version.initial_offset() + arena.offset,
            geometry: arena.info.geometry,
        })
    }

    /// Returns the blocks that belong to no sector of a new BTT, one for each lane.
    pub(crate) fn free_blocks(&self) -> impl Iterator<Item = u32> {
        let first = self.geometry.external_nlba();
        first..first + self.geometry.nfree()
    }

    pub(crate) fn sectors(&self) -> u32 {
        self.geometry.external_nlba()
    }

    pub(crate) fn sector_bytes(&self) -> usize {
        self.geometry.lba_size().bytes() as usize
    }

    #[inline(always)]
    pub(crate) fn map_offset(&self, premap: u32) -> u64 {
        self.start + self.geometry.map_offset() + u64::from(premap) * MAP_WORD
    }

    #[inline(always)]
    pub(crate) fn block_offset(&self, block: u32) -> u64 {
        self.start
            + self.geometry.data_offset()
            + u64::from(block) * u64::from(self.geometry.internal_lba_size())
    }

    /// Returns the offset of slot 0 or 1 of a lane.
    #[inline(always)]
    pub(crate) fn flog_slot(&self, lane: usize, slot: u64) -> u64 {
        self.start + self.geometry.flog_offset() + lane as u64 * FLOG_GROUP + slot * SLOT_SIZE
    }

    /// Returns the block that holds a sector.
    #[inline(always)]
    pub(crate) fn lookup(&self, premap: u32) -> Result<u32> {
        let word = self.medium.load32(self.map_offset(premap));
        let word = word.map_err(|error| anyhow!("{error}"))?;
        Ok(MapEntry::decode(word, premap).block)
    }

    #[inline(always)]
    pub(crate) fn read_block(&self, block: u32, bytes: &mut [u8]) -> Result<()> {
        let read = self.medium.0.read(self.block_offset(block), bytes);
        read.map_err(|_| anyhow!("block {block} is outside"))
    }

    /// Returns the map word of a sector that `block` holds.
    #[inline(always)]
    pub(crate) fn map_word(block: u32) -> u32 {
        let state = MapState::Normal;
        MapEntry { state, block }.encode()
    }
}
