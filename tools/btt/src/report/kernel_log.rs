// SPDX-License-Identifier: GPL-2.0

//! The messages of the subsystem's drivers in the kernel's log.
//!
//! Each read of `/dev/kmsg` returns one record, in the format that
//! `Documentation/ABI/testing/dev-kmsg` of Linux describes:
//!
//! ```text
//! 6,339,5140900,-;nd_pmem namespace0.0: unable to guarantee persistence of writes
//!  SUBSYSTEM=nd
//!  DEVICE=+nd:namespace0.0
//! ```
//!
//! Messages of file systems are left out, as they may name files.

use super::unreadable;
use crate::system::{
    System,
    MODULES, //
};
use std::{
    fs::OpenOptions,
    io::{
        ErrorKind,
        Read, //
    },
    os::unix::fs::OpenOptionsExt, //
};

/// Longest record that the kernel returns.
const RECORD: usize = 8192;

/// Beginnings of messages without a device, besides names of modules and devices.
const BEGINNINGS: [&str; 8] = [
    "ACPI: NFIT ",
    "acpi-nfit ",
    "e820_pmem ",
    "nd_bus ",
    "nd_region ",
    "nvdimm ",
    "dax_pmem ",
    "ramdax ",
];

/// Names of devices and disks, without their number.
const DEVICES: [&str; 8] = [
    "btt",
    "dax",
    "namespace",
    "ndbus",
    "nmem",
    "pfn",
    "pmem",
    "region",
];

/// Returns the messages, oldest first, or a line that says why there are none.
pub(super) fn of_drivers(system: &System) -> Vec<String> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(system.path("dev/kmsg"));
    let mut log = match opened {
        Ok(log) => log,
        Err(error) => return vec![unreadable("/dev/kmsg", error)],
    };
    let mut lines = Vec::new();
    let mut buffer = vec![0; RECORD];
    loop {
        match log.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                lines.extend(line(&String::from_utf8_lossy(bytes)));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // The record was overwritten before it was read; the next one follows.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                lines.push(unreadable("/dev/kmsg", error));
                break;
            }
        }
    }
    lines
}

/// Returns a record as `dmesg` prints it, if a driver of the subsystem has written it.
fn line(record: &str) -> Option<String> {
    let (head, rest) = record.split_once(';')?;
    let microseconds = head.split(',').nth(2)?.parse::<u64>().ok()?;
    let mut lines = rest.lines();
    let message = lines.next()?;
    let is_of_device = lines.any(|line| line == " SUBSYSTEM=nd");
    (is_of_device || is_of_driver(message)).then(|| {
        format!(
            "[{:5}.{:06}] {message}",
            microseconds / 1_000_000,
            microseconds % 1_000_000
        )
    })
}

/// Returns `true` if a message that names no device is of the subsystem, is an error of one of its
/// disks, or is a place in one of its modules in a backtrace.
fn is_of_driver(message: &str) -> bool {
    if BEGINNINGS.iter().any(|start| message.starts_with(start)) {
        return true;
    }
    let first = message.split([':', ' ']).next().unwrap_or_default();
    if MODULES.contains(&first) || is_device(first) {
        return true;
    }
    let is_io_error = message.contains("I/O error")
        && message
            .split("dev ")
            .skip(1)
            .any(|rest| is_device(rest.split([',', ' ']).next().unwrap_or_default()));
    is_io_error
        || MODULES
            .iter()
            .any(|module| message.contains(&format!("[{module}]")))
}

/// Returns `true` for a name and a number, as in `pmem0s` and `namespace0.0`.
fn is_device(word: &str) -> bool {
    DEVICES.iter().any(|name| {
        word.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_devices_and_drivers_are_kept() {
        let record = "6,339,5140900,-;nd_pmem namespace0.0: no flush hints\n SUBSYSTEM=nd\n DEVICE=+nd:namespace0.0\n";
        assert_eq!(
            line(record).as_deref(),
            Some("[    5.140900] nd_pmem namespace0.0: no flush hints")
        );
        for message in [
            "libnvdimm: loading out-of-tree module taints kernel.",
            "pmem0s: p1 p2",
            "acpi-nfit ACPI0012:00: NFIT: DIMM ignored: no control region",
            "Buffer I/O error on dev pmem0s, logical block 3, async page read",
            "I/O error, dev pmem1, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            " write_batch+0x12/0x340 [nd_btt]",
        ] {
            let record = format!("4,1,2,-;{message}\n");
            assert_eq!(line(&record), Some(format!("[    0.000002] {message}")));
        }
    }

    #[test]
    fn records_of_others_are_not() {
        for record in [
            "6,1,2,-;EXT4-fs error (device pmem0s): ext4_lookup:1234: comm ls: deleted inode\n",
            "6,1,2,-;systemd[1]: pmem0s: mounted by a user\n",
            "6,1,2,-;pci 0000:00:01.0: BAR 0\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:01.0\n",
            "6,1,2,-;I/O error, dev sda, sector 8\n",
            "6,1,2,-;bttv: a driver of another subsystem\n",
            "no record",
            "6,1,x,-;libnvdimm: x",
            "",
        ] {
            assert_eq!(line(record), None, "{record}");
        }
    }
}
