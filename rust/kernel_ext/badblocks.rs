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

/// Most sectors that the C functions are told at once: they count some of them in an `int`, and
/// never end if that overflows.
const STEP: u64 = 1 << 30;

/// Most sectors of an entry of the list (`BB_MAX_LEN`); a longer run has several.
const LONGEST_RUN: u64 = sys::BB_MAX_LEN as u64;

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
                // SAFETY: `slot` is valid for writes; all fields of the C structure may be zero
                // bytes.
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

    fn search_step(&self, step: BadRange) -> Option<BadRange> {
        let BadRange { first, count } = step;
        let bad = self.check(step)?;
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

    /// The first run that has sectors in a step, as a whole.
    fn check(&self, BadRange { first, count }: BadRange) -> Option<BadRange> {
        let mut bad = BadRange { first: 0, count: 0 };

        // SAFETY: The list was initialised, by the type invariant; the results are written to
        // fields of our own.
        let found = unsafe {
            sys::badblocks_check(self.as_raw(), first, count, &mut bad.first, &mut bad.count)
        };
        // 1 says that all bad blocks found are acknowledged, -1 that some are not; both are bad.
        (found != 0).then_some(bad)
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

    /// Takes sectors off the list, in any case. If that splits a run and the list is full, the rest
    /// of the run goes as well: a sector that is bad and not in the list fails when it is read, but
    /// a good one that is would be given up for lost.
    ///
    /// Returns the first sector after what was taken off.
    pub fn remove(&self, range: BadRange) -> u64 {
        let mut end = range.first.saturating_add(range.count);
        for step in range.steps() {
            if self.try_remove(step) {
                continue;
            }
            let rest = |count| BadRange { count, ..step };
            let mut count = self.rest_of_run(step).unwrap_or(LONGEST_RUN);
            if !self.try_remove(rest(count)) {
                // The list was changed meanwhile. This splits no run, as none is longer.
                count = LONGEST_RUN;
                self.try_remove(rest(count));
            }
            end = end.max(step.first.saturating_add(count));
        }
        end
    }

    /// Takes a step off the list; `false` if it is in the middle of a run and the list is full.
    fn try_remove(&self, BadRange { first, count }: BadRange) -> bool {
        // SAFETY: The list was initialised, by the type invariant.
        unsafe { sys::badblocks_clear(self.as_raw(), first, count) }
    }

    /// How many sectors are left, from the first one of `step` on, of the run that this is in the
    /// middle of.
    fn rest_of_run(&self, step: BadRange) -> Option<u64> {
        let run = self.check(step)?;
        run.first
            .checked_add(run.count)?
            .checked_sub(step.first)
            .filter(|rest| *rest >= step.count)
    }

    /// Writes the list as sysfs shows it, one `<first> <count>` line per run, to a buffer of one
    /// page; returns its length.
    pub fn show(&self, page: &mut [u8; kernel::page::PAGE_SIZE]) -> Result<usize> {
        // SAFETY: The list was initialised, by the type invariant; the buffer is one page long, as
        // the function expects.
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

    /// Runs of 8 sectors, 8 good ones between them, as many as there is room for.
    fn full() -> Result<Pin<KBox<Badblocks>>> {
        let list = KBox::pin_init(Badblocks::new(), GFP_KERNEL)?;
        let mut first = 0;
        while list.add(BadRange { first, count: 8 }).is_ok() {
            first += 16;
        }
        assert_eq!(first, 512 * 16);
        Ok(list)
    }

    #[test]
    fn what_is_found_is_within_what_was_asked_for() -> Result {
        let range = |first, count| BadRange { first, count };
        let list = KBox::pin_init(Badblocks::new(), GFP_KERNEL)?;
        list.add(range(10, 10))?;

        assert!(list.find(0, 10).is_none());
        assert!(list.find(0, 15) == Some(range(10, 5)));
        assert!(list.find(15, 100) == Some(range(15, 5)));
        list.remove(range(12, 2));
        assert!(list.find(0, 100) == Some(range(10, 2)));
        assert!(list.find(12, 100) == Some(range(14, 6)));
        Ok(())
    }

    #[test]
    fn sectors_are_taken_off_a_full_list() -> Result {
        let list = full()?;
        let end = list.remove(BadRange {
            first: 82,
            count: 2,
        });
        assert_eq!(end, 88);
        assert!(list.find(82, 2).is_none());
        // The run that could not be split has lost its rest, the others nothing.
        for run in [(64, 8), (80, 2), (96, 8)] {
            let bad = BadRange {
                first: run.0,
                count: run.1,
            };
            assert_eq!(list.find(run.0, 16), Some(bad));
        }
        Ok(())
    }

    #[test]
    fn a_run_is_split_if_there_is_room() -> Result {
        let list = full()?;
        list.remove(BadRange { first: 0, count: 8 });
        list.remove(BadRange {
            first: 82,
            count: 2,
        });
        for run in [(80, 2), (84, 4)] {
            let bad = BadRange {
                first: run.0,
                count: run.1,
            };
            assert_eq!(list.find(run.0, run.1), Some(bad));
        }
        assert!(list.find(82, 2).is_none());
        Ok(())
    }
}
