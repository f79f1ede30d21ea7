// SPDX-License-Identifier: GPL-2.0

//! Devices of a bus that a Rust module owns.
//!
//! - [`TypedDevice<T>`]: a `struct device` and the object that it represents, in one
//!   reference-counted allocation;
//! - [`Owner`]: what waits for the release of a device;
//! - [`DeviceLock`]: the lock of a device, under which drivers are bound and unbound.
//!
//! # Lock order
//!
//! 1. the lock of a device;
//! 2. the lock of its registration state, a leaf but for locks of kernfs.

mod lock;
mod registration;
mod release;
mod typed;

pub use self::{
    lock::{
        has_driver,
        DeviceLock, //
    },
    release::{
        wait_until_released,
        Owner, //
    },
    typed::{
        for_each_child,
        normal,
        DeviceData,
        DeviceParameters,
        DeviceType,
        TypedDevice, //
    },
};

use crate::sys;
use core::ptr;
use kernel::device::{
    Device,
    DeviceContext, //
};

/// Returns the C device of `device`, which is valid while `device` is borrowed.
#[inline]
pub(crate) fn as_raw<Ctx: DeviceContext>(device: &Device<Ctx>) -> *mut sys::device {
    // `Device` is a transparent wrapper, whose own `as_raw` is private to the kernel crate.
    ptr::from_ref(device).cast::<sys::device>().cast_mut()
}
