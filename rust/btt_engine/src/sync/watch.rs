// SPDX-License-Identifier: GPL-2.0

//! What a thread does with locks and shared words, told to whoever runs the thread.
//!
//! The crash explorer runs one request at a time, by itself, and interleaves what it has seen of several. So it has to know
//! where a request would have waited for another one.

extern crate std;

use std::{
    boxed::Box,
    cell::{
        Cell,
        RefCell, //
    },
};

/// Which lock or word: their number in the order in which they were made since [`start`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Id(pub u32);

/// What happens, told before it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A lock that sleeps is taken.
    Lock(Id),
    /// A lock that sleeps is given back.
    Unlock(Id),
    /// A word that is a lock is taken.
    Acquire(Id),
    /// A word that is a lock is given back.
    Release(Id),
    /// The number that a word protects is loaded. The watcher may give another one.
    Recall(Id),
    /// It is stored.
    Remember(Id, u64),
    /// A word is loaded. The watcher may have stored another value before, as another thread.
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

/// Tells `watcher` what this thread does from now on. Ids begin at 0 again. It has an answer to [`Event::Recall`] and to
/// [`Event::Load`] only.
pub fn start(watcher: impl Fn(Event) -> Option<u64> + 'static) {
    WATCHER.set(Some(Box::new(watcher)));
    LOCKS.set(0);
    WORDS.set(0);
}

/// Tells nobody any more.
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
