// SPDX-License-Identifier: GPL-2.0

//! Clearing of poison: making memory whose content is lost usable again.
//!
//! The provider clears poison with a command, in units of its own (ACPI 6.5, 9.20.7.6). A provider
//! without such a command has nothing to clear: a store repairs the memory.
//!
//! Firmware may refuse a large range, or clear only the start of it, and its effect on the good
//! sectors of a range is undefined. So only bad sectors are cleared, in small steps.

use super::Region;
use crate::provider::{
    Command,
    Status, //
};
use core::ops::Range;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use kernel_ext::{
    badblocks::{
        BadSectors,
        Badblocks, //
    },
    block::SECTOR_SIZE,
    memory::PmemRange,
    mm::NoIo, //
};
use nd_format::uapi::{
    bus_command,
    ArsCap,
    ClearError, //
};

/// Maximum number of bytes that are cleared at once, unless the unit of the provider is larger.
const STEP: u64 = PAGE_SIZE as u64;

/// Progress of a step, as numbers of the sectors behind the last ones.
struct Done {
    /// Behind the sectors that were cleared.
    cleared: u64,
    /// Behind the sectors that were removed from the list of bad sectors. These can be more than
    /// were cleared: a full list has no room for the rest of a run that is split.
    off_list: u64,
}

impl Region {
    /// Clears the poison of those of the sectors `wanted` that are in `badblocks`, and removes them
    /// from the list. Sectors have 512 bytes and are counted from the start of `memory`, a part of
    /// the region. Their contents are undefined afterwards.
    ///
    /// Fails with `EIO` or an error of the provider if something could not be cleared, and with
    /// `ENXIO` if the provider clears in units larger than what is bad and the unit is not within
    /// `wanted`. What was cleared before a failure is removed from the list.
    pub(crate) fn clear_poison(
        &self,
        memory: &PmemRange,
        badblocks: &Badblocks,
        wanted: Range<u64>,
    ) -> Result {
        let end = wanted.end.min(memory.len() / SECTOR_SIZE);
        let mut next = wanted.start;
        // Sectors before this one are off the list, though they may not have been cleared yet.
        let mut off_list = next;

        loop {
            let left = off_list.min(end).saturating_sub(next);
            let bad = if left != 0 {
                BadSectors {
                    first: next,
                    count: left,
                }
            } else {
                // The list is searched after each step: the provider may have slept, and other
                // threads add to the list.
                match badblocks.find(next, end.saturating_sub(next)) {
                    Some(bad) => bad,
                    None => return Ok(()),
                }
            };
            let step = self.clear_first(memory, badblocks, bad, wanted.start..end)?;
            next = step.cleared;
            off_list = off_list.max(step.off_list);
        }
    }

    /// Clears as much of `bad` as is cleared at once.
    fn clear_first(
        &self,
        memory: &PmemRange,
        badblocks: &Badblocks,
        bad: BadSectors,
        wanted: Range<u64>,
    ) -> Result<Done> {
        // Cannot overflow: all of them are sectors of `memory`.
        let address = |sector: u64| memory.start() + sector * SECTOR_SIZE;
        let bytes = address(bad.first)..address(bad.first + bad.count);
        let wanted = address(wanted.start)..address(wanted.end);

        let exact = step(&bytes, 1, &wanted).ok_or(ENXIO)?;
        let unit = self.clearing_unit(exact)?;
        let step = step(&bytes, unit, &wanted).ok_or(ENXIO)?;
        let cleared = self.clear_at_once(step.clone())?;

        // The sectors that lie wholly within what was cleared: `first..end`.
        let offset = step.start - memory.start();
        let first = offset.div_ceil(SECTOR_SIZE);
        let end = (offset + cleared) / SECTOR_SIZE;
        memory.invalidate(offset, usize::try_from(cleared)?)?;
        let mut off_list = end;
        if let Some(count) = end.checked_sub(first).filter(|count| *count != 0) {
            off_list = badblocks
                .remove(BadSectors { first, count })
                .min(memory.len() / SECTOR_SIZE);
            if end < off_list {
                // The bus forgets these sectors, since a later write would not clear them.
                self.bus()
                    .badrange()
                    .leave_out(address(end)..address(off_list));
            }
        }

        // No progress, no second attempt.
        if end <= bad.first {
            return Err(EIO);
        }
        Ok(Done {
            cleared: end,
            off_list,
        })
    }

    /// Returns the unit in bytes in which the provider clears `range`; a power of two.
    fn clearing_unit(&self, range: Range<u64>) -> Result<u64> {
        if !self.bus().operations().clears_poison_by_command() {
            return Ok(1);
        }
        let mut query = ArsCap {
            address: range.start.into(),
            length: (range.end - range.start).into(),
            ..ArsCap::default()
        };
        self.execute_command(bus_command::ARS_CAP, query.as_mut_bytes())?;
        let unit = u64::from(query.clear_err_unit.get());
        unit.is_power_of_two().then_some(unit).ok_or(ENXIO)
    }

    /// Clears a range of whole units of the provider. Returns how many bytes from its start are
    /// usable again.
    fn clear_at_once(&self, range: Range<u64>) -> Result<u64> {
        let len = range.end - range.start;

        let cleared = if self.bus().operations().clears_poison_by_command() {
            let mut request = ClearError {
                address: range.start.into(),
                length: len.into(),
                ..ClearError::default()
            };
            self.execute_command(bus_command::CLEAR_ERROR, request.as_mut_bytes())?;
            // The firmware is not trusted to have cleared at most what was requested.
            request.cleared.get().min(len)
        } else {
            len
        };
        self.poison_cleared(&(range.start..range.start + cleared));
        Ok(cleared)
    }

    /// Executes a command of the bus. Fails with `EIO` unless the firmware succeeds.
    fn execute_command(&self, number: u32, payload: &mut [u8]) -> Result {
        // Disks call this in the middle of a write.
        let _no_io = NoIo::enter();
        let status =
            self.bus()
                .operations()
                .execute(self.bus(), None, Command { number, payload })?;
        match status {
            Status::Success => Ok(()),
            Status::Locked(_) | Status::Failed(_) => Err(EIO),
        }
    }
}

/// Returns the first part of the addresses `bad` that is cleared at once: up to the end of a page,
/// in whole units of `unit` bytes, a power of two. `None`: one of the units is not within `wanted`.
fn step(bad: &Range<u64>, unit: u64, wanted: &Range<u64>) -> Option<Range<u64>> {
    let within = unit.checked_sub(1)?;
    let start = bad.start & !within;
    let last = bad.end.checked_sub(1)? | within;
    let last = last.min(start | (STEP.max(unit) - 1));
    let step = start..last.checked_add(1)?;

    (wanted.start <= step.start && step.end <= wanted.end).then_some(step)
}

#[kernel::prelude::kunit_tests(nd_poison)]
mod tests {
    use super::*;

    const ALL: Range<u64> = 0x10000..0x20000;

    #[test]
    fn what_is_bad_is_cleared_and_no_more() {
        assert!(step(&(0x10200..0x10400), 1, &ALL) == Some(0x10200..0x10400));
        assert!(step(&(0x10200..0x10400), 256, &ALL) == Some(0x10200..0x10400));
    }

    #[test]
    fn a_step_ends_with_its_page() {
        assert!(step(&(0x10e00..0x13000), 256, &ALL) == Some(0x10e00..0x11000));
        assert!(step(&(0x11000..0x13000), 256, &ALL) == Some(0x11000..0x12000));
    }

    #[test]
    fn units_are_cleared_whole() {
        assert!(step(&(0x10200..0x10400), 4096, &ALL) == Some(0x10000..0x11000));
        assert!(step(&(0x10e00..0x11200), 4096, &ALL) == Some(0x10000..0x11000));
        assert!(step(&(0x12200..0x16000), 8192, &ALL) == Some(0x12000..0x14000));
    }

    #[test]
    fn no_unit_reaches_past_what_is_wanted() {
        assert!(step(&(0x10200..0x10400), 4096, &(0x10200..0x20000)).is_none());
        assert!(step(&(0x1f200..0x1f400), 4096, &(0x10000..0x1f400)).is_none());
        assert!(step(&(0x10200..0x10400), 1 << 32, &ALL).is_none());
        assert!(step(&(u64::MAX - 1..u64::MAX), 1 << 32, &ALL).is_none());
    }
}
