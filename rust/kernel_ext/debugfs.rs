// SPDX-License-Identifier: GPL-2.0

//! A debugfs directory of a module, which code anywhere in the module can look up.
//!
//! A module has one directory at the root of debugfs, below which its devices create theirs.
//! [`Root`] is the static through which they find it. The module's instance owns the
//! [`RootRegistration`], which creates and removes the directory.
//!
//! The lock in [`Root`] is a leaf. The directory is not in a `SetOnce`, as that cannot give it back
//! when the module is unloaded.

use crate::static_mutex::StaticMutex;
use kernel::{
    debugfs::Dir,
    prelude::*, //
};

/// A directory at the root of debugfs, for use in a static.
pub struct Root {
    name: &'static CStr,
    directory: StaticMutex<Option<Dir>>,
}

impl Root {
    /// Returns a directory that is not registered yet.
    pub const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            directory: StaticMutex::new(),
        }
    }

    /// Creates the directory. `EBUSY`: it is registered already.
    pub fn register(&'static self) -> Result<RootRegistration> {
        let directory = Dir::new(self.name);

        let mut slot = self.directory.lock();
        if slot.is_some() {
            return Err(EBUSY);
        }
        *slot = Some(directory);
        Ok(RootRegistration(self))
    }

    /// Returns the directory if it is registered.
    pub fn get(&'static self) -> Option<Dir> {
        self.directory.lock().clone()
    }
}

/// Keeps the directory of a [`Root`] registered. After this is dropped, the directory disappears
/// with the last directory below it.
pub struct RootRegistration(&'static Root);

impl Drop for RootRegistration {
    fn drop(&mut self) {
        // Removing a directory may take long, so the handle is dropped outside of the lock.
        let directory = self.0.directory.lock().take();
        drop(directory);
    }
}
