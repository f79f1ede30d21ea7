// SPDX-License-Identifier: GPL-2.0

//! The directory of a run's results: `target/results/<seconds since 1970>-<process>`. The link
//! `latest` points to the newest one.
//!
//! Old directories are removed when a run begins, except those of runs that have not ended, whose
//! guests write there. Such a run holds the lock of its directory.
//!
//! The files of the test `group/name` are called `group-name` ([`file_name`]).

use crate::project;
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs::{
        self,
        File,
        TryLockError, //
    },
    io,
    path::{
        Path,
        PathBuf, //
    },
    time::SystemTime, //
};

/// Number of runs whose results are kept, including the new one.
const KEPT_RUNS: usize = 10;

/// The directory of a run. Other runs do not remove it before this is dropped.
#[derive(Debug)]
pub(super) struct Results {
    directory: PathBuf,
    _lock: File,
}

impl Results {
    /// Creates a new directory, and removes old ones that are not in use.
    pub(super) fn create() -> Result<Self> {
        Self::create_below(&project::target_directory("results")?)
    }

    fn create_below(all: &Path) -> Result<Self> {
        let _one_run_at_a_time = lock(all).context("cannot lock the results")?;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!("{}-{}", now.as_secs(), std::process::id());
        let results = Self::named(all, &name)?;
        let link = all.join(format!("latest-{}", std::process::id()));
        std::os::unix::fs::symlink(&name, &link)
            .and_then(|()| fs::rename(&link, all.join("latest")))
            .context("cannot link the latest results")?;
        remove_old(all)?;
        Ok(results)
    }

    fn named(all: &Path, name: &str) -> Result<Self> {
        let directory = all.join(name);
        let create = || {
            fs::create_dir_all(&directory)?;
            lock(&directory)
        };
        let _lock = create().with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(Self { directory, _lock })
    }

    /// Returns its path.
    pub(super) fn path(&self) -> &Path {
        &self.directory
    }
}

/// Returns the name of a test as a part of file names, which have no slash.
pub(super) fn file_name(test: &str) -> String {
    test.replace('/', "-")
}

/// Waits for the lock of a directory. Dropping the file releases it.
fn lock(directory: &Path) -> io::Result<File> {
    let file = File::open(directory)?;
    file.lock()?;
    Ok(file)
}

fn remove_old(all: &Path) -> Result<()> {
    let entries = fs::read_dir(all)
        .context("cannot read the results")?
        .flatten();
    let mut runs = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect::<Vec<_>>();
    runs.sort();
    for old in runs.iter().rev().skip(KEPT_RUNS) {
        let remove = || match File::open(old)?.try_lock() {
            Ok(()) => fs::remove_dir_all(old),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        };
        remove().with_context(|| format!("cannot remove {}", old.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_a_run_that_has_not_ended_stay() -> Result<()> {
        let all = tempfile::tempdir()?;
        let all = all.path();
        let long = Results::named(all, "1000-1")?;
        for second in 1001..=1000 + KEPT_RUNS {
            drop(Results::named(all, &format!("{second}-1"))?);
        }
        remove_old(all)?;
        assert!(long.path().is_dir());

        drop(long);
        remove_old(all)?;
        assert!(!all.join("1000-1").exists());
        assert!(all.join("1001-1").is_dir());
        Ok(())
    }

    #[test]
    fn latest_leads_to_the_new_results() -> Result<()> {
        let all = tempfile::tempdir()?;
        let results = Results::create_below(all.path())?;
        assert_eq!(
            all.path().join("latest").canonicalize()?,
            results.path().canonicalize()?
        );
        Ok(())
    }
}
