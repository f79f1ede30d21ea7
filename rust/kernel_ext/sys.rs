// SPDX-License-Identifier: GPL-2.0

//! Raw C interfaces: `kernel::bindings`, the bindings of this project's own bindgen run, and the
//! functions of helpers.c.
//!
//! Only `kernel_ext` may use this module.

#![allow(
    clippy::all,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    // Of newer compilers.
    unknown_lints,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

pub use kernel::bindings::*;
use kernel::ffi;
use pin_init::MaybeZeroable;

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

include!(concat!(
    env!("ND_OBJTREE"),
    "/rust/kernel_ext/bindings_generated.rs"
));

extern "C" {
    #[link_name = "rust_helper_nd_device_lock"]
    pub fn device_lock(dev: *mut device);
    #[link_name = "rust_helper_nd_device_unlock"]
    pub fn device_unlock(dev: *mut device);
    #[link_name = "rust_helper_nd_set_dev_node"]
    pub fn set_dev_node(dev: *mut device, node: ffi::c_int);
    #[link_name = "rust_helper_nd_dev_to_node"]
    pub fn dev_to_node(dev: *mut device) -> ffi::c_int;
    #[link_name = "rust_helper_nd_device_set_pm_not_required"]
    pub fn device_set_pm_not_required(dev: *mut device);
    #[link_name = "rust_helper_nd_dev_pm_domain_set"]
    pub fn dev_pm_domain_set(dev: *mut device, domain: *mut dev_pm_domain);
    #[link_name = "rust_helper_nd_huge_pmd_size"]
    pub fn huge_pmd_size() -> ffi::c_ulong;
    #[link_name = "rust_helper_nd_huge_pud_size"]
    pub fn huge_pud_size() -> ffi::c_ulong;
    #[link_name = "rust_helper_nd_memalloc_noio_save"]
    pub fn memalloc_noio_save() -> ffi::c_uint;
    #[link_name = "rust_helper_nd_memalloc_noio_restore"]
    pub fn memalloc_noio_restore(flags: ffi::c_uint);
    #[link_name = "rust_helper_nd_memalloc_is_noio"]
    pub fn memalloc_is_noio() -> bool;
    #[link_name = "rust_helper_nd_is_mapped"]
    pub fn is_mapped(address: *const ffi::c_void) -> bool;
    #[link_name = "rust_helper_nd_synchronize_rcu_tasks"]
    pub fn synchronize_rcu_tasks();
    #[link_name = "rust_helper_nd_hibernate_quiet_exec"]
    pub fn hibernate_quiet_exec(
        func: Option<unsafe extern "C" fn(data: *mut ffi::c_void) -> ffi::c_int>,
        data: *mut ffi::c_void,
    ) -> ffi::c_int;
    #[link_name = "rust_helper_nd_memzero_explicit"]
    pub fn memzero_explicit(start: *mut ffi::c_void, len: usize);
}

// From include/nd_trace.h.
extern "C" {
    pub static mut __tracepoint_btt_read: tracepoint;
    pub static mut __tracepoint_btt_write: tracepoint;
    pub static mut __tracepoint_btt_discard: tracepoint;
    pub static mut __tracepoint_btt_error: tracepoint;
    pub static mut __tracepoint_btt_recovery: tracepoint;
    pub fn rust_do_trace_btt_read(dev: dev_t, sector: u64, count: u32, error: ffi::c_int);
    pub fn rust_do_trace_btt_write(dev: dev_t, sector: u64, count: u32, error: ffi::c_int);
    pub fn rust_do_trace_btt_discard(dev: dev_t, sector: u64, count: u32, error: ffi::c_int);
    pub fn rust_do_trace_btt_error(dev: dev_t, sector: u64, count: u32, error: ffi::c_int);
    pub fn rust_do_trace_btt_recovery(device: *const ffi::c_char, finished: u32);
}
