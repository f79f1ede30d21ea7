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
/// A request cannot do so itself: user space is told, which takes memory and locks, and the submitter of the
/// request may be a file system that holds some.
///
/// It is shared by the driver of the disk, which starts it, and by the disk, which is made with it
/// ([`Parameters::demotion`](super::Parameters::demotion)): which disk it is for is then known as soon as
/// requests arrive.
pub struct Demotion(RepeatedWork<Target>);

/// # Invariants
///
/// `disk` is null, or valid and not being removed until the work that it is the target of has been stopped.
struct Target {
    disk: Atomic<*mut sys::gendisk>,
}

impl Job for Target {
    fn run(&self) -> Option<Jiffies> {
        let disk = self.disk.load(Acquire);

        if !disk.is_null() {
            // SAFETY: The disk is valid, and its parents are there, by the type invariant: the work, which this is, was not
            // stopped yet.
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
            },
            GFP_KERNEL,
        )?;
        Ok(Arc::new(Self(RepeatedWork::new(target)?), GFP_KERNEL)?)
    }

    /// Makes the disk read only soon. Does nothing once the disk is being removed.
    pub fn start(&self) {
        self.0.start();
    }

    /// Says which disk it is, until the attachment is dropped; it is of no use for a disk after that.
    ///
    /// `EBUSY`: it is, or was, for another disk.
    ///
    /// # Safety
    ///
    /// `disk` is valid, and its removal does not begin, until the attachment has been dropped.
    pub(super) unsafe fn attach(self: Arc<Self>, disk: *mut sys::gendisk) -> Result<Attachment> {
        // INVARIANT: By the safety requirements, as the attachment stops the work when it is dropped.
        self.0
            .job()
            .disk
            .cmpxchg(ptr::null_mut(), disk, Full)
            .map_err(|_| EBUSY)?;
        Ok(Attachment(self))
    }
}

/// Keeps a [`Demotion`] attached to a disk. When dropped it waits until the disk is not used any more, and
/// the demotion leaves it alone from then on.
pub(super) struct Attachment(Arc<Demotion>);

impl Drop for Attachment {
    fn drop(&mut self) {
        self.0 .0.stop();
    }
}
