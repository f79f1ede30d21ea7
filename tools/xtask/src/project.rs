// SPDX-License-Identifier: GPL-2.0

//! Paths in the checkout.

use crate::process;
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
};

/// Returns the top of the checkout that this program was built from.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    // tools/xtask is two levels below the top.
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}

/// Returns the commit of this checkout for reports, and whether files differ from it.
pub(crate) fn commit() -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(root());
    git.args([
        "describe",
        "--always",
        "--abbrev=12",
        "--exclude=*",
        "--dirty= with changes",
    ]);
    process::output(&mut git).map_or_else(
        |_| "an unknown commit".to_owned(),
        |commit| format!("commit {}", commit.trim()),
    )
}

/// Returns the directory of build results of this checkout.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Creates `target/<name>` and returns its path.
pub(crate) fn target_directory(name: &str) -> Result<PathBuf> {
    let path = target().join(name);
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Removes `target/` except for what cargo built, which includes this program.
pub(crate) fn clean() -> Result<()> {
    for name in ["modules", "guest", "results"] {
        let path = target().join(name);
        if path.exists() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
