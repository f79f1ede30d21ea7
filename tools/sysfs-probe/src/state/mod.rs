// SPDX-License-Identifier: GPL-2.0

//! The state of all NVDIMM devices that user space can see, one item a line: attributes ([`walk`]),
//! the start of label areas ([`labels`]) and disks. Names that depend on timing are replaced
//! ([`names`]).

mod labels;
mod names;
mod walk;

use anyhow::{
    Context,
    Result, //
};
use names::Names;
use regex_lite::Regex;
use std::{
    collections::BTreeSet,
    fs,
    io,
    path::Path, //
};
use walk::Detail;

/// Devices of the bus `nd`.
const DEVICES: &str = "/sys/bus/nd/devices";

/// Returns all lines of the current state.
fn gather(names: &Names) -> Result<BTreeSet<String>> {
    let mut lines = gather_attributes(names, Detail::Disks)?;
    for device in walk::entries(Path::new(DEVICES))? {
        if device.starts_with("nmem") {
            let mut rows = Vec::new();
            labels::walk(&device, &mut rows);
            lines.extend(rows);
        }
    }
    Ok(lines)
}

/// Returns all lines of the current state without those of label areas.
fn gather_attributes(names: &Names, detail: Detail) -> Result<BTreeSet<String>> {
    let devices = Path::new(DEVICES);
    let mut lines = Vec::new();
    for device in walk::entries(devices)? {
        walk::walk(devices, &devices.join(&device), &device, detail, &mut lines)?;
    }
    let disks = walk::entries(Path::new("/sys/class/block"))?;
    let disks = disks.iter().filter(|disk| disk.starts_with("pmem"));
    lines.extend(disks.map(|disk| format!("disk {disk}")));
    Ok(lines.iter().map(|line| names.replace(line)).collect())
}

/// Returns the lines of the current state without those of label areas and of disks' attributes,
/// which take long; none while there is no bus `nd`.
///
/// # Errors
///
/// As for [`save`].
pub(crate) fn snapshot() -> Result<BTreeSet<String>> {
    if !Path::new(DEVICES).exists() {
        return Ok(BTreeSet::new());
    }
    gather_attributes(&Names::query(Path::new(DEVICES))?, Detail::Devices)
}

/// Returns the lines of [`snapshot`] without values, and with the kernel's names.
///
/// # Errors
///
/// As for [`save`].
pub(crate) fn outline() -> Result<BTreeSet<String>> {
    if !Path::new(DEVICES).exists() {
        return Ok(BTreeSet::new());
    }
    gather_attributes(&Names::default(), Detail::Names)
}

/// Waits until devices that are being probed and registered are there.
pub(crate) fn wait_probe() {
    for device in walk::entries(Path::new(DEVICES)).unwrap_or_default() {
        // Only buses have this attribute; a read of it waits.
        let _ = fs::read(Path::new(DEVICES).join(device).join("wait_probe"));
    }
}

/// Writes all lines of the current state to `file`.
///
/// # Errors
///
/// The file cannot be written, or sysfs has no NVDIMM devices.
pub(crate) fn save(file: &Path) -> Result<()> {
    store(file, &gather(&Names::query(Path::new(DEVICES))?)?)
}

/// Prints the output of a command and its exit status. With a `file` of an earlier state it also
/// prints which lines are gone (`<`) or new (`>`), and writes the current state to the file.
///
/// # Errors
///
/// As for [`save`].
pub(crate) fn report(file: Option<&Path>, said: &Path, status: i32) -> Result<()> {
    let said = fs::read(said).with_context(|| format!("cannot read {}", said.display()))?;
    let names = Names::query(Path::new(DEVICES))?;
    print!("{}", normalise(&String::from_utf8_lossy(&said), &names)?);
    println!("=== {status}");
    let Some(file) = file else {
        return Ok(());
    };
    let before = match fs::read_to_string(file) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let now = gather(&names)?;
    for (sign, line) in changes(&before, &now) {
        println!("{sign} {line}");
    }
    store(file, &now)
}

/// Returns the lines that are gone (`<`) and those that are new (`>`), in the order of attributes:
/// values may be random and must not decide about the order.
pub(crate) fn changes<'a>(
    before: &'a BTreeSet<String>,
    now: &'a BTreeSet<String>,
) -> Vec<(char, &'a String)> {
    let gone = before.difference(now).map(|line| ('<', line));
    let new = now.difference(before).map(|line| ('>', line));
    let mut changes = gone.chain(new).collect::<Vec<_>>();
    let attribute = |line: &'a str| line.split_once(' ').map_or(line, |(name, _)| name);
    changes.sort_by_key(|&(sign, line)| (attribute(line), sign));
    changes
}

fn store(file: &Path, lines: &BTreeSet<String>) -> Result<()> {
    let text = lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect::<String>();
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Removes lines with durations, and replaces addresses and names.
fn normalise(said: &str, names: &Names) -> Result<String> {
    let durations = Regex::new(r"waited \d+ milliseconds")?;
    let addresses = Regex::new(r"\b0x7f[0-9a-f]{10}\b")?;
    let lines = said
        .split_inclusive('\n')
        .filter(|line| !durations.is_match(line));
    Ok(lines
        .map(|line| names.replace(&addresses.replace_all(line, "ADDRESS")))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_decide_about_the_order() {
        let state = |uuid: &str| {
            let lines = [
                "btt0.0/size 0444 1".to_owned(),
                format!("btt0.0/uuid 0644 {uuid}"),
            ];
            BTreeSet::from(lines)
        };
        for (first, second) in [("a", "b"), ("b", "a")] {
            let (before, now) = (state(first), state(second));
            let signs = changes(&before, &now)
                .iter()
                .map(|change| change.0)
                .collect::<String>();
            assert_eq!(signs, "<>");
        }
    }

    #[test]
    fn what_is_different_in_every_run() {
        let said = "a 0x7f00aabbccdd 0x7f00\nwaited 12 milliseconds\nb";
        let normal = normalise(said, &Names::default()).unwrap();
        assert_eq!(normal, "a ADDRESS 0x7f00\nb");
    }
}
