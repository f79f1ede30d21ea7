// SPDX-License-Identifier: GPL-2.0

//! Firmware tables for a guest: an NFIT and an SSDT made from a description in qemu/firmware, and
//! the memory that they describe.
//!
//! ```text
//! qemu/firmware/NAME.nfit ── description ─┬─ nfit ─ NAME.NFIT ─┐
//! qemu/firmware/NAME.asl  ────────────────┴─ asl ── NAME.SSDT ─┴─ qemu -acpitable
//! ```
//!
//! [`description`] parses a file, [`nfit`] and [`asl`] make the tables. qemu/tests/README.md
//! documents the language. The guest's physical memory is then
//!
//! ```text
//! 0        512 MiB = BASE                BASE + memory
//! | node 0 | node 1: a file of the host | node 2: the rest of the RAM, QEMU's tables at its end |
//! ```
//!
//! The file outlives a boot, so what the guest stores there is persistent. A word on the command
//! line makes the kernel leave the memory alone.

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

/// Start of the memory that the tables describe, whatever memory the guest has.
pub(crate) const BASE: u64 = 512 * MIB;

/// The Debian package with the ASL compiler, and the compiler.
pub(crate) const COMPILER: (&str, &str) = ("acpica-tools", "iasl");

/// Tables as files for QEMU, and the memory that they describe.
#[derive(Clone, Debug)]
pub(crate) struct Firmware {
    /// The NFIT, with its header.
    pub(crate) nfit: PathBuf,
    /// The SSDT with the root device, with its header.
    pub(crate) ssdt: PathBuf,
    /// Bytes of memory from [`BASE`] on.
    pub(crate) memory: u64,
    /// The file behind this memory.
    pub(crate) file: PathBuf,
    /// The word for the command line that makes the kernel leave the memory alone.
    pub(crate) kernel_argument: String,
}

impl Firmware {
    /// Reads the description `name`, and makes its tables in `directory`. The caller creates the
    /// memory's file, as large as the largest memory of all descriptions that share it.
    ///
    /// # Errors
    ///
    /// The description does not exist or cannot be parsed, or the compiler rejects its ASL.
    pub(crate) fn build(name: &str, directory: &Path) -> Result<Self> {
        let sources = project::root().join("qemu/firmware");
        let source = sources.join(format!("{name}.nfit"));
        let text = fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", source.display()))?;
        let description =
            Description::parse(&text).with_context(|| format!("in {}", source.display()))?;
        // Additional ASL for the scope of the root device.
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
    // No warnings: malformed firmware is the purpose.
    command.args(["-vs", "-ve", "-p"]);
    process::output(command.arg(source.with_extension("")).arg(source))
        .with_context(|| format!("the ASL in {} ({package})", source.display()))?;
    Ok(source.with_extension("aml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds mistakes in descriptions without booting a guest.
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
