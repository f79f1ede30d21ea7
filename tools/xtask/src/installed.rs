// SPDX-License-Identifier: GPL-2.0

//! Third-party programs at pinned versions. cargo installs each into a directory of its own in the
//! cache.

use crate::{
    cache::Cache,
    process,
    ui, //
};
use anyhow::Result;
use std::{
    path::PathBuf,
    process::Command, //
};

/// A program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The crate that contains it.
    package: &'static str,
    pub(crate) version: &'static str,
}

/// Generates the kernel's bindings. This version was tested with our kernel.
pub(crate) const BINDGEN: Program = Program {
    name: "bindgen",
    package: "bindgen-cli",
    version: "0.72.1",
};

/// The file system exerciser: changes a file at random, and compares each read with what was
/// written.
pub(crate) const FSX: Program = Program {
    name: "fsx",
    package: "fsx",
    version: "0.3.2",
};

impl Program {
    /// Finds or builds it.
    pub(crate) fn prepare(&self, cache: &Cache) -> Result<PathBuf> {
        ui::step(self.name, |step| {
            step.note(self.version);
            let name = format!("{}-{}", self.name, self.version);
            let root = cache.artefact(&name, step, |place| {
                let mut install = Command::new("cargo");
                install
                    .args(["install", "--locked", "--version", self.version])
                    .args([self.package, "--root"])
                    .arg(place);
                // Settings of the cargo that runs xtask would put the result elsewhere.
                install
                    .env_remove("CARGO_TARGET_DIR")
                    .env_remove("CARGO_BUILD_TARGET");
                process::run(&mut install, &cache.log(self.name), step)
            })?;
            Ok(root.join("bin").join(self.name))
        })
    }
}
