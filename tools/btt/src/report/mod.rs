// SPDX-License-Identifier: GPL-2.0

//! `report`: one text file that describes a machine for a bug report.
//!
//! Each part is a heading and lines. What cannot be read is a line that says why, in the place of
//! what it would have been: a report is wanted most when something is broken.
//!
//! The report has no contents of sectors and no keys. Of BTTs it has what `info` prints: numbers
//! from info blocks and tables. Raw disks are opened for reading only.

mod btts;
mod kernel_log;
mod tree;

use crate::{
    system::{
        System,
        MODULES, //
    },
    Verdict, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs::OpenOptions,
    io::{
        self,
        Write, //
    },
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use tree::Tree;

/// Directory of the devices of the subsystem.
const DEVICES: &str = "sys/bus/nd/devices";

const INTRODUCTION: &str = "\
This report has no contents of sectors and no keys. It has the command line of the kernel, physical
addresses, serial numbers of DIMMs, names and UUIDs of namespaces, and messages of drivers. Read it
before you send it.";

/// Returns the lines of a part.
type Part = fn(&System) -> Vec<String>;

/// Headings and parts, in their order. Reading an attribute of a device may wait for a driver that
/// is stuck, so what needs no driver comes first.
const PARTS: [(&str, Part); 7] = [
    ("Versions", System::versions),
    ("Kernel", kernel),
    ("Modules", modules),
    ("Kernel log", kernel_log::of_drivers),
    ("BTTs in use", btts::in_use),
    ("Devices", devices),
    ("Raw disks", btts::on_raw_disks),
];

/// Writes the report to a new file, or to standard output.
pub(crate) fn report(file: Option<&Path>) -> Result<Verdict> {
    let system = System::running();
    match file {
        None => write(&system, &mut io::stdout())?,
        Some(path) => {
            // Nothing that exists is overwritten, and no link is followed. Physical addresses are
            // for root only.
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path);
            opened
                .and_then(|mut file| write(&system, &mut file))
                .with_context(|| format!("{}", path.display()))?;
        }
    }
    Ok(Verdict::Good)
}

/// Writes the report on a machine. Each part is written before the next one is read: if that never
/// ends, the report is there up to its heading.
fn write(system: &System, out: &mut impl Write) -> io::Result<()> {
    let mut text = format!("{INTRODUCTION}\n");
    for (heading, part) in PARTS {
        text.push_str(&format!("\n## {heading}\n\n"));
        out.write_all(text.as_bytes())?;
        out.flush()?;
        text.clear();
        let lines = part(system);
        if lines.is_empty() {
            text.push_str("none\n");
        }
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Returns a line that says why something is not in the report.
fn unreadable(what: &str, error: impl std::fmt::Display) -> String {
    format!("{what}: cannot be read: {error}")
}

fn kernel(system: &System) -> Vec<String> {
    let files = [
        ("release", "proc/sys/kernel/osrelease"),
        ("version", "proc/sys/kernel/version"),
        ("tainted", "proc/sys/kernel/tainted"),
        ("command line", "proc/cmdline"),
    ];
    let lines = files.map(|(name, file)| match system.text(file) {
        Ok(text) if name == "command line" => format!("{name}: {}", without_secrets(&text)),
        Ok(text) => format!("{name}: {text}"),
        Err(error) => unreadable(name, error),
    });
    lines.into()
}

/// Returns the command line of the kernel without the values of options that are named like a
/// secret. Those of the modules of the subsystem stay.
fn without_secrets(command_line: &str) -> String {
    let mut in_quotes = false;
    let words = command_line.split(|letter: char| {
        in_quotes ^= letter == '"';
        letter.is_whitespace() && !in_quotes
    });
    let words = words.map(|word| {
        let name = word.split('=').next().unwrap_or_default().trim_matches('"');
        let is_ours = name
            .split_once('.')
            .is_some_and(|(module, _)| MODULES.contains(&module));
        if tree::is_secret(name) && !is_ours {
            format!("{name}=...")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns what `/proc/modules` says of the modules, without addresses, and their parameters.
fn modules(system: &System) -> Vec<String> {
    let list = match system.text("proc/modules") {
        Ok(list) => list,
        Err(error) => return vec![unreadable("/proc/modules", error)],
    };
    let mut lines = Vec::new();
    for line in list.lines() {
        // Name, size, references, users, state, address, taint.
        let words = line.split_whitespace().collect::<Vec<_>>();
        let [name, size, references, users, state, rest @ ..] = words.as_slice() else {
            continue;
        };
        if !MODULES.contains(name) {
            continue;
        }
        let taint = rest.get(1).unwrap_or(&"");
        lines.push(
            format!("{name} {size} {references} {users} {state} {taint}")
                .trim_end()
                .to_owned(),
        );
        let directory = format!("sys/module/{name}/parameters");
        // A module without parameters has no such directory.
        for parameter in tree::entries(&system.path(&directory)).unwrap_or_default() {
            let shown = format!("{name}/parameters/{parameter}");
            lines.push(match system.text(&format!("{directory}/{parameter}")) {
                Ok(value) => format!("{shown} {value}"),
                Err(error) => unreadable(&shown, error),
            });
        }
    }
    lines
}

fn devices(system: &System) -> Vec<String> {
    let directory = system.path(DEVICES);
    let names = match tree::entries(&directory) {
        Ok(names) => names,
        Err(error) => return vec![unreadable("devices", error)],
    };
    let mut lines = Vec::new();
    for name in &names {
        // Other devices below this one have lines of their own.
        Tree::without(&names).walk(&directory.join(name), name, &mut lines);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_machine_without_anything_has_all_parts() {
        let root = tempfile::tempdir().unwrap();
        let mut text = Vec::new();
        write(&System::at(root.path()), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for (heading, _) in PARTS {
            assert!(text.contains(&format!("\n## {heading}\n")), "{text}");
        }
        assert!(text.contains("nd_btt not loaded"), "{text}");
        assert!(text.contains("release: cannot be read: "), "{text}");
    }

    #[test]
    fn what_needs_no_driver_is_written_before_an_attribute_that_waits() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join(DEVICES).join("nmem0");
        fs::create_dir_all(&device).unwrap();
        // Opening a FIFO waits until it is opened for writing.
        let attribute = device.join("state");
        let made = std::process::Command::new("mkfifo")
            .arg(&attribute)
            .status();
        assert!(made.unwrap().success());
        let path = root.path().join("report");
        let written = || fs::read_to_string(&path).unwrap_or_default();
        std::thread::scope(|scope| {
            let report = scope.spawn(|| {
                let mut file = fs::File::create(&path).unwrap();
                write(&System::at(root.path()), &mut file).unwrap();
            });
            // Returns as soon as the report has opened the attribute.
            let mut state = OpenOptions::new().write(true).open(&attribute).unwrap();
            let before = written();
            state.write_all(b"idle\n").unwrap();
            drop(state);
            report.join().unwrap();
            assert!(before.contains("\n## Kernel log\n"), "{before}");
            assert!(before.ends_with("\n## Devices\n\n"), "{before}");
        });
        assert!(written().contains("nmem0/state idle\n"), "{}", written());
    }

    #[test]
    fn the_command_line_has_no_secrets() {
        assert_eq!(
            without_secrets(
                "quiet rd.iscsi.PASSWORD=a \"luks.passphrase=b c\" x.secret=\"d e\" ro"
            ),
            "quiet rd.iscsi.PASSWORD=... luks.passphrase=... x.secret=... ro"
        );
        for line in [
            "root=/dev/pmem0s1 memmap=64M!512M dyndbg=\"file a b\"",
            "libnvdimm.key_revalidate=0",
        ] {
            assert_eq!(without_secrets(line), line);
        }
    }

    #[test]
    fn a_report_overwrites_nothing_and_follows_no_link() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(report(Some(&link)).is_err());
        assert!(!target.exists());
        fs::write(&target, "old").unwrap();
        assert!(report(Some(&link)).is_err());
        assert!(report(Some(&target)).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"old");
    }

    #[test]
    fn modules_have_parameters_and_no_address() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc")).unwrap();
        fs::write(
            root.path().join("proc/modules"),
            "nfit 1 0 - Live 0xffffffffc0000000 (O)\n\
             ext4 2 1 - Live 0xffffffffc1000000\n\
             nd_btt 3 1 nd_pmem, Live 0xffffffffc2000000\n",
        )
        .unwrap();
        let parameters = root.path().join("sys/module/nfit/parameters");
        fs::create_dir_all(&parameters).unwrap();
        fs::write(parameters.join("key_revalidate"), "N\n").unwrap();
        assert_eq!(
            modules(&System::at(root.path())),
            [
                "nfit 1 0 - Live (O)",
                "nfit/parameters/key_revalidate N",
                "nd_btt 3 1 nd_pmem, Live",
            ]
        );
    }

    #[test]
    fn each_device_has_its_own_lines() {
        let root = tempfile::tempdir().unwrap();
        let bus = root.path().join("sys/devices/ndbus0");
        let devices = root.path().join(DEVICES);
        fs::create_dir_all(bus.join("region0/namespace0.0")).unwrap();
        fs::create_dir_all(&devices).unwrap();
        for (name, place) in [
            ("ndbus0", "ndbus0"),
            ("region0", "ndbus0/region0"),
            ("namespace0.0", "ndbus0/region0/namespace0.0"),
        ] {
            let target = root.path().join("sys/devices").join(place);
            fs::write(target.join("size"), name).unwrap();
            std::os::unix::fs::symlink(target, devices.join(name)).unwrap();
        }
        assert_eq!(
            super::devices(&System::at(root.path())),
            [
                "namespace0.0/size namespace0.0",
                "ndbus0/size ndbus0",
                "region0/size region0",
            ]
        );
    }
}
