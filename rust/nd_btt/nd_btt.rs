// SPDX-License-Identifier: GPL-2.0

//! The BTT disk driver, `nd_btt.ko`: the engine of the crate `btt_engine`, on a mapped namespace,
//! below a bio-based disk.
//!
//! ```text
//! bio ── disk ── btt_engine ── media ── memory of the namespace, fence of the region
//! ```
//!
//! This module binds to no device. The driver `nd_pmem` calls [`detect`] when it probes a namespace
//! and [`AttachedBtt::new`] when it probes a BTT device, which owns the disk from then on.
//!
//! Requests run in the context of their submitters, which may sleep. This module adds no locks
//! to those of the engine.

#![forbid(unsafe_code)]

mod attach;
mod debugfs;
mod disk;
mod hibernation;
mod media;
mod metadata;
mod text;

pub use attach::{
    detect,
    AttachedBtt,
    Detection, //
};
pub use text::Text;

use kernel::prelude::*;
use kernel_ext::debugfs::RootRegistration;

struct NdBtt {
    _debugfs: RootRegistration,
}

impl kernel::Module for NdBtt {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _debugfs: debugfs::ROOT.register()?,
        })
    }
}

module! {
    type: NdBtt,
    name: "nd_btt",
    authors: ["The nvdimm-rust developers"],
    description: "NVDIMM Block Translation Table",
    license: "GPL",
}
