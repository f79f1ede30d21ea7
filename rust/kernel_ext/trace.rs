// SPDX-License-Identifier: GPL-2.0

//! Tracepoints of BTT disks. A disabled tracepoint costs a no-op instruction, or a load and a
//! branch in a kernel without `CONFIG_JUMP_LABEL`.
//!
//! `kernel::declare_trace!` finds tracepoints in the bindings of the kernel crate only, so these
//! are declared here.
//!
//! They are not declared in `nd_btt`, the only module with such events, because to declare a
//! foreign function is to vouch for its arguments. A macro could do it there, as the compiler does
//! not apply `forbid(unsafe_code)` to what macros of other crates expand to; but then a wrong
//! argument would be unsound code in a crate that promises to have none. trace.c follows the
//! declarations: in nd_btt.ko its symbols would be those of a module that depends on this crate.
//!
//! C header: `include/nd_trace.h` of this project

use crate::{
    block::Bio,
    sys, //
};
use kernel::prelude::*;

/// Evaluates to `true` if a tracepoint is enabled.
macro_rules! is_enabled {
    ($key:ident) => {{
        #[cfg(CONFIG_JUMP_LABEL)]
        {
            // SAFETY: The static is a tracepoint, which trace.c defines, and `key` is its static
            // key.
            unsafe { kernel::jump_label::static_branch_unlikely!(sys::$key, sys::tracepoint, key) }
        }
        #[cfg(not(CONFIG_JUMP_LABEL))]
        {
            // SAFETY: The static is a tracepoint, which trace.c defines. Its count may change
            // concurrently, hence the volatile read.
            unsafe { (&raw const sys::$key.key.key.enabled.counter).read_volatile() > 0 }
        }
    }};
}

macro_rules! request_events {
    ($($(#[$doc:meta])* $name:ident: $key:ident => $call:ident;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(bio: &Bio, outcome: Result) {
            if is_enabled!($key) {
                let error = outcome.err().map_or(0, |error| error.to_errno());
                // CAST: A request is shorter than 4 GiB.
                let count = (bio.len() >> crate::block::SECTOR_SHIFT) as u32;
                // SAFETY: The function takes any numbers and may be called in any context.
                unsafe { sys::$call(bio.device_number(), bio.sector(), count, error) };
            }
        }
    )*};
}

request_events! {
    /// A read has ended.
    btt_read: __tracepoint_btt_read => rust_do_trace_btt_read;
    /// A write has ended.
    btt_write: __tracepoint_btt_write => rust_do_trace_btt_write;
    /// A discard or a request to write zeroes has ended.
    btt_discard: __tracepoint_btt_discard => rust_do_trace_btt_discard;
    /// A request has failed.
    btt_error: __tracepoint_btt_error => rust_do_trace_btt_error;
}

/// A BTT was opened on `device`. Recovery has finished `finished` interrupted writes.
pub fn btt_recovery(device: &CStr, finished: u32) {
    if is_enabled!(__tracepoint_btt_recovery) {
        // SAFETY: The name is a C string, which the function copies. It may be called in any
        // context.
        unsafe { sys::rust_do_trace_btt_recovery(device.as_char_ptr(), finished) };
    }
}
