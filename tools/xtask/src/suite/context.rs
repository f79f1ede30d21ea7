// SPDX-License-Identifier: GPL-2.0

//! What all jobs of a run share: the machine, the files of the guests, and the results.

use super::results::Results;
use crate::{
    modules::{
        GuestFiles,
        Stack, //
    },
    setup::Machine, //
};
use anyhow::{
    Context as _,
    Result, //
};
use std::{
    fs,
    path::PathBuf, //
};

/// The context of all jobs.
pub(super) struct Context<'a> {
    pub(super) machine: &'a Machine,
    pub(super) files: GuestFiles,
    /// The directory of this run's results.
    pub(super) results: Results,
}

impl Context<'_> {
    /// Creates the directory where the scripts of one boot write.
    pub(super) fn output_directory(&self, stack: Stack, boot: &str) -> Result<PathBuf> {
        let directory = self.results.path().join(stack.name()).join(boot);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(directory)
    }
}
