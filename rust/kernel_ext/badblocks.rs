// SPDX-License-Identifier: GPL-2.0

//! Lists of bad blocks: the sectors of a medium that cannot be read (`struct badblocks`).
//!
//! All positions and lengths are in sectors of 512 bytes. A list has a seqlock of its own. Only the
//! creation of a list may sleep.
//!
//! C header: [`include/linux/badblocks.h`](srctree/include/linux/badblocks.h)

use crate::sys;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Most sectors that are passed to a C function in one call. The functions count sectors in an
/// `int` in places, and loop forever if that overflows.
const STEP: u64 = 1 << 30;

/// Most sectors in one entry of the list (`BB_MAX_LEN`). A longer run has several entries.
const LONGEST_RUN: u64 = sys::BB_MAX_LEN as u64;

/// A run of bad sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSectors {
    /// The first bad sector.
    pub first: u64,
    /// Number of bad sectors, not zero.
    pub count: u64,
}

impl BadSectors {
    /// Splits the run into steps of at most [`STEP`] sectors.
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

/// A list of bad blocks. It is stored in one page, so it has at most 512 entries.
///
/// # Invariants
///
/// `list` was initialised with `badblocks_init`.
#[pin_data(PinnedDrop)]
pub struct Badblocks {
    #[pin]
    list: Opaque<sys::badblocks>,
}

// SAFETY: The list is not tied to a thread: its page may be freed by any, and its lock is not held
// between calls.
unsafe impl Send for Badblocks {}

// SAFETY: The list has a seqlock of its own, which the functions that are used here take; the count
// is read by a single load.
unsafe impl Sync for Badblocks {}

impl Badblocks {
    /// Returns an initialiser of an empty list. `ENOMEM`: out of memory.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // INVARIANT: `badblocks_init` initialises it, or the whole initialisation fails.
            list <- Opaque::try_ffi_init(|slot: *mut sys::badblocks| {
                // SAFETY: `slot` is valid for writes of one structure, all fields of which may be
                // zero bytes.
                unsafe { slot.write_bytes(0, 1) };
                // SAFETY: `slot` is a valid structure, zeroed and pinned. The function may sleep,
                // as an initialiser that allocates may.
                to_result(unsafe { sys::badblocks_init(slot, 1) })
            }),
        })
    }

    /// Returns the C structure, which is valid while `self` is.
    pub(crate) fn as_raw(&self) -> *mut sys::badblocks {
        self.list.get()
    }

    /// Returns `true` if no sector is known to be bad. It is a single load, as every request calls
    /// it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SAFETY: By the type invariant the list was initialised. Its count is a single word that
        // may change concurrently, hence the volatile read.
        unsafe { (&raw const (*self.list.get()).count).read_volatile() == 0 }
    }

    /// Returns the first run of bad sectors within `count` sectors from `first` on, clipped to that
    /// range.
    #[inline]
    pub fn find(&self, first: u64, count: u64) -> Option<BadSectors> {
        if self.is_empty() {
            None
        } else {
            self.search(first, count)
        }
    }

    #[cold]
    fn search(&self, first: u64, count: u64) -> Option<BadSectors> {
        BadSectors { first, count }
            .steps()
            .find_map(|step| self.search_step(step))
    }

    fn search_step(&self, step: BadSectors) -> Option<BadSectors> {
        let BadSectors { first, count } = step;
        let bad = self.check(step)?;
        let start = bad.first.max(first);
        let end = bad
            .first
            .saturating_add(bad.count)
            .min(first.saturating_add(count));
        Some(BadSectors {
            first: start,
            count: end.saturating_sub(start),
        })
    }

    /// Returns the first run with sectors in a step, not clipped.
    fn check(&self, BadSectors { first, count }: BadSectors) -> Option<BadSectors> {
        let mut bad = BadSectors { first: 0, count: 0 };

        // SAFETY: By the type invariant the list was initialised. The results are written to fields
        // of a local variable. The step is short enough for the function's `int`s.
        let found = unsafe {
            sys::badblocks_check(self.as_raw(), first, count, &mut bad.first, &mut bad.count)
        };
        // 1: all bad blocks that were found are acknowledged. -1: some are not. Both count as bad.
        (found != 0).then_some(bad)
    }

    /// Adds sectors to the list. `ENOSPC`: it is full; a part of the sectors may have been added.
    pub fn add(&self, range: BadSectors) -> Result {
        for step in range.steps() {
            // SAFETY: By the type invariant the list was initialised. The step is short enough for
            // the function's `int`s.
            if !unsafe { sys::badblocks_set(self.as_raw(), step.first, step.count, 1) } {
                return Err(ENOSPC);
            }
        }
        Ok(())
    }

    /// Removes sectors from the list, even if it is full. If that splits a run and the list is
    /// full, the rest of the run is removed, too. A bad sector that is missing from the list fails
    /// when it is read, but the data of a good sector in the list would be given up as lost.
    ///
    /// Returns the first sector after those that were removed.
    pub fn remove(&self, range: BadSectors) -> u64 {
        let mut end = range.first.saturating_add(range.count);
        for step in range.steps() {
            if self.try_remove(step) {
                continue;
            }
            let rest = |count| BadSectors { count, ..step };
            let mut count = self.rest_of_run(step).unwrap_or(LONGEST_RUN);
            if !self.try_remove(rest(count)) {
                // The list was changed concurrently. This splits no run, as none is longer.
                count = LONGEST_RUN;
                self.try_remove(rest(count));
            }
            end = end.max(step.first.saturating_add(count));
        }
        end
    }

    /// Removes a step from the list. Returns `false` if it is in the middle of a run and the list
    /// is full.
    fn try_remove(&self, BadSectors { first, count }: BadSectors) -> bool {
        // SAFETY: By the type invariant the list was initialised. Steps and runs are short enough
        // for the function's `int`s.
        unsafe { sys::badblocks_clear(self.as_raw(), first, count) }
    }

    /// Returns the number of sectors from the start of `step` to the end of the run around it;
    /// `None` if there is no such run.
    fn rest_of_run(&self, step: BadSectors) -> Option<u64> {
        let run = self.check(step)?;
        run.first
            .checked_add(run.count)?
            .checked_sub(step.first)
            .filter(|rest| *rest >= step.count)
    }

    /// Writes the list to `page` in the format of sysfs, one line `<first> <count>` per run.
    /// Returns the number of bytes.
    pub fn show(&self, page: &mut [u8; kernel::page::PAGE_SIZE]) -> Result<usize> {
        // SAFETY: By the type invariant the list was initialised. The buffer is borrowed mutably
        // and one page long, as the function expects.
        let len = unsafe { sys::badblocks_show(self.as_raw(), page.as_mut_ptr(), 0) };

        usize::try_from(len).map_err(|_| EIO)
    }
}

#[pinned_drop]
impl PinnedDrop for Badblocks {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the list was initialised. It is being dropped, so nothing
        // uses it any more, and its page is freed once.
        unsafe { sys::badblocks_exit(self.as_raw()) };
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_badblocks)]
mod tests {
    use super::*;

    /// Returns a full list of runs of 8 sectors, with 8 good sectors between them.
    fn full() -> Result<Pin<KBox<Badblocks>>> {
        let list = KBox::pin_init(Badblocks::new(), GFP_KERNEL)?;
        let mut first = 0;
        while list.add(BadSectors { first, count: 8 }).is_ok() {
            first += 16;
        }
        assert_eq!(first, 512 * 16);
        Ok(list)
    }

    #[test]
    fn what_is_found_is_within_what_was_asked_for() -> Result {
        let range = |first, count| BadSectors { first, count };
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
        let end = list.remove(BadSectors {
            first: 82,
            count: 2,
        });
        assert_eq!(end, 88);
        assert!(list.find(82, 2).is_none());
        // The run that could not be split has lost its rest, the others nothing.
        for run in [(64, 8), (80, 2), (96, 8)] {
            let bad = BadSectors {
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
        list.remove(BadSectors { first: 0, count: 8 });
        list.remove(BadSectors {
            first: 82,
            count: 2,
        });
        for run in [(80, 2), (84, 4)] {
            let bad = BadSectors {
                first: run.0,
                count: run.1,
            };
            assert_eq!(list.find(run.0, run.1), Some(bad));
        }
        assert!(list.find(82, 2).is_none());
        Ok(())
    }
}
