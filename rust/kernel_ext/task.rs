// SPDX-License-Identifier: GPL-2.0

//! The current task: its capabilities.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::sys;
use kernel::ffi::c_int;

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_SYS_RAWIO`: direct access to devices.
    SysRawio,
}

/// Returns `true` if the current process has `capability`.
pub fn capable(capability: Capability) -> bool {
    let number = match capability {
        Capability::SysRawio => sys::CAP_SYS_RAWIO,
    };
    // SAFETY: The number is that of a capability, and the function reads the credentials of the
    // current task. It may be called in any context of a task. CAST: Numbers of capabilities are
    // small.
    unsafe { sys::capable(number as c_int) }
}
