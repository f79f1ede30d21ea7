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
/// A request cannot do so itself: user space is told, which takes memory and locks, and whoever has submitted the request may
/// be a file system that holds some.
///
/// The driver of the disk owns it and shows it by [`Driver::demotion`](super::Driver::demotion); which disk it is for is then known as soon as
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
    pub fn new() -> Result<Self> {
        // INVARIANT: The pointer is null.
        let target = Arc::new(
            Target {
                disk: Atomic::new(ptr::null_mut()),
            },
            GFP_KERNEL,
        )?;
        Ok(Self(RepeatedWork::new(target)?))
    }

    /// Makes the disk read only soon. Does nothing once the disk is being removed.
    pub fn start(&self) {
        self.0.start();
    }

    /// Says which disk it is; `EBUSY` if it is for another one already.
    ///
    /// # Safety
    ///
    /// `disk` is valid, and its removal does not begin, until [`Self::detach`] was called.
    pub(super) unsafe fn attach(&self, disk: *mut sys::gendisk) -> Result {
        // INVARIANT: By the safety requirements, as `detach` stops the work.
        self.0
            .job()
            .disk
            .cmpxchg(ptr::null_mut(), disk, Full)
            .map(drop)
            .map_err(|_| EBUSY)
    }

    /// Waits until the disk is not used any more, and leaves it alone from now on.
    pub(super) fn detach(&self) {
        self.0.stop();
    }
}
