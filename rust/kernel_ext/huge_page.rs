// SPDX-License-Identifier: GPL-2.0

//! Sizes of huge pages that the kernel may use for mappings of files and devices.
//!
//! C header: [`include/linux/huge_mm.h`](srctree/include/linux/huge_mm.h)

use crate::sys;

/// Returns the sizes of huge pages, in bytes, smallest first. There are none if huge pages are
/// switched off.
pub fn sizes() -> impl Iterator<Item = u64> {
    // SAFETY: The helpers look at the configuration and at features of the CPU.
    let sizes = unsafe { [sys::huge_pmd_size(), sys::huge_pud_size()] };
    sizes
        .into_iter()
        .filter(|&size| size != 0)
        .map(|size| size as u64)
}
