// SPDX-License-Identifier: GPL-2.0

//! Our modules, and the trees of modules that a guest sees as /lib/modules.

use crate::{
    cache::Cache,
    kernel::{
        self,
        Kernel, //
    },
    process,
    project,
    setup::Machine,
    toolchain::{
        Rustc,
        Toolchain, //
    },
    ui, //
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

/// Whose NVDIMM modules a guest loads. The two must never meet in one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Stack {
    /// Ours.
    Rust,
    /// Those of the kernel, our peer.
    C,
}

impl Stack {
    /// The name in test headers, file names and the guest's environment.
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

/// A directory that holds `lib/modules/<release>` for a guest.
#[derive(Clone, Debug)]
pub(crate) struct ModuleTree(PathBuf);

impl ModuleTree {
    /// What the guest mounts as /lib/modules.
    pub(crate) fn directory(&self) -> PathBuf {
        self.0.join("lib/modules")
    }
}

/// kbuild for the modules of this checkout, with all products in target/modules.
fn kbuild(toolchain: &Toolchain, kernel: &Kernel) -> Result<Command> {
    let mut command = toolchain.make();
    let variable = |name: &str, value: &Path| {
        let mut argument = OsString::from(name);
        argument.push("=");
        argument.push(value);
        argument
    };
    command
        .arg("-C")
        .arg(&kernel.tree)
        .arg(variable("M", &project::root()));
    command.arg(variable("MO", &project::target_directory("modules")?));
    Ok(command)
}

fn build(cache: &Cache, toolchain: &Toolchain, kernel: &Kernel) -> Result<()> {
    ui::step("modules", |step| {
        step.note(format!(
            "for {} in {}",
            kernel.release,
            project::target().join("modules").display()
        ));
        let mut make = kbuild(toolchain, kernel)?;
        make.arg(format!("-j{}", kernel::jobs())).arg("modules");
        process::run(&mut make, &cache.log("modules"), step)
    })
}

/// `make modules`: for the guest's kernel, or for the one in `KDIR`.
pub(crate) fn build_for_guest() -> Result<()> {
    let (cache, toolchain, kernel) = for_building()?;
    build(&cache, &toolchain, &kernel)
}

/// `make modules_install`: into `updates/` of the kernel that `KDIR` names, or of the running one.
pub(crate) fn install() -> Result<()> {
    let cache = Cache::open()?;
    let rustc = Rustc::query()?;
    let tree = kernel::given("KDIR").map_or_else(
        || {
            let release = process::output(Command::new("uname").arg("-r"))?;
            Ok::<_, anyhow::Error>(Path::new("/lib/modules").join(release).join("build"))
        },
        Ok,
    )?;
    let kernel = Kernel::at(tree).context("give the tree of the kernel to install for in KDIR")?;
    kernel.check_for_modules(&rustc)?;
    let toolchain = Toolchain::prepare(&cache, rustc)?;
    build(&cache, &toolchain, &kernel)?;
    ui::step("modules_install", |step| {
        step.note(format!("updates/ of {}", kernel.release));
        let mut make = kbuild(&toolchain, &kernel)?;
        if let Some(root) = kernel::given("INSTALL_MOD_PATH") {
            let mut argument = OsString::from("INSTALL_MOD_PATH=");
            argument.push(root);
            make.arg(argument);
        }
        process::run(
            make.arg("modules_install"),
            &cache.log("modules_install"),
            step,
        )
    })
}

fn for_building() -> Result<(Cache, Toolchain, Kernel)> {
    let cache = Cache::open()?;
    let rustc = Rustc::query()?;
    crate::host::install_packages(&cache, rustc.llvm_major)?;
    let toolchain = Toolchain::prepare(&cache, rustc)?;
    let kernel = Kernel::prepare(&cache, &toolchain)?;
    Ok((cache, toolchain, kernel))
}

/// The tree of a stack for the guest. For ours, the modules are built, and lie in `updates/` over those of the kernel.
pub(crate) fn tree(machine: &Machine, stack: Stack) -> Result<ModuleTree> {
    let kernel = &machine.kernel;
    if stack == Stack::Rust {
        build(&machine.cache, &machine.toolchain, kernel)?;
    }
    let root = project::target_directory("guest")?.join(stack.name());
    ui::step("module tree", |step| {
        step.note(format!("{} stack", stack.name()));
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot remove {}", root.display()))?;
        }
        let mut destination = OsString::from("INSTALL_MOD_PATH=");
        destination.push(&root);
        let log = machine.cache.log("module-tree");
        let mut theirs = machine.toolchain.make();
        theirs
            .arg("-C")
            .arg(&kernel.tree)
            .arg(&destination)
            .arg("modules_install");
        process::run(&mut theirs, &log, step)?;
        if stack == Stack::Rust {
            let mut ours = kbuild(&machine.toolchain, kernel)?;
            process::run(ours.arg(&destination).arg("modules_install"), &log, step)?;
        }
        Ok(ModuleTree(root))
    })
}
