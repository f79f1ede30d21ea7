// SPDX-License-Identifier: GPL-2.0

//! Tests of the scripts in `tools/dkms`, in a system that consists of a few files.
//!
//! `kernel-tree` reads the installed packages below `SYSTEM`. rustc, bindgen, and `make`, which
//! would build for minutes, are scripts here. `dpkg-query`, tar and all else are those of the host.

use crate::project;
use std::{
    fs,
    os::unix::fs::{
        symlink,
        PermissionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Command,
        Output, //
    },
};
use tempfile::TempDir;

const KERNEL: &str = "7.3.4+deb13-amd64";
const PACKAGE: &str = "7.3.4-1~bpo13+1";
const RUSTC: &str = "rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)";

/// The symbol that the fake kernel exports.
const SYMBOL: &str = "_RNvCs1_6kernel4name";

/// A Debian with a kernel, its headers and its source, and the compilers.
struct System {
    directory: TempDir,
}

impl System {
    /// Makes a system for which modules can be built.
    fn complete() -> Self {
        let system = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let root = system.root();
        let headers = format!("usr/src/linux-headers-{KERNEL}");
        system.write(
            &format!("{headers}/.config"),
            &format!("CONFIG_RUST=y\n# CONFIG_MODVERSIONS is not set\nCONFIG_RUSTC_VERSION_TEXT=\"{RUSTC}\"\n"),
        );
        system.write(
            &format!("{headers}/Module.symvers"),
            &format!("0x0\t{SYMBOL}\tvmlinux\tEXPORT_SYMBOL_GPL\t\n0x0\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"),
        );
        system.write(&format!("{headers}/Makefile"), "include common\n");
        let common = "usr/src/linux-headers-7.3.4+deb13-common";
        system.write(&format!("{common}/Makefile"), "# of all flavours\n");
        for generated in [
            "config/auto.conf",
            "generated/autoconf.h",
            "generated/rustc_cfg",
        ] {
            system.write(&format!("{headers}/include/{generated}"), "");
        }
        for kind in ["scripts", "tools"] {
            system.write(&format!("usr/lib/linux-kbuild-7.3/{kind}/program"), "");
            for links in [&headers, common] {
                let place = root.join(links).join(kind);
                symlink(root.join("usr/lib/linux-kbuild-7.3").join(kind), place).unwrap();
            }
        }
        let modules = root.join("lib/modules").join(KERNEL);
        fs::create_dir_all(modules.join("kernel")).unwrap();
        symlink(root.join(&headers), modules.join("build")).unwrap();
        symlink(root.join(common), modules.join("source")).unwrap();

        system.script(
            "usr/bin/rustc",
            &format!("case $1 in --version) echo '{RUSTC}' ;; *) echo /usr ;; esac"),
        );
        system.script("usr/bin/bindgen", "");
        system.write("usr/lib/rustlib/src/rust/library/core/src/lib.rs", "");
        system.make_source();
        system.install(
            &format!("linux-headers-{KERNEL}"),
            "install ok installed",
            PACKAGE,
        );
        system.install("linux-source-7.3", "install ok installed", PACKAGE);
        system.exporting(SYMBOL);
        fs::create_dir_all(root.join("var/lib/dkms/nvdimm-rust")).unwrap();
        system
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn script(&self, name: &str, body: &str) {
        self.write(name, &format!("#!/bin/sh\n{body}\n"));
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.root().join(name), executable).unwrap();
    }

    /// Replaces text in a file.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.root().join(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, &text.replace(from, to));
    }

    /// Returns the path of the kernel's configuration.
    fn configuration() -> String {
        format!("usr/src/linux-headers-{KERNEL}/.config")
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.root().join(name)).unwrap();
    }

    /// Adds a package to those of dpkg, with this status.
    fn install(&self, package: &str, status: &str, version: &str) {
        let path = self.root().join("var/lib/dpkg/status");
        let text = fs::read_to_string(path).unwrap_or_default();
        let others = text
            .split_inclusive("\n\n")
            .filter(|stanza| !stanza.starts_with(&format!("Package: {package}\n")))
            .collect::<String>();
        let new = format!(
            "Package: {package}\nStatus: {status}\nMaintainer: a <b@c.example>\nArchitecture: all\n\
             Version: {version}\nDescription: x\n\n"
        );
        self.write("var/lib/dpkg/status", &(others + &new));
    }

    fn make_source(&self) {
        let top = self.root().join("linux-source-7.3");
        for file in [
            "rust/bindings/bindings_helper.h",
            "rust/uapi/uapi_helper.h",
            "scripts/Makefile",
            "drivers/base/base.h",
            "drivers/android/binder/a.h",
        ] {
            self.write(&format!("linux-source-7.3/{file}"), "");
        }
        let tarball = self.root().join("usr/src/linux-source-7.3.tar.xz");
        let mut tar = Command::new("tar");
        tar.arg("-cJf").arg(tarball).arg("-C").arg(self.root());
        assert!(tar.arg("linux-source-7.3").status().unwrap().success());
        fs::remove_dir_all(top).unwrap();
    }

    /// Lets `make` build crates with this symbol, and modules.
    fn exporting(&self, symbol: &str) {
        self.script(
            "bin/make",
            &format!(
                "while [ $# -gt 0 ]; do case $1 in -C) cd \"$2\" ;; esac; last=$1; shift; done\n\
                 [ $last = rust-metadata ] || exit 0\n\
                 echo 'EXPORT_SYMBOL_RUST_GPL({symbol});' >rust/exports_kernel_generated.h"
            ),
        );
    }

    fn tree(&self) -> PathBuf {
        self.root().join("tree")
    }

    /// Runs a script of `tools/dkms`.
    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new(project::root().join("tools/dkms").join(script))
            .args(arguments)
            .current_dir(self.root())
            .env("SYSTEM", self.root())
            .env(
                "PATH",
                format!("{}:{path}", self.root().join("bin").display()),
            )
            .env("DPKG_ROOT", self.root())
            .output()
            .unwrap()
    }

    fn kernel_tree(&self, kernel: &str) -> Output {
        self.run("kernel-tree", &[kernel, self.tree().to_str().unwrap()])
    }

    /// Asserts that `kernel` is refused with this line, and that `--check` says the same.
    fn refuses_kernel(&self, kernel: &str, reason: &str) {
        let line = format!("nvdimm-rust: no modules for {kernel}: {reason}\n");
        let tree = self.tree();
        let check = ["--check", kernel, tree.to_str().unwrap()];
        for output in [self.kernel_tree(kernel), self.run("kernel-tree", &check)] {
            assert_eq!(String::from_utf8_lossy(&output.stderr), line);
            assert_eq!(output.status.code(), Some(77));
            assert!(!self.tree().exists());
        }
    }

    fn refuses(&self, reason: &str) {
        self.refuses_kernel(KERNEL, reason);
    }
}

#[test]
fn a_complete_system_gets_a_tree() {
    let system = System::complete();
    let output = system.kernel_tree(KERNEL);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("1 Rust symbols are those of the kernel\n"));
    let makefile = fs::read_to_string(system.tree().join("Makefile")).unwrap();
    assert!(makefile.starts_with("# of all flavours\n"));
    assert!(system.tree().join("drivers/base/base.h").exists());
}

#[test]
fn a_check_makes_no_tree() {
    let system = System::complete();
    let tree = system.tree();
    let output = system.run("kernel-tree", &["--check", KERNEL, tree.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert!(!tree.exists());
}

/// The hooks of a kernel's packages, which call DKMS, run while these are being configured.
#[test]
fn packages_that_are_not_configured_yet_are_there() {
    let system = System::complete();
    let headers = format!("linux-headers-{KERNEL}");
    for status in ["half-configured", "unpacked"] {
        system.install(&headers, &format!("install ok {status}"), PACKAGE);
        system.install("linux-source-7.3", &format!("install ok {status}"), PACKAGE);
        let output = system.kernel_tree(KERNEL);
        assert!(output.status.success(), "{output:?}");
        fs::remove_dir_all(system.tree()).unwrap();
    }
}

#[test]
fn another_series_is_refused() {
    let system = System::complete();
    let line =
        "the modules support Linux 7.2, 7.3; install such a kernel, or a newer nvdimm-rust-dkms";
    for kernel in [
        "6.12.107+deb13-amd64",
        "7.4.1+deb13-amd64",
        "7.30.1",
        "7.3",
        "x",
    ] {
        system.refuses_kernel(kernel, line);
    }
}

#[test]
fn missing_headers_are_named() {
    let system = System::complete();
    system.remove(&format!("lib/modules/{KERNEL}/build"));
    system.refuses("its headers are missing: apt install linux-headers-7.3.4+deb13-amd64");
}

#[test]
fn a_kernel_without_rust_is_refused() {
    let system = System::complete();
    system.edit(
        &System::configuration(),
        "CONFIG_RUST=y",
        "# CONFIG_RUST is not set",
    );
    system.refuses("it was configured without CONFIG_RUST; install a kernel of trixie-backports");
}

#[test]
fn a_kernel_with_modversions_is_refused() {
    let system = System::complete();
    let off = "# CONFIG_MODVERSIONS is not set";
    system.edit(&System::configuration(), off, "CONFIG_MODVERSIONS=y");
    system.refuses(
        "it was configured with CONFIG_MODVERSIONS, which Rust modules do not support; \
         install a kernel of trixie-backports",
    );
}

#[test]
fn another_rustc_is_refused() {
    let system = System::complete();
    let (new, old) = ("rustc 1.97.1 (1 2026-08-01)", RUSTC);
    system.edit("usr/bin/rustc", old, new);
    system.refuses(&format!(
        "it was built by '{old}', and /usr/bin/rustc is '{new}': apt install 'rustc=1.85.1*' \
         'rust-src=1.85.1*', or a kernel that was built by this rustc"
    ));
    // The same number, from elsewhere.
    let rustup = "rustc 1.85.1 (4eb161250 2025-03-15)";
    system.edit("usr/bin/rustc", new, rustup);
    let output = system.kernel_tree(KERNEL);
    assert_eq!(output.status.code(), Some(77));
}

#[test]
fn missing_compilers_are_named() {
    let system = System::complete();
    system.remove("usr/lib/rustlib/src/rust/library/core/src/lib.rs");
    system.refuses("the source of Rust's core library is missing: apt install rust-src");
    system.remove("usr/bin/bindgen");
    system.refuses("there is no /usr/bin/bindgen: apt install bindgen");
    system.remove("usr/bin/rustc");
    system.refuses("there is no /usr/bin/rustc: apt install rustc rust-src bindgen");
}

#[test]
fn another_source_is_refused() {
    let system = System::complete();
    let line = |found: &str| {
        format!(
            "its source, version {PACKAGE}, is needed, and version {found} is installed: \
             apt install linux-source-7.3={PACKAGE}"
        )
    };
    system.install(
        "linux-source-7.3",
        "install ok installed",
        "7.3.5-1~bpo13+1",
    );
    system.refuses(&line("7.3.5-1~bpo13+1"));
    // What is left of a removed package.
    system.install("linux-source-7.3", "deinstall ok config-files", PACKAGE);
    system.refuses(&line("none"));
}

#[test]
fn headers_that_are_no_package_are_refused() {
    let system = System::complete();
    system.install(
        &format!("linux-headers-{KERNEL}"),
        "deinstall ok config-files",
        PACKAGE,
    );
    system.refuses(&format!(
        "linux-headers-{KERNEL} is not a package of Debian"
    ));
}

#[test]
fn a_full_disk_is_refused() {
    let system = System::complete();
    system.script("bin/df", "echo Avail; echo 102400");
    let root = system.root().display();
    system.refuses(&format!("100 MiB are free at {root}, 700 MiB are needed"));
}

#[test]
fn other_symbols_are_refused() {
    let system = System::complete();
    system.exporting("_RNvCs2_6kernel4name");
    let output = system.kernel_tree(KERNEL);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77));
    assert!(text.contains(&format!("< {SYMBOL}\n")), "{text}");
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        format!(
            "nvdimm-rust: no modules for {KERNEL}: its Rust symbols are not those that its source, \
             compiler and configuration give; please report this with the lines above"
        )
    );
}

/// DKMS takes any other status than 77 as a failure, which would stop apt.
#[test]
fn a_failed_build_skips_the_kernel() {
    let system = System::complete();
    let output = system.run("build-modules", &[KERNEL]);
    assert!(output.status.success(), "{output:?}");
    for (target, reason) in [
        ("rust-metadata", "its Rust crates cannot be built"),
        ("modules", "the modules cannot be built"),
    ] {
        let system = System::complete();
        system.edit(
            "bin/make",
            "[ $last",
            &format!("[ $last != {target} ] || exit 2\n[ $last"),
        );
        let output = system.run("build-modules", &[KERNEL]);
        assert_eq!(output.status.code(), Some(77));
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).lines().last().unwrap(),
            format!("nvdimm-rust: no modules for {KERNEL}: {reason}; please report this with the lines above")
        );
    }
}

/// Adds the scripts where the package has them.
fn with_package(system: &System) {
    let script = project::root().join("tools/dkms/kernel-tree");
    let place = system.root().join("usr/src/nvdimm-rust-0.1.0/tools/dkms");
    fs::create_dir_all(&place).unwrap();
    fs::copy(script, place.join("kernel-tree")).unwrap();
}

#[test]
fn users_are_told_whose_modules_boot() {
    let system = System::complete();
    with_package(&system);
    let c = format!("nvdimm-rust: the next boot of {KERNEL} runs the kernel's own C modules, on the same data\n");
    let said = |arguments: &[&str]| {
        let output = system.run("after-build", arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };

    let unbuilt = format!(
        "nvdimm-rust: no modules for {KERNEL}: they have not been built, or that failed: \
         dkms install nvdimm-rust/0.1.0 -k {KERNEL}\n"
    );
    assert_eq!(said(&[]), unbuilt.clone() + &c);

    // The log of DKMS is used if it is of this kernel.
    let log = "var/lib/dkms/nvdimm-rust/0.1.0/build/make.log";
    let reason = format!(
        "nvdimm-rust: no modules for {KERNEL}: the modules cannot be built; \
         please report this with the lines above\n"
    );
    let text = |kernel: &str| {
        format!("DKMS make.log for nvdimm-rust/0.1.0 for kernel {kernel} (x86_64)\n{reason}\n# exit code: 77\n")
    };
    system.write(log, &text("7.2.12+deb13-amd64"));
    assert_eq!(said(&[KERNEL]), unbuilt + &c);
    system.write(log, &text(KERNEL));
    let path = system.root().join(log);
    let where_it_is = format!("nvdimm-rust: the log is {}\n", path.display());
    assert_eq!(said(&[KERNEL]), format!("{reason}{where_it_is}{c}"));

    system.install("linux-source-7.3", "deinstall ok config-files", PACKAGE);
    let found = said(&[]);
    assert!(
        found.contains(&format!("apt install linux-source-7.3={PACKAGE}\n{c}")),
        "{found}"
    );

    system.write(
        &format!("lib/modules/{KERNEL}/updates/dkms/libnvdimm.ko.xz"),
        "",
    );
    let ours =
        format!("nvdimm-rust: the next boot of {KERNEL} runs the modules of nvdimm-rust 0.1.0\n");
    assert_eq!(said(&[]), ours);
}

/// A trigger says that something has come which kernels without modules may have been waiting for.
#[test]
fn a_kernel_gets_modules_when_what_was_missing_has_come() {
    let system = System::complete();
    with_package(&system);
    // DKMS knows the source, and builds.
    system.script(
        "bin/dkms",
        "case $1 in\n\
         status) echo nvdimm-rust/0.1.0: added ;;\n\
         install)\n\
         echo \"$*\" >>\"$SYSTEM/installed\"\n\
         mkdir -p \"$SYSTEM/lib/modules/$7/updates/dkms\"\n\
         : >\"$SYSTEM/lib/modules/$7/updates/dkms/libnvdimm.ko.xz\"\n\
         esac",
    );
    let log = "var/lib/dkms/nvdimm-rust/0.1.0/build/make.log";
    let head = format!("DKMS make.log for nvdimm-rust/0.1.0 for kernel {KERNEL} (x86_64)\n");
    let earlier = "nvdimm-rust: no modules for x: its source is needed\n";
    system.write(log, &(head + earlier));
    let said = |arguments: &[&str]| {
        let output = system.run("after-build", arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let installed = || fs::read_to_string(system.root().join("installed")).unwrap_or_default();

    system.install("linux-source-7.3", "deinstall ok config-files", PACKAGE);
    assert!(said(&["--build"]).contains("apt install linux-source-7.3"));
    assert_eq!(installed(), "");

    system.install("linux-source-7.3", "install ok unpacked", PACKAGE);
    // Without a build, the refusal in the log is not repeated: it is over.
    assert!(!said(&[]).contains("its source"));
    let ours = "runs the modules of nvdimm-rust 0.1.0\n";
    assert!(said(&["--build"]).ends_with(ours));
    let once = format!("install -m nvdimm-rust -v 0.1.0 -k {KERNEL}\n");
    assert_eq!(installed(), once);
    assert!(said(&["--build"]).ends_with(ours));
    assert_eq!(installed(), once);
}

#[test]
fn an_initramfs_with_other_modules_is_made_again() {
    let system = System::complete();
    with_package(&system);
    system.script(
        "etc/kernel/postinst.d/initramfs-tools",
        "echo \"$@\" >\"$SYSTEM/made\"",
    );
    let module = format!("lib/modules/{KERNEL}/updates/dkms/libnvdimm.ko.xz");
    let initramfs = format!("boot/initrd.img-{KERNEL}");
    let made = || {
        system.run("after-build", &[KERNEL]);
        let made = fs::read_to_string(system.root().join("made"));
        let _ = fs::remove_file(system.root().join("made"));
        made.ok()
    };
    // Without one, nothing makes it.
    system.write(&module, "");
    assert_eq!(made(), None);
    system.write(&initramfs, "");
    assert_eq!(made(), None);
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let file = fs::File::options()
        .write(true)
        .open(system.root().join(&initramfs))
        .unwrap();
    file.set_modified(long_ago).unwrap();
    let image = system.root().join(format!("boot/vmlinuz-{KERNEL}"));
    assert_eq!(made(), Some(format!("{KERNEL} {}\n", image.display())));
    // The C modules are in it, and stay.
    system.remove(&module);
    assert_eq!(made(), None);
}

#[test]
fn drivers_that_would_break_are_found() {
    let preinst = "debian/nvdimm-rust-dkms.preinst";
    for (driver, device, module) in [
        ("virtio/drivers/virtio_pmem", "virtio3", "virtio_pmem"),
        ("cxl/drivers/cxl_nvdimm", "pmem0", "cxl_pmem"),
    ] {
        let system = System::complete();
        let directory = system.root().join("sys/bus").join(driver);
        fs::create_dir_all(&directory).unwrap();
        // A driver without devices is in no use.
        symlink("../../../../module/x", directory.join("module")).unwrap();
        fs::write(directory.join("bind"), "").unwrap();
        let install = system.run(preinst, &["install"]);
        assert!(install.status.success(), "{install:?}");

        symlink("../../../../devices/x", directory.join(device)).unwrap();
        let install = system.run(preinst, &["install"]);
        assert_eq!(install.status.code(), Some(1));
        assert_eq!(
            String::from_utf8_lossy(&install.stderr),
            format!(
                "nvdimm-rust-dkms: not installed: {module} drives {device}, and could not be loaded \
                 any more, as it calls C functions of libnvdimm; if that is intended, first: \
                 modprobe -r {module}\n"
            )
        );
        // An upgrade changes nothing for it.
        let upgrade = system.run(preinst, &["upgrade", "0.0.9"]);
        assert!(upgrade.status.success(), "{upgrade:?}");
    }
}
