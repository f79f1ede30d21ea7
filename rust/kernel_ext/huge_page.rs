// SPDX-License-Identifier: GPL-2.0

//! Sizes of huge pages that the kernel can use for mappings of files and devices.
//!
//! C header: [`include/linux/huge_mm.h`](srctree/include/linux/huge_mm.h)

use crate::sys;

/// Returns the sizes of huge pages in bytes, in ascending order. There are none if the CPU or the
/// kernel does not support huge pages.
pub fn sizes() -> impl Iterator<Item = u64> {
    // SAFETY: The helpers take nothing and read the kernel's configuration and CPU features, in any
    // context.
    let sizes = unsafe { [sys::huge_pmd_size(), sys::huge_pud_size()] };
    sizes
        .into_iter()
        .filter(|&size| size != 0)
        .map(|size| size as u64)
}
