// SPDX-License-Identifier: GPL-2.0

//! Sets of numbers that are few ranges, such as addresses with media errors.

use core::ops::Range;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// Numbers, as ranges in ascending order that neither overlap nor touch, none of them empty.
#[derive(Default)]
pub struct RangeSet(KVec<Range<u64>>);

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self(KVec::new())
    }

    /// Adds `range`. `ENOMEM`: there is no room for it.
    pub fn add(&mut self, range: Range<u64>, flags: Flags) -> Result {
        if range.is_empty() {
            return Ok(());
        }
        self.0.reserve(1, flags)?;
        let mut merged = range;
        self.0.retain(|known| {
            let apart = known.end < merged.start || merged.end < known.start;
            if !apart {
                merged = known.start.min(merged.start)..known.end.max(merged.end);
            }
            apart
        });
        self.insert(merged)
    }

    /// Takes `range` out. `ENOMEM`: there is no room for what may be left of a range on both sides; nothing is taken out.
    pub fn forget(&mut self, range: Range<u64>, flags: Flags) -> Result {
        if range.is_empty() {
            return Ok(());
        }
        self.0.reserve(1, flags)?;
        let mut rest = None;
        self.0.retain(|known| {
            if known.end <= range.start || range.end <= known.start {
                return true;
            }
            let after = range.end..known.end;
            if known.start < range.start {
                known.end = range.start;
                if !after.is_empty() {
                    rest = Some(after);
                }
                return true;
            }
            *known = after;
            !known.is_empty()
        });
        rest.map_or(Ok(()), |rest| self.insert(rest))
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// What of `range` is in the set, ascending.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        self.iter()
            .map(move |known| known.start.max(range.start)..known.end.min(range.end))
            .filter(|part| !part.is_empty())
    }

    /// Puts `range`, which touches no other, in its place. There must be room.
    fn insert(&mut self, range: Range<u64>) -> Result {
        let place = self
            .0
            .iter()
            .position(|known| range.end < known.start)
            .unwrap_or(self.0.len());
        self.0
            .insert_within_capacity(place, range)
            .map_err(|_| ENOMEM)
    }
}

#[kernel::prelude::kunit_tests(nd_range_set)]
mod tests {
    use super::*;

    fn ranges(of: &[(u64, u64)]) -> Result<RangeSet> {
        let mut ranges = RangeSet::new();
        for &(start, end) in of {
            ranges.add(start..end, GFP_KERNEL)?;
        }
        Ok(ranges)
    }

    fn are(ranges: &RangeSet, expected: &[(u64, u64)]) -> bool {
        ranges
            .iter()
            .eq(expected.iter().map(|&(start, end)| start..end))
    }

    #[test]
    fn ranges_that_touch_become_one() -> Result {
        let list = ranges(&[(30, 40), (10, 20), (5, 5)])?;
        assert!(are(&list, &[(10, 20), (30, 40)]));
        assert!(are(&ranges(&[(30, 40), (10, 20), (20, 30)])?, &[(10, 40)]));
        assert!(are(
            &ranges(&[(30, 40), (10, 20), (50, 60), (0, 55)])?,
            &[(0, 60)]
        ));
        Ok(())
    }

    #[test]
    fn forgetting_trims_and_splits() -> Result {
        let mut list = ranges(&[(10, 20), (30, 40), (50, 60)])?;
        list.forget(15..35, GFP_KERNEL)?;
        assert!(are(&list, &[(10, 15), (35, 40), (50, 60)]));
        list.forget(52..54, GFP_KERNEL)?;
        assert!(are(&list, &[(10, 15), (35, 40), (50, 52), (54, 60)]));
        list.forget(0..53, GFP_KERNEL)?;
        assert!(are(&list, &[(54, 60)]));
        list.forget(54..60, GFP_KERNEL)?;
        assert!(are(&list, &[]));
        Ok(())
    }
}
