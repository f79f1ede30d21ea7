// SPDX-License-Identifier: GPL-2.0

//! Persistent memory in user space, for benchmarks and tests: what `kernel_ext::memory` is in the
//! kernel.
//!
//! [`Region`] is a mapped file with the stores, flushes and fences of x86. [`PmemBlk`] is the
//! library that has the same layout on media, to compare with. [`LabelArea`] reads what a DIMM
//! keeps beside its memory.

#[cfg(not(target_arch = "x86_64"))]
compile_error!("stores that bypass the caches are known for x86-64 only");

mod label_area;
mod pmemblk;
mod region;

pub use label_area::LabelArea;
pub use pmemblk::PmemBlk;
pub use region::{
    OutOfRange,
    Region, //
};
