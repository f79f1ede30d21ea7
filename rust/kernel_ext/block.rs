// SPDX-License-Identifier: GPL-2.0

//! Bio-based disks: block devices whose driver is given every request as it was submitted, without
//! a request queue.
//!
//! The `kernel` crate has abstractions of blk-mq only. A memory-mapped medium wants none of that: a
//! request is carried out in the context of its submitter, by copying, and is complete when
//! [`Driver::submit`] returns.
//!
//! - [`Disk`] owns a disk from its announcement to its removal; [`Driver`] is what a driver
//!   implements for it;
//! - [`Bio`] is one request, owned by the driver until it is ended;
//! - [`Source`] and [`Sink`] walk over the memory of a request. User space may write to that memory
//!   at any time, so there is never a reference to it, only copies made by the functions of
//!   [`memory`](crate::memory);
//! - [`Demotion`] makes a disk read only when a request finds that it has to be;
//! - [`Limits`] says what a disk can do.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

mod bio;
mod cursor;
mod demotion;
mod disk;
mod limits;

pub use bio::{
    Bio,
    Operation, //
};
pub use cursor::{
    Sink,
    Source, //
};
pub use demotion::Demotion;
pub use disk::{
    Disk,
    DiskRef,
    Driver,
    Geometry,
    Parameters, //
};
pub use limits::{
    BlockSize,
    Limits, //
};

/// log2 of the unit in which the block layer counts.
pub const SECTOR_SHIFT: u32 = 9;

/// The unit of capacities and positions in the block layer, in bytes, whatever the logical block
/// size.
pub const SECTOR_SIZE: u64 = 1 << SECTOR_SHIFT;
