// SPDX-License-Identifier: GPL-2.0

//! What the C driver of Linux 7.2 does to each sector, written from the description of its cost:
//! one sector at a time, eight fences.
//!
//! | Step of a write | Stores | Fences |
//! |---|---|---|
//! | the lane's mutex; a division finds the arena | | |
//! | all 256 slots of the read tracking table are read, 16 in a line | | |
//! | data | non-temporal | 2 |
//! | the sector's map lock; the map word is read | | |
//! | first half of the flog slot | non-temporal | 2 |
//! | second half | non-temporal | 2 |
//! | map word | non-temporal at even indices, else cached and flushed | 2 |
//!
//! It is cheaper than the original: six look-ups of bad ranges in each write are left out, and so
//! is the virtual call for each.

use crate::{
    medium::Medium,
    one_arena::OneArena,
    strategy::Strategy, //
};
use anyhow::{
    anyhow,
    Result, //
};
use nd_format::btt::flog::RawSlot;
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

/// Number of lanes, whatever the number of CPUs.
const LANES: usize = 256;

/// Value of a slot of the read tracking table that is not in use.
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
    arena: OneArena,
    lanes: Vec<Lane>,
    /// The read tracking table, sixteen slots in a line.
    readers: Vec<AtomicU32>,
    map_locks: Vec<MapLock>,
}

impl CProtocol {
    /// Opens a BTT that was just created.
    pub(crate) fn open(medium: &Medium) -> Result<Self> {
        let arena = OneArena::open(medium)?;
        let lanes = arena.free_blocks().map(|free| {
            Lane(Mutex::new(LaneState {
                free,
                seq: 1,
                slot: 1,
            }))
        });
        Ok(Self {
            lanes: lanes.collect(),
            readers: (0..LANES).map(|_| AtomicU32::new(IDLE)).collect(),
            map_locks: (0..LANES).map(|_| MapLock(Mutex::new(()))).collect(),
            arena,
        })
    }

    /// Completes a store as the driver does: a fence, the flush hints of regions that have some, a
    /// fence.
    #[inline(always)]
    fn flush_region(&self) {
        self.arena.medium.count_fence();
        self.arena.medium.count_fence();
    }

    /// Finds the sector in the arena. The driver divides a 64-bit number for each sector.
    fn arena_of(&self, lba: u64) -> u32 {
        (black_box(lba) % u64::from(black_box(self.arena.sectors()))) as u32
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
        let region = &self.arena.medium.0;
        let outside = |_| anyhow!("sector {lba} is outside");
        region
            .copy_nt(self.arena.block_offset(state.free), bytes)
            .map_err(outside)?;
        self.flush_region();

        let _map = lock(&self.map_locks[premap as usize % self.map_locks.len()].0);
        let old = self.arena.lookup(premap)?;
        let next = state.seq % 3 + 1;
        let [first, second] = RawSlot {
            lba: premap,
            old_map: old,
            new_map: state.free,
            seq: next,
        }
        .halves();
        let slot = self.arena.flog_slot(lane, state.slot);
        region.store64_nt(slot, first).map_err(outside)?;
        self.flush_region();
        region.store64_nt(slot + 8, second).map_err(outside)?;
        self.flush_region();

        let word = OneArena::map_word(state.free);
        let map = self.arena.map_offset(premap);
        if map.is_multiple_of(8) {
            region.store32_nt(map, word).map_err(outside)?;
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
        let mut block = self.arena.lookup(premap)?;
        loop {
            self.readers[lane].store(block, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let again = self.arena.lookup(premap)?;
            if again == block {
                break;
            }
            block = again;
        }
        let read = self.arena.read_block(block, bytes);
        self.readers[lane].store(IDLE, Ordering::Release);
        read
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Strategy for CProtocol {
    fn sectors(&self) -> u64 {
        self.arena.sectors().into()
    }

    fn write(&self, lba: u64, bytes: &[u8], thread: usize) -> Result<()> {
        let sector = self.arena.sector_bytes();
        (lba..)
            .zip(bytes.chunks(sector))
            .try_for_each(|(lba, bytes)| self.write_sector(lba, bytes, thread))
    }

    fn read(&self, lba: u64, bytes: &mut [u8], thread: usize) -> Result<()> {
        let sector = self.arena.sector_bytes();
        (lba..)
            .zip(bytes.chunks_mut(sector))
            .try_for_each(|(lba, bytes)| self.read_sector(lba, bytes, thread))
    }
}
