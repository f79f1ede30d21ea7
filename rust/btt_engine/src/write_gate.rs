// SPDX-License-Identifier: GPL-2.0

//! The gate through which writers of an arena go: open, closed for good, or closed for a while, by
//! a check or by hibernation.
//!
//! A writer looks at the gate when it holds its lane group. Whoever closes the gate for a while takes every lane group once
//! afterwards: a writer that came before is through by then, and one that comes later sees the gate closed, because it got its
//! group from the one who closed it.
//!
//! The gate is closed for good by a writer whose move is in doubt, before it gives its map locks
//! back. So a request that waited for map locks looks at the gate again: the map may not have
//! followed the flog, and nothing may be built on what it says.

#[cfg(loom)]
use crate::sync::weak;
use crate::sync::{
    NoMemory,
    PaddedWord,
    WaitQueue, //
};

/// Writes are refused from now on.
const CLOSED: u64 = 1 << 0;
/// Writes wait for a check.
const PAUSED: u64 = 1 << 1;
/// Writes wait for the machine to go on.
const FROZEN: u64 = 1 << 2;
/// Some sectors are not where the map says. Writes are refused as well.
const BEHIND: u64 = 1 << 3;

/// What a writer finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Open,
    Closed,
    Paused,
}

/// The gate of an arena.
pub(crate) struct WriteGate {
    word: PaddedWord,
    waiters: WaitQueue,
}

impl WriteGate {
    /// A gate that is open.
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

    /// Whether the gate is closed for good.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load() & CLOSED != 0
    }

    /// Closes the gate for good. Returns whether nobody had done so before.
    pub(crate) fn close(&self) -> bool {
        self.change(|word| word | CLOSED) & CLOSED == 0
    }

    /// Whether some sectors are not where the map says.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.word.load() & BEHIND != 0
    }

    /// Notes whether some sectors are not where the map says; if so, the gate is closed for good.
    pub(crate) fn set_behind(&self, behind: bool) {
        self.change(|word| match behind {
            true => word | BEHIND | CLOSED,
            false => word & !BEHIND,
        });
    }

    /// Lets writers wait until [`thaw`](Self::thaw) is called.
    pub(crate) fn freeze(&self) {
        self.change(|word| word | FROZEN);
    }

    /// Lets writers in that wait since [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        self.change(|word| word & !FROZEN);
        self.waiters.wake_all();
    }

    /// Closes the gate until the value is dropped; `None` if somebody else has done so.
    pub(crate) fn pause(&self) -> Option<Pause<'_>> {
        let before = self.change(|word| word | PAUSED);
        (before & PAUSED == 0).then_some(Pause { gate: self })
    }

    /// Waits until the gate is neither paused nor frozen any more.
    pub(crate) fn wait(&self) {
        self.waiters
            .wait_while(|| self.word.load() & (PAUSED | FROZEN) != 0);
    }

    /// Changes the word at once and returns what it was before.
    fn change(&self, change: impl Fn(u64) -> u64) -> u64 {
        loop {
            let before = self.word.load();
            if self.word.replace(before, change(before)) {
                return before;
            }
        }
    }
}

/// Keeps new writers out.
pub(crate) struct Pause<'a> {
    gate: &'a WriteGate,
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.gate.change(|word| word & !PAUSED);
        self.gate.waiters.wake_all();
    }
}
