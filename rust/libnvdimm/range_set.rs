// SPDX-License-Identifier: GPL-2.0

//! Sets of numbers, stored as ranges: for sets of few ranges, such as addresses with media errors.

use core::ops::Range;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A set of numbers, as ranges in ascending order. They are not empty, and neither overlap nor
/// touch.
#[derive(Default)]
pub struct RangeSet(KVec<Range<u64>>);

impl RangeSet {
    /// Returns the empty set.
    pub const fn new() -> Self {
        Self(KVec::new())
    }

    /// Adds `range`. Fails with `ENOMEM` if there is no memory for it.
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

    /// Removes `range`. This always succeeds. It needs memory only to split a range in two; without
    /// it, the part behind `range` is removed as well.
    ///
    /// For a set of bad addresses that errs on the safe side. A bad address that is missing fails
    /// when it is read. A good address in the set would be taken for lost.
    pub fn forget(&mut self, range: Range<u64>, flags: Flags) {
        self.forget_with(range, |ranges| ranges.reserve(1, flags).is_ok());
    }

    /// Like [`Self::forget`]. `make_room` reserves memory for one more range and returns `true` if
    /// there is room.
    fn forget_with(
        &mut self,
        range: Range<u64>,
        make_room: impl FnOnce(&mut KVec<Range<u64>>) -> bool,
    ) {
        if range.is_empty() {
            return;
        }
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
        if let Some(rest) = rest {
            if make_room(&mut self.0) {
                // There is room, so this cannot fail.
                let _ = self.insert(rest);
            }
        }
    }

    /// Returns the ranges in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// Returns the parts of `range` that are in the set, in ascending order.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        self.iter()
            .map(move |known| known.start.max(range.start)..known.end.min(range.end))
            .filter(|part| !part.is_empty())
    }

    /// Calls `f` for each part of `range` that is not in the set, in ascending order, until `f`
    /// fails.
    pub fn each_without(
        &self,
        range: Range<u64>,
        mut f: impl FnMut(Range<u64>) -> Result,
    ) -> Result {
        let mut start = range.start;
        for known in self.within(range.clone()) {
            if start < known.start {
                f(start..known.start)?;
            }
            start = known.end;
        }
        if start < range.end {
            f(start..range.end)?;
        }
        Ok(())
    }

    /// Inserts `range`, which touches no other, at its position. Fails with `ENOMEM` if no room was
    /// reserved.
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
        list.forget(15..35, GFP_KERNEL);
        assert!(are(&list, &[(10, 15), (35, 40), (50, 60)]));
        list.forget(52..54, GFP_KERNEL);
        assert!(are(&list, &[(10, 15), (35, 40), (50, 52), (54, 60)]));
        list.forget(0..53, GFP_KERNEL);
        assert!(are(&list, &[(54, 60)]));
        list.forget(54..60, GFP_KERNEL);
        assert!(are(&list, &[]));
        Ok(())
    }

    #[test]
    fn without_memory_all_is_forgotten_that_should_be() -> Result {
        let mut list = ranges(&[(10, 20), (30, 40), (50, 60)])?;
        // The rest of a range that would be split is removed, too, but no other range.
        list.forget_with(52..54, |_| false);
        assert!(are(&list, &[(10, 20), (30, 40), (50, 52)]));
        list.forget_with(12..14, |_| false);
        assert!(are(&list, &[(10, 12), (30, 40), (50, 52)]));
        Ok(())
    }

    #[test]
    fn memory_is_taken_for_a_split_alone() -> Result {
        let mut asked = 0;
        let mut list = ranges(&[(10, 20), (30, 40), (50, 60)])?;
        for range in [0..5, 20..30, 10..20, 30..32, 38..40, 32..38, 45..55, 0..100] {
            list.forget_with(range, |_| {
                asked += 1;
                false
            });
        }
        assert!(are(&list, &[]));
        assert_eq!(asked, 0);
        Ok(())
    }

    #[test]
    fn what_is_not_in_the_set() -> Result {
        let list = ranges(&[(10, 20), (30, 40)])?;
        for (range, expected) in [
            (0..50, &[(0, 10), (20, 30), (40, 50)][..]),
            (10..20, &[]),
            (12..35, &[(20, 30)]),
            (20..30, &[(20, 30)]),
            (5..15, &[(5, 10)]),
            (7..7, &[]),
        ] {
            let mut without = RangeSet::new();
            list.each_without(range, |part| without.add(part, GFP_KERNEL))?;
            assert!(are(&without, expected));
        }
        Ok(())
    }
}
