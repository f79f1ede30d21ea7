// SPDX-License-Identifier: GPL-2.0

//! Formats of the NVDIMM subsystem that live outside the kernel: on media, in label areas, in firmware tables.
//!
//! The crate is pure: it takes bytes and gives values, or an error that names the field, what was found and what was
//! expected. It allocates nothing, locks nothing and prints nothing, so that the same code runs in the kernel (built
//! by kbuild) and in user space (built by cargo, with its tests).

#![cfg_attr(not(CONFIG_RUST), no_std)]
#![forbid(unsafe_code)]

pub mod btt;
pub mod fletcher;
pub mod label;
pub mod nfit;
pub mod page_map;
pub mod sort;
pub mod uuid;
