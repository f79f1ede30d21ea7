// SPDX-License-Identifier: GPL-2.0

//! Devices of a bus that a Rust module owns.
//!
//! - [`Node<T>`]: a `struct device` with the object that it stands for, in one reference-counted
//!   allocation;
//! - [`DeviceLock`]: the lock of a device, under which drivers come and go.

mod lock;
mod node;
mod presence;

pub use self::{
    lock::{
        has_driver,
        DeviceLock, //
    },
    node::{
        for_each_child,
        normal,
        wait_until_released,
        DeviceType,
        Node,
        NodeParameters,
        Table, //
    },
};
