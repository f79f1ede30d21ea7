// SPDX-License-Identifier: GPL-2.0

//! Memory management: scopes that restrict memory reclaim for all allocations of a task, whatever
//! their flags (`memalloc_noio_save()`), and the sizes of huge pages.
//!
//! C headers: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h),
//! [`include/linux/huge_mm.h`](srctree/include/linux/huge_mm.h)

use crate::sys;
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// A scope in which all allocations of the current task behave as with `GFP_NOIO`: reclaim starts
/// no I/O.
///
/// Code that executes a request and allocates memory must be in such a scope, as I/O started by
/// reclaim could wait for that very request. Scopes nest, and a task must leave them in the reverse
/// order.
#[must_use = "the scope ends at once"]
pub struct NoIo {
    /// The flag if this scope has set it; 0 if the task had it already.
    flags: c_uint,
    _not_send: NotThreadSafe,
}

impl NoIo {
    /// Enters a scope, which ends when the guard is dropped.
    pub fn enter() -> Self {
        Self {
            // SAFETY: The helper takes nothing and sets a flag of the current task. It may be
            // called in any context of a task.
            flags: unsafe { sys::memalloc_noio_save() },
            _not_send: NotThreadSafe,
        }
    }

    /// Returns `true` if the current task is in such a scope.
    pub fn is_active() -> bool {
        // SAFETY: The helper takes nothing and reads a flag of the current task. It may be called
        // in any context of a task.
        unsafe { sys::memalloc_is_noio() }
    }
}

impl Drop for NoIo {
    fn drop(&mut self) {
        // SAFETY: `Self::enter` has returned these flags to this task, as the guard is not `Send`.
        // They are restored once.
        unsafe { sys::memalloc_noio_restore(self.flags) };
    }
}

/// Returns the sizes in bytes of the huge pages that the kernel can use for mappings of files and
/// devices, in ascending order. There are none if the CPU or the kernel does not support huge
/// pages.
pub fn huge_page_sizes() -> impl Iterator<Item = u64> {
    // SAFETY: The helpers take nothing and read the kernel's configuration and CPU features, in any
    // context.
    let sizes = unsafe { [sys::huge_pmd_size(), sys::huge_pud_size()] };
    sizes
        .into_iter()
        .filter(|&size| size != 0)
        .map(|size| size as u64)
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_mm)]
mod tests {
    use super::*;

    #[test]
    fn scopes_nest() {
        assert!(!NoIo::is_active());
        {
            let _outer = NoIo::enter();
            drop(NoIo::enter());
            assert!(NoIo::is_active());
        }
        assert!(!NoIo::is_active());
    }
}
