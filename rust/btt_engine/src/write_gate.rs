// SPDX-License-Identifier: GPL-2.0

//! The gate of an arena, which every writer passes: open, closed for good, or paused by a check or
//! by hibernation.
//!
//! # Paused
//!
//! A writer checks the gate after it has locked its lane group. A thread that pauses the gate then
//! locks every lane group once. Two cases are possible for each writer:
//!
//! ```text
//!   Writer                                   Check or hibernation
//!
//!   1. locks its group, the gate is open
//!                                            pauses the gate
//!      writes                                waits for the group's lock
//!      unlocks the group                     locks the group: this write has finished
//!                                            unlocks the group
//!
//!   2.                                       pauses the gate
//!                                            locks the group, unlocks it
//!      locks its group, the gate is paused
//!      unlocks the group, waits
//! ```
//!
//! In case 2 the writer is sure to see the gate paused, because it takes the group's lock after the
//! thread that has paused the gate. Once all groups were locked, no write is in flight. A writer
//! pays nothing for that: the same word tells it whether the arena is read-only.
//!
//! # Closed for good
//!
//! A writer whose move is in doubt closes the gate before it releases its map locks:
//!
//! ```text
//!   Writer A                                 Request B, for the same sector
//!
//!   locks its group, the gate is open        (a writer: locks its group, the gate is open)
//!   locks the map words
//!   fence 2 fails: the sector may have       waits for the map locks
//!   moved, the map names the old block
//!   closes the gate
//!   unlocks the map words                    locks them, checks the gate again: closed
//! ```
//!
//! Request B must not build on the map word, which recovery may change. So every request that
//! changes map words checks the gate again when it holds their locks, discards and readers that
//! mark a sector as lost included.

#[cfg(loom)]
use crate::sync::weak;
use crate::sync::{
    NoMemory,
    PaddedWord,
    WaitQueue, //
};

/// Writes are refused from now on.
const CLOSED: u64 = 1 << 0;
/// Writes wait for the end of a check.
const PAUSED: u64 = 1 << 1;
/// Writes wait for the end of a freeze, which hibernation has requested.
const FROZEN: u64 = 1 << 2;
/// The map is behind the flog for some sectors: recovery could not complete their writes. Writes
/// are refused as well.
const BEHIND: u64 = 1 << 3;

/// State of the gate, for a writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Open,
    Closed,
    Paused,
}

/// The write gate of an arena.
pub(crate) struct WriteGate {
    word: PaddedWord,
    waiters: WaitQueue,
}

impl WriteGate {
    /// Creates an open gate.
    pub(crate) fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            word: PaddedWord::new(0),
            waiters: WaitQueue::new()?,
        })
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        #[cfg(loom)]
        if weak::is(weak::Side::Gate) {
            return State::Open;
        }
        match self.word.load() {
            0 => State::Open,
            word if word & CLOSED != 0 => State::Closed,
            _ => State::Paused,
        }
    }

    /// Returns `true` if the gate is closed for good.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load() & CLOSED != 0
    }

    /// Closes the gate for good. Returns `true` if it was not closed before.
    pub(crate) fn close(&self) -> bool {
        self.change(|word| word | CLOSED) & CLOSED == 0
    }

    /// Returns `true` if the map is behind the flog for some sectors.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.word.load() & BEHIND != 0
    }

    /// Sets whether the map is behind the flog for some sectors. If so, closes the gate for good.
    pub(crate) fn set_behind(&self, behind: bool) {
        self.change(|word| match behind {
            true => word | BEHIND | CLOSED,
            false => word & !BEHIND,
        });
    }

    /// Makes writers wait until [`thaw`](Self::thaw).
    pub(crate) fn freeze(&self) {
        self.change(|word| word | FROZEN);
    }

    /// Ends a [`freeze`](Self::freeze) and wakes the writers that wait.
    pub(crate) fn thaw(&self) {
        self.change(|word| word & !FROZEN);
        self.waiters.wake_all();
    }

    /// Pauses the gate until the value is dropped. `None` if another thread has paused it.
    pub(crate) fn pause(&self) -> Option<Pause<'_>> {
        let before = self.change(|word| word | PAUSED);
        (before & PAUSED == 0).then_some(Pause { gate: self })
    }

    /// Waits until the gate is neither paused nor frozen.
    pub(crate) fn wait(&self) {
        self.waiters
            .wait_while(|| self.word.load() & (PAUSED | FROZEN) != 0);
    }

    /// Changes the word atomically and returns its former value.
    fn change(&self, change: impl Fn(u64) -> u64) -> u64 {
        loop {
            let before = self.word.load();
            if self.word.replace(before, change(before)) {
                return before;
            }
        }
    }
}

/// Keeps writers out; ends the pause on drop.
pub(crate) struct Pause<'a> {
    gate: &'a WriteGate,
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.gate.change(|word| word & !PAUSED);
        self.gate.waiters.wake_all();
    }
}
