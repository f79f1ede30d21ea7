// SPDX-License-Identifier: GPL-2.0

//! The root file system of the guest: a Debian release in a squashfs, made by mmdebstrap.
//!
//! It is read-only, and contains nothing of this project but the first program ([`INIT`]): scripts,
//! modules and results come over 9p.

use crate::{
    cache::{
        Cache,
        Key, //
    },
    debian::Archive,
    process, project,
    setup::Task,
    ui::{
        self,
        Step, //
    },
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    ffi::OsString,
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command, //
};

/// The release in the guest: the first whose ndctl has all commands that are tested.
pub(crate) const SUITE: &str = "trixie";

/// Packages whose programs the demonstration runs.
const DEMO_PACKAGES: [&str; 7] = [
    "e2fsprogs",
    "kmod",
    "ndctl",
    "procps",
    "udev",
    "util-linux",
    "uuid-runtime",
];

/// Packages whose programs the tests run.
const PACKAGES: [&str; 20] = [
    "attr",
    "daxctl",
    "dmsetup",
    "e2fsprogs",
    "fio",
    "hdparm",
    "jq",
    "keyutils",
    "kmod",
    "lvm2",
    "ndctl",
    "parted",
    "procps",
    "psmisc",
    "stress-ng",
    "udev",
    "util-linux",
    "uuid-runtime",
    "xfsprogs",
    "xxd",
];

/// Files that no test needs.
const LEFT_OUT: [&str; 5] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    // stress-ng could stress a graphics card, too.
    "/usr/lib/*/libLLVM*",
    "/usr/lib/*/libgallium*",
];

/// The path of the first program in the guest, and its source in the checkout.
pub(crate) const INIT: &str = "/sbin/guest-init";
const INIT_SOURCE: &str = "qemu/guest/init";

/// Finds or makes the image for a task. The one for tests serves the demonstration as well.
pub(crate) fn prepare(cache: &Cache, task: Task) -> Result<PathBuf> {
    let all = name(&PACKAGES)?;
    let (name, packages) = match task {
        Task::Demo if !cache.path(&all).exists() => (name(&DEMO_PACKAGES)?, &DEMO_PACKAGES[..]),
        Task::Demo | Task::Tests => (all, &PACKAGES[..]),
    };
    ui::step("guest image", |step| {
        let image = cache.artefact(&name, step, |place| make(cache, packages, place, step))?;
        step.note(format!("Debian {SUITE} in {}", image.display()));
        Ok(image)
    })
}

/// Returns the name of the image with these packages.
fn name(packages: &[&str]) -> Result<String> {
    let init = project::root().join(INIT_SOURCE);
    let text = fs::read(&init).with_context(|| format!("cannot read {}", init.display()))?;
    let key = Key::default()
        .with("suite", SUITE)
        .with("packages", packages.join(" "))
        .with("left out", LEFT_OUT.join(" "))
        .with("init", text)
        .finish();
    Ok(format!("guest-{key}.squashfs"))
}

/// Makes the image `place` with these packages.
fn make(cache: &Cache, packages: &[&str], place: &Path, step: &Step) -> Result<()> {
    let init = project::root().join(INIT_SOURCE);
    let archive = Archive::of_host(cache)?;
    let tarball = place.with_extension("tar");
    let mut bootstrap = Command::new("mmdebstrap");
    bootstrap.args([
        "--variant=minbase",
        "--aptopt=APT::Install-Recommends \"false\"",
    ]);
    bootstrap.args(LEFT_OUT.map(|pattern| format!("--dpkgopt=path-exclude={pattern}")));
    let mut keyring = OsString::from("--keyring=");
    keyring.push(&archive.keyring);
    bootstrap
        .arg(format!("--include={}", packages.join(",")))
        .arg(keyring);
    // mmdebstrap passes the hook to a shell.
    bootstrap.arg(format!(
        "--customize-hook=upload '{}' {INIT}",
        init.display()
    ));
    bootstrap.arg(format!("--customize-hook=chmod 755 \"$1{INIT}\""));
    bootstrap.arg("--customize-hook=mkdir -p \"$1/host\"");
    bootstrap.arg(SUITE).arg(&tarball).arg(&archive.uri);
    let log = cache.log("guest");
    process::run(&mut bootstrap, &log, step)?;

    // mksquashfs reads a tar from its standard input.
    let mut pack = Command::new("sh");
    pack.arg("-c")
        .arg("exec mksquashfs - \"$1\" -tar -comp zstd -noappend -no-progress -quiet <\"$2\"");
    pack.arg("sh").arg(place).arg(&tarball);
    process::run(&mut pack, &log, step)?;
    fs::remove_file(&tarball).with_context(|| format!("cannot remove {}", tarball.display()))
}
