// SPDX-License-Identifier: GPL-2.0

//! Security of DIMMs: passphrases, and what they let through. `nmemN/security` and `nmemN/frozen`.
//!
//! ```text
//!             set passphrase             power cycle
//!  disabled ─────────────────▶ unlocked ────────────▶ locked
//!     ▲  ▲    disable, erase     │  ▲                   │
//!     │  └───────────────────────┘  └───────────────────┘ unlock, when the DIMM is enabled
//!     └── overwrite ◀── from disabled or unlocked, back when it is done
//! ```
//!
//! The state is the firmware's, which is asked each time; only that an overwrite is running is known here, since the
//! firmware's state says nothing then.
//!
//! Passphrases are keys of the kernel's key service ([`kernel_ext::key`]). User space names them by number; to unlock a
//! DIMM, the key `nvdimm:<id>` is asked for.
//!
//! # Lock order
//!
//! Operations run under the lock of the DIMM's device and that of the bus, as does the unlocking in the probe. The watch
//! of an overwrite takes the lock of the bus.

mod attributes;
mod operation;
mod overwrite;

pub(crate) use self::{
    attributes::{
        FROZEN,
        SECURITY, //
    },
    operation::unlock,
    overwrite::Overwrite, //
};

pub use nd_format::nfit::security::{
    Lock,
    Protection, //
};

use crate::{
    region::Mapping,
    Dimm,
    Region, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kernel_ext::{
    device::Node,
    error::eopnotsupp,
    memregion, //
};

/// A passphrase.
pub type Passphrase = [u8; nd_format::nfit::security::PASSPHRASE];

/// Whose passphrase it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The user's.
    User,
    /// The master's, which can only erase.
    Master,
}

/// What a provider does about the security of DIMMs.
///
/// `EOPNOTSUPP` or `ENOTTY`: the DIMM cannot do that; `EINVAL`: it is not the passphrase; other errors: not in this state.
pub trait Security: Send + Sync {
    /// What a passphrase of `dimm` protects. `None`: there is no security, or the firmware does not tell.
    fn protection(&self, dimm: &Node<Dimm>, owner: Owner) -> Option<Protection>;

    /// Lets nothing be changed until the next power cycle.
    fn freeze(&self, dimm: &Node<Dimm>) -> Result;

    /// Sets or changes a passphrase. The passphrase of a DIMM that has none is zeros.
    fn change(&self, dimm: &Node<Dimm>, owner: Owner, old: &Passphrase, new: &Passphrase)
        -> Result;

    /// Takes a passphrase away.
    fn disable(&self, dimm: &Node<Dimm>, owner: Owner, passphrase: &Passphrase) -> Result;

    /// Unlocks `dimm`.
    fn unlock(&self, dimm: &Node<Dimm>, passphrase: &Passphrase) -> Result;

    /// Makes the contents of `dimm` inaccessible for ever.
    fn erase(&self, dimm: &Node<Dimm>, owner: Owner, passphrase: &Passphrase) -> Result;

    /// Begins to overwrite the contents of `dimm`.
    fn overwrite(&self, dimm: &Node<Dimm>, passphrase: &Passphrase) -> Result;

    /// Tells whether that is done.
    fn is_overwritten(&self, dimm: &Node<Dimm>) -> Result<bool>;
}

/// Gives what manages the security of `dimm`, if it has any.
fn of(dimm: &Dimm) -> Result<&dyn Security> {
    dimm.bus().operations().security().ok_or(eopnotsupp())
}

/// What the user's passphrase protects; `None` if there is no security.
fn protection(dimm: &Node<Dimm>) -> Option<Protection> {
    of(dimm).ok()?.protection(dimm, Owner::User)
}

/// Checks that a region may be enabled: its DIMMs are not being overwritten, and the caches hold nothing of what was in them
/// before they were unlocked or erased.
///
/// `EBUSY`: a DIMM is being overwritten. `ENXIO`: the caches cannot be cleaned.
pub(crate) fn admit(region: &Node<Region>) -> Result {
    let _lock = region.bus().lock();
    let dimms = || region.mappings().iter().map(Mapping::dimm);
    if let Some(dimm) = dimms().find(|dimm| dimm.overwrite().is_running()) {
        dev_err!(
            region,
            "cannot be enabled: DIMM nmem{} is being overwritten\n",
            dimm.id()
        );
        return Err(EBUSY);
    }
    let is_incoherent = |dimm: &Node<Dimm>| dimm.overwrite().is_incoherent.load(Relaxed);
    if !dimms().any(is_incoherent) {
        return Ok(());
    }
    // Memory that the provider only plays is that of this machine.
    let bus = region.bus();
    let is_simulated = bus
        .operations()
        .memory_at(bus, region.start(), region.size())
        .is_some();
    if !is_simulated {
        memregion::invalidate_caches().inspect_err(|_| {
            dev_err!(
                region,
                "cannot be enabled: its contents changed, and the caches of the CPUs cannot be cleaned here\n"
            );
        })?;
    }
    dimms().for_each(|dimm| dimm.overwrite().is_incoherent.store(false, Relaxed));
    Ok(())
}
