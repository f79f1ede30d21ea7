// SPDX-License-Identifier: GPL-2.0

//! Simulated address range scrubs. Each takes a second, whatever its range, and finds all errors in
//! it.

use crate::{
    media_errors::{
        self,
        MediaErrors,
        MAX_RECORDS, //
    },
    output::OutputBuilder,
    root::INVALID_INPUT,
    topology::Topology, //
};
use core::ops::Range;
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex,
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};

const DURATION: Delta = Delta::from_secs(1);

/// The duration in the output, in seconds.
const SECONDS: u32 = 1;

/// Both kinds of memory can be scrubbed; upper half of a status.
const BOTH_KINDS: u32 = 3 << 16;

/// Status of a start: a scrub is running.
const BUSY: u32 = 6;

/// States of a scrub, upper half of a status.
const RUNNING: u32 = 1 << 16;
const NONE: u32 = 2 << 16;
const INTERRUPTED: u32 = 3 << 16;

/// Flag: there are more errors than fit into the output.
const OVERFLOW: u16 = 1;

/// Bytes of an output without records, and of a record.
const HEADER: usize = 48;
const RECORD: usize = 24;

/// The running scrub of a bus, or the last one. The lock nests outside that of [`MediaErrors`].
#[pin_data]
pub(crate) struct Scrub {
    #[pin]
    last: Mutex<Option<Run>>,
}

struct Run {
    begun: Instant<Monotonic>,
    range: Range<u64>,
    kind: [u8; 2],
    found: KVec<Range<u64>>,
}

impl Run {
    fn is_running(&self) -> bool {
        self.begun.elapsed() < DURATION
    }
}

impl Scrub {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            last <- new_mutex!(None),
        })
    }

    /// Returns the capabilities for a range: status with the kinds of memory, size of the largest
    /// output, unit of clearing, flags.
    pub(crate) fn capabilities(topology: &Topology, input: &[u8]) -> Result<KVVec<u8>> {
        let (status, answer, unit) = match topology.range_input(input) {
            Some(_) => (
                BOTH_KINDS,
                HEADER + MAX_RECORDS * RECORD,
                media_errors::clear_unit(),
            ),
            None => (INVALID_INPUT, 0, 0),
        };
        OutputBuilder::new(status)?
            .word(u32::try_from(answer)?)?
            .word(unit)?
            .word(0)?
            .finish()
    }

    /// Starts a scrub. The input is first address, length (8 bytes each) and kind (2 bytes). The
    /// output is status and duration in seconds.
    pub(crate) fn start(
        &self,
        topology: &Topology,
        errors: &MediaErrors,
        input: &[u8],
    ) -> Result<KVVec<u8>> {
        let Some((range, rest)) = topology.range_input(input) else {
            return OutputBuilder::new(INVALID_INPUT)?.word(0)?.finish();
        };
        let mut last = self.last.lock();
        if last.as_ref().is_some_and(Run::is_running) {
            return OutputBuilder::new(BUSY)?.word(0)?.finish();
        }
        *last = Some(Run {
            begun: Instant::now(),
            found: errors.within(range.clone())?,
            range,
            kind: rest.first_chunk().copied().unwrap_or_default(),
        });
        OutputBuilder::new(0)?.word(SECONDS)?.finish()
    }

    /// Returns the progress: status, bytes of output, range, remaining range (8 bytes for each of
    /// the four numbers), kind and flags (2 bytes each), number of records. Each record is handle,
    /// reserved, first address and length (8 bytes each).
    pub(crate) fn status(&self) -> Result<KVVec<u8>> {
        let last = self.last.lock();
        let run = match &*last {
            None => return no_results(NONE),
            Some(run) if run.is_running() => return no_results(RUNNING),
            Some(run) => run,
        };
        let reported = run.found.get(..MAX_RECORDS).unwrap_or(&run.found);
        let rest = match run.found.get(reported.len()) {
            Some(next) => next.start..run.range.end,
            None => 0..0,
        };
        let (status, flags) = if rest.is_empty() {
            (0, 0)
        } else {
            (INTERRUPTED, OVERFLOW)
        };
        let answer = OutputBuilder::new(status)?
            .word(u32::try_from(HEADER + reported.len() * RECORD)?)?
            .long(run.range.start)?
            .long(run.range.end - run.range.start)?
            .long(rest.start)?
            .long(rest.end - rest.start)?
            .bytes(&run.kind)?
            .bytes(&flags.to_le_bytes())?
            .word(u32::try_from(reported.len())?)?;
        reported
            .iter()
            .try_fold(answer, |answer, bad| {
                answer.long(0)?.long(bad.start)?.long(bad.end - bad.start)
            })?
            .finish()
    }
}

/// Returns an output without results.
fn no_results(status: u32) -> Result<KVVec<u8>> {
    const REST: [u8; HEADER - 8] = [0; HEADER - 8];

    OutputBuilder::new(status)?
        .word(u32::try_from(HEADER)?)?
        .bytes(&REST)?
        .finish()
}
