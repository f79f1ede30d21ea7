// SPDX-License-Identifier: GPL-2.0

//! Directories of sysfs and debugfs as lines: path and value.

use super::unreadable;
use std::{
    fs,
    io,
    os::unix::fs::PermissionsExt,
    path::Path, //
};

/// Entries that are left out.
///
/// Reading `wait_probe` waits, and `capability` makes the kernel warn of its removal. The others
/// say nothing of a device, or much of what is not of this subsystem.
const LEFT_OUT: [&str; 14] = [
    "bdi",
    "capability",
    "dev",
    "holders",
    "inflight",
    "integrity",
    "iosched",
    "mq",
    "power",
    "slaves",
    "stat",
    "subsystem",
    "trace",
    "wait_probe",
];

/// Parts of names of attributes, and of options of the kernel, that have to do with secrets. Linux
/// 7.2 has no such attribute that can be read; this is for later kernels.
const SECRETS: [&str; 4] = ["key", "passphrase", "password", "secret"];

/// A walk over directories.
#[derive(Clone, Copy, Default)]
pub(super) struct Tree<'a> {
    /// Directories that are not entered.
    others: &'a [String],
}

impl<'a> Tree<'a> {
    /// Returns a walk that does not enter directories of these names.
    pub(super) fn without(others: &'a [String]) -> Self {
        Self { others }
    }

    /// Adds a line for each attribute and link below `directory`, which is called `shown` in them.
    pub(super) fn walk(self, directory: &Path, shown: &str, lines: &mut Vec<String>) {
        let names = match entries(directory) {
            Ok(names) => names,
            Err(error) => return lines.push(unreadable(shown, error)),
        };
        for name in names {
            if LEFT_OUT.contains(&name.as_str()) || is_secret(&name) {
                continue;
            }
            let path = directory.join(&name);
            let shown = format!("{shown}/{name}");
            // An entry that has disappeared meanwhile counts as absent.
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap_or_default();
                let target = target.file_name().unwrap_or_default().to_string_lossy();
                lines.push(format!("{shown} -> {target}"));
            } else if metadata.is_dir() {
                // The name of a partition is up to its user.
                let is_partition = path.join("partition").exists();
                if !is_partition && !self.others.contains(&name) {
                    self.walk(&path, &shown, lines);
                }
            } else if metadata.permissions().mode() & 0o444 != 0 {
                lines.push(match fs::read(&path) {
                    Ok(bytes) => format!("{shown} {}", one_line(&bytes)),
                    Err(error) => unreadable(&shown, error),
                });
            }
        }
    }
}

/// Returns `true` if something of this name may be a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|part| name.contains(part))
}

/// Returns the names in a directory, sorted.
pub(super) fn entries(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Returns a value without the newline at its end. Other control characters are escaped.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\n');
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_links_are_lines_and_secrets_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("nmem0");
        fs::create_dir_all(device.join("nfit")).unwrap();
        fs::create_dir_all(device.join("power")).unwrap();
        fs::create_dir_all(device.join("block/pmem0/pmem0p1")).unwrap();
        fs::create_dir_all(device.join("namespace0.0")).unwrap();
        for (name, value) in [
            ("commands", "a b\n"),
            ("frozen_key", "hunter2"),
            ("nfit/flags", "one\ntwo\n"),
            ("power/control", "auto"),
            ("namespace0.0/size", "1"),
            ("block/pmem0/ro", "0\n"),
            ("block/pmem0/pmem0p1/partition", "1"),
            ("wait_probe", "1"),
            ("activate", "1"),
        ] {
            fs::write(device.join(name), value).unwrap();
        }
        let write_only = fs::Permissions::from_mode(0o200);
        fs::set_permissions(device.join("activate"), write_only).unwrap();
        std::os::unix::fs::symlink("../drivers/nvdimm", device.join("driver")).unwrap();
        let mut lines = Vec::new();
        Tree::without(&["namespace0.0".to_owned()]).walk(&device, "nmem0", &mut lines);
        assert_eq!(
            lines,
            [
                "nmem0/block/pmem0/ro 0",
                "nmem0/commands a b",
                "nmem0/driver -> nvdimm",
                "nmem0/nfit/flags one\\ntwo",
            ]
        );
    }

    #[test]
    fn a_directory_that_is_missing_is_a_line() {
        let mut lines = Vec::new();
        Tree::default().walk(Path::new("/nonexistent"), "btt", &mut lines);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("btt: cannot be read: "), "{lines:?}");
    }
}
