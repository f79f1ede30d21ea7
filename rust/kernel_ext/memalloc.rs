// SPDX-License-Identifier: GPL-2.0

//! Scopes in which memory is reclaimed with restraint, whatever flags allocations have.
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use crate::sys;
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// A scope in which the current task starts no I/O to get memory: all its allocations are as with
/// `GFP_NOIO`.
///
/// To be entered by whoever serves a request: I/O that is started to get memory for it could wait
/// for that very request. Scopes nest; those of a task end in the reverse order of their beginning.
#[must_use = "the scope ends at once"]
pub struct NoIo {
    /// The flag, unless the task had it before.
    flags: c_uint,
    _not_send: NotThreadSafe,
}

impl NoIo {
    /// Begins a scope, which ends when this is dropped.
    pub fn enter() -> Self {
        Self {
            // SAFETY: The function sets a flag of the current task, in whatever context.
            flags: unsafe { sys::memalloc_noio_save() },
            _not_send: NotThreadSafe,
        }
    }

    /// Tells whether the current task is in such a scope.
    pub fn is_active() -> bool {
        // SAFETY: The helper reads a flag of the current task, in whatever context.
        unsafe { sys::memalloc_is_noio() }
    }
}

impl Drop for NoIo {
    fn drop(&mut self) {
        // SAFETY: The flags are those of `Self::enter`, which this task has called, as the guard
        // cannot be sent to another.
        unsafe { sys::memalloc_noio_restore(self.flags) };
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_memalloc)]
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
