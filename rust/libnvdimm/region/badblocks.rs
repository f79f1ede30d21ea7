// SPDX-License-Identifier: GPL-2.0

//! The bad sectors of a region, which the attribute `badblocks` shows.
//!
//! ```text
//! scrub ──> Bus: bad ranges ──> Region: badblocks
//!                           ├─> raw disk: badblocks
//!                           └─> medium of a BTT
//! ```
//!
//! A read that causes a machine check fails, but its address is not on these lists until a scrub
//! has found it.
//!
//! The list of the bus has addresses. Each user of the memory has a list of sectors of its own. It
//! is filled from the list of the bus at first, and on each [`Event::RevalidatePoison`]. Cleared
//! sectors are removed from the lists of bus and region when they are cleared, by user space or by
//! a write, and from the list of the medium that is written
//! ([`NamespaceMemory`](crate::namespace::NamespaceMemory)).

use super::{
    notify_children,
    Region, //
};
use crate::{
    Bus,
    Event, //
};
use core::ops::Range;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    fmt::Write as _,
    page::PAGE_SIZE,
    prelude::*,
    str::Formatter,
    sync::SetOnce, //
};
use kernel_ext::{
    badblocks::{
        BadSectors,
        Badblocks, //
    },
    block::SECTOR_SIZE,
    device::TypedDevice,
    sysfs::{
        AttributePath,
        Notifier, //
    },
};

/// The list of a region, and the notifier of its attribute.
#[pin_data]
pub(super) struct RegionBadblocks {
    #[pin]
    list: Badblocks,
    changed: SetOnce<Notifier>,
}

impl RegionBadblocks {
    pub(super) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            list <- Badblocks::new(),
            changed: SetOnce::new(),
        })
    }
}

impl Region {
    /// Adds to `list`, which belongs to a user of this memory, the known bad sectors among the
    /// `len` bytes at the physical address `start`. Sectors are counted from `start`.
    ///
    /// A list that is full stays incomplete. A read of a sector that is missing causes a machine
    /// check instead of being refused. A write does not clear the error either, so the bus forgets
    /// the sector until a scrub finds it again: it would be taken for bad later although it was
    /// written.
    pub(crate) fn populate_badblocks(
        self: &TypedDevice<Self>,
        start: u64,
        len: u64,
        list: &Badblocks,
    ) {
        if let Some(left_out) = self.fill(list, start, len) {
            self.bus()
                .badrange()
                .leave_out(left_out..start.saturating_add(len));
        }
    }

    /// Adds to `list` the known bad sectors among the `len` bytes at the physical address `start`.
    /// Returns the first bad address that is missing because the list is full.
    fn fill(self: &TypedDevice<Self>, list: &Badblocks, start: u64, len: u64) -> Option<u64> {
        let mut dropped = 0_u64;
        let mut left_out = None;
        self.bus()
            .badrange()
            .each_within(start..start.saturating_add(len), |bad| {
                let first = (bad.start - start) / SECTOR_SIZE;
                let end = (bad.end - start).div_ceil(SECTOR_SIZE);
                let range = BadSectors {
                    first,
                    count: end - first,
                };
                if list.add(range).is_err() {
                    dropped += 1;
                    left_out.get_or_insert(bad.start);
                }
            });
        if dropped != 0 {
            dev_warn!(
                self,
                "a list of its bad sectors is full: {dropped} ranges are not in it\n"
            );
        }
        left_out
    }

    /// Starts a new list when the region is enabled.
    pub(super) fn init_badblocks(self: &TypedDevice<Self>, bound: &Device<Bound>) {
        if self.badblocks.changed.as_ref().is_none() {
            if let Ok(notifier) = Notifier::new(bound, AttributePath::new(c"badblocks")) {
                self.badblocks.changed.populate(notifier);
            }
        }
        let everything = BadSectors {
            first: 0,
            count: self.size().div_ceil(SECTOR_SIZE),
        };
        self.badblocks.list.remove(everything);
        self.fill(&self.badblocks.list, self.start(), self.size());
    }

    pub(super) fn show_badblocks(&self, out: &mut Formatter<'_>) -> Result {
        let mut page = KVec::from_elem(0_u8, PAGE_SIZE, GFP_KERNEL)?;
        let len = self
            .badblocks
            .list
            .show(page.first_chunk_mut().ok_or(EIO)?)?;
        let text = page.get(..len).ok_or(EIO)?;
        out.write_str(core::str::from_utf8(text).map_err(|_| EIO)?)?;
        Ok(())
    }

    /// Updates the list and notifies all drivers below the region, after ranges were found bad
    /// ([`Bus::add_bad_range`]). Does nothing while the region is disabled.
    pub fn revalidate_poison(self: &TypedDevice<Self>) {
        {
            let lock = self.lock_device();
            if !lock.is_bound() {
                return;
            }
            self.fill(&self.badblocks.list, self.start(), self.size());
        }
        self.notify_badblocks();
        notify_children(self, Event::RevalidatePoison);
    }

    fn notify_badblocks(&self) {
        if let Some(changed) = self.badblocks.changed.as_ref() {
            changed.notify();
        }
    }

    /// Removes the sectors that lie wholly within the physical addresses `cleared` from the list.
    fn clear_badblocks(&self, cleared: &Range<u64>) {
        let end = self.start().saturating_add(self.size());
        let cleared = cleared.start.max(self.start())..cleared.end.min(end);
        if cleared.is_empty() {
            return;
        }
        let first = (cleared.start - self.start()).div_ceil(SECTOR_SIZE);
        let end = (cleared.end - self.start()) / SECTOR_SIZE;
        if end <= first {
            return;
        }
        let range = BadSectors {
            first,
            count: end - first,
        };
        self.badblocks.list.remove(range);
        self.notify_badblocks();
    }

    /// Records that the poison at physical addresses of the region was cleared.
    pub(super) fn poison_cleared(&self, cleared: &Range<u64>) {
        self.bus().forget_bad_range(cleared);
        self.clear_badblocks(cleared);
    }
}

impl Bus {
    /// Records that a scrub has found the contents of the `len` bytes at the physical address
    /// `start` to be lost. What was cleared since the scrub began is left out.
    ///
    /// The caller notifies the regions afterwards ([`Region::revalidate_poison`]). Fails with
    /// `ENOMEM` if the range could not be recorded.
    pub fn add_bad_range(&self, start: u64, len: u64) -> Result {
        self.badrange().add(start..start.saturating_add(len))
    }

    /// Records that a scrub is about to begin. All ranges that are [added](Self::add_bad_range)
    /// from now on are its results.
    pub fn scrub_begins(&self) {
        self.badrange().scrub_begins();
    }

    fn forget_bad_range(&self, cleared: &Range<u64>) {
        self.badrange().forget(cleared.clone());
    }

    /// Records that user space has cleared the poison at physical addresses, which may be of any
    /// region or none.
    pub(crate) fn poison_cleared(self: &TypedDevice<Self>, cleared: &Range<u64>) {
        self.forget_bad_range(cleared);
        // The closure never fails.
        let _ = self.for_each_child(|child| {
            if let Some(region) = TypedDevice::<Region>::from_device(child) {
                region.clear_badblocks(cleared);
            }
            Ok(())
        });
    }
}
