// SPDX-License-Identifier: GPL-2.0

//! Activation of staged firmware: functions of the root device and of DIMMs (Intel's families of
//! the NVDIMM DSM Interface) and their payloads.
//!
//! ```text
//! of                function   input         answer
//! root device    1  info                     status | reserved | state | capability | times in microseconds:
//!                                              activation | processors quiesced | devices quiesced | longest allowed
//!                2  activate   device state  status
//! DIMM          29  info                     status | result | state | reserved
//!               30  arm        0 or 1        status
//! ```

use zerocopy::{
    little_endian::{
        U16,
        U32,
        U64, //
    },
    FromBytes as _, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// Function numbers of the root device.
pub mod bus_function {
    /// Returns state and capability.
    pub const INFO: u32 = 1;
    /// Activates the staged firmware of armed DIMMs.
    pub const ACTIVATE: u32 = 2;
}

/// Function numbers of a DIMM.
pub mod dimm_function {
    /// Returns state and result.
    pub const INFO: u32 = 29;
    /// Arms and disarms.
    pub const ARM: u32 = 30;
}

/// Input of an activation: the state of the devices that access memory.
pub mod devices {
    /// The firmware forces them idle.
    pub const FORCE_IDLE: u8 = 0;
    /// They are idle already.
    pub const ARE_IDLE: u8 = 1;
}

/// Status codes of an activation other than 0.
pub mod status {
    /// No DIMM is armed.
    pub const NOT_ARMED: u32 = 0x1_0006;
    /// An activation is in progress.
    pub const BUSY: u32 = 0x2_0006;
    /// The firmware was activated, but that took longer than allowed.
    pub const TOO_LONG: u32 = 0x4_0006;
}

/// Bits of [`BusInfo::capability`].
pub mod capability {
    /// The firmware quiesces accesses to memory, as far as it can.
    pub const FIRMWARE_QUIESCES: u8 = 1 << 0;
    /// The operating system must quiesce accesses to memory.
    pub const SYSTEM_QUIESCES: u8 = 1 << 1;
    /// A reset activates the staged firmware as well.
    pub const RESET: u8 = 1 << 2;
}

/// State of a bus or of a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Nothing is armed.
    Idle = 0,
    /// Armed.
    Armed = 1,
    /// An activation is in progress.
    Busy = 2,
}

impl State {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Idle, Self::Armed, Self::Busy]
            .into_iter()
            .find(|&state| state as u8 == byte)
    }
}

/// Result of the last activation of a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// There was no activation.
    None,
    /// No firmware was staged.
    NotStaged,
    /// The staged firmware runs.
    Success,
    /// The staged firmware needs a reset.
    NeedsReset,
    /// The activation failed, for one of several reasons.
    Failure,
}

impl Outcome {
    fn from_number(number: u16) -> Self {
        match number {
            0 => Self::None,
            1 => Self::NotStaged,
            2 => Self::Success,
            3 => Self::NeedsReset,
            _ => Self::Failure,
        }
    }

    fn number(self) -> u16 {
        match self {
            Self::None => 0,
            Self::NotStaged => 1,
            Self::Success => 2,
            Self::NeedsReset => 3,
            Self::Failure => 7,
        }
    }
}

/// Output of [`bus_function::INFO`]. Times are in microseconds.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BusInfo {
    status: U32,
    reserved: U16,
    state: u8,
    capability: u8,
    activation_time: U64,
    processor_time: U64,
    device_time: U64,
    allowed_time: U64,
}

impl BusInfo {
    /// Returns the output of a root device: the activation, and quiescing processors and devices,
    /// take `needed` microseconds each, and `allowed` microseconds are allowed.
    pub fn new(state: State, capability: u8, needed: u64, allowed: u64) -> Self {
        Self {
            status: U32::new(0),
            reserved: U16::new(0),
            state: state as u8,
            capability,
            activation_time: U64::new(needed),
            processor_time: U64::new(needed),
            device_time: U64::new(needed),
            allowed_time: U64::new(allowed),
        }
    }

    /// Decodes an output; `None` if it is too short or reports a failure.
    pub fn from_answer(answer: &[u8]) -> Option<Self> {
        let (info, _) = Self::read_from_prefix(answer).ok()?;
        (info.status.get() == 0).then_some(info)
    }

    /// Returns the state; `None` if it is unknown.
    pub fn state(&self) -> Option<State> {
        State::from_byte(self.state)
    }

    /// Returns the bits of [`capability`].
    pub fn capability(&self) -> u8 {
        self.capability
    }

    /// Returns `true` if the activation would take longer than allowed.
    pub fn overflows(&self) -> bool {
        self.activation_time.get() > self.allowed_time.get()
    }
}

/// Output of [`dimm_function::INFO`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DimmInfo {
    status: U32,
    result: U16,
    state: u8,
    reserved: [u8; 7],
}

impl DimmInfo {
    /// Returns the output of a DIMM.
    pub fn new(state: State, outcome: Outcome) -> Self {
        Self {
            status: U32::new(0),
            result: U16::new(outcome.number()),
            state: state as u8,
            reserved: [0; 7],
        }
    }

    /// Decodes an output; `None` if it is too short or reports a failure.
    pub fn from_answer(answer: &[u8]) -> Option<Self> {
        let (info, _) = Self::read_from_prefix(answer).ok()?;
        (info.status.get() == 0).then_some(info)
    }

    /// Returns the state; `None` if it is unknown.
    pub fn state(&self) -> Option<State> {
        State::from_byte(self.state)
    }

    /// Returns the result of the last activation.
    pub fn outcome(&self) -> Outcome {
        Outcome::from_number(self.result.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes as _;

    #[test]
    fn bus_answers_are_read_back() {
        let mut bytes = [0; 41];
        let info = BusInfo::new(State::Armed, capability::RESET, 4, 3);
        bytes[..40].copy_from_slice(info.as_bytes());
        let read = BusInfo::from_answer(&bytes).unwrap();
        assert_eq!(read.state(), Some(State::Armed));
        assert_eq!(read.capability(), 4);
        assert!(read.overflows());
        assert!(!BusInfo::new(State::Armed, 0, 3, 3).overflows());

        assert!(BusInfo::from_answer(&bytes[..39]).is_none());
        bytes[6] = 3;
        assert_eq!(BusInfo::from_answer(&bytes).unwrap().state(), None);
        bytes[0] = 1;
        assert!(BusInfo::from_answer(&bytes).is_none());
    }

    #[test]
    fn dimm_answers_are_read_back() {
        for outcome in [
            Outcome::None,
            Outcome::NotStaged,
            Outcome::Success,
            Outcome::NeedsReset,
            Outcome::Failure,
        ] {
            let info = DimmInfo::new(State::Busy, outcome);
            let read = DimmInfo::from_answer(info.as_bytes()).unwrap();
            assert_eq!(read.outcome(), outcome);
            assert_eq!(read.state(), Some(State::Busy));
            assert!(DimmInfo::from_answer(&info.as_bytes()[..13]).is_none());
        }
        assert_eq!(Outcome::from_number(4), Outcome::Failure);
        assert_eq!(Outcome::from_number(u16::MAX), Outcome::Failure);
    }
}
