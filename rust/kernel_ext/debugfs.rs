// SPDX-License-Identifier: GPL-2.0

//! A debugfs directory that belongs to a module and is found from anywhere in it.
//!
//! A module has one directory at the root of debugfs, in which its devices make their own. [`Root`]
//! is the static through which they find it; the module's instance holds the [`RootRegistration`]
//! that makes and removes it.

use core::cell::UnsafeCell;
use kernel::{
    debugfs::Dir,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

/// A directory at the root of debugfs. Lives in a static.
///
/// # Invariants
///
/// `directory` is accessed only by the thread that has changed `locked` from `false` to `true`.
pub struct Root {
    name: &'static CStr,
    locked: Atomic<bool>,
    directory: UnsafeCell<Option<Dir>>,
}

// SAFETY: By the type invariant the directory is accessed by one thread at a time, and handles of
// directories may be cloned and dropped by any thread.
unsafe impl Sync for Root {}

impl Root {
    /// A directory that is not there yet.
    pub const fn new(name: &'static CStr) -> Self {
        // INVARIANT: Nobody accesses the directory yet.
        Self {
            name,
            locked: Atomic::new(false),
            directory: UnsafeCell::new(None),
        }
    }

    /// Makes the directory; `EBUSY` if it is there.
    pub fn register(&'static self) -> Result<RootRegistration> {
        let directory = Dir::new(self.name);

        self.with(|slot| {
            if slot.is_some() {
                return Err(EBUSY);
            }
            *slot = Some(directory);
            Ok(RootRegistration(self))
        })
    }

    /// The directory, while it is registered.
    pub fn get(&self) -> Option<Dir> {
        self.with(|slot| slot.clone())
    }

    /// Calls `f` with nobody else in it.
    fn with<T>(&self, f: impl FnOnce(&mut Option<Dir>) -> T) -> T {
        // Contention is rare and short: devices come and go seldom, and only a handle is copied
        // meanwhile. Who waits sleeps, as the other one may need this CPU to be done.
        while self.locked.cmpxchg(false, true, Acquire).is_err() {
            fsleep(Delta::from_micros(100));
        }

        // SAFETY: This thread has just changed `locked` to `true`, and nobody else does before it
        // is `false` again.
        let result = f(unsafe { &mut *self.directory.get() });

        self.locked.store(false, Release);
        result
    }
}

/// Keeps the directory of a [`Root`]. It goes with the last of the directories in it.
pub struct RootRegistration(&'static Root);

impl Drop for RootRegistration {
    fn drop(&mut self) {
        // Removing a directory may sleep, so the handle is dropped outside of the lock.
        drop(self.0.with(Option::take));
    }
}
