// SPDX-License-Identifier: GPL-2.0

//! The cache of expensive results: outside of the checkout, shared by all clones on the machine.
//!
//! The name of an artefact identifies what it was made from, so an artefact is never changed and
//! never stale. It is made under a lock, in a temporary place, and renamed when it is complete: a
//! name always refers to a complete artefact. When two runs need the same one, the second waits for
//! the first.
//!
//! ```text
//! ~/.cache/nvdimm-rust/
//!   linux-7.2.12/            source of the kernel
//!   rust-src-1.95.0/         source of `core`, where the toolchain has none
//!   bindgen-0.72.1/bin/
//!   kernel-<key>/            built in place, because its path is in its files; complete when
//!                            `.complete` exists
//!   guest-<key>.squashfs     root file system of the guest
//!   busybox-trixie           the program of initramfs
//!   initramfs-<key>.cpio     for guests with a distribution's kernel
//!   vmlinux-<key>            a distribution's kernel, uncompressed
//!   answer-<test>-<key>      what the C stack said to a test
//!   apt/                     private state of apt
//!   locks/ logs/ tmp/
//! ```

use crate::ui::Step;
use anyhow::{
    Context,
    Result, //
};
use sha2::{
    Digest,
    Sha256, //
};
use std::{
    env,
    fs::{
        self,
        File,
        TryLockError, //
    },
    path::{
        Path,
        PathBuf, //
    },
    time::Duration,
};

/// The file that marks an artefact built in place as complete.
const COMPLETE: &str = ".complete";

/// The cache of this user.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Opens the cache, creating it if needed.
    pub(crate) fn open() -> Result<Self> {
        let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
            Some(base) => PathBuf::from(base),
            None => PathBuf::from(
                env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?,
            )
            .join(".cache"),
        };
        let root = base.join("nvdimm-rust");
        for directory in ["locks", "logs", "tmp"] {
            let directory = root.join(directory);
            fs::create_dir_all(&directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        Ok(Self { root })
    }

    /// Returns the path of the artefact of this name, whether it exists or not.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the name of an artefact; `None` if it is not in the cache.
    pub(crate) fn name_of<'a>(&self, artefact: &'a Path) -> Option<&'a [u8]> {
        let name = artefact.strip_prefix(&self.root).ok()?;
        Some(name.as_os_str().as_encoded_bytes())
    }

    /// Stores a small file atomically, and replaces a file of that name.
    pub(crate) fn store(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let unfinished = self
            .root
            .join("tmp")
            .join(format!("{name}-{}", std::process::id()));
        fs::write(&unfinished, content)
            .and_then(|()| fs::rename(&unfinished, self.path(name)))
            .with_context(|| format!("cannot store {name} in the cache"))
    }

    /// Returns the path of the log of the step that makes `name`.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Returns the names in the cache that start with `prefix`, without it.
    pub(crate) fn names_after(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter_map(|name| name.strip_prefix(prefix).map(str::to_owned))
            .collect()
    }

    /// Takes the lock of `name`, and waits if another run holds it. Dropping the file releases it.
    pub(crate) fn lock(&self, name: &str, step: &Step) -> Result<File> {
        let path = self.root.join("locks").join(name);
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            if !told {
                step.say(&format!(
                    "            another run is making {name}: waiting for it"
                ));
                told = true;
            }
            crate::process::check_interrupt()?;
            step.tick_waiting();
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Returns the artefact `name`. If it does not exist, `make` makes it at the path that it is
    /// given.
    ///
    /// That path does not exist yet; `make` creates a file or a directory there.
    pub(crate) fn artefact(
        &self,
        name: &str,
        step: &Step,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(name);
        self.once(name, step, &place, || {
            let scratch = tempfile::tempdir_in(self.root.join("tmp"))
                .context("cannot create a directory in the cache")?;
            let unfinished = scratch.path().join(name);
            make(&unfinished)?;
            fs::rename(&unfinished, &place)
                .with_context(|| format!("cannot move {name} to its place in the cache"))
        })?;
        Ok(place)
    }

    /// Like [`Cache::artefact`] for a directory whose contents refer to its path: made in place,
    /// and marked when complete.
    ///
    /// `make` may find what an interrupted run left, and continues from there.
    pub(crate) fn artefact_in_place(
        &self,
        name: &str,
        step: &Step,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(name);
        let stamp = place.join(COMPLETE);
        self.once(name, step, &stamp, || {
            fs::create_dir_all(&place)
                .with_context(|| format!("cannot create {}", place.display()))?;
            make(&place)?;
            File::create(&stamp).with_context(|| format!("cannot create {}", stamp.display()))?;
            Ok(())
        })?;
        Ok(place)
    }

    /// Calls `make` under the lock of `name` unless `result` exists. A run that waited for the
    /// lock finds what the other one made.
    fn once(
        &self,
        name: &str,
        step: &Step,
        result: &Path,
        make: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if result.exists() {
            return Ok(());
        }
        let _lock = self.lock(name, step)?;
        if result.exists() {
            return Ok(());
        }
        make()
    }
}

/// A hash of everything that an artefact is made from.
#[derive(Default)]
pub(crate) struct Key(Sha256);

impl Key {
    /// Adds one input. Its name and its length are hashed as well, so inputs cannot run into each
    /// other.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.0.update(format!("{name} {}\n", value.len()));
        self.0.update(value);
        self
    }

    /// Returns the first 12 hexadecimal digits of the hash.
    pub(crate) fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_ingredients_apart() {
        let joined = Key::default().with("a", "bc").finish();
        assert_eq!(joined.len(), 12);
        assert_ne!(joined, Key::default().with("a", "b").with("", "c").finish());
        assert_ne!(joined, Key::default().with("b", "bc").finish());
        assert_eq!(joined, Key::default().with("a", "bc").finish());
    }
}
