// SPDX-License-Identifier: GPL-2.0

//! Which sectors of a region are bad, as the attribute `badblocks` shows.
//!
//! ```text
//! scrub ──> Bus: bad ranges ──> Region: badblocks
//!                           ├─> raw disk: badblocks
//!                           └─> medium of a BTT
//! ```
//!
//! A machine check is the error of whoever reads, but not on these lists before a scrub has found it.
//!
//! The bus knows addresses. Whoever uses them has a list of sectors of its own, which is filled from that of the bus when it
//! begins and whenever [`Event::RevalidatePoison`] tells that there is more. What was cleared is taken off each of them by
//! those who know: the core for bus and region, drivers for theirs.

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
        BadRange,
        Badblocks, //
    },
    block::SECTOR_SIZE,
    device::Node,
    sysfs::{
        AttributePath,
        Notifier, //
    },
};

/// The bad sectors of a region.
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
    /// Adds to `list`, of whoever uses them, what is known to be bad of `len` bytes from the physical address `start` on. Sectors count
    /// from there.
    ///
    /// A list that is full is left incomplete: what is not in it ends in a machine check instead of being refused before. Writes do not
    /// clear it either, so it is forgotten until a scrub finds it again: later it would be taken for bad though it was written.
    pub fn list_bad_sectors(self: &Node<Self>, start: u64, len: u64, list: &Badblocks) {
        if let Some(left_out) = self.fill(list, start, len) {
            self.bus()
                .badrange()
                .leave_out(left_out..start.saturating_add(len));
        }
    }

    /// Adds to `list` what is known to be bad of `len` bytes from the physical address `start` on. Returns the first address that is not
    /// in the list because it is full.
    fn fill(self: &Node<Self>, list: &Badblocks, start: u64, len: u64) -> Option<u64> {
        let mut dropped = 0_u64;
        let mut left_out = None;
        self.bus()
            .badrange()
            .each_within(start..start.saturating_add(len), |bad| {
                let first = (bad.start - start) / SECTOR_SIZE;
                let end = (bad.end - start).div_ceil(SECTOR_SIZE);
                let range = BadRange {
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
                "its list of bad sectors is full, {dropped} ranges are not in it\n"
            );
        }
        left_out
    }

    /// Begins a new list, when the region is enabled.
    pub(super) fn init_badblocks(self: &Node<Self>, bound: &Device<Bound>) {
        if self.badblocks.changed.as_ref().is_none() {
            if let Ok(notifier) = Notifier::new(bound, AttributePath::new(c"badblocks")) {
                self.badblocks.changed.populate(notifier);
            }
        }
        let everything = BadRange {
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

    /// Tells the region and all who use its memory that ranges have become bad ([`Bus::add_bad_range`]).
    pub fn revalidate_poison(self: &Node<Self>) {
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

    /// Takes what lies wholly in the physical addresses `cleared` off the list.
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
        let range = BadRange {
            first,
            count: end - first,
        };
        self.badblocks.list.remove(range);
        self.notify_badblocks();
    }

    /// Notes that the poison of physical addresses of the region was cleared.
    pub(super) fn poison_cleared(&self, cleared: &Range<u64>) {
        self.bus().forget_bad_range(cleared);
        self.clear_badblocks(cleared);
    }
}

impl Bus {
    /// Notes that a scrub has found the content of `len` bytes from the physical address `start` on to be lost. What was cleared since the
    /// scrub began is left out.
    ///
    /// Whoever does so tells the regions afterwards ([`Region::revalidate_poison`]). `ENOMEM`: it could not be noted.
    pub fn add_bad_range(&self, start: u64, len: u64) -> Result {
        self.badrange().add(start..start.saturating_add(len))
    }

    /// Notes that a scrub is about to begin, of which all results are that are [noted](Self::add_bad_range) from now on.
    pub fn scrub_begins(&self) {
        self.badrange().scrub_begins();
    }

    fn forget_bad_range(&self, cleared: &Range<u64>) {
        self.badrange().forget(cleared.clone());
    }

    /// Notes that user space has cleared the poison of physical addresses, wherever they are.
    pub(crate) fn poison_cleared(self: &Node<Self>, cleared: &Range<u64>) {
        self.forget_bad_range(cleared);
        // The closure never fails.
        let _ = self.for_each_child(|child| {
            if let Some(region) = Node::<Region>::from_device(child) {
                region.clear_badblocks(cleared);
            }
            Ok(())
        });
    }
}
