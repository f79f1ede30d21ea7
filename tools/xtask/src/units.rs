// SPDX-License-Identifier: GPL-2.0

//! Units of sizes, in bytes.

pub(crate) const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;
