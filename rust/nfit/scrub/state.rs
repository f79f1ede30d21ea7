// SPDX-License-Identifier: GPL-2.0

//! Requested ranges, the active scrub, and the count of completed ones.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::device::TypedDevice;
use nd::Region;
use nd_format::nfit::ars::{
    Depth,
    MemoryKind, //
};

/// Seconds between two polls of the firmware, at first and at most.
pub(super) const FIRST_PAUSE: u32 = 1;
const LONGEST_PAUSE: u32 = 30 * 60;

/// State that user space sees.
pub(crate) struct Status {
    /// Number of completed scrubs of all requested ranges.
    pub(crate) count: u32,
    /// `true` while a range is still to be scrubbed.
    pub(crate) is_running: bool,
}

/// A range of addresses that can be scrubbed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScrubRange {
    /// First address.
    pub(crate) start: u64,
    /// Length in bytes.
    pub(crate) len: u64,
    /// Kind of memory.
    pub(crate) kind: MemoryKind,
}

/// A target with its region and its requests.
pub(super) struct Entry {
    target: ScrubRange,
    region: ARef<TypedDevice<Region>>,
    short: bool,
    long: bool,
}

impl Entry {
    fn request_mut(&mut self, depth: Depth) -> &mut bool {
        match depth {
            Depth::Short => &mut self.short,
            Depth::Long => &mut self.long,
        }
    }
}

/// State of the scrubs of a bus.
pub(super) struct ScrubState {
    /// In the order in which they are scrubbed: the most recently scrubbed one is last.
    ranges: KVec<Entry>,
    /// Range of the scrub that the driver started and that has not ended.
    active: Option<ScrubRange>,
    /// `true` if the firmware may have results that were not collected yet. It may have some before
    /// the driver starts its first scrub.
    fresh: bool,
    count: u32,
    is_running: bool,
    is_stopped: bool,
    /// Seconds until the next poll of the firmware.
    pause: u32,
    /// `true` if a reader has cut the current pause short already.
    polls_soon: bool,
}

impl Default for ScrubState {
    fn default() -> Self {
        Self {
            ranges: KVec::new(),
            active: None,
            fresh: true,
            count: 0,
            is_running: false,
            is_stopped: false,
            pause: FIRST_PAUSE,
            polls_soon: false,
        }
    }
}

/// Next step of the job.
pub(super) enum Next {
    /// Scrub a range, whose request is cleared.
    Scrub {
        target: ScrubRange,
        depth: Depth,
        region: ARef<TypedDevice<Region>>,
    },
    /// Stop: all requested ranges have been scrubbed.
    Done,
    /// Stop: there was no request. The job ran because a reader of the status cut its pause short.
    Nothing,
}

impl ScrubState {
    /// Adds a range and requests its scrub. `ENXIO`: the scrubs were stopped.
    pub(super) fn add(
        &mut self,
        target: ScrubRange,
        region: ARef<TypedDevice<Region>>,
        long: bool,
    ) -> Result {
        if self.is_stopped {
            return Err(ENXIO);
        }
        self.ranges.push(
            Entry {
                target,
                region,
                short: true,
                long,
            },
            GFP_KERNEL,
        )?;
        self.is_running = true;
        Ok(())
    }

    pub(super) fn request(&mut self, depth: Depth) -> Result {
        if self.is_stopped || self.ranges.is_empty() {
            return Err(ENOTTY);
        }
        let mut is_new = false;
        for range in &mut self.ranges {
            is_new |= !core::mem::replace(range.request_mut(depth), true);
        }
        if !is_new {
            return Err(EBUSY);
        }
        self.is_running = true;
        self.pause = FIRST_PAUSE;
        Ok(())
    }

    /// Also returns whether to poll the firmware soon, for a reader of the status.
    pub(super) fn status(&mut self, poll_soon: bool) -> (Status, bool) {
        let poll_now = poll_soon && self.is_running && !self.is_stopped && !self.polls_soon;
        if poll_now {
            self.polls_soon = true;
            self.pause = FIRST_PAUSE;
        }
        let status = Status {
            count: self.count,
            is_running: self.is_running && !self.is_stopped,
        };
        (status, poll_now)
    }

    /// Returns the regions that the next results concern, and whether there may be results.
    pub(super) fn regions_awaiting_results(&mut self) -> (KVec<ARef<TypedDevice<Region>>>, bool) {
        let mut regions = KVec::new();
        self.polls_soon = false;
        for range in &self.ranges {
            if self.active.is_none_or(|active| active == range.target) {
                // Out of memory: a region that is missing here learns of its errors when it is
                // enabled.
                let _ = regions.push(range.region.clone(), GFP_KERNEL);
            }
        }
        (regions, self.fresh)
    }

    /// The scrub is still running. Returns the seconds until the next poll.
    pub(super) fn wait_longer(&mut self) -> u32 {
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }

    /// The firmware has started on the rest of a range. Returns the seconds until the next poll.
    pub(super) fn begin_again(&mut self) -> u32 {
        self.pause = FIRST_PAUSE;
        FIRST_PAUSE
    }

    /// The scrub has ended and its results were collected. Returns the next step.
    pub(super) fn next(&mut self) -> Next {
        self.active = None;
        self.fresh = false;
        self.pause = FIRST_PAUSE;
        for depth in [Depth::Short, Depth::Long] {
            for range in &mut self.ranges {
                if core::mem::take(range.request_mut(depth)) {
                    return Next::Scrub {
                        target: range.target,
                        depth,
                        region: range.region.clone(),
                    };
                }
            }
        }
        if !core::mem::take(&mut self.is_running) {
            return Next::Nothing;
        }
        self.count = self.count.wrapping_add(1);
        Next::Done
    }

    pub(super) fn started(&mut self, target: &ScrubRange) {
        self.active = Some(*target);
        self.fresh = true;
        // Move the range to the end, so that the others come first the next time.
        if let Some(range) = self.take(target) {
            // The capacity suffices: the range was in the list before.
            let _ = self.ranges.push_within_capacity(range);
        }
    }

    /// Requests a range again whose scrub could not be started yet.
    pub(super) fn put_back(&mut self, target: &ScrubRange, depth: Depth) {
        for range in &mut self.ranges {
            if range.target == *target {
                *range.request_mut(depth) = true;
            }
        }
    }

    /// Removes a range that cannot be scrubbed.
    pub(super) fn give_up(&mut self, target: &ScrubRange) {
        drop(self.take(target));
    }

    fn take(&mut self, target: &ScrubRange) -> Option<Entry> {
        let index = self
            .ranges
            .iter()
            .position(|range| range.target == *target)?;
        self.ranges.remove(index).ok()
    }

    /// Stops the scrubs. The caller drops the returned regions without the lock.
    pub(super) fn stop(&mut self) -> KVec<Entry> {
        self.is_stopped = true;
        core::mem::take(&mut self.ranges)
    }
}
