// SPDX-License-Identifier: GPL-2.0

//! The initramfs of a guest whose kernel has as modules what its root file system needs.
//!
//! The guest's own kernel has all of that built in and boots without an initramfs. A distribution's
//! kernel does not. This initramfs has a static busybox, the modules up to the mount of the shared
//! module tree, and a script ([`INIT_SOURCE`]) that loads them and switches to the guest's image.
//! udevd and modprobe of the image load the other modules from the shared tree.
//!
//! The archive is not compressed: QEMU copies it into the guest's memory, and an emulated CPU would
//! take longer to decompress it.

use crate::{
    cache::{
        Cache,
        Key, //
    },
    debian::{
        Archive,
        PrivateApt, //
    },
    image,
    process,
    project,
    ui::Step, //
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{
        symlink,
        PermissionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
};

/// The script of the initramfs, in the checkout.
const INIT_SOURCE: &str = "qemu/guest/initramfs";

/// The package of the only program, and the places where releases have it.
const PACKAGE: &str = "busybox-static";
const BUSYBOX: [&str; 2] = ["usr/bin/busybox", "bin/busybox"];

/// Modules that the guest needs before it mounts the shared module tree. They may be built in.
const MODULES: [&str; 9] = [
    // The image and the overlay over it.
    "virtio_pci",
    "virtio_blk",
    "squashfs",
    "overlay",
    // The shares.
    "9pnet_virtio",
    "9p",
    // The agent's port.
    "virtio_console",
    // udevd is not told to look for devices that exist already.
    "virtio_rng",
    // Its mount point exists only when it is loaded.
    "configfs",
];

/// Directories of the initramfs. /dev/console is in the archive that each kernel contains.
const DIRECTORIES: [&str; 5] = ["bin", "dev", "modules", "proc", "root"];

/// The list of modules in the initramfs, in the order of loading.
const ORDER: &str = "modules/order";

/// Finds or makes the initramfs for a kernel.
///
/// `modules` is the directory of its modules, .../lib/modules/`release`. If it has no index, as in
/// a package, depmod adds one, which the guest needs as well.
///
/// # Errors
///
/// The kernel lacks one of the modules. The message names it.
pub(crate) fn prepare(
    cache: &Cache,
    modules: &Path,
    release: &str,
    step: &Step,
) -> Result<PathBuf> {
    index(cache, modules, release, step)?;
    let read = |name: &str| {
        let file = modules.join(name);
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let dependencies = read("modules.dep")?;
    let order = Dependencies::parse(&dependencies)
        .order(&MODULES, &built_in(&read("modules.builtin")?))
        .with_context(|| format!("the kernel {release} cannot boot the guest"))?;
    let busybox = busybox(cache, step)?;
    let init = project::root().join(INIT_SOURCE);

    let mut key = Key::default().with("release", release);
    let inputs = order.iter().map(|module| modules.join(module));
    for file in inputs.chain([busybox.clone(), init.clone()]) {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        key = key.with("file", content);
    }
    let name = format!("initramfs-{}.cpio", key.finish());
    let made = cache.artefact(&name, step, |place| {
        let tree = place.with_extension("tree");
        fill(&tree, cache, modules, &order, &busybox, &init, step)?;
        pack(&tree, place, cache, step)
    })?;
    step.note(format!(
        "{} modules of {release} in {}",
        order.len(),
        made.display()
    ));
    Ok(made)
}

/// Lets depmod write the index of the modules, unless they have one.
fn index(cache: &Cache, modules: &Path, release: &str, step: &Step) -> Result<()> {
    let exists = || modules.join("modules.dep").is_file();
    if exists() {
        return Ok(());
    }
    let _lock = cache.lock(&format!("depmod-{release}"), step)?;
    if exists() {
        return Ok(());
    }
    // depmod finds the modules below a root, and its versions differ in whether that is in /lib or
    // in /usr/lib.
    let root = tempfile::tempdir_in(cache.path("tmp"))
        .context("cannot create a directory in the cache")?;
    let parent = root.path().join("usr/lib/modules");
    let modules = modules
        .canonicalize()
        .with_context(|| format!("there is no {}", modules.display()))?;
    fs::create_dir_all(&parent)
        .and_then(|()| symlink("usr/lib", root.path().join("lib")))
        .and_then(|()| symlink(&modules, parent.join(release)))
        .context("cannot create a root for depmod")?;
    let depmod = process::find_program("depmod").context("there is no depmod: install kmod")?;
    let mut command = Command::new(depmod);
    command.arg("-b").arg(root.path()).arg(release);
    process::run(&mut command, &cache.log("depmod"), step)
}

/// Returns the path of a static busybox of the guest's suite.
fn busybox(cache: &Cache, step: &Step) -> Result<PathBuf> {
    let suite = image::SUITE;
    cache.artefact(&format!("busybox-{suite}"), step, |place| {
        let archive = Archive::of_host(cache)?;
        let _lock = cache.lock("apt", step)?;
        let apt = PrivateApt::update(cache, &archive, suite, step)?;
        let version = apt.versions(PACKAGE)?.into_iter().next();
        let version = version.with_context(|| format!("{suite} has no package {PACKAGE}"))?;
        let package = place.with_extension("package");
        apt.unpack(cache, PACKAGE, &version, &package, step)?;
        let mut candidates = BUSYBOX.map(|path| package.join(path)).into_iter();
        let program = candidates.find(|program| program.is_file());
        let program = program.with_context(|| format!("{PACKAGE} {version} has no busybox"))?;
        fs::rename(&program, place).with_context(|| format!("cannot move {}", program.display()))
    })
}

/// Makes the directory that the initramfs is packed from.
fn fill(
    tree: &Path,
    cache: &Cache,
    modules: &Path,
    order: &[&str],
    busybox: &Path,
    init: &Path,
    step: &Step,
) -> Result<()> {
    for directory in DIRECTORIES {
        let directory = tree.join(directory);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    for (from, to) in [(busybox, "bin/busybox"), (init, "init")] {
        let to = tree.join(to);
        fs::copy(from, &to)
            .and_then(|_| fs::set_permissions(&to, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let mut names = String::new();
    let mut compressed = Vec::new();
    for module in order {
        let from = modules.join(module);
        let name = file_name(module);
        let to = tree.join("modules").join(name);
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        let plain = match name.strip_suffix(".xz") {
            None => name,
            Some(plain) => {
                compressed.push(to);
                plain
            }
        };
        names.push_str(plain);
        names.push('\n');
    }
    fs::write(tree.join(ORDER), names).context("cannot write the order of the modules")?;
    if compressed.is_empty() {
        return Ok(());
    }
    let mut decompress = Command::new("xz");
    decompress.arg("--decompress").args(&compressed);
    process::run(&mut decompress, &cache.log("initramfs"), step)
}

/// Packs a directory into an archive whose files belong to root.
fn pack(tree: &Path, place: &Path, cache: &Cache, step: &Step) -> Result<()> {
    let mut pack = Command::new("sh");
    pack.args([
        "-ec",
        "cd \"$1\"; find . | sort >../names; cpio -o -H newc -R 0:0 --quiet <../names >\"$2\"",
    ]);
    pack.arg("sh").arg(tree).arg(place);
    process::run(&mut pack, &cache.log("initramfs"), step)
}

/// The index of a kernel's modules, modules.dep: the path of each module, and the paths of modules
/// that it uses.
struct Dependencies<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Dependencies<'a> {
    fn parse(text: &'a str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Self(
            lines
                .map(|(module, used)| (module, used.split_whitespace().collect()))
                .collect(),
        )
    }

    /// Returns the paths of these modules and of those that they use, users after what they use.
    /// Leaves out what is built in.
    ///
    /// # Errors
    ///
    /// A module does not exist, or two use each other.
    fn order(&self, names: &[&str], built_in: &[String]) -> Result<Vec<&'a str>> {
        let mut order = Vec::new();
        for &name in names {
            let found = self.0.keys().find(|path| module_name(path) == name);
            match found {
                Some(path) => self.add(path, &mut Vec::new(), &mut order)?,
                None if built_in.iter().any(|other| other == name) => {}
                None => bail!("it has no module {name}"),
            }
        }
        Ok(order)
    }

    /// Adds a module after those that it uses. `users` are the modules that lead to it.
    fn add(&self, path: &'a str, users: &mut Vec<&'a str>, order: &mut Vec<&'a str>) -> Result<()> {
        if order.contains(&path) {
            return Ok(());
        }
        if users.contains(&path) {
            bail!("its module {} uses itself", module_name(path));
        }
        let used = self.0.get(path);
        let used = used.with_context(|| format!("its index does not have {path}"))?;
        users.push(path);
        for other in used {
            self.add(other, users, order)?;
        }
        users.pop();
        order.push(path);
        Ok(())
    }
}

/// Returns the names of the modules in modules.builtin, which has a path on each line.
fn built_in(text: &str) -> Vec<String> {
    text.lines().map(module_name).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Returns the name of a module as the kernel writes it, for kernel/drivers/nvdimm/nd_pmem.ko.xz.
fn module_name(path: &str) -> String {
    let name = file_name(path);
    let name = name.split_once(".ko").map_or(name, |(name, _)| name);
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "kernel/drivers/block/virtio_blk.ko.xz:\n\
        kernel/drivers/char/hw_random/virtio-rng.ko.xz:\n\
        kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz\n\
        kernel/fs/netfs/netfs.ko.xz: kernel/lib/helper.ko.xz\n\
        kernel/lib/helper.ko.xz:\n\
        kernel/net/9p/9pnet.ko.xz: kernel/fs/netfs/netfs.ko.xz kernel/lib/helper.ko.xz\n";

    fn order(index: &str, names: &[&str], built_in: &[&str]) -> Result<Vec<String>> {
        let built_in = built_in.iter().map(|name| (*name).to_owned());
        let paths = Dependencies::parse(index).order(names, &built_in.collect::<Vec<_>>())?;
        Ok(paths.into_iter().map(module_name).collect())
    }

    #[test]
    fn a_module_follows_what_it_uses() -> Result<()> {
        assert_eq!(
            order(INDEX, &["9p", "virtio_blk"], &[])?,
            ["helper", "netfs", "9pnet", "9p", "virtio_blk"]
        );
        Ok(())
    }

    #[test]
    fn a_module_is_loaded_once() -> Result<()> {
        assert_eq!(
            order(INDEX, &["netfs", "9pnet", "netfs"], &[])?,
            ["helper", "netfs", "9pnet"]
        );
        Ok(())
    }

    #[test]
    fn a_hyphen_in_a_file_name_is_an_underscore() -> Result<()> {
        assert_eq!(order(INDEX, &["virtio_rng"], &[])?, ["virtio_rng"]);
        Ok(())
    }

    #[test]
    fn what_is_built_in_is_left_out() -> Result<()> {
        let names =
            built_in("kernel/drivers/virtio/virtio_pci.ko\nkernel/drivers/char/virtio-x.ko\n");
        assert_eq!(names, ["virtio_pci", "virtio_x"]);
        assert_eq!(
            order(INDEX, &["virtio_pci", "virtio_blk"], &["virtio_pci"])?,
            ["virtio_blk"]
        );
        Ok(())
    }

    #[test]
    fn a_missing_module_is_named() {
        let error = order(INDEX, &["overlay"], &["virtio_pci"]);
        assert!(error.is_err_and(|error| error.to_string() == "it has no module overlay"));
        let error = order("a.ko: b.ko\n", &["a"], &[]);
        assert!(error.is_err_and(|error| error.to_string() == "its index does not have b.ko"));
    }

    #[test]
    fn modules_that_use_each_other_are_refused() {
        let error = order("a.ko: b.ko\nb.ko: a.ko\n", &["a"], &[]);
        assert!(error.is_err_and(|error| error.to_string() == "its module a uses itself"));
    }
}
