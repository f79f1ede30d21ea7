// SPDX-License-Identifier: GPL-2.0

//! Disks that become read only because of what a request has met.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::{
    repeated_work::{
        Job,
        RepeatedWork, //
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

/// Makes a disk read only, in the background.
///
/// A request cannot do so itself: user space is told, which takes memory and locks, and the
/// submitter of the request may be a file system that holds some.
///
/// It is shared by the driver of the disk, which starts it, and by the disk, which is made with it
/// ([`Parameters::demotion`](super::Parameters::demotion)). Started before the disk was added, by
/// one of the first requests, it is done when the disk was.
pub struct Demotion {
    work: RepeatedWork<Target>,
    /// Whether it is, or was, for a disk.
    is_taken: Atomic<bool>,
}

/// # Invariants
///
/// `disk` is null, or valid, added and not being removed until the work that it is the target of
/// has been stopped.
struct Target {
    disk: Atomic<*mut sys::gendisk>,
    /// Whether it was started.
    is_wanted: Atomic<bool>,
}

impl Job for Target {
    fn run(&self) -> Option<Jiffies> {
        let disk = self.disk.load(Acquire);

        if !disk.is_null() {
            // SAFETY: The disk is valid, and its parents are there, by the type invariant: the
            // work, which this is, was not stopped yet.
            unsafe { sys::set_disk_ro(disk, true) };
        }
        None
    }
}

impl Demotion {
    /// Prepares to demote a disk that is not known yet.
    pub fn new() -> Result<Arc<Self>> {
        // INVARIANT: The pointer is null.
        let target = Arc::new(
            Target {
                disk: Atomic::new(ptr::null_mut()),
                is_wanted: Atomic::new(false),
            },
            GFP_KERNEL,
        )?;
        let demotion = Self {
            work: RepeatedWork::new(target)?,
            is_taken: Atomic::new(false),
        };
        Ok(Arc::new(demotion, GFP_KERNEL)?)
    }

    /// Makes the disk read only soon. Does nothing once the disk is being removed.
    pub fn start(&self) {
        // Fully ordered, as is what `attach` does: either that finds it wanted or the work finds
        // the disk.
        self.work.job().is_wanted.xchg(true, Full);
        self.work.start();
    }

    /// Takes it for a disk, which is not known yet; it is of no use for another one. `EBUSY`: it is
    /// taken.
    pub(super) fn take(self: Arc<Self>) -> Result<Attachment> {
        self.is_taken
            .cmpxchg(false, true, Full)
            .map_err(|_| EBUSY)?;
        Ok(Attachment(self))
    }
}

/// Keeps a [`Demotion`] for a disk. When dropped it waits until the disk is not used any more, and
/// the demotion leaves it alone from then on.
pub(super) struct Attachment(Arc<Demotion>);

impl Attachment {
    /// Says which disk it is.
    ///
    /// # Safety
    ///
    /// `disk` is valid and was added, and its removal does not begin until this has been dropped.
    pub(super) unsafe fn attach(&self, disk: *mut sys::gendisk) {
        let target = self.0.work.job();

        // INVARIANT: By the safety requirements, as the work is stopped when this is dropped.
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
