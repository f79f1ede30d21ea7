// SPDX-License-Identifier: GPL-2.0

//! What the current process may do.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::sys;

/// Tells whether the current process may talk to devices directly (`CAP_SYS_RAWIO`).
pub fn may_access_devices() -> bool {
    // SAFETY: No requirement. CAST: A small number.
    unsafe { sys::capable(sys::CAP_SYS_RAWIO as kernel::ffi::c_int) }
}
