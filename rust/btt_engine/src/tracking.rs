// SPDX-License-Identifier: GPL-2.0

//! The read tracking table: which blocks are being read just now.
//!
//! A block that a write has freed may still be read by somebody who looked at the map before. So a reader publishes the
//! block and then looks at the map *again*; a writer changes the map and looks at the table before the block is used
//! again. Between the two steps each side needs a full barrier, as a store may otherwise be delayed behind the load that
//! follows it, on x86 as well: then both would see the other's old state.
//!
//! There is a slot for each lane group, on a cache line of its own. A reader prefers the slot of its CPU and takes any
//! other one that is free, so that readers share no line as long as they run on different CPUs.

use core::num::NonZeroUsize;

use crate::sync::{
    full_barrier,
    relax,
    NoMemory,
    PaddedWord,
    Slots, //
};

/// Nobody uses the slot.
const IDLE: u64 = 0;

/// A block of an arena as the table holds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tracked(u64);

impl Tracked {
    /// Names block `block` of arena number `arena`.
    #[inline]
    pub(crate) fn new(arena: u32, block: u32) -> Self {
        // One is added to the arena so that no block is IDLE.
        Self((u64::from(arena) + 1) << 32 | u64::from(block))
    }
}

/// The table of a BTT.
pub(crate) struct ReadTable {
    slots: Slots<PaddedWord>,
    /// Their number.
    len: NonZeroUsize,
}

/// A slot in use: the published block is not written until this is dropped or publishes another one.
pub(crate) struct Reading<'a> {
    slot: &'a PaddedWord,
}

impl ReadTable {
    /// Makes a table of `slots` slots, but at least one.
    #[inline]
    pub(crate) fn new(slots: usize) -> Result<Self, NoMemory> {
        let len = NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            slots: Slots::new(len.get(), |_| PaddedWord::new(IDLE))?,
            len,
        })
    }

    /// Publishes a block in a free slot, if possible slot number `hint`, modulo their number. A full barrier.
    #[inline]
    pub(crate) fn publish(&self, hint: usize, block: Tracked) -> Reading<'_> {
        if let Some(reading) = self.publish_in(hint, block) {
            return reading;
        }
        let mut attempt = 0;
        loop {
            if let Some(reading) = self.publish_anywhere(block) {
                return reading;
            }
            relax(attempt);
            attempt = attempt.saturating_add(1);
        }
    }

    /// The same, if there is a free slot.
    #[inline]
    pub(crate) fn try_publish(&self, hint: usize, block: Tracked) -> Option<Reading<'_>> {
        self.publish_in(hint, block)
            .or_else(|| self.publish_anywhere(block))
    }

    #[inline(always)]
    fn publish_in(&self, hint: usize, block: Tracked) -> Option<Reading<'_>> {
        // Most hints are small enough, and a division takes longer than all the rest.
        let number = if hint < self.len.get() {
            hint
        } else {
            hint % self.len
        };
        let slot = self.slots.get(number)?;
        // Only a slot that was had may become a value that gives it back.
        slot.replace(IDLE, block.0).then(|| Reading { slot })
    }

    #[cold]
    fn publish_anywhere(&self, block: Tracked) -> Option<Reading<'_>> {
        let mut slots = self.slots.iter();
        let slot = slots.find(|slot| slot.replace(IDLE, block.0))?;
        Some(Reading { slot })
    }

    /// Looks at the table as it is after all changes of the map so far. A full barrier.
    #[inline]
    pub(crate) fn look(&self) -> Look<'_> {
        full_barrier();
        Look { table: self }
    }
}

impl Reading<'_> {
    /// Publishes another block instead. A full barrier.
    #[inline]
    pub(crate) fn replace(&mut self, block: Tracked) {
        self.slot.swap(block.0);
    }
}

impl Drop for Reading<'_> {
    #[inline]
    fn drop(&mut self) {
        self.slot.store(IDLE);
    }
}

/// A writer's look at the table.
pub(crate) struct Look<'a> {
    table: &'a ReadTable,
}

impl Look<'_> {
    /// Tells whether somebody may be reading a block that no map word named when the look began.
    #[inline]
    pub(crate) fn is_read(&self, block: Tracked) -> bool {
        self.table.slots.iter().any(|slot| slot.load() == block.0)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn readers_with_the_same_hint_leave_each_other_alone() {
        let table = ReadTable::new(2).expect("memory");
        let blocks = [1, 2, 3].map(|block| Tracked::new(0, block));
        let first = table.publish(7, blocks[0]);
        let second = table.try_publish(7, blocks[1]);
        assert!(second.is_some());
        assert!(table.try_publish(7, blocks[2]).is_none());
        let read = |table: &ReadTable| blocks.map(|block| table.look().is_read(block));
        assert_eq!(read(&table), [true, true, false]);
        drop(first);
        assert_eq!(read(&table), [false, true, false]);
    }
}
