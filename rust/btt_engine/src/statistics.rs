// SPDX-License-Identifier: GPL-2.0

//! Statistics of writes. Each lane group counts for itself, under its lock, so counting costs no
//! atomic access and no cache line that is not in use anyway.

use core::ops::Add;

/// Statistics of the writes to a BTT since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Statistics {
    /// Number of sectors written.
    pub sectors: u64,
    /// Number of batches: sectors of one request that have shared their two fences.
    pub batches: u64,
    /// Number of fences of batches, failed batches included.
    pub fences: u64,
    /// Number of batches that had to wait because readers used all free blocks of a lane group.
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
