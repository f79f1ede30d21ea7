// SPDX-License-Identifier: GPL-2.0

//! Debian's own kernels, unmodified, and the build of our modules for them.
//!
//! A build root is a Debian with the kernel's headers, its source package, and the compilers of the
//! suite. `tools/dkms/kernel-tree` makes a tree in it that can build Rust modules, as it does on a
//! user's machine. Commands run in the build root through bubblewrap, which needs no privileges.
//!
//! ```text
//! build root     /             read-only
//! tree           /build/tree   read-only once it is complete
//! checkout       /build/source read-only
//! products       /build/products
//! ```

use crate::{
    cache::{
        Cache,
        Key, //
    },
    debian::{
        Archive,
        PrivateApt, //
    },
    host,
    initramfs,
    process,
    project,
    ui::{
        self,
        Step, //
    },
    vmlinux, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Command,
        Stdio, //
    },
};

/// The suite of the compilers.
pub(crate) const SUITE: &str = "trixie";
/// The suite of the kernels.
pub(crate) const KERNELS: &str = "trixie-backports";

/// Packages that building modules needs besides the kernel's own.
const TOOLS: [&str; 6] = ["bindgen", "gcc-14", "make", "rust-src", "rustc", "xz-utils"];

/// Packages of the host, each with a program by which its absence is detected.
const HOST_PACKAGES: [(&str, Option<&str>); 11] = [
    ("bubblewrap", Some("bwrap")),
    ("ca-certificates", None),
    ("cpio", Some("cpio")),
    ("debian-archive-keyring", None),
    ("kmod", Some("depmod")),
    ("mmdebstrap", Some("mmdebstrap")),
    ("qemu-system-x86", Some("qemu-system-x86_64")),
    ("squashfs-tools", Some("mksquashfs")),
    ("util-linux", Some("setpriv")),
    ("xz-utils", Some("xz")),
    ("zstd", Some("zstd")),
];

/// Directories of a build root where others are mounted.
const TREE: &str = "/build/tree";
const SOURCE: &str = "/build/source";
const PRODUCTS: &str = "/build/products";

/// The script that makes a tree, in the checkout.
const KERNEL_TREE: &str = "tools/dkms/kernel-tree";

/// A series of Linux that the modules support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Series {
    #[value(name = "7.2")]
    V7_2,
    #[value(name = "7.3")]
    V7_3,
}

impl Series {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::V7_2, Self::V7_3];

    /// Returns the number.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V7_2 => "7.2",
            Self::V7_3 => "7.3",
        }
    }
}

/// A kernel of Debian with all that is needed to build modules for it and to boot it.
pub(crate) struct StockKernel {
    /// `7.3.4+deb13-amd64`, as in /lib/modules.
    pub(crate) release: String,
    root: PathBuf,
    /// The tree that modules are built in, mounted at [`TREE`] in the build root.
    pub(crate) tree: PathBuf,
    /// The unpacked packages of the image and of the modules.
    packages: PathBuf,
    /// The image that QEMU boots.
    pub(crate) image: PathBuf,
    /// The initramfs of the guest.
    pub(crate) initramfs: PathBuf,
}

/// Installs the packages of the host that a guest with a kernel of Debian needs.
pub(crate) fn install_host_packages(cache: &Cache) -> Result<()> {
    host::install_these(cache, &HOST_PACKAGES)
}

/// Installs the packages of the host that a build root needs.
pub(crate) fn install_build_packages(cache: &Cache) -> Result<()> {
    let needed = [
        "bubblewrap",
        "ca-certificates",
        "debian-archive-keyring",
        "mmdebstrap",
    ];
    let packages = HOST_PACKAGES
        .into_iter()
        .filter(|(package, _)| needed.contains(package))
        .collect::<Vec<_>>();
    host::install_these(cache, &packages)
}

/// A version of a kernel in the archive.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    /// `7.3.4-1~bpo13+1`, of the packages.
    package: String,
}

impl Version {
    /// Returns `7.3.4+deb13-amd64`, the part of package names.
    fn release(&self) -> String {
        let (upstream, _) = self.package.split_once('-').unwrap_or((&self.package, ""));
        format!("{upstream}+deb13-amd64")
    }
}

impl StockKernel {
    /// Finds or makes all parts for the newest kernel of `series` in the cache, or in the archive
    /// if the cache has none.
    pub(crate) fn prepare(cache: &Cache, series: Series) -> Result<Self> {
        let tools = TOOLS.join(" ");
        let key = Key::default()
            .with("suite", SUITE)
            .with("tools", tools)
            .finish();
        let root = ui::step(&format!("build root for {}", series.name()), |step| {
            let root = prepare_root(cache, series, &key, step)?;
            step.note(root.display().to_string());
            Ok(root)
        })?;
        let release = release_of(&root)?;
        let tree = ui::step(&format!("build tree for {}", series.name()), |step| {
            let tree = prepare_tree(cache, &root, &release, step)?;
            step.note(format!("{release} in {}", tree.display()));
            Ok(tree)
        })?;
        let (packages, image) = ui::step(&format!("kernel {}", series.name()), |step| {
            let packages = prepare_packages(cache, &release, step)?;
            step.note(format!("{release} in {}", packages.display()));
            let image = vmlinux::prepare(cache, &packed_image(&packages, &release), step)?;
            Ok((packages, image))
        })?;
        let initramfs = ui::step(&format!("initramfs for {}", series.name()), |step| {
            let modules = packages.join("lib/modules").join(&release);
            initramfs::prepare(cache, &modules, &release, step)
        })?;
        Ok(Self {
            release,
            root,
            tree,
            packages,
            image,
            initramfs,
        })
    }

    /// Returns the directory of the kernel's own modules, with indexes.
    pub(crate) fn modules(&self) -> PathBuf {
        self.packages.join("lib/modules").join(&self.release)
    }

    /// Returns a `make` command for the modules in `source`, with all products in `products`.
    pub(crate) fn make(&self, source: &Path, products: &Path) -> Command {
        let mut make = in_root(&self.root);
        make.arg("--ro-bind").arg(&self.tree).arg(TREE);
        make.arg("--ro-bind").arg(source).arg(SOURCE);
        make.arg("--bind").arg(products).arg(PRODUCTS);
        make.args(["--", "make", "-C", TREE]);
        make.arg(format!("M={SOURCE}"))
            .arg(format!("MO={PRODUCTS}"));
        make.args(["RUSTC=/usr/bin/rustc", "HOSTRUSTC=/usr/bin/rustc"]);
        make.args(["BINDGEN=/usr/bin/bindgen"]);
        make
    }
}

/// Returns a command that runs in `root`. Options of bubblewrap, `--` and the command follow.
pub(crate) fn in_root(root: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--die-with-parent", "--unshare-ipc", "--ro-bind"]);
    command.arg(root).arg("/");
    command.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]);
    command.args(["--clearenv", "--setenv", "LC_ALL", "C.UTF-8"]);
    command.args(["--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin"]);
    command.args(["--setenv", "HOME", "/tmp"]);
    command
}

/// Returns the kernel that a build root is for.
fn release_of(root: &Path) -> Result<String> {
    let modules = root.join("usr/lib/modules");
    let mut found = fs::read_dir(&modules)
        .with_context(|| format!("cannot read {}", modules.display()))?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    found
        .next()
        .with_context(|| format!("{} is empty", modules.display()))
}

fn prepare_root(cache: &Cache, series: Series, key: &str, step: &Step) -> Result<PathBuf> {
    let start = format!("stock-root-{}.", series.name());
    if let Some(rest) = newest(&cache.names_after(&start), key) {
        return Ok(cache.path(&format!("{start}{rest}")));
    }
    let version = newest_in_archive(cache, series, step)?;
    let release = version.release();
    let name = format!("stock-root-{release}-{key}");
    cache.artefact(&name, step, |place| {
        step.note(format!("Debian {SUITE} with the headers of {release}"));
        let archive = Archive::of_host(cache)?;
        let mut packages = TOOLS.map(str::to_owned).to_vec();
        packages.push(format!("linux-headers-{release}"));
        let source = format!("linux-source-{}", series.name());
        packages.push(format!("{source}={}", version.package));
        bootstrap(cache, &archive, &packages, place, step)
    })
}

/// Returns the name with the highest version among `names`, which are those of artefacts without
/// the series, and end in `-KEY`.
fn newest(names: &[String], key: &str) -> Option<String> {
    let level = |name: &String| name.split(['+', '-']).next()?.parse::<u32>().ok();
    let ending = format!("-{key}");
    let names = names.iter().filter(|name| name.ends_with(&ending));
    names
        .filter(|name| level(name).is_some())
        .max_by_key(|name| level(name))
        .cloned()
}

fn newest_in_archive(cache: &Cache, series: Series, step: &Step) -> Result<Version> {
    let archive = Archive::of_host(cache)?;
    let _lock = cache.lock("apt", step)?;
    let apt = PrivateApt::update(cache, &archive, KERNELS, step)?;
    let source = format!("linux-source-{}", series.name());
    let newest = apt.versions(&source)?.into_iter().next();
    let package = newest.with_context(|| format!("{KERNELS} has no {source}"))?;
    Ok(Version { package })
}

/// Makes a root file system in the directory `place`. All files belong to the user.
pub(crate) fn bootstrap(
    cache: &Cache,
    archive: &Archive,
    packages: &[String],
    place: &Path,
    step: &Step,
) -> Result<()> {
    let tarball = place.with_extension("tar");
    let mut bootstrap = Command::new("mmdebstrap");
    bootstrap.args([
        "--variant=minbase",
        "--aptopt=APT::Install-Recommends \"false\"",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--customize-hook=mkdir -p \"$1/build/tree\" \"$1/build/source\" \"$1/build/products\"",
    ]);
    bootstrap.arg(format!("--include={}", packages.join(",")));
    bootstrap.arg(SUITE).arg(&tarball);
    for suite in [SUITE, KERNELS] {
        bootstrap.arg(format!(
            "deb [signed-by={}] {} {suite} main",
            archive.keyring.display(),
            archive.uri
        ));
    }
    let log = cache.log("stock-root");
    process::run(&mut bootstrap, &log, step)?;
    fs::create_dir(place).with_context(|| format!("cannot create {}", place.display()))?;
    let mut unpack = Command::new("tar");
    // Devices need privileges, and none is used.
    unpack.args(["--no-same-owner", "--exclude=./dev/*", "-xf"]);
    unpack.arg(&tarball).arg("-C").arg(place);
    process::run(&mut unpack, &log, step)?;
    fs::remove_file(&tarball).with_context(|| format!("cannot remove {}", tarball.display()))
}

/// Makes the tree in which modules are built.
fn prepare_tree(cache: &Cache, root: &Path, release: &str, step: &Step) -> Result<PathBuf> {
    let script = project::root().join(KERNEL_TREE);
    let text = fs::read(&script).with_context(|| format!("cannot read {}", script.display()))?;
    let key = Key::default()
        .with("script", text)
        .with("root", root.as_os_str().as_encoded_bytes())
        .finish();
    let place = cache.artefact(&format!("stock-tree-{release}-{key}"), step, |place| {
        let parent = place.with_extension("parent");
        fs::create_dir(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
        // The script makes the tree itself. Its path there must be the one of later builds, so the
        // parent is mounted first and the tree moved afterwards.
        let mut make = in_root(root);
        make.arg("--bind").arg(&parent).arg("/build");
        make.arg("--ro-bind").arg(&script).arg("/tmp/kernel-tree");
        make.args(["--", "/tmp/kernel-tree", release, TREE]);
        make.stdin(Stdio::null());
        process::run(&mut make, &cache.log("stock-tree"), step)?;
        fs::rename(parent.join("tree"), place).context("kernel-tree has made no tree")
    })?;
    Ok(place)
}

/// Unpacks the kernel's image and modules, and makes the indexes of the modules.
fn prepare_packages(cache: &Cache, release: &str, step: &Step) -> Result<PathBuf> {
    cache.artefact(&format!("stock-kernel-{release}"), step, |place| {
        let archive = Archive::of_host(cache)?;
        let _lock = cache.lock("apt", step)?;
        let apt = PrivateApt::update(cache, &archive, KERNELS, step)?;
        // From 7.3 on the image's package only depends on these three.
        let parts = ["base", "binary", "modules"].map(|part| format!("linux-{part}-{release}"));
        let whole = [format!("linux-image-{release}")];
        let split = !apt.versions(&parts[2])?.is_empty();
        for package in if split { &parts[..] } else { &whole[..] } {
            let version = apt.versions(package)?.into_iter().next();
            let version = version.with_context(|| format!("{KERNELS} has no {package}"))?;
            apt.unpack(cache, package, &version, place, step)?;
        }
        // Where the directory is depends on the age of the package.
        if !place.join("lib").exists() {
            std::os::unix::fs::symlink("usr/lib", place.join("lib"))
                .with_context(|| format!("cannot make a link in {}", place.display()))?;
        }
        index(place, release, cache, step)
    })
}

/// Returns the compressed image in the unpacked packages.
fn packed_image(packages: &Path, release: &str) -> PathBuf {
    // From 7.3 on it is beside the modules.
    let beside = packages.join("lib/modules").join(release).join("vmlinuz");
    if beside.exists() {
        return beside;
    }
    packages.join(format!("boot/vmlinuz-{release}"))
}

/// Makes the indexes of all modules of `release` below `top`, which has lib/modules.
pub(crate) fn index(top: &Path, release: &str, cache: &Cache, step: &Step) -> Result<()> {
    let mut depmod = Command::new("depmod");
    if let Some(path) = process::path_of_administrators() {
        depmod.env("PATH", path);
    }
    depmod.arg("--basedir").arg(top).arg(release);
    process::run(&mut depmod, &cache.log("depmod"), step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_follow_from_versions() {
        let package = "7.3.4-1~bpo13+1".to_owned();
        assert_eq!(Version { package }.release(), "7.3.4+deb13-amd64");
    }

    /// Returns the distinct first groups of all matches in a file of the checkout.
    fn found_in(file: &str, pattern: &str) -> Vec<String> {
        let text = fs::read_to_string(project::root().join(file)).unwrap();
        let pattern = regex::Regex::new(pattern).unwrap();
        let mut found = pattern
            .captures_iter(&text)
            .map(|capture| capture[1].to_owned())
            .collect::<Vec<_>>();
        found.sort();
        found.dedup();
        found
    }

    /// Scripts and pages name the series where there is no xtask.
    #[test]
    fn series_are_the_same_everywhere() {
        let all = Series::ALL.map(Series::name);
        let script = found_in(KERNEL_TREE, r"(?m)^SERIES='([\d. ]+)'$");
        assert_eq!(script, [all.join(" ")]);
        assert_eq!(found_in("README.md", r"(?m)^\| (\d+\.\d+) \|"), all);
        let debian = "tools/dkms/debian";
        let source = r"linux-source-(\d+\.\d+)\b";
        for file in ["control", "nvdimm-rust-dkms.triggers"] {
            assert_eq!(found_in(&format!("{debian}/{file}"), source), all, "{file}");
        }
        // The first alternative is that of the newest series.
        let first = found_in(
            &format!("{debian}/control"),
            r"Recommends: linux-source-(\S+)",
        );
        assert_eq!(first, all[all.len() - 1..]);
        let description = found_in(&format!("{debian}/control"), r"(?m)[ \n](7\.\d+)\b");
        assert_eq!(description, all);
    }

    #[test]
    fn the_newest_root_is_used() {
        let names = [
            "4+deb13-amd64-k",
            "12+deb13-amd64-k",
            "13+deb13-amd64-other",
        ];
        let names = names.map(str::to_owned);
        assert_eq!(newest(&names, "k").unwrap(), "12+deb13-amd64-k");
        assert_eq!(newest(&names, "none"), None);
    }
}
