// SPDX-License-Identifier: GPL-2.0

//! Security of DIMMs by passphrases, and the attributes `nmemN/security` and `nmemN/frozen`.
//!
//! ```text
//!             set passphrase             power cycle
//!  disabled ─────────────────▶ unlocked ────────────▶ locked
//!     ▲  ▲    disable, erase     │  ▲                   │
//!     │  └───────────────────────┘  └───────────────────┘ unlock, when the DIMM is enabled
//!     └── overwrite ◀── from disabled or unlocked, back when it is done
//! ```
//!
//! The firmware keeps the state and is queried each time. Only a running overwrite is recorded
//! here, because the state of the firmware says nothing about it.
//!
//! Passphrases are keys of the key service of the kernel ([`kernel_ext::key`]). User space passes
//! their serial numbers. To unlock a DIMM, the kernel requests the key `nvdimm:<id>`.
//!
//! # Lock order
//!
//! Operations run under the device lock of the DIMM and the bus lock. So does unlocking, which
//! happens in the probe. The job that watches an overwrite takes the bus lock.

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
    device::TypedDevice,
    error::eopnotsupp,
    memregion, //
};

/// A passphrase.
pub type Passphrase = [u8; nd_format::nfit::security::PASSPHRASE];

/// The owner of a passphrase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The user.
    User,
    /// The master, whose passphrase can only erase.
    Master,
}

/// Security of DIMMs by a provider.
///
/// Operations fail with `EOPNOTSUPP` or `ENOTTY` if the DIMM does not support them, with `EINVAL`
/// if the passphrase is wrong, and with other errors if the state does not allow them.
pub trait Security: Send + Sync {
    /// Returns the security state of `dimm` as far as the passphrase of `owner` is concerned.
    /// `None`: there is no security, or the firmware does not report it.
    fn protection(&self, dimm: &TypedDevice<Dimm>, owner: Owner) -> Option<Protection>;

    /// Freezes the security state until the next power cycle.
    fn freeze(&self, dimm: &TypedDevice<Dimm>) -> Result;

    /// Sets or changes a passphrase. The old passphrase of a DIMM that has none is zeros.
    fn change(
        &self,
        dimm: &TypedDevice<Dimm>,
        owner: Owner,
        old: &Passphrase,
        new: &Passphrase,
    ) -> Result;

    /// Removes a passphrase.
    fn disable(&self, dimm: &TypedDevice<Dimm>, owner: Owner, passphrase: &Passphrase) -> Result;

    /// Unlocks `dimm`.
    fn unlock(&self, dimm: &TypedDevice<Dimm>, passphrase: &Passphrase) -> Result;

    /// Makes the contents of `dimm` permanently inaccessible.
    fn erase(&self, dimm: &TypedDevice<Dimm>, owner: Owner, passphrase: &Passphrase) -> Result;

    /// Starts to overwrite the contents of `dimm`.
    fn overwrite(&self, dimm: &TypedDevice<Dimm>, passphrase: &Passphrase) -> Result;

    /// Returns `true` if the overwrite is complete.
    fn is_overwritten(&self, dimm: &TypedDevice<Dimm>) -> Result<bool>;
}

/// Returns the operations for the security of `dimm`. Fails with `EOPNOTSUPP` if there are none.
fn of(dimm: &Dimm) -> Result<&dyn Security> {
    dimm.bus().operations().security().ok_or(eopnotsupp())
}

/// Returns the security state as far as the passphrase of the user is concerned; `None` if there is
/// no security.
fn protection(dimm: &TypedDevice<Dimm>) -> Option<Protection> {
    of(dimm).ok()?.protection(dimm, Owner::User)
}

/// Checks that `region` may be enabled: none of its DIMMs is being overwritten, and CPU caches hold
/// nothing from before a DIMM was unlocked or erased. They are invalidated if necessary.
///
/// Fails with `EBUSY` if a DIMM is being overwritten, and with `ENXIO` if the caches cannot be
/// invalidated.
pub(crate) fn admit(region: &TypedDevice<Region>) -> Result {
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
    let is_incoherent = |dimm: &TypedDevice<Dimm>| dimm.overwrite().is_incoherent.load(Relaxed);
    if !dimms().any(is_incoherent) {
        return Ok(());
    }
    // Memory that the provider simulates is ordinary memory, with which caches are coherent.
    let bus = region.bus();
    let is_simulated = bus
        .operations()
        .memory_at(bus, region.start(), region.size())
        .is_some();
    if !is_simulated {
        memregion::invalidate_caches().inspect_err(|_| {
            dev_err!(
                region,
                "cannot be enabled: its contents changed, and CPU caches cannot be invalidated here\n"
            );
        })?;
    }
    dimms().for_each(|dimm| dimm.overwrite().is_incoherent.store(false, Relaxed));
    Ok(())
}
