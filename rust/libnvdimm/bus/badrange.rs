// SPDX-License-Identifier: GPL-2.0

//! The bad ranges of a bus: physical addresses whose contents the medium has lost, as far as the
//! provider has reported them.
//!
//! The list persists while regions are enabled and disabled. A new user of the memory copies its
//! part into a list of sectors of its own ([`crate::Region::populate_badblocks`]).
//!
//! A scrub reports what was bad when it read the memory, perhaps minutes ago. What was cleared
//! meanwhile is good, and may have been written since. So all cleared ranges are remembered until
//! the next scrub begins, and left out of the results.

use crate::range_set::RangeSet;
use core::ops::Range;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

/// The bad ranges of a bus. Their lock is a leaf. Writes of sectors take it, so nothing sleeps
/// under it.
#[pin_data]
pub(crate) struct BadRangeList {
    #[pin]
    lists: SpinLock<Lists>,
}

#[derive(Default)]
struct Lists {
    bad: RangeSet,
    /// Ranges that were cleared since the last scrub began, results of which may still arrive.
    cleared: RangeSet,
    /// Whether a cleared range could not be remembered for lack of memory.
    is_unsure: bool,
}

impl Lists {
    /// Adds the parts of `range` that were not cleared since the scrub began. Fails with `ENOMEM`
    /// if there is no memory for them, or if it is not known what was cleared.
    fn add(&mut self, range: Range<u64>) -> Result {
        if self.is_unsure {
            return Err(ENOMEM);
        }
        let Self { bad, cleared, .. } = self;
        cleared.each_without(range, |part| bad.add(part, GFP_ATOMIC))
    }

    fn forget(&mut self, range: Range<u64>) {
        self.is_unsure |= self.cleared.add(range.clone(), GFP_ATOMIC).is_err();
        self.bad.forget(range, GFP_ATOMIC);
    }

    fn scrub_begins(&mut self) {
        self.cleared = RangeSet::new();
        self.is_unsure = false;
    }
}

impl BadRangeList {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            lists <- new_spinlock!(Lists::default()),
        })
    }

    /// Records that a scrub has found `range` bad. Errors are those of [`Lists::add`].
    pub(crate) fn add(&self, range: Range<u64>) -> Result {
        self.lists.lock().add(range)
    }

    /// Records that `range` is good again. Without memory, more may be forgotten.
    pub(crate) fn forget(&self, range: Range<u64>) {
        self.lists.lock().forget(range);
    }

    /// Forgets what is bad in `range` until a scrub finds it again.
    pub(crate) fn leave_out(&self, range: Range<u64>) {
        self.lists.lock().bad.forget(range, GFP_ATOMIC);
    }

    /// Records that a scrub is about to begin: results from now on are its results.
    pub(crate) fn scrub_begins(&self) {
        self.lists.lock().scrub_begins();
    }

    /// Calls `f`, which must not sleep, for each bad part of `range`, in ascending order.
    pub(crate) fn each_within(&self, range: Range<u64>, f: impl FnMut(Range<u64>)) {
        self.lists.lock().bad.within(range).for_each(f);
    }
}

#[kernel::prelude::kunit_tests(nd_badrange)]
mod tests {
    use super::*;

    fn are(lists: &Lists, expected: &[(u64, u64)]) -> bool {
        let bad = lists.bad.iter().map(|bad| (bad.start, bad.end));
        bad.eq(expected.iter().copied())
    }

    #[test]
    fn results_do_not_tell_of_what_was_cleared_since() -> Result {
        let mut lists = Lists::default();
        lists.add(0x1000..0x3000)?;
        lists.scrub_begins();
        lists.forget(0x1800..0x2000);
        lists.forget(0x5000..0x5200);
        lists.add(0x1000..0x3000)?;
        lists.add(0x5000..0x5400)?;
        assert!(are(
            &lists,
            &[(0x1000, 0x1800), (0x2000, 0x3000), (0x5200, 0x5400)]
        ));
        lists.scrub_begins();
        lists.add(0x1800..0x1a00)?;
        assert!(are(
            &lists,
            &[(0x1000, 0x1a00), (0x2000, 0x3000), (0x5200, 0x5400)]
        ));
        Ok(())
    }

    #[test]
    fn results_are_not_taken_if_it_is_not_known_what_was_cleared() -> Result {
        let mut lists = Lists {
            is_unsure: true,
            ..Lists::default()
        };
        assert_eq!(lists.add(0x1000..0x2000), Err(ENOMEM));
        assert!(are(&lists, &[]));
        lists.scrub_begins();
        lists.add(0x1000..0x2000)?;
        assert!(are(&lists, &[(0x1000, 0x2000)]));
        Ok(())
    }
}
