// SPDX-License-Identifier: GPL-2.0

//! Intervals of DIMM physical addresses.

use core::fmt;

/// A range of DIMM physical addresses (DPA), in bytes.
///
/// # Invariants
///
/// The range is not empty and its end does not exceed [`u64::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Extent {
    start: u64,
    len: u64,
}

impl Extent {
    /// Makes the range of `len` bytes from `start`; [`None`] if it is empty or exceeds the address
    /// space.
    pub const fn new(start: u64, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(_) if len != 0 => Some(Self { start, len }),
            _ => None,
        }
    }

    /// Makes the range from `start` up to, not including, `end`; [`None`] if it is empty.
    pub const fn between(start: u64, end: u64) -> Option<Self> {
        match end.checked_sub(start) {
            Some(len) => Self::new(start, len),
            None => None,
        }
    }

    /// Returns the first address.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Returns the length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an extent is never empty")]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Returns the first address behind the range.
    pub const fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Returns `true` if `address` is in the range.
    pub const fn holds(&self, address: u64) -> bool {
        self.start <= address && address < self.end()
    }

    /// Returns `true` if the whole of `other` is in the range.
    pub const fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }

    /// Returns `true` if the ranges share an address.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }

    /// Returns the range of the same length whose offset in `to` is that of this range in `from`;
    /// [`None`] if it exceeds the address space, or if `start + to.start` does.
    pub const fn moved(&self, from: Self, to: Self) -> Option<Self> {
        match self.start.checked_add(to.start) {
            Some(sum) => match sum.checked_sub(from.start) {
                Some(start) => Self::new(start, self.len),
                None => None,
            },
            None => None,
        }
    }

    /// Returns the largest part of the range that begins and ends at multiples of `align`; [`None`]
    /// if there is none, or if `align` is 0.
    ///
    /// `align` need not be a power of two.
    pub fn narrowed(&self, align: u64) -> Option<Self> {
        let start = self.start.checked_next_multiple_of(align)?;
        let end = self.end().checked_sub(self.end().checked_rem(align)?)?;
        Self::between(start, end)
    }

    /// Returns the smallest range around this one that begins and ends at multiples of `align`;
    /// [`None`] if it exceeds the address space, or if `align` is 0.
    pub fn widened(&self, align: u64) -> Option<Self> {
        let start = self.start.checked_sub(self.start.checked_rem(align)?)?;
        Self::between(start, self.end().checked_next_multiple_of(align)?)
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end())
    }
}
