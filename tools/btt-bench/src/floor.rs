// SPDX-License-Identifier: GPL-2.0

//! The minimum cost of a write in this format with two fences: no locks, no read tracking, no
//! checks of the request's range, only what the format requires of the medium.
//!
//! It is no driver: it is correct only as long as each thread has sectors of its own and no thread
//! reads. It shows how close to the goals any implementation can come on the machine at hand.
//!
//! A batch, for each of its sectors:
//!
//! 1. The map word is read. The word that the lane changed last is flushed. The first half of the
//!    flog slot is stored and flushed, the data by non-temporal stores.
//! 2. Fence.
//! 3. The second half of the flog slot is stored and flushed.
//! 4. Fence.
//! 5. The map word is stored.

use crate::{
    medium::Medium,
    one_arena::OneArena,
    strategy::Strategy, //
};
use anyhow::{
    anyhow,
    Result, //
};
use nd_format::btt::flog::{
    RawSlot,
    HALF_SIZE, //
};
use std::sync::atomic::{
    AtomicU32,
    Ordering, //
};

/// Number of lanes of a thread, as the engine has them with two groups.
const LANES: usize = 128;

/// A lane. Its words are atomic only because threads share the structure: they are loaded and
/// stored like any others.
struct Lane {
    number: usize,
    free: Word,
    seq: Word,
    slot: Word,
    /// Sector whose map word was stored last.
    last: Word,
    /// Block and sector of the lane in the batch in progress.
    old: Word,
    premap: Word,
}

struct Word(AtomicU32);

impl Word {
    fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }

    #[inline(always)]
    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The protocol over one arena of version 1.1.
pub(crate) struct Floor {
    arena: OneArena,
    lanes: Vec<Lane>,
    /// The lane that each thread uses next.
    next: [Word; 2],
}

impl Floor {
    /// Opens a BTT that was just created.
    pub(crate) fn open(medium: &Medium) -> Result<Self> {
        let arena = OneArena::open(medium)?;
        let lanes = arena.free_blocks().enumerate().map(|(number, free)| Lane {
            number,
            free: Word::new(free),
            seq: Word::new(1),
            slot: Word::new(1),
            last: Word::new(0),
            old: Word::new(0),
            premap: Word::new(0),
        });
        Ok(Self {
            lanes: lanes.collect(),
            next: [Word::new(0), Word::new(0)],
            arena,
        })
    }

    fn write_batch(&self, first: u64, bytes: &[u8], thread: usize) -> Result<()> {
        let outside = |_| anyhow!("sectors from {first} on are outside");
        let medium = &self.arena.medium;
        let region = &medium.0;
        let sectors = bytes.chunks(self.arena.sector_bytes());
        let begin = self.next[thread].get() as usize;
        let mine = &self.lanes[thread * LANES..][..LANES];
        let lanes = (0..sectors.len()).map(|index| &mine[(begin + index) % LANES]);
        let slot = |lane: &Lane| self.arena.flog_slot(lane.number, lane.slot.get().into());
        let entry = |lane: &Lane| {
            let entry = RawSlot {
                lba: lane.premap.get(),
                old_map: lane.old.get(),
                new_map: lane.free.get(),
                seq: lane.seq.get() % 3 + 1,
            };
            entry.halves()
        };

        for ((lane, premap), bytes) in lanes.clone().zip(first as u32..).zip(sectors) {
            lane.premap.set(premap);
            lane.old.set(self.arena.lookup(premap)?);
            region.flush(self.arena.map_offset(lane.last.get()), 4);
            let [half, _] = entry(lane);
            region.store64(slot(lane), half).map_err(outside)?;
            region.flush(slot(lane), HALF_SIZE);
            region
                .copy_nt(self.arena.block_offset(lane.free.get()), bytes)
                .map_err(outside)?;
        }
        medium.count_fence();
        for lane in lanes.clone() {
            let [_, half] = entry(lane);
            let at = slot(lane) + HALF_SIZE;
            region.store64(at, half).map_err(outside)?;
            region.flush(at, HALF_SIZE);
        }
        medium.count_fence();
        let mut count = 0;
        for lane in lanes {
            let at = self.arena.map_offset(lane.premap.get());
            let word = OneArena::map_word(lane.free.get());
            region.store32(at, word).map_err(outside)?;
            lane.free.set(lane.old.get());
            lane.seq.set(lane.seq.get() % 3 + 1);
            lane.slot.set(1 - lane.slot.get());
            lane.last.set(lane.premap.get());
            count += 1;
        }
        self.next[thread].set(((begin + count) % LANES) as u32);
        Ok(())
    }
}

impl Strategy for Floor {
    fn sectors(&self) -> u64 {
        self.arena.sectors().into()
    }

    fn write(&self, lba: u64, bytes: &[u8], thread: usize) -> Result<()> {
        let batches = bytes.chunks(LANES * self.arena.sector_bytes());
        (lba..)
            .step_by(LANES)
            .zip(batches)
            .try_for_each(|(lba, bytes)| self.write_batch(lba, bytes, thread))
    }

    fn read(&self, lba: u64, bytes: &mut [u8], _: usize) -> Result<()> {
        let sectors = bytes.chunks_mut(self.arena.sector_bytes());
        for (premap, bytes) in (lba as u32..).zip(sectors) {
            self.arena.read_block(self.arena.lookup(premap)?, bytes)?;
        }
        Ok(())
    }
}
