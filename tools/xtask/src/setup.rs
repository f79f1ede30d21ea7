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
    stock,
    toolchain::{
        Rustc,
        Toolchain, //
    }, //
};
use anyhow::Result;
use std::path::PathBuf;

/// What guests are for. Less is prepared for some tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Tests and benchmarks.
    Tests,
    /// The demonstration.
    Demo,
}

/// The result of the set-up, which all commands that boot a guest need.
pub(crate) struct Machine {
    pub(crate) task: Task,
    pub(crate) cache: Cache,
    pub(crate) kernel: Kernel,
    /// The guest's root file system.
    pub(crate) image: PathBuf,
    pub(crate) accelerator: Accelerator,
}

impl Machine {
    /// Does the steps that are not done yet for tests with this kernel.
    pub(crate) fn prepare(flavour: Flavour) -> Result<Self> {
        Self::prepare_for(Task::Tests, flavour)
    }

    /// Does the steps that are not done yet for guests with this kernel.
    pub(crate) fn prepare_for(task: Task, flavour: Flavour) -> Result<Self> {
        let cache = Cache::open()?;
        let kernel = match flavour {
            Flavour::Stock(series) => {
                stock::install_host_packages(&cache)?;
                Kernel::prepare_stock(&cache, series)?
            }
            Flavour::Ordinary | Flavour::Debug | Flavour::RealTime => {
                let rustc = Rustc::query()?;
                host::install_packages(&cache, rustc.llvm_major)?;
                let toolchain = Toolchain::prepare(&cache, rustc)?;
                Kernel::prepare(&cache, toolchain, flavour)?
            }
        };
        kernel.check_for_booting()?;
        let image = image::prepare(&cache, task)?;
        let accelerator = probe::accelerator(&cache, &kernel, &image)?;
        Ok(Self {
            task,
            cache,
            kernel,
            image,
            accelerator,
        })
    }
}
