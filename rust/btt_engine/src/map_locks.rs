// SPDX-License-Identifier: GPL-2.0

//! Locks of the map: one for each of 256 classes of its cache lines.
//!
//! Whoever changes a map word holds the lock of its bucket. A request of neighbouring sectors needs the buckets of a few
//! neighbouring lines; they are taken in ascending order, each once, and held while the medium is fenced, which may
//! sleep. The locks are words rather than the kernel's mutexes because a request holds several of one class at once.
//!
//! A write stores map words and leaves it to others to make them durable. Each lock remembers the one line of its class that may have
//! such words: whoever takes the lock for a write flushes that line before his own becomes the one that is remembered. So a word need not be
//! flushed just before it is stored, which costs the line. Who discards a sector or marks its loss has no part in this: the word goes on naming
//! the same block, and that is all that the flog of a later write relies on.
//!
//! Lock order: after a lane group, or after a slot of the read tracking table; never both buckets of two arenas.

use crate::sync::{
    relax,
    LockWord,
    NoMemory,
    Slots, //
    WaitQueue,
};
use core::{
    mem,
    ops::Range, //
};

/// Locks of an arena. Loom makes them anew for each interleaving.
const LOCKS: u32 = if cfg!(loom) { 2 } else { 256 };

/// Map words that share a lock: those of a cache line of 64 bytes.
pub(crate) const WORDS_PER_LINE: u32 = 16;

/// The most sectors whose map words can be locked at a time: wherever they begin, no two of their lines share a lock.
pub(crate) const MAX_LOCKED: u32 = (LOCKS - 1) * WORDS_PER_LINE;

/// Looks at a held lock before one goes to sleep. Loom and shuttle would try them all.
const SPINS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 32 };

/// Nobody holds the lock.
const FREE: u64 = 0;
/// Somebody holds it.
const HELD: u64 = 1;
/// Somebody holds it and others may sleep.
const AWAITED: u64 = 2;

/// The locks of an arena's map.
pub(crate) struct MapLocks {
    locks: Slots<LockWord>,
    waiters: WaitQueue,
}

/// The right to change the map words of some neighbouring sectors.
pub(crate) struct MapGuard<'a> {
    map_locks: &'a MapLocks,
    premaps: Range<u32>,
}

impl MapLocks {
    pub(crate) fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            locks: Slots::new(LOCKS as usize, |_| LockWord::new(FREE))?,
            waiters: WaitQueue::new()?,
        })
    }

    /// Waits for the locks of `premaps`, at most [`MAX_LOCKED`] for a write: a lock remembers one line.
    #[inline]
    pub(crate) fn lock(&self, premaps: Range<u32>) -> MapGuard<'_> {
        each_lock(&premaps, |index| self.lock_one(index));
        MapGuard {
            map_locks: self,
            premaps,
        }
    }

    /// The same, if nobody has any of the locks.
    pub(crate) fn try_lock(&self, premaps: Range<u32>) -> Option<MapGuard<'_>> {
        for (taken, index) in locks_of(&premaps).enumerate() {
            let free = |word: &LockWord| word.replace_acquire(FREE, HELD);
            if !self.word(index).is_some_and(free) {
                locks_of(&premaps)
                    .take(taken)
                    .for_each(|index| self.unlock_one(index));
                return None;
            }
        }
        Some(MapGuard {
            map_locks: self,
            premaps,
        })
    }

    /// Waits for all locks that `premaps` have, and keeps them until [`release`](Self::release).
    pub(crate) fn hold(&self, premaps: Range<u32>) {
        mem::forget(self.lock(premaps));
    }

    /// Gives back what [`hold`](Self::hold) has taken for the same sectors.
    pub(crate) fn release(&self, premaps: Range<u32>) {
        drop(MapGuard {
            map_locks: self,
            premaps,
        });
    }

    /// Forgets which lines have words that are not durable, as all are. To be called by who has all
    /// locks.
    pub(crate) fn forget_lines(&self) {
        self.locks.iter().for_each(|lock| lock.set_number(0));
    }

    #[inline]
    fn word(&self, index: u32) -> Option<&LockWord> {
        self.locks.get(index as usize)
    }

    #[inline]
    fn lock_one(&self, index: u32) {
        let Some(word) = self.word(index) else {
            return;
        };
        if !word.replace_acquire(FREE, HELD) {
            self.wait_for(word);
        }
    }

    #[cold]
    fn wait_for(&self, word: &LockWord) {
        for attempt in 1..SPINS {
            relax(attempt);
            if word.replace_acquire(FREE, HELD) {
                return;
            }
        }
        // From here on the holder finds out that it has to wake somebody; so does the next one, at worst in vain.
        self.waiters
            .wait_while(|| word.swap_acquire(AWAITED) != FREE);
    }

    #[inline]
    fn unlock_one(&self, index: u32) {
        if self
            .word(index)
            .is_some_and(|word| word.swap_release(FREE) == AWAITED)
        {
            self.waiters.wake_all();
        }
    }
}

impl MapGuard<'_> {
    /// The sectors whose map words may be changed.
    #[inline]
    pub(crate) fn premaps(&self) -> Range<u32> {
        self.premaps.clone()
    }

    /// Lines of the map, by their numbers, of which writes under these locks may have left words that are not durable.
    #[inline]
    pub(crate) fn pending_lines(&self) -> impl Iterator<Item = u32> + use<'_> {
        let numbers = lines_of(&self.premaps).filter_map(|line| self.lock_of(line));
        // CAST: What `set_pending` has made of the number of a line.
        numbers.filter_map(|lock| Some(lock.number().checked_sub(1)? as u32))
    }

    /// Remembers the lines of these sectors instead. All of [`pending_lines`](Self::pending_lines) is durable now.
    #[inline]
    pub(crate) fn set_pending(&self) {
        for line in lines_of(&self.premaps) {
            if let Some(lock) = self.lock_of(line) {
                lock.set_number(u64::from(line) + 1);
            }
        }
    }

    #[inline]
    fn lock_of(&self, line: u32) -> Option<&LockWord> {
        self.map_locks.word(line % LOCKS)
    }
}

impl Drop for MapGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        each_lock(&self.premaps, |index| self.map_locks.unlock_one(index));
    }
}

/// Lines of the map that hold the words of sectors.
#[inline]
fn lines_of(premaps: &Range<u32>) -> Range<u32> {
    premaps.start / WORDS_PER_LINE..premaps.end.div_ceil(WORDS_PER_LINE)
}

/// Calls `f` with each of [`locks_of`], of which most requests have one.
#[inline]
fn each_lock(premaps: &Range<u32>, mut f: impl FnMut(u32)) {
    let line = premaps.start / WORDS_PER_LINE;
    if !premaps.is_empty() && (premaps.end - 1) / WORDS_PER_LINE == line {
        f(line % LOCKS);
    } else {
        locks_of(premaps).for_each(f);
    }
}

/// The buckets of the lines of `premaps`, in ascending order, each once.
#[inline]
fn locks_of(premaps: &Range<u32>) -> impl Iterator<Item = u32> {
    // CAST: The length of a range of 32-bit numbers.
    let lines = (lines_of(premaps).len() as u32).min(LOCKS);
    let first = premaps.start / WORDS_PER_LINE % LOCKS;
    // Lines wrap around into the low buckets, which come first in the order.
    let wrapped = (first + lines).saturating_sub(LOCKS);
    (0..wrapped).chain(first..first + lines - wrapped)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    #[test]
    fn ascending_and_once() {
        let found = |premaps| locks_of(&premaps).collect::<Vec<_>>();
        assert_eq!(found(0..1), [0]);
        assert_eq!(found(15..17), [0, 1]);
        assert_eq!(found(16..16), []);
        assert_eq!(found(255 * 16..256 * 16), [255]);
        assert_eq!(found(254 * 16 + 3..257 * 16 + 1), [0, 1, 254, 255]);
        assert_eq!(found(0..u32::MAX), (0..256).collect::<Vec<_>>());
        assert_eq!(found(u32::MAX - 16..u32::MAX), [254, 255]);
    }

    #[test]
    fn a_lock_remembers_the_last_line() {
        const SAME_LOCK: u32 = LOCKS * WORDS_PER_LINE;
        let map_locks = MapLocks::new().expect("memory");
        let lines = |premaps: Range<u32>, write: bool| {
            let guard = map_locks.lock(premaps);
            let lines = guard.pending_lines().collect::<Vec<_>>();
            if write {
                guard.set_pending();
            }
            lines
        };
        assert_eq!(lines(0..1, true), []);
        assert_eq!(lines(SAME_LOCK..SAME_LOCK + 1, false), [0]);
        assert_eq!(lines(SAME_LOCK..SAME_LOCK + 17, true), [0]);
        assert_eq!(lines(15..33, true), [LOCKS, LOCKS + 1]);
        assert_eq!(lines(0..33, false), [0, 1, 2]);
    }

    #[test]
    fn one_lock_is_found_as_any() {
        for premaps in [
            0..1,
            15..17,
            16..16,
            255 * 16..256 * 16,
            256 * 16..256 * 16 + 3,
            3..700,
        ] {
            let mut found = Vec::new();
            each_lock(&premaps, |index| found.push(index));
            assert_eq!(found, locks_of(&premaps).collect::<Vec<_>>());
        }
    }
}
