// SPDX-License-Identifier: GPL-2.0

//! Packages of the host that building and booting needs. apt installs them, where there is apt.

use crate::{
    cache::Cache,
    debian, process,
    ui::{
        self,
        Step, //
    },
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use std::{
    collections::HashSet,
    process::Command, //
};

/// Debian packages, each with a program in it by which its absence is detected where there is no
/// apt.
///
/// qemu-utils is omitted on purpose: it conflicts with other packages, and apt must be free to
/// choose.
const PACKAGES: [(&str, Option<&str>); 26] = [
    ("bc", Some("bc")),
    ("bison", Some("bison")),
    ("build-essential", Some("make")),
    ("ca-certificates", None),
    ("cpio", Some("cpio")),
    ("debian-archive-keyring", None),
    ("e2fsprogs", Some("mke2fs")),
    ("flex", Some("flex")),
    ("git", Some("git")),
    ("kmod", Some("depmod")),
    ("libdw-dev", None),
    ("libelf-dev", None),
    ("libndctl-dev", None),
    ("libssl-dev", None),
    ("lz4", Some("lz4")),
    ("mmdebstrap", Some("mmdebstrap")),
    ("perl", Some("perl")),
    ("pkgconf", Some("pkg-config")),
    ("python3", Some("python3")),
    ("qemu-system-x86", Some("qemu-system-x86_64")),
    ("rsync", Some("rsync")),
    ("squashfs-tools", Some("mksquashfs")),
    ("tar", Some("tar")),
    ("util-linux", Some("setpriv")),
    ("xz-utils", Some("xz")),
    ("zstd", Some("zstd")),
];

/// Returns the packages of the LLVM that rustc uses, with a program of each.
fn llvm_packages(major: u32) -> [(String, Option<String>); 4] {
    [
        (format!("clang-{major}"), Some(format!("clang-{major}"))),
        (format!("lld-{major}"), Some(format!("ld.lld-{major}"))),
        (format!("llvm-{major}"), Some(format!("llvm-ar-{major}"))),
        (format!("libclang-{major}-dev"), None),
    ]
}

/// Installs the missing packages that building and booting needs.
///
/// # Errors
///
/// Without apt, the message has the names of the missing programs. With apt, it has apt's message.
pub(crate) fn install_packages(cache: &Cache, llvm_major: u32) -> Result<()> {
    let common = PACKAGES
        .iter()
        .map(|&(package, program)| (package.to_owned(), program.map(str::to_owned)));
    let wanted = common.chain(llvm_packages(llvm_major)).collect::<Vec<_>>();
    ui::step("host packages", |step| install(cache, &wanted, step))
}

/// Installs packages, each with a program by which its absence is detected.
pub(crate) fn install_these(cache: &Cache, packages: &[(&str, Option<&str>)]) -> Result<()> {
    install_named("host packages", cache, packages)
}

/// Installs packages that only some commands need, each with a program by which its absence is
/// detected.
pub(crate) fn install_more(cache: &Cache, packages: &[(&str, Option<&str>)]) -> Result<()> {
    install_named("more host packages", cache, packages)
}

fn install_named(name: &str, cache: &Cache, packages: &[(&str, Option<&str>)]) -> Result<()> {
    let wanted = packages
        .iter()
        .map(|&(package, program)| (package.to_owned(), program.map(str::to_owned)))
        .collect::<Vec<_>>();
    ui::step(name, |step| install(cache, &wanted, step))
}

fn install(cache: &Cache, wanted: &[(String, Option<String>)], step: &Step) -> Result<()> {
    if !debian::has_apt() {
        let programs = wanted.iter().filter_map(|(_, program)| program.as_deref());
        let missing = programs
            .filter(|program| process::find_program(program).is_none())
            .collect::<Vec<_>>();
        ensure!(
            missing.is_empty(),
            "this host has no apt; please install by hand what provides: {}",
            missing.join(", ")
        );
        step.note("no apt here: all programs were found");
        return Ok(());
    }
    let installed = installed()?;
    let missing = wanted.iter().map(|(package, _)| package.as_str());
    let missing = missing
        .filter(|package| !installed.contains(*package))
        .collect::<Vec<_>>();
    if missing.is_empty() {
        step.note("all there");
        return Ok(());
    }
    let _lock = cache.lock("apt-host", step)?;
    // A third-party source that does not answer is not an error: what counts is whether the
    // packages install.
    if let Err(error) = process::run(
        as_root("apt-get")?.arg("update"),
        &cache.log("apt-update"),
        step,
    ) {
        step.say(&format!("            apt-get update: {error}"));
    }
    let mut apt = as_root("apt-get")?;
    apt.args([
        "-o",
        "DPkg::Lock::Timeout=300",
        "install",
        "-y",
        "--no-install-recommends",
    ])
    .args(&missing);
    process::run(
        apt.env("DEBIAN_FRONTEND", "noninteractive"),
        &cache.log("apt-install"),
        step,
    )
    .with_context(|| format!("cannot install {}", missing.join(" ")))?;
    step.note(format!("installed {}", missing.join(" ")));
    Ok(())
}

/// Returns the names of the installed packages.
fn installed() -> Result<HashSet<String>> {
    let mut query = Command::new("dpkg-query");
    let table = process::output(query.args(["-W", "-f", "${Package} ${db:Status-Status}\n"]))?;
    let rows = table
        .lines()
        .filter_map(|row| row.strip_suffix(" installed"));
    Ok(rows.map(str::to_owned).collect())
}

/// Returns a command that runs as root, through sudo if necessary. sudo may prompt for a password
/// once.
pub(crate) fn as_root(program: &str) -> Result<Command> {
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new(program));
    }
    let asked = Command::new("sudo")
        .arg("-v")
        .status()
        .with_context(|| format!("`{program}` must run as root, and there is no sudo"))?;
    ensure!(
        asked.success(),
        "`{program}` must run as root, and sudo was refused"
    );
    let mut command = Command::new("sudo");
    command.args(["-n", "--preserve-env=DEBIAN_FRONTEND", program]);
    Ok(command)
}
