// SPDX-License-Identifier: GPL-2.0

//! Builds our modules, and the module trees that a guest mounts as /lib/modules.

use crate::{
    cache::{
        Cache,
        Key, //
    },
    host,
    installed::FSX,
    kernel::{
        self,
        Choice,
        Flavour,
        Kernel,
        Origin, //
    },
    process, project,
    setup::{
        Machine,
        Task, //
    },
    stock,
    toolchain::{
        Rustc,
        Toolchain, //
    },
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
    collections::BTreeSet,
    ffi::OsString,
    fs,
    iter,
    marker::PhantomData,
    path::{
        Path,
        PathBuf, //
    },
    process::Command, //
};
use tempfile::TempDir;

/// A set of NVDIMM modules. The two sets must never be loaded in the same boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Stack {
    /// Ours.
    Rust,
    /// Those of the kernel, which ours are compared with.
    C,
}

impl Stack {
    /// Returns the name in heads of tests, file names and the guest's environment.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
        }
    }

    /// The reverse of [`Stack::name`].
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Rust, Self::C]
            .into_iter()
            .find(|stack| stack.name() == name)
    }
}

/// Files that guests of this run mount besides scripts and results: modules and programs. They are
/// removed when this is dropped.
pub(crate) struct GuestFiles {
    directory: TempDir,
}

/// [`GuestFiles`] for a guest of one stack.
pub(crate) struct StackFiles<'a> {
    /// /lib/modules.
    pub(crate) modules: PathBuf,
    /// Programs.
    pub(crate) tools: PathBuf,
    /// The files are removed with the run.
    _run: PhantomData<&'a GuestFiles>,
}

/// The target of programs for the guest. Build scripts do not get the flags of a target that is
/// named.
const GUEST_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Returns the packages of the workspace whose programs the guests run.
fn guest_tools(task: Task) -> &'static [&'static str] {
    match task {
        Task::Tests => &["btt", "btt-corrupt", "sysfs-probe", "torn-write-check"],
        Task::Demo => &["torn-write-check"],
    }
}

/// Builds programs that need no libraries of the machine that they run on, and returns their
/// directory.
fn build_programs(packages: &[&str], log: &Path, step: &Step) -> Result<PathBuf> {
    let target = project::target().join("cargo");
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked"]);
    build.args(
        packages
            .iter()
            .map(|package| format!("--package={package}")),
    );
    build.args(["--target", GUEST_TARGET, "--manifest-path"]);
    build
        .arg(project::root().join("tools/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    build.env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::run(&mut build, log, step)?;
    Ok(target.join(GUEST_TARGET).join("release"))
}

/// Builds the program of one package as for guests, and returns its path.
pub(crate) fn build_static(cache: &Cache, package: &str) -> Result<PathBuf> {
    ui::step(package, |step| {
        let programs = build_programs(&[package], &cache.log(package), step)?;
        Ok(programs.join(package))
    })
}

/// Purpose of a kbuild run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Purpose {
    Build,
    Lint,
}

impl Purpose {
    /// Returns the directory in target/ of the products for a kernel.
    fn directory(self, flavour: Flavour) -> String {
        let name = match self {
            Self::Build => "modules",
            Self::Lint => "modules-clippy",
        };
        format!("{name}{}", flavour.suffix())
    }
}

/// Returns a kbuild command for the modules of this checkout, with all products in target/.
fn kbuild(kernel: &Kernel, purpose: Purpose) -> Result<Command> {
    let products = project::target_directory(&purpose.directory(kernel.flavour))?;
    let mut command = kernel.make_modules(&project::root(), &products);
    if purpose == Purpose::Lint {
        command.arg("CLIPPY=1");
    }
    // Debian's compilers are older than those of `make check`, and clippy does not run with them.
    if purpose == Purpose::Lint || matches!(kernel.origin, Origin::Stock(_)) {
        // Turns every warning into an error.
        command.arg("W=e");
    }
    Ok(command)
}

/// Compiles the modules. A second run in the same checkout waits for the first.
fn compile(cache: &Cache, kernel: &Kernel, purpose: Purpose, step: &Step) -> Result<()> {
    let directory = purpose.directory(kernel.flavour);
    let checkout = Key::default().with("checkout", project::root().as_os_str().as_encoded_bytes());
    let _lock = cache.lock(&format!("{directory}-{}", checkout.finish()), step)?;
    let mut make = kbuild(kernel, purpose)?;
    make.arg(format!("-j{}", kernel::jobs())).arg("modules");
    process::run(&mut make, &cache.log(&directory), step)
}

fn build(cache: &Cache, kernel: &Kernel) -> Result<()> {
    ui::step("modules", |step| {
        step.note(format!(
            "for {} in {}",
            kernel.release,
            project::target()
                .join(Purpose::Build.directory(kernel.flavour))
                .display()
        ));
        compile(cache, kernel, Purpose::Build, step)
    })
}

/// Runs clippy on the modules, with warnings denied.
pub(crate) fn lint() -> Result<()> {
    let (cache, kernel) = for_building()?;
    ui::step("clippy of the modules", |step| {
        compile(&cache, &kernel, Purpose::Lint, step)
    })
}

/// `make modules`: builds for the kernel that was chosen.
pub(crate) fn build_for_guest(kernel: Choice) -> Result<()> {
    let (cache, kernel) = match kernel.flavour() {
        Flavour::Stock(series) => {
            let cache = Cache::open()?;
            stock::install_host_packages(&cache)?;
            let kernel = Kernel::prepare_stock(&cache, series)?;
            (cache, kernel)
        }
        Flavour::Ordinary | Flavour::Debug | Flavour::RealTime => for_building()?,
    };
    build(&cache, &kernel)
}

/// The modules of this checkout, built for the guest's kernel or the one in `KDIR`.
pub(crate) struct Built {
    pub(crate) cache: Cache,
    pub(crate) kernel: Kernel,
    /// The directory of kbuild's products.
    pub(crate) directory: PathBuf,
}

impl Built {
    /// Returns a kbuild command for the same modules and products.
    pub(crate) fn kbuild(&self) -> Result<Command> {
        kbuild(&self.kernel, Purpose::Build)
    }
}

/// Builds as [`build_for_guest`] does, for tools that read the products.
pub(crate) fn build_to_inspect() -> Result<Built> {
    let (cache, kernel) = for_building()?;
    build(&cache, &kernel)?;
    let directory = project::target_directory(&Purpose::Build.directory(kernel.flavour))?;
    Ok(Built {
        cache,
        kernel,
        directory,
    })
}

/// `make modules_install`: installs into `updates/` of the kernel that `KDIR` names, or of the
/// running one.
pub(crate) fn install() -> Result<()> {
    let cache = Cache::open()?;
    let rustc = Rustc::query()?;
    host::install_packages(&cache, rustc.llvm_major)?;
    let tree = kernel::given("KDIR").map_or_else(
        || {
            let release = process::output(Command::new("uname").arg("-r"))?;
            Ok::<_, anyhow::Error>(Path::new("/lib/modules").join(release).join("build"))
        },
        Ok,
    )?;
    let toolchain = Toolchain::prepare(&cache, rustc)?;
    let kernel = Kernel::at(tree, toolchain, Flavour::Ordinary)
        .context("give the tree of the kernel to install for in KDIR")?;
    kernel.check_for_modules()?;
    build(&cache, &kernel)?;
    ui::step("modules_install", |step| {
        step.note(format!("updates/ of {}", kernel.release));
        let root = kernel::given("INSTALL_MOD_PATH");
        put_device_dax_among_updates(&kernel, root.as_deref())?;
        let mut make = kbuild(&kernel, Purpose::Build)?;
        if let Some(root) = &root {
            let mut argument = OsString::from("INSTALL_MOD_PATH=");
            argument.push(root);
            make.arg(argument);
        }
        make.arg("modules_install");
        // Modules are built as the user and installed as root, unless `INSTALL_MOD_PATH` is set.
        let mut install = if root.is_some() {
            make
        } else {
            let mut install = host::as_root("make")?;
            install.args(make.get_args());
            install
        };
        process::run(&mut install, &cache.log("modules_install"), step)
    })
}

fn for_building() -> Result<(Cache, Kernel)> {
    let cache = Cache::open()?;
    let rustc = Rustc::query()?;
    host::install_packages(&cache, rustc.llvm_major)?;
    let toolchain = Toolchain::prepare(&cache, rustc)?;
    let kernel = Kernel::prepare(&cache, toolchain, Flavour::Ordinary)?;
    Ok((cache, kernel))
}

/// The directory of programs in that of [`GuestFiles`], beside one for each stack.
const TOOLS: &str = "tools";

impl GuestFiles {
    /// Builds and collects the files for guests of these stacks.
    pub(crate) fn prepare(machine: &Machine, stacks: &BTreeSet<Stack>) -> Result<Self> {
        let parent = project::target_directory("guest")?;
        let directory = tempfile::tempdir_in(&parent)
            .with_context(|| format!("cannot create a directory in {}", parent.display()))?;
        let files = Self { directory };
        files.add_tools(&machine.cache, machine.task)?;
        for &stack in stacks {
            files.add_modules(machine, stack)?;
        }
        Ok(files)
    }

    /// Returns the part that a guest of this stack mounts.
    pub(crate) fn of(&self, stack: Stack) -> Result<StackFiles<'_>> {
        let modules = self.directory.path().join(stack.name()).join("lib/modules");
        ensure!(
            modules.is_dir(),
            "no modules of the {} stack were prepared",
            stack.name()
        );
        Ok(StackFiles {
            modules,
            tools: self.tools(),
            _run: PhantomData,
        })
    }

    /// Returns the directory of the programs for guests.
    pub(crate) fn tools(&self) -> PathBuf {
        self.directory.path().join(TOOLS)
    }

    /// Adds programs for the guest. Most are linked statically: the guest's libraries differ from
    /// the host's.
    fn add_tools(&self, cache: &Cache, task: Task) -> Result<()> {
        let fsx = match task {
            Task::Tests => Some(FSX.prepare(cache)?),
            Task::Demo => None,
        };
        ui::step("guest tools", |step| {
            let programs = build_programs(guest_tools(task), &cache.log("guest-tools"), step)?;
            let place = self.tools();
            fs::create_dir(&place).with_context(|| format!("cannot create {}", place.display()))?;
            for tool in guest_tools(task) {
                let program = programs.join(tool);
                fs::copy(&program, place.join(tool))
                    .with_context(|| format!("cannot copy {}", program.display()))?;
            }
            let Some(fsx) = &fsx else { return Ok(()) };
            // fsx needs only a C library, and the guest's is newer than the host's.
            fs::copy(fsx, place.join(FSX.name))
                .with_context(|| format!("cannot copy {}", fsx.display()))?;
            // This program tests a library of the guest, so it is linked dynamically.
            let mut compile = Command::new("cc");
            compile.args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"]);
            compile
                .arg(place.join("libndctl-test"))
                .arg(project::root().join("tools/libndctl-test/libndctl-test.c"))
                .arg("-lndctl");
            process::run(&mut compile, &cache.log("guest-libndctl-test"), step)
        })
    }

    /// Installs the kernel's own modules. For our stack, adds ours in `updates/`, where they take
    /// precedence.
    fn add_modules(&self, machine: &Machine, stack: Stack) -> Result<()> {
        let kernel = &machine.kernel;
        if stack == Stack::Rust {
            build(&machine.cache, kernel)?;
        }
        ui::step("module tree", |step| {
            step.note(format!("{} stack", stack.name()));
            let log = machine.cache.log(&format!("module-tree-{}", stack.name()));
            let root = self.directory.path().join(stack.name());
            match &kernel.origin {
                Origin::Own(toolchain) => {
                    let mut destination = OsString::from("INSTALL_MOD_PATH=");
                    destination.push(&root);
                    let mut theirs = toolchain.make();
                    theirs
                        .arg("-C")
                        .arg(&kernel.tree)
                        .arg(&destination)
                        .arg("modules_install");
                    process::run(&mut theirs, &log, step)?;
                    if stack == Stack::Rust {
                        put_device_dax_among_updates(kernel, Some(&root))?;
                        let mut ours = kbuild(kernel, Purpose::Build)?;
                        process::run(ours.arg(&destination).arg("modules_install"), &log, step)?;
                    }
                    Ok(())
                }
                Origin::Stock(theirs) => {
                    let modules = root.join("lib/modules");
                    fs::create_dir_all(&modules)
                        .with_context(|| format!("cannot create {}", modules.display()))?;
                    copy_linking(
                        &theirs.modules(),
                        &modules.join(&kernel.release),
                        &log,
                        step,
                    )?;
                    if stack == Stack::Rust {
                        put_device_dax_among_updates(kernel, Some(&root))?;
                        let products = Purpose::Build.directory(kernel.flavour);
                        copy_modules(
                            &project::target().join(products),
                            &modules.join(&kernel.release).join("updates"),
                        )?;
                        stock::index(&root, &kernel.release, &machine.cache, step)?;
                    }
                    Ok(())
                }
            }
        })
    }
}

/// Copies a directory. The files are linked to those of the original if it is in the same file
/// system, and must not be changed then.
fn copy_linking(from: &Path, to: &Path, log: &Path, step: &Step) -> Result<()> {
    let copy = |option: &[&str]| {
        let mut copy = Command::new("cp");
        copy.arg("--archive").args(option).arg(from).arg(to);
        process::run(&mut copy, log, step)
    };
    copy(&["--link"]).or_else(|_| {
        process::check_interrupt()?;
        if to.exists() {
            fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
        }
        copy(&[])
    })
}

/// Copies all modules of the directory `from` to the directory `to`.
fn copy_modules(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "ko") {
            let name = path.file_name().unwrap_or_default();
            fs::copy(&path, to.join(name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Copies the kernel's own `device_dax.ko` to `updates/`. It does not depend on the NVDIMM core and
/// works with either stack, and ndctl's tests expect all modules of the subsystem there. Does
/// nothing for a kernel without this module.
///
/// `root` is as in `INSTALL_MOD_PATH`. depmod is left to the installation of modules that follows.
fn put_device_dax_among_updates(kernel: &Kernel, root: Option<&Path>) -> Result<()> {
    const PLACE: &str = "drivers/dax";
    const MODULE: &str = "device_dax.ko";

    let modules = root
        .unwrap_or(Path::new("/"))
        .join("lib/modules")
        .join(&kernel.release);
    // As it was built, or as a distribution installed it, possibly compressed.
    let built = kernel.tree.join(PLACE).join(MODULE);
    let installed = modules.join("kernel").join(PLACE).join(MODULE);
    let suffixes = ["", ".xz", ".zst", ".gz"];
    let candidates = iter::once((built, "")).chain(suffixes.map(|suffix| {
        let mut name = installed.clone().into_os_string();
        name.push(suffix);
        (PathBuf::from(name), suffix)
    }));
    let Some((theirs, suffix)) = candidates.into_iter().find(|(file, _)| file.is_file()) else {
        return Ok(());
    };
    let copy = modules.join("updates").join(format!("{MODULE}{suffix}"));
    let mut install = match root {
        Some(_) => Command::new("install"),
        None => host::as_root("install")?,
    };
    install.args(["-D", "-m", "644"]).arg(&theirs).arg(&copy);
    process::output(&mut install)
        .with_context(|| format!("cannot copy {} to updates/", theirs.display()))?;
    Ok(())
}
