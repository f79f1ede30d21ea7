// SPDX-License-Identifier: GPL-2.0

//! Attributes with their modes and values, and targets of links. Entries that say nothing about a
//! device are left out, and so are those in which the stacks differ on purpose.

use crate::store;
use anyhow::{
    Context,
    Result, //
};
use regex_lite::Regex;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::LazyLock, //
};

/// Entries that differ in every boot, or are the same for all devices.
const IGNORED: [&str; 18] = [
    "bdi",
    "dev",
    "device",
    "diskseq",
    "firmware_node",
    "holders",
    "inflight",
    "io_timeout",
    "iosched",
    "mq",
    "of_node",
    "physical_node",
    "power",
    "slaves",
    "stat",
    "subsystem",
    "trace",
    "wait_probe",
];

/// See "Attributes of disks" in Documentation/differences-from-c.md.
static DIFFERS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?x)/block/pmem[\d.]+(?:
        s/queue/(?:
            atomic_write_(?:max|unit_max|unit_min)_bytes
            | discard_(?:granularity|max_bytes|max_hw_bytes)
            | write_zeroes_(?:max|unmap_max|unmap_max_hw)_bytes
        )
        | /dax/write_cache
    )$";
    Regex::new(pattern).expect("the pattern is a constant")
});

/// Numbers of devices and disks, which are assigned in order of appearance.
static NUMBERS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(MAJOR|MINOR|DISKSEQ)=\d+").expect("the pattern is a constant"));

/// Returns the names in a directory, sorted.
pub(super) fn entries(directory: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("cannot read {}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let name = entry.with_context(unreadable)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Extent of a walk; each one includes the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Detail {
    /// Devices and the names of their attributes.
    Names,
    /// Also values, except for those of disks, which have more attributes than all other devices.
    Devices,
    /// Also disks.
    Disks,
}

/// Adds a line for each attribute and link below `directory`, whose name in the lines is `shown`.
/// Other devices have lines of their own.
pub(super) fn walk(
    devices: &Path,
    directory: &Path,
    shown: &str,
    detail: Detail,
    lines: &mut Vec<String>,
) -> Result<()> {
    // An entry that appears or disappears during the walk counts as absent.
    for entry in entries(directory).unwrap_or_default() {
        if IGNORED.contains(&entry.as_str()) || detail < Detail::Disks && entry == "block" {
            continue;
        }
        let path = directory.join(&entry);
        let shown = format!("{shown}/{entry}");
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if metadata.is_symlink() {
            let target = fs::read_link(&path).unwrap_or_default();
            let target = target.file_name().unwrap_or_default();
            lines.push(format!("{shown} -> {}", target.to_string_lossy()));
        } else if metadata.is_dir() {
            if !devices.join(&entry).exists() {
                walk(devices, &path, &shown, detail, lines)?;
            }
        } else if !DIFFERS.is_match(&shown) {
            let mode = metadata.permissions().mode() & 0o7777;
            let value = if mode & 0o400 != 0 && detail > Detail::Names {
                store::text(&path)
            } else {
                String::new()
            };
            let value = NUMBERS.replace_all(&value, "$1=?").replace('\n', "\\n");
            lines.push(format!("{shown} {mode:04o} {value}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("region0");
        fs::create_dir_all(device.join("power")).unwrap();
        fs::create_dir_all(device.join("namespace0.0")).unwrap();
        fs::create_dir_all(root.path().join("namespace0.0")).unwrap();
        fs::create_dir_all(device.join("block/pmem0s/queue")).unwrap();
        fs::write(device.join("uevent"), "MAJOR=259\nX=1\n").unwrap();
        fs::write(device.join("block/pmem0s/queue/discard_granularity"), "1").unwrap();
        fs::write(device.join("block/pmem0s/queue/rotational"), "0\n").unwrap();
        fs::write(device.join("secret"), "1").unwrap();
        fs::set_permissions(device.join("secret"), PermissionsExt::from_mode(0o200)).unwrap();
        std::os::unix::fs::symlink("../drivers/nd_region", device.join("driver")).unwrap();
        let mut lines = Vec::new();
        walk(root.path(), &device, "region0", Detail::Disks, &mut lines).unwrap();
        assert_eq!(
            lines,
            [
                "region0/block/pmem0s/queue/rotational 0644 0\\n",
                "region0/driver -> nd_region",
                "region0/secret 0200 ",
                "region0/uevent 0644 MAJOR=?\\nX=1\\n",
            ]
        );
        let mut devices = Vec::new();
        walk(
            root.path(),
            &device,
            "region0",
            Detail::Devices,
            &mut devices,
        )
        .unwrap();
        assert_eq!(devices, lines[1..]);
        let mut names = Vec::new();
        walk(root.path(), &device, "region0", Detail::Names, &mut names).unwrap();
        assert_eq!(
            names.last().map(String::as_str),
            Some("region0/uevent 0644 ")
        );
    }
}
