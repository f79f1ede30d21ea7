// SPDX-License-Identifier: GPL-2.0

//! Work for which the machine must stand still.
//!
//! C header: [`include/linux/suspend.h`](srctree/include/linux/suspend.h)

use crate::sys;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// Runs `work` while processes are frozen and devices are suspended, as they are before a hibernation image is made.
///
/// Holders of locks that a process may wait for must not call this: that process could not be frozen. `EBUSY`: the
/// machine is being hibernated, or a process or device did not stop. `ENOTSUPP`: the kernel cannot hibernate.
pub fn quietly<F: FnOnce() -> Result>(work: F) -> Result {
    let mut work = Some(work);
    let data = (&raw mut work).cast::<c_void>();
    // SAFETY: `data` points to the `Option<F>` above, which outlives the call; the callback is called within it, if at all.
    to_result(unsafe { sys::hibernate_quiet_exec(Some(callback::<F>), data) })
}

/// Runs the work.
///
/// # Safety
///
/// `data` must point to an `Option<F>` of which nobody else knows.
unsafe extern "C" fn callback<F: FnOnce() -> Result>(data: *mut c_void) -> c_int {
    // SAFETY: By the requirements of this function.
    let work = unsafe { &mut *data.cast::<Option<F>>() };
    from_result(|| {
        work.take().ok_or(EINVAL)?()?;
        Ok(0)
    })
}
