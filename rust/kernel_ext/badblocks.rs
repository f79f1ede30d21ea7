// SPDX-License-Identifier: GPL-2.0

//! Lists of bad blocks: which sectors of a medium cannot be read.
//!
//! All positions and lengths are in sectors of 512 bytes.
//!
//! C header: [`include/linux/badblocks.h`](srctree/include/linux/badblocks.h)

use crate::sys;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Most sectors that the C functions are told at once: they count some of them in an `int`, and never end if that overflows.
const STEP: u64 = 1 << 30;

/// Most sectors of a run in the C structure (`BB_MAX_LEN`).
const MOST: u64 = 512;

/// A run of bad sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRange {
    /// The first bad sector.
    pub first: u64,
    /// How many are bad from there on, not zero.
    pub count: u64,
}

impl BadRange {
    /// The run in steps that the C functions can count.
    fn steps(self) -> impl Iterator<Item = Self> {
        (0..self.count.div_ceil(STEP)).map(move |index| {
            let done = index * STEP;
            Self {
                first: self.first.saturating_add(done),
                count: (self.count - done).min(STEP),
            }
        })
    }
}

/// A list of bad blocks, with a lock of its own. One page holds it: at most 512 runs.
///
/// # Invariants
///
/// `list` was initialised with `badblocks_init`.
#[pin_data(PinnedDrop)]
pub struct Badblocks {
    #[pin]
    list: Opaque<sys::badblocks>,
}

// SAFETY: The list belongs to no thread.
unsafe impl Send for Badblocks {}

// SAFETY: The list is guarded by a seqlock of its own, which the functions used here take.
unsafe impl Sync for Badblocks {}

impl Badblocks {
    /// An empty list; `ENOMEM` if there is no page for it.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // INVARIANT: Initialised by `badblocks_init`, or else the whole initialisation fails.
            list <- Opaque::try_ffi_init(|slot: *mut sys::badblocks| {
                // SAFETY: `slot` is valid for writes; all fields of the C structure may be zero bytes.
                unsafe { slot.write_bytes(0, 1) };
                // SAFETY: `slot` is a valid, pinned structure.
                to_result(unsafe { sys::badblocks_init(slot, 1) })
            }),
        })
    }

    /// The C structure, valid as long as `self`.
    pub(crate) fn as_raw(&self) -> *mut sys::badblocks {
        self.list.get()
    }

    /// Whether no sector is known to be bad. One load, for the way of every request.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SAFETY: The list is valid; its count is a single word that may change meanwhile.
        unsafe { (&raw const (*self.list.get()).count).read_volatile() == 0 }
    }

    /// The first run of bad sectors within `count` sectors from `first` on, clipped to that range.
    #[inline]
    pub fn find(&self, first: u64, count: u64) -> Option<BadRange> {
        if self.is_empty() {
            None
        } else {
            self.search(first, count)
        }
    }

    #[cold]
    fn search(&self, first: u64, count: u64) -> Option<BadRange> {
        BadRange { first, count }
            .steps()
            .find_map(|step| self.search_step(step))
    }

    fn search_step(&self, BadRange { first, count }: BadRange) -> Option<BadRange> {
        let mut bad = BadRange { first: 0, count: 0 };

        // SAFETY: The list was initialised, by the type invariant; the results are written to fields of our own.
        let found = unsafe {
            sys::badblocks_check(self.as_raw(), first, count, &mut bad.first, &mut bad.count)
        };
        // 1 says that all bad blocks found are acknowledged, -1 that some are not; both are bad.
        if found == 0 {
            return None;
        }

        let start = bad.first.max(first);
        let end = bad
            .first
            .saturating_add(bad.count)
            .min(first.saturating_add(count));
        Some(BadRange {
            first: start,
            count: end.saturating_sub(start),
        })
    }

    /// Adds sectors; `ENOSPC` if the list is full.
    pub fn add(&self, range: BadRange) -> Result {
        for step in range.steps() {
            // SAFETY: The list was initialised, by the type invariant.
            if !unsafe { sys::badblocks_set(self.as_raw(), step.first, step.count, 1) } {
                return Err(ENOSPC);
            }
        }
        Ok(())
    }

    /// Takes sectors off the list.
    ///
    /// If that splits a run and the list is full, the sectors behind them in the run go off as well: nothing can be read that is
    /// on the list although it is good, while what is bad and not on it is found out when it is read. `ENOSPC`: even that
    /// was not possible, as others were changing the list.
    pub fn remove(&self, range: BadRange) -> Result {
        range.steps().try_for_each(|step| {
            self.remove_step(step).or_else(|_| {
                // A run is within `MOST` sectors from any sector of it on.
                let rest = self.search_step(BadRange {
                    count: step.count.max(MOST),
                    ..step
                });
                rest.map_or(Ok(()), |rest| self.remove_step(rest))
            })
        })
    }

    fn remove_step(&self, BadRange { first, count }: BadRange) -> Result {
        // SAFETY: The list was initialised, by the type invariant.
        let removed = unsafe { sys::badblocks_clear(self.as_raw(), first, count) };

        removed.then_some(()).ok_or(ENOSPC)
    }

    /// Writes the list as sysfs shows it, one `<first> <count>` line per run, to a buffer of one page; returns its length.
    pub fn show(&self, page: &mut [u8; kernel::page::PAGE_SIZE]) -> Result<usize> {
        // SAFETY: The list was initialised, by the type invariant; the buffer is one page long, as the function expects.
        let len = unsafe { sys::badblocks_show(self.as_raw(), page.as_mut_ptr(), 0) };

        usize::try_from(len).map_err(|_| EIO)
    }
}

#[pinned_drop]
impl PinnedDrop for Badblocks {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The list was initialised, by the type invariant, and nobody uses it any more.
        unsafe { sys::badblocks_exit(self.as_raw()) };
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_badblocks)]
mod tests {
    use super::*;

    /// Entries of a list.
    const ROOM: u64 = 512;

    fn range(first: u64, count: u64) -> BadRange {
        BadRange { first, count }
    }

    #[test]
    fn what_is_found_is_within_what_was_asked_for() -> Result {
        let list = KBox::pin_init(Badblocks::new(), GFP_KERNEL)?;
        list.add(range(10, 10))?;

        assert!(list.find(0, 10).is_none());
        assert!(list.find(0, 15) == Some(range(10, 5)));
        assert!(list.find(15, 100) == Some(range(15, 5)));
        list.remove(range(12, 2))?;
        assert!(list.find(0, 100) == Some(range(10, 2)));
        assert!(list.find(12, 100) == Some(range(14, 6)));
        Ok(())
    }

    #[test]
    fn a_full_list_keeps_no_sector_that_is_good() -> Result {
        let list = KBox::pin_init(Badblocks::new(), GFP_KERNEL)?;
        for index in 0..ROOM {
            list.add(range(index * 100, 8))?;
        }
        assert!(list.add(range(ROOM * 100, 8)).is_err());

        // In the middle of the first run: what lies before it stays, as do the other runs.
        list.remove(range(3, 2))?;
        assert!(list.find(0, 100) == Some(range(0, 3)));
        assert!(list.find(3, 97).is_none());
        assert!(list.find(100, 100) == Some(range(100, 8)));

        // At the ends of a run there is nothing to split.
        list.remove(range(100, 2))?;
        list.remove(range(206, 2))?;
        assert!(list.find(100, 100) == Some(range(102, 6)));
        assert!(list.find(200, 100) == Some(range(200, 6)));
        Ok(())
    }
}
