// SPDX-License-Identifier: GPL-2.0

//! What the `kernel` crate lacks for a bus of one's own, in the shape it would have there.
//!
//! All unsafe code of the project lives in this crate. The crates above it forbid `unsafe`; they
//! may use what is public here and nothing of `kernel::bindings`.
//!
//! - [`bus`], [`device`], [`sysfs`]: a bus type, its devices and drivers, and their attributes;
//! - [`jobs`], [`repeated_work`], [`workqueue`]: registration and other work in the background;
//! - [`chrdev`], [`class`]: control nodes;
//! - [`platform_device`]: devices that a module makes for its own driver;
//! - [`block`], [`memory`], [`badblocks`]: disks on memory-mapped media;
//! - [`memalloc`]: scopes in which memory is reclaimed with restraint;
//! - [`debugfs`], [`trace`]: the directory of a module; tracepoints;
//! - [`acpi`]: tables, methods and notifications;
//! - [`key`]: secrets of the key service;
//! - [`module_parameter`]: switches for those who load a module;
//! - [`hibernate`]: work for which the machine must stand still;
//! - [`resource`]: the tree of physical addresses.

pub mod acpi;
pub mod badblocks;
pub mod block;
pub mod bus;
pub mod capability;
pub mod chrdev;
pub mod class;
pub mod debugfs;
pub mod device;
pub mod error;
pub mod hibernate;
pub mod huge_page;
pub mod jobs;
pub mod key;
pub mod memalloc;
pub mod memory;
pub mod memregion;
pub mod module;
pub mod module_parameter;
pub mod platform_device;
pub mod repeated_work;
pub mod resource;
mod sys;
pub mod sysfs;
pub mod trace;
mod wait;
pub mod workqueue;

/// Prefix of messages that are not about a device, as `module!` defines it for modules.
const __LOG_PREFIX: &[u8] = b"libnvdimm\0";
