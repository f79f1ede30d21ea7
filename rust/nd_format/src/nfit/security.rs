// SPDX-License-Identifier: GPL-2.0

//! Security of a DIMM: functions of the Intel family (NVDIMM DSM Interface) and their payloads.
//!
//! ```text
//! function           input        answer
//! 19 state                        status | extended state | reserved (3) | state | reserved (3)
//! 20 set passphrase  old | new    status
//! 21 disable         passphrase   status
//! 22 unlock          passphrase   status
//! 23 freeze                       status
//! 24 erase           passphrase   status
//! 25 overwrite       passphrase   status
//! 26 query overwrite              status
//! 27 set master passphrase        as 20
//! 28 erase by the master          as 24
//! ```
//!
//! The state is that of the user passphrase, the extended state that of the master passphrase.

use zerocopy::{
    little_endian::U32,
    FromBytes as _, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// Size of a passphrase in bytes.
pub const PASSPHRASE: usize = 32;

/// Function numbers.
pub mod function {
    /// Returns the security state.
    pub const STATE: u32 = 19;
    /// Sets or changes the passphrase.
    pub const SET_PASSPHRASE: u32 = 20;
    /// Disables the passphrase.
    pub const DISABLE: u32 = 21;
    /// Unlocks the contents.
    pub const UNLOCK: u32 = 22;
    /// Freezes the security state until the next power cycle.
    pub const FREEZE: u32 = 23;
    /// Secure erase: discards the key with which the contents are encrypted.
    pub const ERASE: u32 = 24;
    /// Overwrites the contents, which takes long.
    pub const OVERWRITE: u32 = 25;
    /// Returns whether the overwrite is done.
    pub const QUERY_OVERWRITE: u32 = 26;
    /// Sets or changes the master passphrase.
    pub const SET_MASTER_PASSPHRASE: u32 = 27;
    /// Secure erase with the master passphrase.
    pub const MASTER_ERASE: u32 = 28;
}

/// Status codes other than 0.
pub mod status {
    /// The DIMM does not support the function.
    pub const NOT_SUPPORTED: u32 = 1;
    /// The function is not valid in this security state.
    pub const INVALID_STATE: u32 = 10;
    /// Wrong passphrase.
    pub const WRONG_PASSPHRASE: u32 = 11;
    /// Overwrite: the DIMM does not support it.
    pub const CANNOT_OVERWRITE: u32 = 0x1_0007;
    /// Query of the overwrite: it is in progress.
    pub const OVERWRITING: u32 = 0x1_0007;
    /// Query of the overwrite: none is in progress.
    pub const NOT_OVERWRITING: u32 = 0x2_0007;
}

/// Bits of the state and of the extended state.
mod bits {
    pub(super) const ENABLED: u8 = 1 << 1;
    pub(super) const LOCKED: u8 = 1 << 2;
    pub(super) const FROZEN: u8 = 1 << 3;
    pub(super) const COUNT_EXPIRED: u8 = 1 << 4;
    pub(super) const UNSUPPORTED: u8 = 1 << 5;
    pub(super) const OVERWRITING: u8 = 1 << 6;

    pub(super) const MASTER_ENABLED: u8 = 1 << 0;
    pub(super) const MASTER_COUNT_EXPIRED: u8 = 1 << 1;
}

/// Lock state of a passphrase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// There is no passphrase.
    Disabled,
    /// The contents are accessible.
    Unlocked,
    /// The contents are not accessible.
    Locked,
}

/// State of one of the passphrases of a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection {
    /// Lock state.
    pub lock: Lock,
    /// `true` if the passphrase cannot be used or changed until the next power cycle.
    pub frozen: bool,
}

/// Output of the function [`function::STATE`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SecurityState {
    status: U32,
    extended_state: u8,
    reserved: [u8; 3],
    state: u8,
    reserved2: [u8; 3],
}

impl SecurityState {
    /// Returns the output of a DIMM in this state; `master` is `true` if a master passphrase is
    /// set.
    pub fn new(user: Protection, overwriting: bool, master: bool) -> Self {
        let lock = match user.lock {
            _ if overwriting => bits::OVERWRITING,
            Lock::Disabled => 0,
            Lock::Unlocked => bits::ENABLED,
            Lock::Locked => bits::ENABLED | bits::LOCKED,
        };
        let frozen = if user.frozen { bits::FROZEN } else { 0 };
        Self {
            status: U32::new(0),
            extended_state: if master { bits::MASTER_ENABLED } else { 0 },
            reserved: [0; 3],
            state: lock | frozen,
            reserved2: [0; 3],
        }
    }

    /// Decodes an output; `None` if it is too short or reports a failure.
    pub fn from_answer(answer: &[u8]) -> Option<Self> {
        let (state, _) = Self::read_from_prefix(answer).ok()?;
        (state.status.get() == 0).then_some(state)
    }

    /// Returns the state of the user passphrase; `None` if the DIMM does not support security.
    pub fn user(&self) -> Option<Protection> {
        let has = |bit| self.state & bit != 0;
        if has(bits::UNSUPPORTED) {
            return None;
        }
        Some(if has(bits::ENABLED) {
            Protection {
                lock: if has(bits::LOCKED) {
                    Lock::Locked
                } else {
                    Lock::Unlocked
                },
                // Too many wrong passphrases have the same effect.
                frozen: has(bits::FROZEN | bits::COUNT_EXPIRED),
            }
        } else {
            Protection {
                lock: Lock::Disabled,
                frozen: false,
            }
        })
    }

    /// Returns the state of the master passphrase.
    pub fn master(&self) -> Protection {
        let has = |bit| self.extended_state & bit != 0;
        Protection {
            lock: if has(bits::MASTER_ENABLED) {
                Lock::Unlocked
            } else {
                Lock::Disabled
            },
            frozen: has(bits::MASTER_COUNT_EXPIRED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes as _;

    fn read(state: u8, extended_state: u8) -> SecurityState {
        let bytes = [0, 0, 0, 0, extended_state, 0, 0, 0, state, 0, 0, 0];
        SecurityState::from_answer(&bytes).unwrap()
    }

    #[test]
    fn states_are_told_apart() {
        let user = |state| read(state, 0).user();
        let protection = |lock, frozen| Some(Protection { lock, frozen });
        assert_eq!(user(0), protection(Lock::Disabled, false));
        assert_eq!(user(0x08), protection(Lock::Disabled, false));
        assert_eq!(user(0x02), protection(Lock::Unlocked, false));
        assert_eq!(user(0x06), protection(Lock::Locked, false));
        assert_eq!(user(0x0a), protection(Lock::Unlocked, true));
        assert_eq!(user(0x16), protection(Lock::Locked, true));
        assert_eq!(user(0x22), None);
        assert_eq!(read(0, 1).master().lock, Lock::Unlocked);
        assert_eq!(read(0, 2).master().lock, Lock::Disabled);
        assert!(read(0, 3).master().frozen);
    }

    #[test]
    fn what_is_answered_is_read() {
        for lock in [Lock::Disabled, Lock::Unlocked, Lock::Locked] {
            for frozen in [false, true] {
                let user = Protection { lock, frozen };
                let answer = SecurityState::new(user, false, true);
                let state = SecurityState::from_answer(answer.as_bytes()).unwrap();
                let found = state.user().unwrap();
                assert_eq!(found.lock, lock);
                assert_eq!(found.frozen, frozen && lock != Lock::Disabled);
                assert_eq!(state.master().lock, Lock::Unlocked);
            }
        }
    }

    #[test]
    fn bad_answers_are_no_answers() {
        assert!(SecurityState::from_answer(&[0; 11]).is_none());
        let mut failed = [0; 12];
        failed[1] = 1;
        assert!(SecurityState::from_answer(&failed).is_none());
    }
}
