// SPDX-License-Identifier: GPL-2.0

//! On-media and firmware formats of the NVDIMM subsystem: BTT, PFN and DAX info blocks, namespace
//! labels, the NFIT and its `_DSM` payloads, and the payloads of ioctls.
//!
//! The crate is pure: it turns bytes into values, or into an error that names the field, the value
//! found and the value expected. It does not allocate, lock or print. The same code therefore runs
//! in the kernel (built by kbuild) and in user space (built by cargo, with its tests).

#![cfg_attr(not(CONFIG_RUST), no_std)]
#![forbid(unsafe_code)]

pub mod btt;
pub mod fletcher;
pub mod label;
pub mod nfit;
pub mod pfn;
pub mod sort;
pub mod uapi;
pub mod uuid;
