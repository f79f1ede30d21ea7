// SPDX-License-Identifier: GPL-2.0

//! Bio-based disks: block devices whose driver receives every bio as it was submitted, without
//! request queueing.
//!
//! The `kernel` crate has abstractions for blk-mq only. A memory-mapped medium does not need it: a
//! request is executed in the context of its submitter, by copying, and is complete when
//! [`Driver::submit`] returns.
//!
//! - [`Disk`] owns a `gendisk` from its registration to its removal. [`Driver`] is the trait that
//!   the driver of a disk implements.
//! - [`Bio`] is one request, which the driver owns until it ends it.
//! - [`Source`] and [`Sink`] iterate over the memory of a request. User space may write to that
//!   memory at any time, so no reference to it exists; the functions of [`memory`](crate::memory)
//!   copy to and from it.
//! - [`DeferredReadOnly`] makes a disk read-only in the background when a request finds that
//!   necessary.
//! - [`Limits`] describes the capabilities of a disk (`struct queue_limits`).
//!
//! Nothing here holds a lock while a driver runs.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

mod bio;
mod cursor;
mod deferred_read_only;
mod disk;
mod limits;

pub use bio::{
    Bio,
    Operation, //
};
pub use cursor::{
    FromMedium,
    Sink,
    Source,
    ToMedium,
    Transfer, //
};
pub use deferred_read_only::DeferredReadOnly;
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

/// log2 of the sector size of the block layer.
pub const SECTOR_SHIFT: u32 = 9;

/// The sector size of the block layer in bytes: the unit of capacities and positions, independent
/// of the logical block size.
pub const SECTOR_SIZE: u64 = 1 << SECTOR_SHIFT;
