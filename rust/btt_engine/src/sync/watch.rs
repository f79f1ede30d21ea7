// SPDX-License-Identifier: GPL-2.0

//! Reports what a thread does with locks and shared words.
//!
//! The crash explorer runs one request at a time, alone, and interleaves the recorded steps of
//! several requests. So it has to know where a request would have waited for another one.

extern crate std;

use std::{
    boxed::Box,
    cell::{
        Cell,
        RefCell, //
    },
};

/// Identifies a lock or a word: its number in the order of creation since [`start`]. Locks and
/// words are numbered separately.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Id(pub u32);

/// A step of a thread. The accesses to words are reported before they happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A sleeping lock was taken.
    Lock(Id),
    /// A sleeping lock is released.
    Unlock(Id),
    /// A word that is a lock is taken.
    Acquire(Id),
    /// A word that is a lock is released.
    Release(Id),
    /// The number that a word protects is loaded. The watcher may return another one.
    Recall(Id),
    /// The number that a word protects is stored.
    Remember(Id, u64),
    /// A word is loaded. The watcher may return another value, as if another thread had stored it.
    Load(Id),
    /// A word is stored or replaced.
    Store(Id, u64),
}

type Watcher = Box<dyn Fn(Event) -> Option<u64>>;

std::thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
    static LOCKS: Cell<u32> = const { Cell::new(0) };
    static WORDS: Cell<u32> = const { Cell::new(0) };
}

/// Reports the steps of this thread to `watcher` from now on. Ids begin at 0 again. What `watcher`
/// returns matters for [`Event::Recall`] and [`Event::Load`] only.
pub fn start(watcher: impl Fn(Event) -> Option<u64> + 'static) {
    WATCHER.set(Some(Box::new(watcher)));
    LOCKS.set(0);
    WORDS.set(0);
}

/// Stops reporting.
pub fn stop() {
    WATCHER.set(None);
}

pub(super) fn tell(event: Event) -> Option<u64> {
    WATCHER.with_borrow(|watcher| watcher.as_ref().and_then(|watcher| watcher(event)))
}

impl Id {
    pub(super) fn of_lock() -> Self {
        Self(LOCKS.replace(LOCKS.get() + 1))
    }

    pub(super) fn of_word() -> Self {
        Self(WORDS.replace(WORDS.get() + 1))
    }
}
