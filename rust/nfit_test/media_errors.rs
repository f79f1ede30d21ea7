// SPDX-License-Identifier: GPL-2.0

//! Simulated media errors of a bus. They are injected, and removed when they are cleared.

use crate::{
    module_parameters,
    output::OutputBuilder,
    root::INVALID_INPUT,
    topology::Topology, //
};
use core::ops::Range;
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use kernel_compat::parameter;
use kernel_ext::mm::NoIo;
use nd::range_set::RangeSet;

/// Status: the errors could not be cleared.
const NOT_CLEARED: u32 = 5;

/// Most errors in one output.
pub(crate) const MAX_RECORDS: usize = 4096 / 24;

/// Returns the unit of clearing in bytes, not zero.
pub(crate) fn clear_unit() -> u32 {
    parameter!(module_parameters::clear_unit).max(1)
}

/// Media errors of a bus.
///
/// The lock is a leaf, and nothing waits for memory while it is held: reclaim may have to write to
/// a disk, and a write to a bad sector takes the lock in [`Self::forget`].
#[pin_data]
pub(crate) struct MediaErrors {
    #[pin]
    bad: Mutex<RangeSet>,
}

impl MediaErrors {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            bad <- new_mutex!(RangeSet::new()),
        })
    }

    /// Adds errors. Fails with `ENOMEM` if there is no memory at once.
    pub(crate) fn add(&self, range: Range<u64>) -> Result {
        self.bad.lock().add(range, GFP_NOWAIT)
    }

    /// Removes errors. Does not wait for memory: a write to a bad sector of a disk gets here.
    pub(crate) fn forget(&self, range: Range<u64>) {
        self.bad.lock().forget(range, GFP_NOWAIT);
    }

    /// Returns the errors in `range`.
    pub(crate) fn within(&self, range: Range<u64>) -> Result<KVec<Range<u64>>> {
        let mut found = KVec::new();
        loop {
            let count = {
                let bad = self.bad.lock();
                let count = bad.within(range.clone()).count();
                if count <= found.capacity() {
                    for part in bad.within(range) {
                        found.push_within_capacity(part).map_err(|_| ENOMEM)?;
                    }
                    return Ok(found);
                }
                count
            };
            found.reserve(count, GFP_KERNEL)?;
        }
    }

    /// Clears errors. The input is first address and length, in whole units.
    ///
    /// The output is status, reserved, and the number of cleared bytes (8 bytes). Module parameters
    /// limit how much is cleared at once.
    pub(crate) fn clear(&self, topology: &Topology, input: &[u8]) -> Result<KVVec<u8>> {
        let unit = u64::from(clear_unit());
        let Some((range, _)) = topology
            .range_input(input)
            .filter(|(range, _)| range.start % unit == 0 && range.end % unit == 0)
        else {
            return OutputBuilder::new(INVALID_INPUT)?
                .word(0)?
                .long(0)?
                .finish();
        };
        if parameter!(module_parameters::noio_clear) != 0 && !NoIo::is_active() {
            pr_err!("media errors are not cleared: the caller may start I/O to reclaim memory\n");
            return OutputBuilder::new(NOT_CLEARED)?.word(0)?.long(0)?.finish();
        }
        let len = range.end - range.start;
        let max = parameter!(module_parameters::clear_max);
        if max != 0 && len > max {
            return OutputBuilder::new(NOT_CLEARED)?.word(0)?.long(0)?.finish();
        }
        let cleared = match parameter!(module_parameters::clear_part) {
            0 => len,
            part => len.min(part - part % unit),
        };
        self.forget(range.start..range.start + cleared);
        OutputBuilder::new(0)?.word(0)?.long(cleared)?.finish()
    }

    /// Returns all errors: status, number of errors, then first address and length of each (8 bytes
    /// each).
    pub(crate) fn list(&self) -> Result<KVVec<u8>> {
        let bad = self.within(0..u64::MAX)?;
        let bad = bad.get(..MAX_RECORDS).unwrap_or(&bad);
        let answer = OutputBuilder::new(0)?.word(u32::try_from(bad.len())?)?;
        let answer = bad.iter().try_fold(answer, |answer, range| {
            answer.long(range.start)?.long(range.end - range.start)
        })?;
        answer.finish()
    }
}
