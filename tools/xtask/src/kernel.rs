// SPDX-License-Identifier: GPL-2.0

//! The guest's kernel: source, configuration and build.
//!
//! `LINUX_SRC` selects another source, a tarball or a tree. `KDIR` selects a tree that is built
//! already.

use crate::{
    cache::{
        Cache,
        Key, //
    },
    debian, process, project,
    stock::{
        Series,
        StockKernel, //
    },
    toolchain::Toolchain,
    ui::{
        self,
        Step, //
    },
};
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use sha2::{
    Digest,
    Sha256, //
};
use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{
        self,
        File, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
};

/// The series of our own kernels.
const SERIES: &str = "7.2";
const SOURCE_PACKAGE: &str = "linux-source-7.2";

/// Approximate number of lines that a build prints, one a file, for the progress bar.
const LINES_OF_BUILD: u64 = 2400;

/// A configuration of the guest's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// The default.
    Ordinary,
    /// The debug kernel: sanitizers, lock checking, leak detection, fault injection.
    Debug,
    /// The real-time kernel, where spin locks sleep.
    RealTime,
    /// Debian's own.
    Stock(Series),
}

impl Flavour {
    /// Returns the fragments of the configuration in qemu/kernel. Later ones override earlier ones.
    fn fragments(self) -> &'static [&'static str] {
        match self {
            Self::Ordinary => &["guest.config"],
            Self::Debug => &["guest.config", "debug.config"],
            Self::RealTime => &["guest.config", "realtime.config"],
            // Debian has configured it.
            Self::Stock(_) => &[],
        }
    }

    /// Returns the factor of all timeouts in a guest.
    pub(crate) fn timeout_scale(self) -> u32 {
        match self {
            Self::Ordinary => 1,
            Self::Debug => 8,
            Self::RealTime | Self::Stock(_) => 2,
        }
    }

    /// Returns the suffix of names of directories and logs.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Ordinary => "",
            Self::Debug => "-debug",
            Self::RealTime => "-realtime",
            Self::Stock(Series::V7_2) => "-stock-7.2",
            Self::Stock(Series::V7_3) => "-stock-7.3",
        }
    }
}

/// A kernel that the user selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// The one that is built here, or the one in `KDIR`.
    Own,
    /// Debian's, of Linux 7.2.
    #[value(name = "7.2")]
    V7_2,
    /// Debian's, of Linux 7.3.
    #[value(name = "7.3")]
    V7_3,
}

impl Choice {
    /// Returns the flavour that is selected. A kernel in `KDIR` takes precedence.
    pub(crate) fn flavour(self) -> Flavour {
        match self {
            _ if given("KDIR").is_some() => Flavour::Ordinary,
            Self::Own => Flavour::Ordinary,
            Self::V7_2 => Flavour::Stock(Series::V7_2),
            Self::V7_3 => Flavour::Stock(Series::V7_3),
        }
    }
}

/// A configuration as fragments over `tinyconfig`.
struct Fragments {
    files: Vec<PathBuf>,
    /// The contents of all files, concatenated.
    text: String,
}

impl Fragments {
    fn read(flavour: Flavour) -> Result<Self> {
        let directory = project::root().join("qemu/kernel");
        let files = flavour.fragments().iter();
        let files = files.map(|name| directory.join(name)).collect::<Vec<_>>();
        let mut text = String::new();
        for file in &files {
            let fragment = fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            text.push_str(&fragment);
        }
        Ok(Self { files, text })
    }

    /// Returns the lines that set options: comments do not change a kernel.
    fn options(&self) -> String {
        let lines = self.text.lines().filter(|line| sets_option(line));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Returns `true` for `CONFIG_X=y` and for `# CONFIG_X is not set`.
fn sets_option(line: &str) -> bool {
    line.starts_with("CONFIG_") || line.starts_with("# CONFIG_")
}

/// The source of a kernel, and its identity for keys of the cache.
struct Source {
    tree: PathBuf,
    identity: String,
}

/// A built kernel with the tree that modules are built against.
pub(crate) struct Kernel {
    /// kbuild's object tree (`O=`), or `KDIR`, or the tree that stands for that of Debian.
    pub(crate) tree: PathBuf,
    /// `7.2.12`, as in /lib/modules.
    pub(crate) release: String,
    pub(crate) flavour: Flavour,
    pub(crate) origin: Origin,
}

/// Who has built a kernel.
pub(crate) enum Origin {
    /// This toolchain, or the user with an equal one.
    Own(Toolchain),
    /// Debian.
    Stock(StockKernel),
}

impl Kernel {
    /// Finds or builds the kernel of the guest.
    pub(crate) fn prepare(cache: &Cache, toolchain: Toolchain, flavour: Flavour) -> Result<Self> {
        if let Some(tree) = given("KDIR") {
            return ui::step("kernel", |step| {
                step.note(format!("as given by KDIR: {}", tree.display()));
                let kernel = Self::at(tree, toolchain, flavour)?;
                kernel.check_for_modules()?;
                Ok(kernel)
            });
        }
        let source = prepare_source(cache)?;
        let fragments = Fragments::read(flavour)?;
        let key = Key::default()
            .with("source", &source.identity)
            .with("options", fragments.options())
            .with("toolchain", toolchain.identity())
            .finish();
        let name = format!("kernel-{key}");
        let log = cache.log(&format!("kernel{}", flavour.suffix()));
        ui::step(&format!("kernel{}", flavour.suffix()), |step| {
            let tree = cache.artefact_in_place(&name, step, |tree| {
                configure(&log, &toolchain, &source, &fragments, tree, step)?;
                build(&log, &toolchain, tree, step)
            })?;
            let kernel = Self::at(tree, toolchain, flavour)?;
            step.note(format!("{} in {}", kernel.release, kernel.tree.display()));
            Ok(kernel)
        })
    }

    /// Finds or fetches a kernel of Debian.
    pub(crate) fn prepare_stock(cache: &Cache, series: Series) -> Result<Self> {
        let kernel = StockKernel::prepare(cache, series)?;
        Ok(Self {
            tree: kernel.tree.clone(),
            release: kernel.release.clone(),
            flavour: Flavour::Stock(series),
            origin: Origin::Stock(kernel),
        })
    }

    /// Returns the kernel in a tree that was built before by `toolchain`.
    pub(crate) fn at(tree: PathBuf, toolchain: Toolchain, flavour: Flavour) -> Result<Self> {
        let file = tree.join("include/config/kernel.release");
        let release = fs::read_to_string(&file)
            .with_context(|| {
                format!(
                    "{} is not a built kernel tree: build the targets `bzImage` and `modules` in it first",
                    tree.display()
                )
            })?
            .trim()
            .to_owned();
        Ok(Self {
            tree,
            release,
            flavour,
            origin: Origin::Own(toolchain),
        })
    }

    /// Returns the path of the image that QEMU boots.
    pub(crate) fn image(&self) -> PathBuf {
        match &self.origin {
            Origin::Own(_) => self.tree.join("arch/x86/boot/bzImage"),
            Origin::Stock(kernel) => kernel.image.clone(),
        }
    }

    /// Returns the initramfs that the guest needs with this kernel, if it needs one.
    pub(crate) fn initramfs(&self) -> Option<PathBuf> {
        match &self.origin {
            Origin::Own(_) => None,
            Origin::Stock(kernel) => Some(kernel.initramfs.clone()),
        }
    }

    /// Returns a `make` command for the modules in `source`, with all products in `products`.
    pub(crate) fn make_modules(&self, source: &Path, products: &Path) -> Command {
        let variable = |name: &str, value: &Path| {
            let mut argument = OsString::from(name);
            argument.push("=");
            argument.push(value);
            argument
        };
        match &self.origin {
            Origin::Own(toolchain) => {
                let mut make = toolchain.make();
                make.arg("-C").arg(&self.tree);
                make.arg(variable("M", source))
                    .arg(variable("MO", products));
                make
            }
            Origin::Stock(kernel) => kernel.make(source, products),
        }
    }

    /// Returns the configuration, in the format of `.config`.
    pub(crate) fn config(&self) -> Result<String> {
        let file = self.tree.join(".config");
        fs::read_to_string(&file)
            .or_else(|_| fs::read_to_string(self.tree.join("include/config/auto.conf")))
            .with_context(|| format!("cannot read {}", file.display()))
    }

    /// Fails unless QEMU can boot the kernel. For building modules, a tree with headers is enough.
    pub(crate) fn check_for_booting(&self) -> Result<()> {
        let image = self.image();
        ensure!(
            image.is_file(),
            "there is no {}: build the target `bzImage` in that tree",
            image.display()
        );
        Ok(())
    }

    /// Fails unless our modules can be built for this kernel and loaded into it.
    ///
    /// # Errors
    ///
    /// The message says what is wrong and how to fix it.
    pub(crate) fn check_for_modules(&self) -> Result<()> {
        let Origin::Own(Toolchain { rustc, .. }) = &self.origin else {
            // The tree was made for these modules.
            return Ok(());
        };
        let config = self.config()?;
        check_series(&self.release, &self.tree)?;
        let shown = self.tree.display();
        let value = |name: &str| value_of(&config, name);
        ensure!(
            value("CONFIG_RUST") == Some("y"),
            "{shown} was configured without CONFIG_RUST: enable it and build again"
        );
        let theirs = value("CONFIG_RUSTC_VERSION_TEXT")
            .unwrap_or_default()
            .trim_matches('"');
        ensure!(
            theirs == rustc.version_text,
            "{shown} was built by '{theirs}', but this is '{}': build it again, or put that rustc first on the path",
            rustc.version_text
        );
        ensure!(
            value("CONFIG_CC_IS_CLANG") == Some("y"),
            "{shown} was built by gcc, whose flags clang does not take: build it again with LLVM=-{}",
            rustc.llvm_major
        );
        for library in ["libcore.rmeta", "libkernel.rmeta"] {
            ensure!(
                self.tree.join("rust").join(library).is_file(),
                "{shown} has no rust/{library}: build it again, up to the target `modules`"
            );
        }
        ensure!(
            value("CONFIG_LIBNVDIMM") != Some("y"),
            "{shown} has CONFIG_LIBNVDIMM built in, which owns the bus our modules register: \
             make it a module"
        );
        ensure!(
            value("CONFIG_MEMREGION") == Some("y"),
            "{shown} lacks CONFIG_MEMREGION, which numbers regions: set CONFIG_LIBNVDIMM=m, which selects it, and build again"
        );
        Ok(())
    }
}

/// Returns the path in an environment variable.
pub(crate) fn given(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty())?;
    let path = PathBuf::from(value);
    Some(path.canonicalize().unwrap_or(path))
}

/// Returns the value of an option in a `.config`; `None` if it is not set.
pub(crate) fn value_of<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    config
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// Returns the version in the top Makefile of a source tree.
fn version_of(tree: &Path) -> Result<String> {
    let file = tree.join("Makefile");
    let text = fs::read_to_string(&file)
        .with_context(|| format!("{} is no kernel source", tree.display()))?;
    let field = |name: &str| {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        value.map(|value| value.trim().to_owned())
    };
    let parts = ["VERSION", "PATCHLEVEL", "SUBLEVEL"].map(field);
    let parts = parts.into_iter().collect::<Option<Vec<_>>>();
    Ok(parts
        .with_context(|| format!("{} names no version", file.display()))?
        .join("."))
}

fn check_series(version: &str, place: &Path) -> Result<()> {
    let of = |series: &Series| {
        version
            .strip_prefix(series.name())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    ensure!(
        Series::ALL.iter().any(of),
        "{} is Linux {version}; the modules support {}",
        place.display(),
        Series::ALL.map(Series::name).join(" and ")
    );
    Ok(())
}

fn prepare_source(cache: &Cache) -> Result<Source> {
    ui::step("kernel source", |step| match given("LINUX_SRC") {
        Some(tree) if tree.is_dir() => {
            let version = version_of(&tree)?;
            check_series(&version, &tree)?;
            ensure!(
                !tree.join(".config").exists() && !tree.join("include/config").exists(),
                "{} has been built in; kbuild needs a clean tree to build elsewhere: run `make mrproper` there",
                tree.display()
            );
            step.note(format!("{version} in {}", tree.display()));
            Ok(Source {
                identity: format!("{version} in {}", tree.display()),
                tree,
            })
        }
        Some(tarball) => {
            let mut file = File::open(&tarball)
                .with_context(|| format!("cannot open {}", tarball.display()))?;
            let mut hash = HashWriter(Sha256::new());
            std::io::copy(&mut file, &mut hash)
                .with_context(|| format!("cannot read {}", tarball.display()))?;
            let digest = hash
                .0
                .finalize()
                .iter()
                .take(6)
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>();
            let tree = cache.artefact(&format!("linux-{digest}"), step, |place| {
                extract(cache, &tarball, place, step)?;
                check_series(&version_of(place)?, &tarball)
            })?;
            let version = version_of(&tree)?;
            step.note(format!("{version} of {}", tarball.display()));
            Ok(Source {
                identity: format!("{version} {digest}"),
                tree,
            })
        }
        None => {
            let tree = match newest_in_cache(cache) {
                Some(version) => cache.path(&format!("linux-{version}")),
                None => fetch_source(cache, step)?,
            };
            let version = version_of(&tree)?;
            step.note(format!("{version} in {}", tree.display()));
            Ok(Source {
                identity: version,
                tree,
            })
        }
    })
}

/// Returns the newest version of our series in the cache.
fn newest_in_cache(cache: &Cache) -> Option<String> {
    let prefix = format!("linux-{SERIES}.");
    let levels = cache
        .names_after(&prefix)
        .into_iter()
        .filter_map(|level| level.parse::<u32>().ok());
    levels.max().map(|level| format!("{SERIES}.{level}"))
}

/// Fetches Debian's source package. Its version is not known before, so the lock has a name of its
/// own.
fn fetch_source(cache: &Cache, step: &Step) -> Result<PathBuf> {
    let _lock = cache.lock("linux-source", step)?;
    if let Some(version) = newest_in_cache(cache) {
        return Ok(cache.path(&format!("linux-{version}")));
    }
    let scratch = tempfile::tempdir_in(cache.path("tmp"))
        .context("cannot create a directory in the cache")?;
    let package = scratch.path().join("package");
    let fits = format!("{SERIES}.");
    debian::fetch(
        cache,
        SOURCE_PACKAGE,
        |version| version.starts_with(&fits),
        &package,
        step,
    )?;
    let tarball = package.join(format!("usr/src/{SOURCE_PACKAGE}.tar.xz"));
    let tree = scratch.path().join("tree");
    extract(cache, &tarball, &tree, step)?;
    let version = version_of(&tree)?;
    let place = cache.path(&format!("linux-{version}"));
    fs::rename(&tree, &place)
        .with_context(|| format!("cannot move the source to {}", place.display()))?;
    Ok(place)
}

/// Unpacks a tarball with one directory at its top into `place`.
fn extract(cache: &Cache, tarball: &Path, place: &Path, step: &Step) -> Result<()> {
    fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("-xf")
        .arg(tarball)
        .arg("--strip-components=1")
        .arg("-C")
        .arg(place);
    process::run(&mut tar, &cache.log("extract"), step)
}

struct HashWriter(Sha256);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns a `make` command in the source with the objects in `tree`.
fn make_in(toolchain: &Toolchain, source: &Path, tree: &Path) -> Command {
    let mut make = toolchain.make();
    let mut objects = OsString::from("O=");
    objects.push(tree);
    make.arg("-C").arg(source).arg(objects);
    make
}

fn configure(
    log: &Path,
    toolchain: &Toolchain,
    source: &Source,
    fragments: &Fragments,
    tree: &Path,
    step: &Step,
) -> Result<()> {
    let make = || make_in(toolchain, &source.tree, tree);
    process::run(make().arg("tinyconfig"), log, step)?;
    let mut merge = Command::new(source.tree.join("scripts/kconfig/merge_config.sh"));
    merge
        .arg("-m")
        .arg("-O")
        .arg(tree)
        .arg(tree.join(".config"))
        .args(&fragments.files)
        .current_dir(tree);
    process::run(&mut merge, log, step)?;
    process::run(make().arg("olddefconfig"), log, step)?;

    let file = tree.join(".config");
    let config =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let lost = lost_options(&fragments.text, &config);
    if !lost.is_empty() {
        let names = fragments
            .files
            .iter()
            .map(|file| file.display().to_string());
        bail!(
            "options of {} did not take effect: {}",
            names.collect::<Vec<_>>().join(" and "),
            lost.join(", ")
        );
    }
    Ok(())
}

/// Returns the options of fragments that have another value in the final configuration. A later
/// line overrides an earlier one.
fn lost_options(fragments: &str, config: &str) -> Vec<String> {
    let options = fragments
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter_map(|line| line.split_once('='))
        .collect::<BTreeMap<_, _>>();
    let lost = options
        .into_iter()
        .filter(|(name, wanted)| value_of(config, name).unwrap_or("n") != *wanted);
    lost.map(|(name, wanted)| {
        format!(
            "{name}={wanted} (is {})",
            value_of(config, name).unwrap_or("n")
        )
    })
    .collect()
}

fn build(log: &Path, toolchain: &Toolchain, tree: &Path, step: &Step) -> Result<()> {
    let mut make = toolchain.make();
    make.arg("-C")
        .arg(tree)
        .arg(format!("-j{}", jobs()))
        .args(["bzImage", "modules"]);
    let mut lines = 0;
    process::run_with(&mut make, log, step, |_| {
        lines += 1;
        step.progress(lines, LINES_OF_BUILD);
    })
}

/// Returns the number of parallel compile jobs.
pub(crate) fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str =
        "CONFIG_RUST=y\n# CONFIG_XFS_RT is not set\nCONFIG_NR_CPUS=16\nCONFIG_RUSTC=m\n";

    #[test]
    fn values_in_a_configuration() {
        assert_eq!(value_of(CONFIG, "CONFIG_RUST"), Some("y"));
        assert_eq!(value_of(CONFIG, "CONFIG_RUSTC"), Some("m"));
        assert_eq!(value_of(CONFIG, "CONFIG_XFS_RT"), None);
    }

    #[test]
    fn comments_set_no_options() {
        let fragments = Fragments {
            files: Vec::new(),
            text: format!("# About it.\n\n{CONFIG}"),
        };
        assert_eq!(fragments.options(), CONFIG.trim_end());
    }

    #[test]
    fn lost_options_are_named() {
        let kept = "# CONFIG_A=y\nCONFIG_RUST=y\nCONFIG_XFS_RT=n\nCONFIG_NR_CPUS=16\n";
        assert!(lost_options(kept, CONFIG).is_empty());
        let lost = lost_options("CONFIG_XFS_RT=y\nCONFIG_RUSTC=y\n", CONFIG);
        assert_eq!(lost, ["CONFIG_RUSTC=y (is m)", "CONFIG_XFS_RT=y (is n)"]);
        assert!(lost_options("CONFIG_RUST=n\nCONFIG_RUST=y\n", CONFIG).is_empty());
    }

    #[test]
    fn only_supported_series_are_accepted() {
        let place = Path::new("there");
        assert!(check_series("7.2.12", place).is_ok());
        assert!(check_series("7.3.0", place).is_ok());
        assert!(check_series("7.20.1", place).is_err());
        assert!(check_series("7.4.0", place).is_err());
    }
}
