// SPDX-License-Identifier: GPL-2.0

//! Physical addresses whose content the medium has lost, as far as the provider of a bus has told.
//!
//! The list outlives the regions that are enabled and disabled over it: whoever comes to use memory copies its part into a
//! list of sectors of its own ([`crate::Region::list_bad_sectors`]).

use crate::range_set::RangeSet;
use core::ops::Range;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

/// The bad ranges of a bus. Its lock is a leaf; writers of sectors take it, so nobody sleeps under it.
#[pin_data]
pub(crate) struct BadRanges {
    #[pin]
    ranges: SpinLock<RangeSet>,
}

impl BadRanges {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            ranges <- new_spinlock!(RangeSet::new()),
        })
    }

    /// Notes that `range` is bad. `ENOMEM`: there is no room for it in the list.
    pub(crate) fn add(&self, range: Range<u64>) -> Result {
        self.ranges.lock().add(range, GFP_ATOMIC)
    }

    /// Notes that `range` is good again. If there is no memory, more may be forgotten.
    pub(crate) fn forget(&self, range: Range<u64>) {
        self.ranges.lock().forget(range, GFP_ATOMIC);
    }

    /// Calls `f`, which must not sleep, for each bad part of `range`, ascending.
    pub(crate) fn each_within(&self, range: Range<u64>, f: impl FnMut(Range<u64>)) {
        self.ranges.lock().within(range).for_each(f);
    }
}
