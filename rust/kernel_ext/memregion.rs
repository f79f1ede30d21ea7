// SPDX-License-Identifier: GPL-2.0

//! Memory regions: their ids, which the kernel allocates for all kinds of providers, and the
//! invalidation of CPU caches.
//!
//! C header: [`include/linux/memregion.h`](srctree/include/linux/memregion.h)

use crate::sys;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// The id of a memory region. It is unique until it is dropped.
pub struct RegionId(u32);

impl RegionId {
    /// Allocates the lowest free id. `ENOMEM`, `ENOSPC`: there is no memory, or no id left.
    pub fn allocate() -> Result<Self> {
        // SAFETY: The function takes allocation flags. `GFP_KERNEL` may sleep, as this function
        // may.
        let id = unsafe { sys::memregion_alloc(sys::GFP_KERNEL) };
        to_result(id)?;
        Ok(Self(u32::try_from(id)?))
    }

    /// Returns the id.
    pub fn get(&self) -> u32 {
        self.0
    }
}

impl Drop for RegionId {
    fn drop(&mut self) {
        // The allocator returns no negative ids.
        if let Ok(id) = i32::try_from(self.0) {
            // SAFETY: `Self::allocate` has allocated the id, which is freed once.
            unsafe { sys::memregion_free(id) };
        }
    }
}

/// Invalidates the caches of all CPUs, after the content of memory has changed without the CPUs'
/// knowledge. May sleep.
///
/// `ENXIO`: the machine does not support it, for example because it is a guest.
pub fn invalidate_caches() -> Result {
    // SAFETY: The function takes nothing and reads features of the machine, in any context.
    if !unsafe { sys::cpu_cache_has_invalidate_memregion() } {
        return Err(ENXIO);
    }
    // SAFETY: The check above has found it supported. On x86 dirty lines are written back before
    // they are invalidated, so no store is lost. The maximum length stands for all regions. The
    // function waits for other CPUs, so it must be called where sleeping is allowed, as this
    // function must.
    to_result(unsafe { sys::cpu_cache_invalidate_memregion(0, usize::MAX) })
}
