// SPDX-License-Identifier: GPL-2.0

//! What the C driver of Linux 7.2 does to each sector, written from the description of its cost: one sector at a time, eight fences.
//!
//! | Step of a write | Stores | Fences |
//! |---|---|---|
//! | the lane's mutex; a division finds the arena | | |
//! | all 256 slots of the read tracking table are looked at, 16 to a line | | |
//! | data | past the caches | 2 |
//! | the sector's map lock; the map word is read | | |
//! | first half of the flog slot | past the cache | 2 |
//! | second half | past the cache | 2 |
//! | map word | past the cache at even indices, else through it and flushed | 2 |
//!
//! It is kinder than the original: questions for bad ranges, six a write, are left out, and so is the virtual call for each.

use crate::{
    medium::Medium,
    strategy::Strategy, //
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
    flog::RawSlot,
    ArenaGeometry,
    MapEntry,
    MapState, //
};
use std::{
    hint::{
        black_box,
        spin_loop, //
    },
    sync::{
        atomic::{
            fence,
            AtomicU32,
            Ordering, //
        },
        Mutex,
        PoisonError, //
    },
};

/// Lanes, whatever the number of CPUs.
const LANES: usize = 256;

/// Nobody reads.
const IDLE: u32 = u32::MAX;

#[repr(align(64))]
struct Lane(Mutex<LaneState>);

struct LaneState {
    free: u32,
    seq: u32,
    /// Slot of the next entry.
    slot: u64,
}

#[repr(align(64))]
struct MapLock(Mutex<()>);

/// The protocol over one arena of version 1.1.
pub(crate) struct CProtocol {
    medium: Medium,
    start: u64,
    geometry: ArenaGeometry,
    lanes: Vec<Lane>,
    /// Sixteen slots to a line.
    readers: Vec<AtomicU32>,
    map_locks: Vec<MapLock>,
}

impl CProtocol {
    /// Takes over a BTT that was just made.
    pub(crate) fn open(medium: &Medium) -> Result<Self> {
        let opened = Btt::open(medium.clone(), &crate::strategy::open_params());
        let btt = opened.map_err(|error| anyhow!("{error}"))?.btt;
        let Some(arena) = btt.arenas().next() else {
            bail!("no arena");
        };
        let geometry = arena.info.geometry;
        let lanes = (0..geometry.nfree()).map(|lane| {
            Lane(Mutex::new(LaneState {
                free: geometry.external_nlba() + lane,
                seq: 1,
                slot: 1,
            }))
        });
        Ok(Self {
            medium: medium.clone(),
            start: btt.detected().version.initial_offset() + arena.offset,
            geometry,
            lanes: lanes.collect(),
            readers: (0..LANES).map(|_| AtomicU32::new(IDLE)).collect(),
            map_locks: (0..LANES).map(|_| MapLock(Mutex::new(()))).collect(),
        })
    }

    /// What follows each of its stores: a fence, the flush hints of regions that have some, a fence.
    #[inline(always)]
    fn flush_region(&self) {
        self.medium.count_fence();
        self.medium.count_fence();
    }

    fn map_offset(&self, premap: u32) -> u64 {
        self.start + self.geometry.map_offset() + u64::from(premap) * 4
    }

    fn block_offset(&self, block: u32) -> u64 {
        self.start
            + self.geometry.data_offset()
            + u64::from(block) * u64::from(self.geometry.internal_lba_size())
    }

    fn lookup(&self, premap: u32) -> Result<u32> {
        let word = self.medium.load32(self.map_offset(premap));
        let word = word.map_err(|error| anyhow!("{error}"))?;
        Ok(MapEntry::decode(word, premap).block)
    }

    /// The driver divides a 64-bit number for each sector.
    fn arena_of(&self, lba: u64) -> u32 {
        (black_box(lba) % u64::from(black_box(self.geometry.external_nlba()))) as u32
    }

    fn write_sector(&self, lba: u64, bytes: &[u8], thread: usize) -> Result<()> {
        let lane = thread % LANES;
        let mut state = lock(&self.lanes[lane].0);
        let premap = self.arena_of(lba);
        for reader in &self.readers {
            while reader.load(Ordering::Relaxed) == state.free {
                spin_loop();
            }
        }
        let region = &self.medium.0;
        let outside = |_| anyhow!("sector {lba} is outside");
        region
            .copy_past_cache(self.block_offset(state.free), bytes)
            .map_err(outside)?;
        self.flush_region();

        let _map = lock(&self.map_locks[premap as usize % self.map_locks.len()].0);
        let old = self.lookup(premap)?;
        let next = state.seq % 3 + 1;
        let [first, second] = RawSlot {
            lba: premap,
            old_map: old,
            new_map: state.free,
            seq: next,
        }
        .halves();
        let slot = self.start + self.geometry.flog_offset() + lane as u64 * 64 + state.slot * 16;
        region.store64_past_cache(slot, first).map_err(outside)?;
        self.flush_region();
        region
            .store64_past_cache(slot + 8, second)
            .map_err(outside)?;
        self.flush_region();

        let word = MapEntry {
            state: MapState::Normal,
            block: state.free,
        }
        .encode();
        let map = self.map_offset(premap);
        if map.is_multiple_of(8) {
            region.store32_past_cache(map, word).map_err(outside)?;
        } else {
            region.store32(map, word).map_err(outside)?;
            region.flush(map, 4);
        }
        self.flush_region();
        state.free = old;
        state.seq = next;
        state.slot = 1 - state.slot;
        Ok(())
    }

    fn read_sector(&self, lba: u64, bytes: &mut [u8], thread: usize) -> Result<()> {
        let lane = thread % LANES;
        let _state = lock(&self.lanes[lane].0);
        let premap = self.arena_of(lba);
        let mut block = self.lookup(premap)?;
        loop {
            self.readers[lane].store(block, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let again = self.lookup(premap)?;
            if again == block {
                break;
            }
            block = again;
        }
        let read = self.medium.0.read(self.block_offset(block), bytes);
        self.readers[lane].store(IDLE, Ordering::Release);
        read.map_err(|_| anyhow!("sector {lba} is outside"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Strategy for CProtocol {
    fn sectors(&self) -> u64 {
        self.geometry.external_nlba().into()
    }

    fn write(&self, lba: u64, bytes: &[u8], thread: usize) -> Result<()> {
        let sector = self.geometry.lba_size().bytes() as usize;
        (lba..)
            .zip(bytes.chunks(sector))
            .try_for_each(|(lba, bytes)| self.write_sector(lba, bytes, thread))
    }

    fn read(&self, lba: u64, bytes: &mut [u8], thread: usize) -> Result<()> {
        let sector = self.geometry.lba_size().bytes() as usize;
        (lba..)
            .zip(bytes.chunks_mut(sector))
            .try_for_each(|(lba, bytes)| self.read_sector(lba, bytes, thread))
    }
}
