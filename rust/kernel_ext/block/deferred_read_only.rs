// SPDX-License-Identifier: GPL-2.0

//! Disks that become read-only because of an error that a request has hit.
//!
//! [`DeferredReadOnly`] is shared by the driver of a disk, which starts it, and by the disk, which
//! owns an [`Attachment`]. There are no locks here: fully ordered atomics synchronise the two.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::{
    delayed_work::{
        DelayedJob,
        DelayedWork, //
    },
    sys, //
};
use core::ptr;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full, //
        },
        Arc, //
    },
    time::Jiffies, //
};

/// Makes a disk read-only in the background.
///
/// A request cannot do so itself. The change sends a uevent, which allocates memory and takes
/// locks, and the submitter of the request may be a file system that holds locks.
///
/// A disk is created with it
/// ([`Parameters::deferred_read_only`](super::Parameters::deferred_read_only)). If one of the first
/// requests starts it before the disk is added, it runs once the disk was added.
pub struct DeferredReadOnly {
    work: DelayedWork<Target>,
    /// Set once it was used for a disk.
    is_taken: Atomic<bool>,
}

/// # Invariants
///
/// `disk` is null, or a valid disk that was added and whose removal does not begin before the work
/// of this target has been stopped.
struct Target {
    disk: Atomic<*mut sys::gendisk>,
    /// Set once it was started.
    is_wanted: Atomic<bool>,
}

impl DelayedJob for Target {
    fn run(&self) -> Option<Jiffies> {
        let disk = self.disk.load(Acquire);

        if !disk.is_null() {
            // SAFETY: By the type invariant the disk is valid, was added and is not being removed,
            // as the work that calls this was not stopped yet. The function may sleep, as work may.
            unsafe { sys::set_disk_ro(disk, true) };
        }
        None
    }
}

impl DeferredReadOnly {
    /// Creates one for a disk that does not exist yet. `ENOMEM`: out of memory.
    pub fn new() -> Result<Arc<Self>> {
        // INVARIANT: The pointer is null.
        let target = Arc::new(
            Target {
                disk: Atomic::new(ptr::null_mut()),
                is_wanted: Atomic::new(false),
            },
            GFP_KERNEL,
        )?;
        let deferred = Self {
            work: DelayedWork::new(target)?,
            is_taken: Atomic::new(false),
        };
        Ok(Arc::new(deferred, GFP_KERNEL)?)
    }

    /// Schedules the change. Does nothing once the disk is being removed. May be called in atomic
    /// context.
    pub fn start(&self) {
        // Fully ordered, like the exchange in `attach`: either `attach` sees that it is wanted or
        // the work sees the disk.
        self.work.job().is_wanted.xchg(true, Full);
        self.work.start();
    }

    /// Reserves it for one disk, which does not exist yet. `EBUSY`: it was used for a disk before.
    pub(super) fn take(self: Arc<Self>) -> Result<Attachment> {
        self.is_taken
            .cmpxchg(false, true, Full)
            .map_err(|_| EBUSY)?;
        Ok(Attachment(self))
    }
}

/// Ties a [`DeferredReadOnly`] to a disk. Dropping it waits until the work does not use the disk
/// any more; the work does nothing from then on.
pub(super) struct Attachment(Arc<DeferredReadOnly>);

impl Attachment {
    /// Sets the disk.
    ///
    /// # Safety
    ///
    /// `disk` is valid and was added, and its removal does not begin before `self` was dropped.
    pub(super) unsafe fn attach(&self, disk: *mut sys::gendisk) {
        let target = self.0.work.job();

        // INVARIANT: The caller passes a disk that was added and that is not removed before `self`
        // was dropped, which stops the work.
        target.disk.xchg(disk, Full);
        if target.is_wanted.load(Acquire) {
            self.0.work.start();
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.0.work.stop();
    }
}
