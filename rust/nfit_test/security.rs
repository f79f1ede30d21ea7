// SPDX-License-Identifier: GPL-2.0

//! Simulated security of a DIMM (NVDIMM DSM Interface, functions 19 to 28). Only the state is
//! simulated: the memory of a locked DIMM can be accessed.
//!
//! ```text
//!           set passphrase           lock_dimm
//! Disabled ───────────────▶ Unlocked ─────────────▶ Locked
//!    ▲       disable, erase    │ ▲     unlock          │
//!    └─────────────────────────┘ └─────────────────────┘
//! ```
//!
//! An overwrite takes five seconds and changes nothing.

use crate::output::OutputBuilder;
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
use nd_format::nfit::security::{
    function,
    status,
    Lock,
    Protection,
    SecurityState,
    PASSPHRASE, //
};

type Passphrase = [u8; PASSPHRASE];

/// The passphrase of a DIMM that has none.
const NO_PASSPHRASE: Passphrase = [0; PASSPHRASE];

/// Duration of an overwrite.
const OVERWRITE: Delta = Delta::from_millis(5000);

struct State {
    user: Protection,
    passphrase: Passphrase,
    master_passphrase: Passphrase,
    overwriting_since: Option<Instant<Monotonic>>,
}

/// Security of a DIMM.
#[pin_data]
pub(crate) struct Security {
    #[pin]
    state: Mutex<State>,
}

impl Security {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(State {
                user: DISABLED,
                passphrase: NO_PASSPHRASE,
                master_passphrase: NO_PASSPHRASE,
                overwriting_since: None,
            }),
        })
    }

    /// Simulates a power cycle of a DIMM that has a passphrase.
    pub(crate) fn lock(&self) {
        self.state.lock().user = Protection {
            lock: Lock::Locked,
            frozen: false,
        };
    }

    /// Evaluates a security function. `ENOTTY`: it is none of them; `EINVAL`: the input is too
    /// short.
    pub(crate) fn evaluate(&self, function: u32, input: &[u8]) -> Result<KVVec<u8>> {
        let mut state = self.state.lock();
        let status = match function {
            function::STATE => {
                let overwriting = state.overwriting_since.is_some();
                let answer = SecurityState::new(state.user, overwriting, true);
                return OutputBuilder::from_bytes(answer.as_bytes());
            }
            function::FREEZE => state.freeze(),
            function::QUERY_OVERWRITE => state.query_overwrite(),
            function::SET_PASSPHRASE => {
                let (given, new) = passphrases(input)?;
                state.set_passphrase(given, new)
            }
            function::SET_MASTER_PASSPHRASE => {
                let (given, new) = passphrases(input)?;
                state.set_master_passphrase(given, new)
            }
            function::DISABLE => state.disable(passphrase(input)?),
            function::UNLOCK => state.unlock(passphrase(input)?),
            function::ERASE => state.erase(passphrase(input)?),
            function::OVERWRITE => state.overwrite(passphrase(input)?),
            function::MASTER_ERASE => state.master_erase(passphrase(input)?),
            _ => return Err(ENOTTY),
        };
        OutputBuilder::new(status)?.finish()
    }
}

const DISABLED: Protection = Protection {
    lock: Lock::Disabled,
    frozen: false,
};

/// Security functions. Each returns its status.
impl State {
    fn check(&self, given: &Passphrase, expected: &Passphrase) -> Result<(), u32> {
        if self.user.frozen {
            Err(status::INVALID_STATE)
        } else if given != expected {
            Err(status::WRONG_PASSPHRASE)
        } else {
            Ok(())
        }
    }

    /// Applies a change if `given` is the user passphrase.
    fn if_user(&mut self, given: &Passphrase, change: impl FnOnce(&mut Self)) -> u32 {
        match self.check(given, &self.passphrase) {
            Ok(()) => {
                change(self);
                0
            }
            Err(status) => status,
        }
    }

    /// Applies a change if `given` is the master passphrase.
    fn if_master(&mut self, given: &Passphrase, change: impl FnOnce(&mut Self)) -> u32 {
        if *given != self.master_passphrase {
            return status::WRONG_PASSPHRASE;
        }
        change(self);
        0
    }

    fn forget_passphrase(&mut self) {
        self.passphrase = NO_PASSPHRASE;
        self.user = DISABLED;
    }

    fn set_passphrase(&mut self, given: &Passphrase, new: &Passphrase) -> u32 {
        self.if_user(given, |state| {
            state.passphrase = *new;
            if state.user.lock == Lock::Disabled {
                state.user.lock = Lock::Unlocked;
            }
        })
    }

    fn disable(&mut self, given: &Passphrase) -> u32 {
        if self.user.lock == Lock::Disabled {
            return status::INVALID_STATE;
        }
        self.if_user(given, Self::forget_passphrase)
    }

    fn unlock(&mut self, given: &Passphrase) -> u32 {
        if self.user.lock != Lock::Locked {
            return status::INVALID_STATE;
        }
        self.if_user(given, |state| state.user.lock = Lock::Unlocked)
    }

    fn freeze(&mut self) -> u32 {
        if self.user.lock == Lock::Disabled {
            return status::INVALID_STATE;
        }
        self.user.frozen = true;
        0
    }

    fn erase(&mut self, given: &Passphrase) -> u32 {
        self.if_user(given, |state| {
            state.forget_passphrase();
            state.master_passphrase = NO_PASSPHRASE;
        })
    }

    fn overwrite(&mut self, given: &Passphrase) -> u32 {
        self.if_user(given, |state| {
            state.overwriting_since = Some(Instant::now());
        })
    }

    fn query_overwrite(&mut self) -> u32 {
        match self.overwriting_since {
            None => status::NOT_OVERWRITING,
            Some(since) if since.elapsed() < OVERWRITE => status::OVERWRITING,
            Some(_) => {
                self.overwriting_since = None;
                0
            }
        }
    }

    fn set_master_passphrase(&mut self, given: &Passphrase, new: &Passphrase) -> u32 {
        self.if_master(given, |state| state.master_passphrase = *new)
    }

    fn master_erase(&mut self, given: &Passphrase) -> u32 {
        self.if_master(given, Self::forget_passphrase)
    }
}

fn passphrase(input: &[u8]) -> Result<&Passphrase> {
    input.first_chunk().ok_or(EINVAL)
}

fn passphrases(input: &[u8]) -> Result<(&Passphrase, &Passphrase)> {
    let ([given, new], _) = <[Passphrase; 2]>::ref_from_prefix(input).map_err(|_| EINVAL)?;
    Ok((given, new))
}
