// SPDX-License-Identifier: GPL-2.0

//! What writers have done. Each lane group counts for itself, under its lock: counting costs no atomic access and no cache line
//! that is not in use anyway.

use core::ops::Add;

/// What the writers of a BTT have done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Statistics {
    /// Sectors that were written.
    pub sectors: u64,
    /// Batches in which they were written: the sectors of one request that shared their fences.
    pub batches: u64,
    /// Fences of these batches, also of those that failed.
    pub fences: u64,
    /// Batches that had to wait because all free blocks of a lane group were being read.
    pub reader_waits: u64,
}

impl Add for Statistics {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sectors: self.sectors.wrapping_add(other.sectors),
            batches: self.batches.wrapping_add(other.batches),
            fences: self.fences.wrapping_add(other.fences),
            reader_waits: self.reader_waits.wrapping_add(other.reader_waits),
        }
    }
}
