// SPDX-License-Identifier: GPL-2.0

//! Abstractions that the `kernel` crate lacks for a subsystem with a bus of its own, in the form
//! that they would have there.
//!
//! All unsafe code of the modules lives in this crate. The crates above it forbid `unsafe`; they
//! use the public items of this crate and nothing of `kernel::bindings`.
//!
//! - [`bus`], [`device`], [`sysfs`]: a bus type, its devices and drivers, and their attributes
//! - [`delayed_work`], [`jobs`], [`workqueue`]: work in the background, such as the registration
//!   of devices
//! - [`chrdev`], [`class`]: control nodes in `/dev`
//! - [`platform_device`]: platform devices that a module creates for its own driver
//! - [`block`], [`memory`], [`badblocks`]: disks on memory-mapped media
//! - [`mm`], [`task`]: scopes that restrict memory reclaim, and huge-page sizes; capabilities
//! - [`debugfs`], [`trace`]: the debugfs directory of a module; tracepoints
//! - [`acpi`]: tables, methods and notifications
//! - [`key`]: secrets of the key retention service
//! - [`module`]: references to modules; boolean module parameters
//! - [`hibernate`]: notifications of hibernation; running code while the system is quiescent
//! - [`resource`], [`memregion`]: the tree of physical addresses; memory regions and CPU caches
//! - [`static_mutex`]: a mutex for statics
//! - [`error`]: error codes

pub mod acpi;
pub mod badblocks;
pub mod block;
pub mod bus;
pub mod chrdev;
pub mod class;
pub mod debugfs;
pub mod delayed_work;
pub mod device;
pub mod error;
pub mod hibernate;
pub mod jobs;
pub mod key;
pub mod memory;
pub mod memregion;
pub mod mm;
pub mod module;
pub mod platform_device;
pub mod resource;
pub mod static_mutex;
mod sys;
pub mod sysfs;
pub mod task;
pub mod trace;
mod wait;
pub mod workqueue;

/// Prefix of messages that do not belong to a device, as `module!` defines it for modules.
const __LOG_PREFIX: &[u8] = b"libnvdimm\0";
