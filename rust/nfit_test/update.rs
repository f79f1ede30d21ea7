// SPDX-License-Identifier: GPL-2.0

//! Simulated firmware update of a DIMM (NVDIMM DSM Interface, functions 12 to 16). The image is
//! discarded.
//!
//! ```text
//!            start              finish                query, a second later
//!  Idle ────────────▶ Receiving ────────▶ Verifying ────────────────────────▶ Updated
//!    ▲                    │ abort             │ abort                              │ activation
//!    └────────────────────┴───────────────────┴────────────────────────────────────┘
//! ```

use crate::output::{
    word,
    OutputBuilder, //
};
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

/// Maximum size of an image in bytes.
const STORAGE: u32 = 0x10_0000;
/// Most bytes in one call of the send function.
const LARGEST_CHUNK: u32 = 0xffec;
/// Interval and timeout of queries, in microseconds.
const QUERY_INTERVAL: u32 = 250_000;
const QUERY_LIMIT: u32 = 3_000_000;
/// Version of the interface, 1.5.
const INTERFACE_VERSION: u32 = 0x0105;
/// Version after any update.
const NEW_VERSION: u64 = 0xffff_ffff_abcd;
/// Duration of the verification of an image.
const VERIFICATION: Delta = Delta::from_millis(1000);

/// Statuses. The upper half depends on the function.
mod status {
    pub(super) const INVALID_INPUT: u32 = 3;
    pub(super) const RETRY: u32 = 5;
    /// Start: an update is in progress already. Others: the context is not that of the current
    /// update.
    pub(super) const WRONG_CONTEXT: u32 = 0x1_0007;
    /// Finish: the update was finished before. Query: the verification is still running.
    pub(super) const NOT_NOW: u32 = 0x2_0007;
    /// Finish: the update was aborted. Query: the update was not finished.
    pub(super) const ABORTED: u32 = 0x4_0007;
}

#[derive(Clone, Copy)]
enum Phase {
    Idle,
    Receiving,
    Verifying { since: Instant<Monotonic> },
    Updated,
}

struct State {
    phase: Phase,
    context: u32,
    version: u64,
}

/// Firmware update of a DIMM.
#[pin_data]
pub(crate) struct Update {
    #[pin]
    state: Mutex<State>,
}

impl Update {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(State {
                phase: Phase::Idle,
                context: 0,
                version: 0,
            }),
        })
    }

    /// Activates the staged firmware. Returns `false` if there is none.
    pub(crate) fn take_staged(&self) -> bool {
        let mut state = self.state.lock();
        let is_staged = matches!(state.phase, Phase::Updated);
        if is_staged {
            state.phase = Phase::Idle;
        }
        is_staged
    }

    /// Function 12.
    pub(crate) fn info(&self) -> Result<KVVec<u8>> {
        const RUNNING_VERSION: u64 = 0;

        OutputBuilder::new(0)?
            .word(STORAGE)?
            .word(LARGEST_CHUNK)?
            .word(QUERY_INTERVAL)?
            .word(QUERY_LIMIT)?
            // Capabilities of the DIMM during an update: none.
            .word(0)?
            .word(INTERFACE_VERSION)?
            .bytes(&RUNNING_VERSION.to_le_bytes())?
            .bytes(&self.state.lock().version.to_le_bytes())?
            .finish()
    }

    /// Function 13: starts an update and returns its context.
    pub(crate) fn start(&self) -> Result<KVVec<u8>> {
        let mut state = self.state.lock();
        let status = match state.phase {
            Phase::Idle => {
                state.phase = Phase::Receiving;
                state.context = state.context.wrapping_add(1);
                0
            }
            _ => status::WRONG_CONTEXT,
        };
        OutputBuilder::new(status)?.word(state.context)?.finish()
    }

    /// Function 14: context, offset, length and bytes of a chunk.
    pub(crate) fn send(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (context, rest) = word(input).ok_or(EINVAL)?;
        let (offset, rest) = word(rest).ok_or(EINVAL)?;
        let (length, _bytes) = word(rest).ok_or(EINVAL)?;
        let state = self.state.lock();
        let fits = offset
            .checked_add(length)
            .is_some_and(|end| end <= STORAGE && length <= LARGEST_CHUNK);
        let status = match state.phase {
            Phase::Receiving if context != state.context => status::WRONG_CONTEXT,
            Phase::Receiving if !fits => status::INVALID_INPUT,
            Phase::Receiving => 0,
            _ => status::RETRY,
        };
        OutputBuilder::new(status)?.finish()
    }

    /// Function 15: abort flag, three reserved bytes and the context.
    pub(crate) fn finish(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (&[abort, ..], rest) = input.split_first_chunk::<4>().ok_or(EINVAL)?;
        let (context, _) = word(rest).ok_or(EINVAL)?;
        let mut state = self.state.lock();
        let status = match (state.phase, abort) {
            (Phase::Updated, _) => status::NOT_NOW,
            (_, 0) if context != state.context => status::WRONG_CONTEXT,
            (_, 0) => {
                state.phase = Phase::Verifying {
                    since: Instant::now(),
                };
                0
            }
            (_, 1) => {
                state.phase = Phase::Idle;
                status::ABORTED
            }
            _ => return Err(EINVAL),
        };
        OutputBuilder::new(status)?.finish()
    }

    /// Function 16: status of the update of a context.
    pub(crate) fn query(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (context, _) = word(input).ok_or(EINVAL)?;
        let mut state = self.state.lock();
        let mut revision = 0;
        let status = if context != state.context {
            status::WRONG_CONTEXT
        } else {
            match state.phase {
                Phase::Idle => 0,
                Phase::Receiving => status::ABORTED,
                Phase::Verifying { since } if since.elapsed() < VERIFICATION => status::NOT_NOW,
                Phase::Verifying { .. } | Phase::Updated => {
                    state.phase = Phase::Updated;
                    state.version = NEW_VERSION;
                    revision = NEW_VERSION;
                    0
                }
            }
        };
        OutputBuilder::new(status)?
            .bytes(&revision.to_le_bytes())?
            .finish()
    }
}
