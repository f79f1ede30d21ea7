// SPDX-License-Identifier: GPL-2.0

//! Compilers: the host's rustc, and the tools of the same LLVM that a kernel with Rust needs.
//!
//! `CONFIG_RUST_INLINE_HELPERS` links C helpers into Rust objects as bitcode, so clang, lld and
//! llvm must have the major version of rustc's LLVM.

use crate::{
    cache::Cache,
    debian,
    installed::BINDGEN,
    process,
    ui, //
};
use anyhow::{
    ensure,
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
    process::Command,
};

/// The host's rustc.
pub(crate) struct Rustc {
    /// `1.95.0`.
    pub(crate) version: String,
    /// `rustc 1.95.0 (… 2026-…)`, as the kernel records it in its configuration.
    pub(crate) version_text: String,
    /// The major version of the LLVM inside.
    pub(crate) llvm_major: u32,
}

impl Rustc {
    /// Queries the rustc on the path.
    pub(crate) fn query() -> Result<Self> {
        let text = process::output(Command::new("rustc").arg("-vV"))
            .context("Rust is needed: rustc, cargo, clippy")?;
        Self::parse(&text).with_context(|| format!("cannot make sense of `rustc -vV`: {text}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        Some(Self {
            version: field("release")?.to_owned(),
            version_text: text.lines().next()?.to_owned(),
            llvm_major: field("LLVM version")?.split('.').next()?.parse().ok()?,
        })
    }
}

/// All compilers.
pub(crate) struct Toolchain {
    pub(crate) rustc: Rustc,
    /// The first line of `clang --version`.
    clang: String,
    bindgen: PathBuf,
    libclang: String,
    /// The source of `core`, if it is not where the kernel expects it in the toolchain.
    rust_lib_src: Option<PathBuf>,
}

impl Toolchain {
    /// Completes the toolchain in the cache. The host's packages must be installed.
    pub(crate) fn prepare(cache: &Cache, rustc: Rustc) -> Result<Self> {
        let major = rustc.llvm_major;
        let clang = process::output(Command::new(format!("clang-{major}")).arg("--version"))?;
        let clang = clang.lines().next().unwrap_or_default().to_owned();
        let libclang =
            process::output(Command::new(format!("llvm-config-{major}")).arg("--libdir"))?;
        let bindgen = BINDGEN.prepare(cache)?;
        let rust_lib_src = prepare_rust_source(cache, &rustc)?;
        Ok(Self {
            rustc,
            clang,
            bindgen,
            libclang,
            rust_lib_src,
        })
    }

    /// Returns the versions of this toolchain, for keys of the cache. The source of `core` always
    /// has rustc's version.
    pub(crate) fn identity(&self) -> String {
        let (rustc, clang) = (&self.rustc.version_text, &self.clang);
        format!("{rustc}\n{clang}\nbindgen {}\n", BINDGEN.version)
    }

    /// Returns a `make` command for kbuild with this toolchain.
    pub(crate) fn make(&self) -> Command {
        let mut make = Command::new("make");
        let mut bindgen = OsString::from("BINDGEN=");
        bindgen.push(&self.bindgen);
        make.arg(format!("LLVM=-{}", self.rustc.llvm_major))
            .arg(bindgen)
            .env("LIBCLANG_PATH", &self.libclang);
        if let Some(source) = &self.rust_lib_src {
            let mut argument = OsString::from("RUST_LIB_SRC=");
            argument.push(source);
            make.arg(argument);
        }
        // depmod is in a directory of administration tools.
        if let Some(path) = process::path_of_administrators() {
            make.env("PATH", path);
        }
        // Flags of an outer make are not meant for kbuild.
        make.env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .env_remove("MAKELEVEL");
        make
    }
}

/// Returns the path where the kernel expects the source of `core` in a toolchain.
fn source_in_toolchain() -> Result<PathBuf> {
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib/src/rust/library"))
}

fn prepare_rust_source(cache: &Cache, rustc: &Rustc) -> Result<Option<PathBuf>> {
    ui::step("source of core", |step| {
        let theirs = source_in_toolchain()?;
        if theirs.join("core/src/lib.rs").is_file() {
            step.note("from the toolchain");
            return Ok(None);
        }
        let name = format!("rust-src-{}", rustc.version);
        if !cache.path(&name).exists() && process::find_program("rustup").is_some() {
            let mut rustup = Command::new("rustup");
            rustup.args(["component", "add", "rust-src"]);
            let added = process::run(&mut rustup, &cache.log("rustup"), step);
            if added.is_ok() && theirs.join("core/src/lib.rs").is_file() {
                step.note("added to the toolchain by rustup");
                return Ok(None);
            }
            process::check_interrupt()?;
        }
        step.note(format!("{} from the cache", rustc.version));
        let root = cache.artefact(&name, step, |place| {
            let scratch = place.with_extension("package");
            let fits = format!("{}+", rustc.version);
            debian::fetch(
                cache,
                "rust-src",
                |version| version.starts_with(&fits),
                &scratch,
                step,
            )
            .context(
                "rustup cannot add the component rust-src, and Debian has no source of this rustc",
            )?;
            let library = scratch.join(format!("usr/src/rustc-{}/library", rustc.version));
            fs::create_dir(place).with_context(|| format!("cannot create {}", place.display()))?;
            fs::rename(&library, place.join("library"))
                .with_context(|| format!("no {}", library.display()))
        })?;
        let library = root.join("library");
        ensure!(
            library.join("core/src/lib.rs").is_file(),
            "{} has no source of core",
            library.display()
        );
        Ok(Some(library))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustc_describes_itself() {
        let text = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let rustc = Rustc::parse(text).unwrap();
        assert_eq!(rustc.version, "1.95.0");
        assert_eq!(rustc.version_text, "rustc 1.95.0 (59807616e 2026-04-14)");
        assert_eq!(rustc.llvm_major, 22);
        assert!(Rustc::parse("rustc 1.95.0\n").is_none());
    }
}
