// SPDX-License-Identifier: GPL-2.0

//! All steps of the set-up, in order.

use crate::{
    accelerator::Accelerator,
    cache::Cache,
    host,
    image,
    kernel::{
        Flavour,
        Kernel, //
    },
    probe,
    toolchain::{
        Rustc,
        Toolchain, //
    }, //
};
use anyhow::Result;
use std::path::PathBuf;

/// The result of the set-up, which all commands that boot a guest need.
pub(crate) struct Machine {
    pub(crate) cache: Cache,
    pub(crate) toolchain: Toolchain,
    pub(crate) kernel: Kernel,
    /// The guest's root file system.
    pub(crate) image: PathBuf,
    pub(crate) accelerator: Accelerator,
}

impl Machine {
    /// Does the steps that are not done yet for guests with this kernel.
    pub(crate) fn prepare(flavour: Flavour) -> Result<Self> {
        let cache = Cache::open()?;
        let rustc = Rustc::query()?;
        host::install_packages(&cache, rustc.llvm_major)?;
        let toolchain = Toolchain::prepare(&cache, rustc)?;
        let kernel = Kernel::prepare(&cache, &toolchain, flavour)?;
        kernel.check_for_booting()?;
        let image = image::prepare(&cache)?;
        let accelerator = probe::accelerator(&cache, &kernel, &image)?;
        Ok(Self {
            cache,
            toolchain,
            kernel,
            image,
            accelerator,
        })
    }
}
