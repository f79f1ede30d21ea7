// SPDX-License-Identifier: GPL-2.0

//! The BTTs of a machine: those in use, from debugfs, and those on raw disks, from their info
//! blocks.
//!
//! A namespace has either a BTT disk or a raw disk. The namespace of a BTT in use has no raw disk,
//! but its driver shows the info blocks.

use super::{
    tree::{
        self,
        Tree, //
    },
    unreadable,
    DEVICES, //
};
use crate::{
    inspect,
    system::System, //
};
use anyhow::Result;
use btt::{
    check,
    image::Image, //
};
use nd_format::uuid::Uuid;
use std::{
    io::ErrorKind,
    path::Path, //
};

/// Directory of the BTTs in use.
const DEBUGFS: &str = "sys/kernel/debug/btt";

/// Returns what the driver says of the BTTs in use: their info blocks, and counters.
pub(super) fn in_use(system: &System) -> Vec<String> {
    let directory = system.path(DEBUGFS);
    let mut lines = Vec::new();
    match tree::entries(&directory) {
        // Neither stack has the directory while its driver is not loaded.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => lines.push(unreadable("debugfs", error)),
        Ok(names) => {
            for name in names {
                Tree::default().walk(&directory.join(&name), &name, &mut lines);
            }
        }
    }
    lines
}

/// Returns what `info` says of each raw disk of a namespace.
pub(super) fn on_raw_disks(system: &System) -> Vec<String> {
    let mut lines = Vec::new();
    for device in tree::entries(&system.path(DEVICES)).unwrap_or_default() {
        if !device.starts_with("namespace") {
            continue;
        }
        let disks = system.path(&format!("{DEVICES}/{device}/block"));
        for disk in tree::entries(&disks).unwrap_or_default() {
            lines.push(format!("{device}, {disk}:"));
            let uuid = system.text(&format!("{DEVICES}/{device}/uuid"));
            let uuid = uuid.ok().and_then(|uuid| Uuid::parse(uuid.as_bytes()).ok());
            match info(&system.path(&format!("dev/{disk}")), uuid) {
                Ok(found) => lines.extend(found.into_iter().map(|line| format!("  {line}"))),
                Err(error) => lines.push(format!("  {error:#}")),
            }
        }
    }
    lines
}

/// Returns the lines of `info`, or why there is no BTT. The disk does not change.
fn info(disk: &Path, namespace: Option<Uuid>) -> Result<Vec<String>> {
    let image = Image::open(disk, false)?;
    let opened = check::open(&image, None, namespace.unwrap_or_default());
    if let Some(error) = image.take_error() {
        return Err(error);
    }
    match opened {
        Ok(opened) => Ok(inspect::lines(
            &check::report(&opened, false, |_| ())?,
            false,
        )),
        Err(error) => Ok(vec![error.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_files_of_debugfs_are_lines() {
        let root = tempfile::tempdir().unwrap();
        assert!(in_use(&System::at(root.path())).is_empty());
        let arena = root.path().join(DEBUGFS).join("btt0.0/arena0");
        fs::create_dir_all(&arena).unwrap();
        fs::write(arena.join("nfree"), "256\n").unwrap();
        fs::write(arena.join("../statistics"), "a 1\nb 2\n").unwrap();
        assert_eq!(
            in_use(&System::at(root.path())),
            ["btt0.0/arena0/nfree 256", "btt0.0/statistics a 1\\nb 2"]
        );
    }

    #[test]
    fn a_raw_disk_without_a_btt_has_its_reason() {
        let root = tempfile::tempdir().unwrap();
        let disks = root.path().join(DEVICES).join("namespace0.0/block");
        fs::create_dir_all(disks.join("pmem0")).unwrap();
        fs::create_dir_all(disks.join("pmem1")).unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        let disk = root.path().join("dev/pmem0");
        fs::write(&disk, vec![b'x'; 32 << 20]).unwrap();
        let lines = on_raw_disks(&System::at(root.path()));
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[0], "namespace0.0, pmem0:");
        assert!(!lines.concat().contains("xxx"), "{lines:?}");
        assert!(lines[3].contains("No such file"), "{lines:?}");
    }
}
