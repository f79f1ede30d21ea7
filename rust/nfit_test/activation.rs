// SPDX-License-Identifier: GPL-2.0

//! Firmware activation, of all DIMMs of a bus at once (functions 1 and 2 of the root device, 29 and
//! 30 of a DIMM; NVDIMM DSM Interface).
//!
//! An activation takes a second for each armed DIMM. The platform allows three.
//!
//! # Lock order
//!
//! The lock of the activation nests outside those of the updates.

use crate::output::OutputBuilder;
use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};
use nd_format::nfit::activation::{
    capability,
    status,
    BusInfo,
    DimmInfo,
    Outcome,
    State, //
};

/// Microseconds that the activation of one DIMM takes.
const NEEDED: u64 = 1_000_000;
/// Maximum duration of an activation, in microseconds.
const ALLOWED: u64 = 3_000_000;
/// Time for which the bus is busy after an activation.
const BUSY: Delta = Delta::from_millis(3000);

/// Activation state of a DIMM.
#[derive(Clone, Copy)]
struct Member {
    armed: bool,
    outcome: Outcome,
}

struct Members {
    members: KVec<Member>,
    last: Option<Instant<Monotonic>>,
}

impl Members {
    fn armed(&self) -> usize {
        self.members.iter().filter(|member| member.armed).count()
    }

    fn state(&self) -> State {
        if self.armed() != 0 {
            State::Armed
        } else if self.last.is_some_and(|last| last.elapsed() < BUSY) {
            State::Busy
        } else {
            State::Idle
        }
    }

    fn info(&self) -> BusInfo {
        BusInfo::new(
            self.state(),
            capability::FIRMWARE_QUIESCES | capability::SYSTEM_QUIESCES | capability::RESET,
            self.armed() as u64 * NEEDED,
            ALLOWED,
        )
    }
}

/// Firmware activation of a bus.
#[pin_data]
pub(crate) struct Activation {
    #[pin]
    members: Mutex<Members>,
}

impl Activation {
    /// Creates the activation of `count` DIMMs, numbered from 0.
    pub(crate) fn new(count: usize) -> Result<Arc<Self>> {
        let idle = Member {
            armed: false,
            outcome: Outcome::None,
        };
        let members = KVec::from_elem(idle, count, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                members <- new_mutex!(Members {
                    members,
                    last: None,
                }),
            }),
            GFP_KERNEL,
        )
    }

    /// Function 1 of the root device.
    pub(crate) fn bus_info(&self) -> Result<KVVec<u8>> {
        OutputBuilder::from_bytes(self.members.lock().info().as_bytes())
    }

    /// Function 2 of the root device. `take_staged` activates the staged firmware of a DIMM and
    /// returns `true` if there was any.
    pub(crate) fn activate(&self, take_staged: impl Fn(usize) -> bool) -> Result<KVVec<u8>> {
        let mut all = self.members.lock();
        let status = match all.state() {
            State::Idle => status::NOT_ARMED,
            State::Busy => status::BUSY,
            State::Armed if all.info().overflows() => status::TOO_LONG,
            State::Armed => 0,
        };
        if all.state() == State::Armed {
            for (number, member) in all.members.iter_mut().enumerate() {
                member.outcome = match mem::take(&mut member.armed) {
                    true if take_staged(number) => Outcome::Success,
                    true => Outcome::NotStaged,
                    false => Outcome::None,
                };
            }
            all.last = Some(Instant::now());
        }
        OutputBuilder::new(status)?.finish()
    }

    /// Function 29 of a DIMM. `ENOTTY`: there is no such DIMM.
    pub(crate) fn dimm_info(&self, number: usize) -> Result<KVVec<u8>> {
        let all = self.members.lock();
        let member = all.members.get(number).ok_or(ENOTTY)?;
        let state = match all.state() {
            State::Armed if !member.armed => State::Idle,
            state => state,
        };
        let outcome = match state {
            State::Idle => member.outcome,
            State::Armed | State::Busy => Outcome::None,
        };
        OutputBuilder::from_bytes(DimmInfo::new(state, outcome).as_bytes())
    }

    /// Function 30 of a DIMM. The input is a byte, 1 to arm. `ENOTTY`: there is no such DIMM.
    /// `EINVAL`: the input is empty.
    pub(crate) fn arm(&self, number: usize, input: &[u8]) -> Result<KVVec<u8>> {
        let mut all = self.members.lock();
        let member = all.members.get_mut(number).ok_or(ENOTTY)?;
        member.armed = *input.first().ok_or(EINVAL)? == 1;
        OutputBuilder::new(0)?.finish()
    }
}
