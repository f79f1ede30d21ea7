// SPDX-License-Identifier: GPL-2.0

//! `make deb`: builds the packages for Debian 13, and lets lintian check them.
//!
//! debhelper and dh-dkms of Debian 13 build them in a build root, from a copy of the files of the
//! checkout. Only `btt` is built by the host's cargo, because the rustc of Debian 13 is too old for
//! the tools. `tools/dkms/debian` is the directory `debian` of the package.

use crate::{
    cache::{
        Cache,
        Key, //
    },
    debian::Archive,
    modules,
    process,
    project,
    stock,
    ui::{
        self,
        Step, //
    }, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use regex::Regex;
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
};

/// Packages of the build root.
const TOOLS: [&str; 5] = [
    "build-essential",
    "debhelper",
    "dh-dkms",
    "dpkg-dev",
    "lintian",
];

/// The directory in the build root whose parts are the source and, beside it, the packages.
const PLACE: &str = "/build/source";

/// Builds the packages into target/deb.
pub(crate) fn run() -> Result<()> {
    let cache = Cache::open()?;
    stock::install_build_packages(&cache)?;
    let root = ui::step("build root for packages", |step| {
        let root = prepare_root(&cache, step)?;
        step.note(root.display().to_string());
        Ok(root)
    })?;
    let btt = modules::build_static(&cache, "btt")?;
    let version = Version::of_checkout()?;
    ui::step("packages", |step| {
        let scratch = tempfile::tempdir().context("cannot create a directory")?;
        let source = scratch.path().join("nvdimm-rust");
        copy_checkout(&source)?;
        generate(&source, &version, &btt)?;
        let log = cache.log("deb");
        process::run(&mut build_command(&root, scratch.path(), BUILD), &log, step)?;
        process::run(
            &mut build_command(&root, scratch.path(), LINTIAN),
            &cache.log("lintian"),
            step,
        )?;
        collect(scratch.path(), step)
    })
}

const BUILD: &str = "cd nvdimm-rust && dpkg-buildpackage --build=binary --no-sign";
/// Every tag fails but those of the levels "pedantic" and "classification".
const LINTIAN: &str = "lintian --allow-root --info --display-info \
     --fail-on error,warning,info ./*.changes";

/// Returns a command that runs a line of shell in the build root, beside the source.
fn build_command(root: &Path, place: &Path, line: &str) -> Command {
    let mut command = stock::in_root(root);
    command.arg("--bind").arg(place).arg(PLACE);
    command.args(["--chdir", PLACE, "--", "sh", "-c", line]);
    command
}

fn prepare_root(cache: &Cache, step: &Step) -> Result<PathBuf> {
    let key = Key::default()
        .with("suite", stock::SUITE)
        .with("tools", TOOLS.join(" "))
        .finish();
    cache.artefact(&format!("deb-root-{key}"), step, |place| {
        let archive = Archive::of_host(cache)?;
        let packages = TOOLS.map(str::to_owned);
        stock::bootstrap(cache, &archive, &packages, place, step)
    })
}

/// Copies the files of the checkout that git does not ignore.
fn copy_checkout(to: &Path) -> Result<()> {
    let root = project::root();
    let mut list = Command::new("git");
    list.current_dir(&root)
        .args(["ls-files", "-co", "--exclude-standard"]);
    for file in process::output(&mut list)?.lines() {
        let (from, to) = (root.join(file), to.join(file));
        // A file that was removed, and not yet from the index.
        if !from.exists() {
            continue;
        }
        let directory = to.parent().context("a file has no directory")?;
        fs::create_dir_all(directory)
            .and_then(|()| fs::copy(&from, &to))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    fs::rename(to.join("tools/dkms/debian"), to.join("debian"))
        .context("there is no tools/dkms/debian")
}

/// Writes the files of `debian` that are not in the checkout.
fn generate(source: &Path, version: &Version, btt: &Path) -> Result<()> {
    let debian = source.join("debian");
    let control = fs::read_to_string(debian.join("control")).context("there is no control")?;
    let maintainer = control
        .lines()
        .find_map(|line| line.strip_prefix("Maintainer: "));
    let maintainer = maintainer.context("control has no Maintainer")?;
    let write = |name: &str, text: String| {
        fs::write(debian.join(name), text).with_context(|| format!("cannot write debian/{name}"))
    };
    let mut date = Command::new("git");
    date.arg("-C").arg(project::root());
    date.args(["log", "-1", "--format=%cD"]);
    write(
        "changelog",
        version.changelog(maintainer, &process::output(&mut date)?),
    )?;
    write("crates", crates_of("btt")?)?;
    fs::copy(btt, debian.join("btt"))
        .map(|_| ())
        .with_context(|| format!("cannot copy {}", btt.display()))
}

/// Returns a line with name, version and licence of each crate that a program consists of.
fn crates_of(package: &str) -> Result<String> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
    tree.args(["--format", "{p} {l}", "--package", package]);
    tree.arg("--manifest-path");
    tree.arg(project::root().join("tools/Cargo.toml"));
    let noise = Regex::new(r" \((?:/[^)]*|\*|proc-macro)\)").context("the pattern is wrong")?;
    let text = process::output(&mut tree)?;
    let mut lines = text
        .lines()
        .map(|line| noise.replace_all(line, "").into_owned() + "\n")
        // A crate that was listed before has no licence.
        .filter(|line| line.split_whitespace().count() > 2)
        .collect::<Vec<_>>();
    lines.sort();
    lines.dedup();
    Ok(lines.concat())
}

/// Moves the packages into target/deb, and removes those of earlier runs.
fn collect(from: &Path, step: &Step) -> Result<()> {
    let place = project::target().join("deb");
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot empty {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let mut made = Vec::new();
    for entry in fs::read_dir(from)
        .context("cannot read what was built")?
        .flatten()
    {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let name = entry.file_name();
            // The two may be on different file systems.
            let size = fs::copy(&path, place.join(&name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
            made.push(format!("{} ({} kB)", name.to_string_lossy(), size / 1000));
        }
    }
    made.sort();
    ensure!(made.len() == 2, "two packages were expected: {made:?}");
    step.note(format!("{} in {}", made.join(", "), place.display()));
    Ok(())
}

/// The version of the packages.
#[derive(Debug, PartialEq)]
struct Version {
    /// That of the workspace, and of the modules.
    upstream: String,
    /// Whether CHANGELOG.md has it as released.
    is_released: bool,
}

impl Version {
    fn of_checkout() -> Result<Self> {
        let changes = project::root().join("CHANGELOG.md");
        let changes = fs::read_to_string(&changes)
            .with_context(|| format!("cannot read {}", changes.display()))?;
        Self::parse(env!("CARGO_PKG_VERSION"), &changes)
    }

    /// Finds out whether `upstream` is released. The newest version in CHANGELOG.md must be it, or
    /// be unreleased.
    fn parse(upstream: &str, changes: &str) -> Result<Self> {
        let newest = changes.lines().find_map(|line| line.strip_prefix("## "));
        let newest = newest.context("CHANGELOG.md has no version")?;
        let name = newest.split_whitespace().next().unwrap_or_default();
        let name = name.trim_matches(['[', ']']);
        let is_released = name != "Unreleased";
        ensure!(
            !is_released || name == upstream,
            "CHANGELOG.md begins with version {name}, and tools/Cargo.toml has {upstream}"
        );
        Ok(Self {
            upstream: upstream.to_owned(),
            is_released,
        })
    }

    /// Returns debian/changelog. A version before its release is lower than the released one.
    fn changelog(&self, maintainer: &str, date: &str) -> String {
        let (ending, suite) = if self.is_released {
            ("", "unstable")
        } else {
            ("~dev", "UNRELEASED")
        };
        format!(
            "nvdimm-rust ({}{ending}) {suite}; urgency=medium\n\n  \
             * See CHANGELOG.md of the source, {}.\n\n -- {maintainer}  {date}\n",
            self.upstream,
            project::commit()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_from_the_changelog() {
        let of = |text| Version::parse("0.2.0", text);
        let unreleased = of("# Changelog\n\n## Unreleased\n\n## 0.1.0\n").unwrap();
        assert!(unreleased
            .changelog("a <b>", "today")
            .starts_with("nvdimm-rust (0.2.0~dev) UNRELEASED;"));
        let released = of("# Changelog\n\n## 0.2.0 - 2026-12-01\n").unwrap();
        assert!(released
            .changelog("a <b>", "today")
            .starts_with("nvdimm-rust (0.2.0) unstable;"));
        assert!(of("## 0.1.0\n").is_err());
        assert!(of("# Changelog\n").is_err());
    }

    #[test]
    fn the_changelog_of_this_checkout_fits_its_version() {
        Version::of_checkout().unwrap();
    }
}
