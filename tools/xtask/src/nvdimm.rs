// SPDX-License-Identifier: GPL-2.0

//! Emulated NVDIMMs: files of the host that QEMU maps shared.

use anyhow::{
    Context,
    Result, //
};
use rustix::fs::{
    fallocate,
    FallocateFlags, //
};
use std::{
    fs::File,
    path::PathBuf, //
};

/// An emulated NVDIMM and the file that holds its contents.
#[derive(Clone, Debug)]
pub(crate) struct Nvdimm {
    pub(crate) file: PathBuf,
    /// Bytes that the guest can use.
    pub(crate) size: u64,
    /// Bytes of the label area, 0 for none. It lies behind the data in the file.
    pub(crate) label: u64,
}

impl Nvdimm {
    /// Creates the file, which reads as zeros.
    pub(crate) fn create(&self) -> Result<()> {
        let file = File::create(&self.file)
            .with_context(|| format!("cannot create {}", self.file.display()))?;
        file.set_len(self.size + self.label)
            .with_context(|| format!("cannot size {}", self.file.display()))
    }

    /// Fills the NVDIMM with zeros. QEMU may have it mapped.
    pub(crate) fn erase(&self) -> Result<()> {
        let file = File::options().write(true).open(&self.file);
        let file = file.with_context(|| format!("cannot open {}", self.file.display()))?;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, hole, 0, self.size + self.label)
            .with_context(|| format!("cannot erase {}", self.file.display()))
    }
}
