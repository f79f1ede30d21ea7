// SPDX-License-Identifier: GPL-2.0

//! Persistent memory in user space, for benchmarks and tests: the counterpart of
//! `kernel_ext::memory`.
//!
//! [`Region`] is a mapped file with the stores, flushes and fences of x86. [`PmemBlk`] wraps
//! libpmemblk, which uses the same on-media layout, for comparison. [`LabelArea`] reads the label
//! area of a DIMM.

#[cfg(not(target_arch = "x86_64"))]
compile_error!("stores that bypass the caches are implemented for x86-64 only");

mod label_area;
mod pmemblk;
mod region;

pub use label_area::LabelArea;
pub use pmemblk::PmemBlk;
pub use region::{
    OutOfRange,
    Region, //
};
