// SPDX-License-Identifier: GPL-2.0

//! What is to be scrubbed, what is being scrubbed, and how often everything has been.

use super::{
    Status,
    FIRST_PAUSE,
    LONGEST_PAUSE, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::device::Node;
use nd::Region;
use nd_format::nfit::ars::{
    Depth,
    MemoryKind, //
};

/// A range of addresses that can be scrubbed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// First address.
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) len: u64,
    /// Kind of memory.
    pub(crate) kind: MemoryKind,
}

/// A target with its region, and what is asked for.
pub(super) struct Range {
    target: Target,
    region: ARef<Node<Region>>,
    short: bool,
    long: bool,
}

impl Range {
    fn wants(&mut self, depth: Depth) -> &mut bool {
        match depth {
            Depth::Short => &mut self.short,
            Depth::Long => &mut self.long,
        }
    }
}

/// The scrubs of a bus.
pub(super) struct State {
    /// In the order in which they are scrubbed: the one that was scrubbed last is the last.
    ranges: KVec<Range>,
    /// What we have the firmware scrub just now.
    active: Option<Target>,
    /// Whether results that the firmware has are from after the last ones that were taken. Those that it has before we
    /// ever started a scrub are.
    fresh: bool,
    count: u32,
    is_running: bool,
    is_stopped: bool,
    /// Seconds until the firmware is asked again.
    pause: u32,
    /// Whether a pause was cut short for somebody already.
    hastened: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            ranges: KVec::new(),
            active: None,
            fresh: true,
            count: 0,
            is_running: false,
            is_stopped: false,
            pause: FIRST_PAUSE,
            hastened: false,
        }
    }
}

/// What is to be done next.
pub(super) enum Next {
    /// Scrub a range, from now on no longer asked for.
    Scrub {
        target: Target,
        depth: Depth,
        region: ARef<Node<Region>>,
    },
    /// Nothing: all has been done just now.
    Done,
    /// Nothing, and nothing was asked for: somebody was curious while the last scrub ended.
    Nothing,
}

impl State {
    /// Adds a range, which is asked for. `ENXIO`: there are no more scrubs.
    pub(super) fn add(&mut self, target: Target, region: ARef<Node<Region>>, long: bool) -> Result {
        if self.is_stopped {
            return Err(ENXIO);
        }
        self.ranges.push(
            Range {
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
            is_new |= !core::mem::replace(range.wants(depth), true);
        }
        if !is_new {
            return Err(EBUSY);
        }
        self.is_running = true;
        self.pause = FIRST_PAUSE;
        Ok(())
    }

    /// Also tells whether the job is to be hastened for a curious reader.
    pub(super) fn status(&mut self, is_curious: bool) -> (Status, bool) {
        let hasten = is_curious && self.is_running && !self.is_stopped && !self.hastened;
        if hasten {
            self.hastened = true;
            self.pause = FIRST_PAUSE;
        }
        let status = Status {
            count: self.count,
            is_running: self.is_running && !self.is_stopped,
        };
        (status, hasten)
    }

    /// The regions whose errors the next results of the firmware tell, and whether there may be such results.
    pub(super) fn regions_awaiting_results(&mut self) -> (KVec<ARef<Node<Region>>>, bool) {
        let mut regions = KVec::new();
        self.hastened = false;
        for range in &self.ranges {
            if self.active.is_none_or(|active| active == range.target) {
                // Out of memory: those left out learn of their errors when they are enabled.
                let _ = regions.push(range.region.clone(), GFP_KERNEL);
            }
        }
        (regions, self.fresh)
    }

    /// The firmware is still at it: the seconds after which to ask again.
    pub(super) fn wait_longer(&mut self) -> u32 {
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }

    /// The firmware has begun with the rest of a range: the seconds after which to ask it.
    pub(super) fn begin_again(&mut self) -> u32 {
        self.pause = FIRST_PAUSE;
        FIRST_PAUSE
    }

    /// The firmware is free: what it has found was taken.
    pub(super) fn next(&mut self) -> Next {
        self.active = None;
        self.fresh = false;
        self.pause = FIRST_PAUSE;
        for depth in [Depth::Short, Depth::Long] {
            for range in &mut self.ranges {
                if core::mem::take(range.wants(depth)) {
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

    pub(super) fn started(&mut self, target: &Target) {
        self.active = Some(*target);
        self.fresh = true;
        // The others come first the next time.
        if let Some(range) = self.take(target) {
            // There is room: it was there before.
            let _ = self.ranges.push_within_capacity(range);
        }
    }

    /// A range was not scrubbed after all.
    pub(super) fn put_back(&mut self, target: &Target, depth: Depth) {
        for range in &mut self.ranges {
            if range.target == *target {
                *range.wants(depth) = true;
            }
        }
    }

    /// A range cannot be scrubbed.
    pub(super) fn give_up(&mut self, target: &Target) {
        drop(self.take(target));
    }

    fn take(&mut self, target: &Target) -> Option<Range> {
        let index = self
            .ranges
            .iter()
            .position(|range| range.target == *target)?;
        self.ranges.remove(index).ok()
    }

    /// No more scrubs. The regions are to be let go of without the lock.
    pub(super) fn stop(&mut self) -> KVec<Range> {
        self.is_stopped = true;
        core::mem::take(&mut self.ranges)
    }
}
