// SPDX-License-Identifier: GPL-2.0

//! Locks of the map: one for each of 256 classes of its cache lines.
//!
//! The map of an arena is divided into lines of 16 words, which are 64 bytes. A line has the lock
//! whose number is that of the line modulo 256. A thread that changes a map word holds the lock of
//! its line. A request for neighbouring sectors needs the locks of a few neighbouring lines. It
//! takes each of them once, in ascending order, and holds them while it fences the medium, which
//! may sleep. The locks are atomic words and not the kernel's mutexes because a request holds
//! several locks of one class at a time.
//!
//! # The line that a lock remembers
//!
//! A write stores map words and leaves their flush to a later write. That is safe only if no flog
//! entry is built on a word that a power failure may lose. Two writers of sector `s`, which is in
//! block `a`, with lanes 1 and 2, whose free blocks are `b` and `c`:
//!
//! ```text
//!   Writer A, lane 1                          Writer B, lane 2
//!
//!   locks the map word of s
//!   flog 1 { s: a → b }, fence 2              waits for the lock
//!   stores the map word: b, not flushed
//!   unlocks; the write is acknowledged
//!                                             locks the map word, loads b
//!                                             flog 2 { s: b → c }, fence 2
//!                                             stores the map word: c, not flushed
//!                                             unlocks; the write is acknowledged
//!   ── the power fails: the map word is a again ──
//! ```
//!
//! Recovery completes an entry if the map names its old block. Entry 1 is completed: the map word
//! becomes `b`. Entry 2 is not, as the map did not name `b` at the time of the failure. So sector
//! `s` is in block `b`, which is also the free block of lane 2, and the acknowledged data of writer
//! B are lost. Recovery would have to take lane 1 before lane 2, and nothing on the medium says in
//! which order the lanes were used.
//!
//! So writer B flushes the word of writer A before its own fence 1, and only after that fence can
//! entry 2 become durable. If it is durable after a power failure, the map word is `b`, and
//! recovery completes entry 2 alone, or it is `c`, and there is nothing to complete.
//!
//! Writer B need not know the sector that writer A has written. Each lock remembers the one line of
//! its class that may have words that are pending a flush ([`MapGuard::pending_lines`]). The holder
//! of the lock flushes that line before its fence 1. After fence 1 the lock remembers the line of
//! the holder ([`MapGuard::set_pending`]). The line that is flushed is mostly another one than the
//! line that is stored to next. That matters because a store to a line that was just flushed is
//! slow.
//!
//! A discard, or a reader that marks a sector as lost, changes only the state in a map word. The
//! word still names the same block, and a later flog entry relies on the block alone. So these take
//! no part in this: they neither flush the remembered line nor replace it.
//!
//! # Lock order
//!
//! A map lock is taken after a lane group or after a slot of the read tracking table. Requests
//! never hold map locks of two arenas.

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

/// Number of locks of an arena. Loom creates them anew for each interleaving.
const LOCKS: u32 = if cfg!(loom) { 2 } else { 256 };

/// Number of map words in a line of 64 bytes, which share a lock.
pub(crate) const WORDS_PER_LINE: u32 = 16;

/// The most sectors whose map words can be locked at a time: wherever they begin, no two of their
/// lines share a lock.
pub(crate) const MAX_LOCKED: u32 = (LOCKS - 1) * WORDS_PER_LINE;

/// Attempts to take a lock before the thread sleeps. Loom and shuttle would explore all of them.
const SPINS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 32 };

/// The lock is free.
const FREE: u64 = 0;
/// The lock is held.
const HELD: u64 = 1;
/// The lock is held, and other threads may be sleeping until it is free.
const AWAITED: u64 = 2;

/// The locks of an arena's map.
pub(crate) struct MapLocks {
    locks: Slots<LockWord>,
    waiters: WaitQueue,
}

/// Holds the locks of the map words of neighbouring sectors; released on drop.
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

    /// Locks the map words of `premaps` and waits for the locks. A write may lock at most
    /// [`MAX_LOCKED`], as a lock remembers only one line.
    #[inline]
    pub(crate) fn lock(&self, premaps: Range<u32>) -> MapGuard<'_> {
        each_lock(&premaps, |index| self.lock_one(index));
        MapGuard {
            map_locks: self,
            premaps,
        }
    }

    /// Locks the map words of `premaps` if all of their locks are free.
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

    /// Takes all locks of `premaps` and keeps them until [`release`](Self::release). Waits for
    /// them.
    pub(crate) fn hold(&self, premaps: Range<u32>) {
        mem::forget(self.lock(premaps));
    }

    /// Releases what [`hold`](Self::hold) has taken for the same sectors.
    pub(crate) fn release(&self, premaps: Range<u32>) {
        drop(MapGuard {
            map_locks: self,
            premaps,
        });
    }

    /// Forgets the remembered lines, as all words are durable. The caller holds all locks.
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
        // From here on the holder knows that it has to wake a sleeper. The next holder assumes so,
        // too, at worst needlessly.
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
    /// Returns the sectors whose map words are locked.
    #[inline]
    pub(crate) fn premaps(&self) -> Range<u32> {
        self.premaps.clone()
    }

    /// Returns the lines of the map, by number, that may have words pending a flush, from earlier
    /// writes under these locks.
    #[inline]
    pub(crate) fn pending_lines(&self) -> impl Iterator<Item = u32> + use<'_> {
        let numbers = lines_of(&self.premaps).filter_map(|line| self.lock_of(line));
        // CAST: `set_pending` has derived it from the number of a line.
        numbers.filter_map(|lock| Some(lock.number().checked_sub(1)? as u32))
    }

    /// Remembers the lines of these sectors instead. The caller has made all of
    /// [`pending_lines`](Self::pending_lines) durable.
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

/// Returns the lines of the map that hold the words of `premaps`.
#[inline]
fn lines_of(premaps: &Range<u32>) -> Range<u32> {
    premaps.start / WORDS_PER_LINE..premaps.end.div_ceil(WORDS_PER_LINE)
}

/// Calls `f` with each of [`locks_of`]. Most requests have only one.
#[inline]
fn each_lock(premaps: &Range<u32>, mut f: impl FnMut(u32)) {
    let line = premaps.start / WORDS_PER_LINE;
    if !premaps.is_empty() && (premaps.end - 1) / WORDS_PER_LINE == line {
        f(line % LOCKS);
    } else {
        locks_of(premaps).for_each(f);
    }
}

/// Returns the locks of the lines of `premaps`, in ascending order, each once.
#[inline]
fn locks_of(premaps: &Range<u32>) -> impl Iterator<Item = u32> {
    // CAST: The length of a range of 32-bit numbers.
    let lines = (lines_of(premaps).len() as u32).min(LOCKS);
    let first = premaps.start / WORDS_PER_LINE % LOCKS;
    // Lines wrap around into the low locks, which come first in the order.
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
