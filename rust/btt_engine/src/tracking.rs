// SPDX-License-Identifier: GPL-2.0

//! The read tracking table: which blocks are being read.
//!
//! A reader loads the map word of a sector and then reads the block that the word names. In between
//! a writer may move the sector and free that block, and another writer may reuse it. So a reader
//! publishes the block in the table and then loads the map word *again*. A writer stores the map
//! word and looks for the freed block in the table before the block is used again:
//!
//! ```text
//!   Reader                                   Writers
//!
//!   loads the map word of s: a               stores the map word of s: b. Block a is free
//!   publishes a in its slot                  ── full barrier ──
//!   ── full barrier ──                       looks for a in the table
//!   loads the map word of s again            not found: writes other data to a
//!   still a: reads block a
//! ```
//!
//! Without a full barrier on each side a store may be delayed behind the load that follows it, on
//! x86 as well. Both sides would see the other's old state, as in the drawing: the reader sees `a`
//! and the writer an empty table. With the barriers at least one side sees the new state. Either
//! the reader sees `b` and starts over, or the writer finds `a` and leaves the block alone.
//!
//! The table has [`OpenParams::groups`](crate::OpenParams::groups) slots, one for each CPU, on
//! cache lines of their own. A reader prefers the slot of its CPU and takes any other free one, so
//! readers on different CPUs share no cache line. A reader claims its slot by compare-and-exchange
//! and takes no lock.

use core::num::NonZeroUsize;

use crate::sync::{
    full_barrier,
    relax,
    NoMemory,
    PaddedWord,
    Slots, //
};

/// The slot is free.
const IDLE: u64 = 0;

/// A block of an arena, as the table represents it.
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
    /// The number of slots.
    len: NonZeroUsize,
}

/// A slot in use. The published block is not overwritten until the slot is dropped or publishes
/// another one.
pub(crate) struct Reading<'a> {
    slot: &'a PaddedWord,
}

impl ReadTable {
    /// Creates a table of `slots` slots, but at least one.
    #[inline]
    pub(crate) fn new(slots: usize) -> Result<Self, NoMemory> {
        let len = NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            slots: Slots::new(len.get(), |_| PaddedWord::new(IDLE))?,
            len,
        })
    }

    /// Publishes a block in slot number `hint`, modulo their number, or else in any free one, for
    /// which it waits. A full barrier.
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

    /// Publishes a block as [`publish`](Self::publish) does, if a slot is free.
    #[inline]
    pub(crate) fn try_publish(&self, hint: usize, block: Tracked) -> Option<Reading<'_>> {
        self.publish_in(hint, block)
            .or_else(|| self.publish_anywhere(block))
    }

    #[inline(always)]
    fn publish_in(&self, hint: usize, block: Tracked) -> Option<Reading<'_>> {
        // Most hints are small enough, and a division would take longer than all the rest.
        let number = if hint < self.len.get() {
            hint
        } else {
            hint % self.len
        };
        let slot = self.slots.get(number)?;
        // `Reading` frees its slot when dropped, so it is created only for a slot that was claimed.
        slot.replace(IDLE, block.0).then(|| Reading { slot })
    }

    #[cold]
    fn publish_anywhere(&self, block: Tracked) -> Option<Reading<'_>> {
        let mut slots = self.slots.iter();
        let slot = slots.find(|slot| slot.replace(IDLE, block.0))?;
        Some(Reading { slot })
    }

    /// Prepares a look at the table, as it is after all changes of the map so far. A full barrier.
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

/// A writer's view of the table.
pub(crate) struct Look<'a> {
    table: &'a ReadTable,
}

impl Look<'_> {
    /// Returns `true` if a reader may be reading `block`, which no map word named when the look
    /// began.
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
