// SPDX-License-Identifier: GPL-2.0

//! Firmware of our own for a guest: an NFIT and an SSDT made from a description in qemu/firmware, and the memory that they are about.
//!
//! ```text
//! qemu/firmware/NAME.nfit ── description ─┬─ nfit ─ NAME.NFIT ─┐
//! qemu/firmware/NAME.asl  ────────────────┴─ asl ── NAME.SSDT ─┴─ qemu -acpitable
//! ```
//!
//! [`description`] is what a file says, [`nfit`] and [`asl`] make the tables of it. qemu/tests/README.md documents the language for those who
//! write tests. The guest's physical memory is then
//!
//! ```text
//! 0        512 MiB = BASE                BASE + memory
//! | node 0 | node 1: a file of the host | node 2: the rest of the RAM, with QEMU's own tables at its end |
//! ```
//!
//! The file outlives a boot, so what the guest stores there is persistent. The kernel keeps off it by a word on its command line.

mod asl;
mod description;
mod nfit;

use crate::{
    process,
    project,
    units::MIB, //
};
use anyhow::{
    Context,
    Result, //
};
use description::Description;
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
};

/// Where the memory behind the tables begins, whatever else the guest has.
pub(crate) const BASE: u64 = 512 * MIB;

/// The Debian package with the compiler of ASL, and the compiler.
pub(crate) const COMPILER: (&str, &str) = ("acpica-tools", "iasl");

/// Tables as files for QEMU, and the memory that they are about.
#[derive(Clone, Debug)]
pub(crate) struct Firmware {
    /// The NFIT, with its header.
    pub(crate) nfit: PathBuf,
    /// The SSDT with the root device, with its header.
    pub(crate) ssdt: PathBuf,
    /// Bytes of memory from [`BASE`] on.
    pub(crate) memory: u64,
    /// The file that is this memory.
    pub(crate) file: PathBuf,
    /// The word for the kernel's command line that keeps the kernel off the memory.
    pub(crate) kernel_argument: String,
}

impl Firmware {
    /// Reads the description `name`, and makes its tables in `directory`. The memory's file is to be made by the caller, and as large as the
    /// largest memory of all that share it.
    ///
    /// # Errors
    ///
    /// There is no such description, or it cannot be understood, or the compiler does not take its ASL.
    pub(crate) fn build(name: &str, directory: &Path) -> Result<Self> {
        let sources = project::root().join("qemu/firmware");
        let source = sources.join(format!("{name}.nfit"));
        let text = fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", source.display()))?;
        let description =
            Description::parse(&text).with_context(|| format!("in {}", source.display()))?;
        // More of the root device's scope, where the description's language has no words for it.
        let more = fs::read_to_string(sources.join(format!("{name}.asl"))).unwrap_or_default();

        let write = |kind: &str, content: &[u8]| {
            let path = directory.join(format!("{name}.{kind}"));
            fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))
                .map(|()| path)
        };
        let nfit = write("nfit", &nfit::table(&description))?;
        let source = write("asl", asl::source(&description, &more).as_bytes())?;
        Ok(Self {
            nfit,
            ssdt: compile(&source)?,
            memory: description.memory.size,
            file: directory.join("memory"),
            kernel_argument: description.memory.kernel_argument(),
        })
    }
}

/// Compiles ASL into the file beside it that ends in `.aml`.
fn compile(source: &Path) -> Result<PathBuf> {
    let (package, compiler) = COMPILER;
    let mut command = Command::new(compiler);
    // No warnings: odd firmware is what we want.
    command.args(["-vs", "-ve", "-p"]);
    process::output(command.arg(source.with_extension("")).arg(source))
        .with_context(|| format!("the ASL in {} ({package})", source.display()))?;
    Ok(source.with_extension("aml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Descriptions are found out to be wrong before a guest is booted for them.
    #[test]
    fn all_descriptions_can_be_read() {
        let directory = project::root().join("qemu/firmware");
        let mut count = 0;
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "nfit")
            {
                let text = fs::read_to_string(&path).unwrap();
                let description = Description::parse(&text);
                let description =
                    description.unwrap_or_else(|error| panic!("{}: {error:#}", path.display()));
                assert_eq!(
                    nfit::table(&description)
                        .iter()
                        .fold(0_u8, |sum, byte| sum.wrapping_add(*byte)),
                    0
                );
                count += 1;
            }
        }
        assert!(count > 0);
    }
}
