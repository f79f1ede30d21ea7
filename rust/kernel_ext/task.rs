// SPDX-License-Identifier: GPL-2.0

//! The current task: its capabilities.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::sys;

/// Returns `true` if the current process has `CAP_SYS_RAWIO`, that is, may access devices directly.
pub fn may_access_devices() -> bool {
    // SAFETY: The number is that of a capability, and the function reads the credentials of the
    // current task. It may be called in any context of a task. CAST: Numbers of capabilities are
    // small.
    unsafe { sys::capable(sys::CAP_SYS_RAWIO as kernel::ffi::c_int) }
}
