// SPDX-License-Identifier: GPL-2.0

//! Memory regions: numbers, which the kernel gives out to all kinds of providers, and what is in
//! the caches of CPUs.
//!
//! C header: [`include/linux/memregion.h`](srctree/include/linux/memregion.h)

use crate::sys;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A number that nobody else has until this is dropped.
pub struct RegionId(u32);

impl RegionId {
    /// Takes the lowest free number.
    pub fn allocate() -> Result<Self> {
        // SAFETY: The function takes flags for its allocation, which may sleep.
        let id = unsafe { sys::memregion_alloc(sys::GFP_KERNEL) };
        to_result(id)?;
        Ok(Self(u32::try_from(id)?))
    }

    /// Returns the number.
    pub fn get(&self) -> u32 {
        self.0
    }
}

impl Drop for RegionId {
    fn drop(&mut self) {
        // The number came from the allocator, which gives none that is negative.
        if let Ok(id) = i32::try_from(self.0) {
            // SAFETY: The number was allocated in `Self::allocate`, and is given back once.
            unsafe { sys::memregion_free(id) };
        }
    }
}

/// Drops what the caches of all CPUs hold of device memory whose contents were changed behind their
/// back.
///
/// `ENXIO`: that is not possible here. A guest, for one, cannot do it.
pub fn invalidate_caches() -> Result {
    // SAFETY: The function looks at features of the machine, which do not change.
    if !unsafe { sys::cpu_cache_has_invalidate_memregion() } {
        return Err(ENXIO);
    }
    // SAFETY: It can be done, as was just checked. All caches are written back before they are
    // invalidated, so no store is lost; this length stands for everything. The function waits for
    // other CPUs, so it may sleep.
    to_result(unsafe { sys::cpu_cache_invalidate_memregion(0, usize::MAX) })
}
