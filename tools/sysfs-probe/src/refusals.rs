// SPDX-License-Identifier: GPL-2.0

//! Tables of writes that must be refused.

use crate::store::{
    self,
    Outcome, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use rustix::io::Errno;
use std::{
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    fs::{
        self,
        File, //
    },
    io::BufRead,
    os::unix::fs::PermissionsExt,
    path::{
        Path,
        PathBuf, //
    },
};

/// A row of a table.
#[derive(Debug, PartialEq)]
struct Row<'a> {
    file: &'a str,
    value: &'a str,
    error: &'a str,
}

impl<'a> Row<'a> {
    /// Parses `FILE | VALUE | ERROR`. Blanks around the bars are ignored; in a value they are
    /// written as `\ `.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split('|').map(str::trim);
        let row = Self {
            file: fields.next()?,
            value: fields.next()?,
            error: fields.next()?,
        };
        fields.next().is_none().then_some(row)
    }
}

/// Does the writes of the table in `root`. Returns what differs from the table, or was changed by
/// it.
pub(crate) fn check(root: &Path, table: impl BufRead) -> Result<Vec<String>> {
    let before = snapshot(root)?;
    let mut complaints = Vec::new();
    let mut rows = 0;
    for line in table.lines() {
        let line = line.context("cannot read the table")?;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let row = Row::parse(&line).with_context(|| format!("'{line}' is not a row"))?;
        rows += 1;
        let file = root.join(row.file);
        let shown = store::text(&file);
        let outcome = store::write(&file, &store::unescape(row.value)).to_string();
        if outcome != row.error {
            complaints.push(format!(
                "writing '{}' to {}: {outcome}, expected {}",
                row.value, row.file, row.error
            ));
        }
        let now = store::text(&file);
        if now != shown {
            complaints.push(format!(
                "writing '{}' changed {} from {shown:?} to {now:?}",
                row.value, row.file
            ));
        }
    }
    ensure!(rows > 0, "the table is empty");
    let after = snapshot(root)?;
    let files = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
    for file in files {
        let [then, now] = [&before, &after].map(|state| state.get(file));
        if then != now {
            complaints.push(format!(
                "{file} was {then:?} before the table and is {now:?} now"
            ));
        }
    }
    Ok(complaints)
}

/// Returns `true` if an attribute changes by itself, or if reading it has an effect.
fn is_volatile(path: &Path) -> bool {
    let power = path
        .components()
        .any(|component| component.as_os_str() == "power");
    power || path.ends_with("wait_probe")
}

/// Returns all attributes of the devices listed in `root`, a directory of links to devices.
fn snapshot(root: &Path) -> Result<BTreeMap<String, String>> {
    let devices = root.join("devices");
    let mut state = BTreeMap::new();
    for entry in
        fs::read_dir(&devices).with_context(|| format!("cannot read {}", devices.display()))?
    {
        let entry = entry.with_context(|| format!("cannot read {}", devices.display()))?;
        for file in attributes(&entry.path())? {
            let name = file
                .strip_prefix(root)
                .unwrap_or(&file)
                .display()
                .to_string();
            state.insert(name, store::text(&file));
        }
    }
    Ok(state)
}

/// Returns the files in a device's directory and in its attribute groups.
fn attributes(device: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(device).with_context(|| format!("cannot read {}", device.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", device.display()))?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if is_volatile(&path) {
            continue;
        }
        // A directory with a uevent of its own is another device.
        if kind.is_dir() && !path.join("uevent").exists() {
            files.extend(attributes(&path)?);
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Opens every file without write permission for writing. Returns those that are not refused with
/// EACCES.
pub(crate) fn read_only(directories: &[PathBuf]) -> Result<Vec<String>> {
    const ANY_WRITE: u32 = 0o222;
    let mut complaints = Vec::new();
    let mut tried = 0;
    for directory in directories {
        for file in attributes(directory)? {
            let mode = fs::metadata(&file)
                .with_context(|| format!("cannot look at {}", file.display()))?
                .permissions()
                .mode();
            if mode & ANY_WRITE != 0 {
                continue;
            }
            tried += 1;
            let outcome = match File::options().write(true).open(&file) {
                Ok(_) => Outcome::Done,
                Err(error) => Outcome::refused(&error),
            };
            if outcome != Outcome::Refused(Errno::ACCESS) {
                complaints.push(format!("opening {} for writing: {outcome}", file.display()));
            }
        }
    }
    ensure!(tried > 0, "there is no file without write permission");
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let row = Row::parse("devices/btt0.0/uuid |  1-2\\n | EINVAL");
        let expected = Row {
            file: "devices/btt0.0/uuid",
            value: "1-2\\n",
            error: "EINVAL",
        };
        assert_eq!(row, Some(expected));
        assert_eq!(Row::parse("a||ENXIO").map(|row| row.value), Some(""));
        assert_eq!(Row::parse("a | b"), None);
        assert_eq!(Row::parse("a | b | c | d"), None);
    }
}
