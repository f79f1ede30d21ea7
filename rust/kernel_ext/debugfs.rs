// SPDX-License-Identifier: GPL-2.0

//! A debugfs directory of a module, which code anywhere in the module can look up.
//!
//! A module has one directory at the root of debugfs, below which its devices create theirs.
//! [`Root`] is the static through which they find it. The module's instance owns the
//! [`RootRegistration`], which creates and removes the directory.
//!
//! The lock in [`Root`] is a leaf. It is not a `kernel::sync::Mutex`, because a static one must be
//! initialised at run time, once and before its first use. The function for that is unsafe
//! (`GlobalLock::init`), and the statics are in modules that forbid unsafe code. It is not a
//! `SetOnce` either, as that cannot give the directory back when the module is unloaded.

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

/// A directory at the root of debugfs, for use in a static.
///
/// # Invariants
///
/// `directory` is accessed only by the thread that has changed `locked` from `false` to `true`,
/// until it changes it back.
pub struct Root {
    name: &'static CStr,
    locked: Atomic<bool>,
    directory: UnsafeCell<Option<Dir>>,
}

// SAFETY: By the type invariant one thread at a time accesses the directory, and a `Dir` may be
// cloned and dropped by any thread.
unsafe impl Sync for Root {}

impl Root {
    /// Returns a directory that is not registered yet.
    pub const fn new(name: &'static CStr) -> Self {
        // INVARIANT: The directory is not accessed yet.
        Self {
            name,
            locked: Atomic::new(false),
            directory: UnsafeCell::new(None),
        }
    }

    /// Creates the directory. `EBUSY`: it is registered already.
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

    /// Returns the directory if it is registered.
    pub fn get(&self) -> Option<Dir> {
        self.with(|slot| slot.clone())
    }

    /// Calls `f` with exclusive access to the directory. May sleep.
    fn with<T>(&self, f: impl FnOnce(&mut Option<Dir>) -> T) -> T {
        // Contention is rare and short: devices are seldom added or removed, and the holder only
        // copies a handle. A waiter sleeps, as the holder may need this CPU to finish.
        while self.locked.cmpxchg(false, true, Acquire).is_err() {
            fsleep(Delta::from_micros(100));
        }

        // SAFETY: This thread has just changed `locked` from `false` to `true`, and no other does
        // before it stores `false` below. So the reference is unique, and `f` cannot keep it.
        let result = f(unsafe { &mut *self.directory.get() });

        self.locked.store(false, Release);
        result
    }
}

/// Keeps the directory of a [`Root`] registered. After this is dropped, the directory disappears
/// with the last directory below it.
pub struct RootRegistration(&'static Root);

impl Drop for RootRegistration {
    fn drop(&mut self) {
        // Removing a directory may take long, so the handle is dropped outside of the lock.
        drop(self.0.with(Option::take));
    }
}
