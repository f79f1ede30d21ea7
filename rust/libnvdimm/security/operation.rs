// SPDX-License-Identifier: GPL-2.0

//! The operations that are written to `security`.
//!
//! ```text
//! freeze
//! update OLD NEW            master_update OLD NEW
//! disable KEY               disable_master KEY
//! erase KEY                 master_erase KEY
//! overwrite KEY
//! ```
//!
//! Keys are given by serial number. 0 as the old or only key stands for a passphrase of zeros.

use super::{
    of,
    protection,
    Lock,
    Owner,
    Passphrase,
    Security, //
};
use crate::{
    bus::BusLock,
    text,
    Dimm, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::atomic::Relaxed, //
};
use kernel_ext::{
    device::TypedDevice,
    error::{
        enokey,
        eopnotsupp, //
    },
    key::{
        self,
        Secret,
        Serial, //
    },
};

/// An operation on a DIMM.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Freeze,
    Update {
        owner: Owner,
        old: Serial,
        new: Serial,
    },
    Disable {
        owner: Owner,
        key: Serial,
    },
    Erase {
        owner: Owner,
        key: Serial,
    },
    Overwrite {
        key: Serial,
    },
}

impl Operation {
    /// Parses an operation and ignores what follows it. Fails with `EINVAL` if there is no such
    /// operation or a key is missing, and with `ERANGE` if a number is too large.
    pub(super) fn parse(input: &[u8]) -> Result<Self> {
        let mut words = input
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let verb = words.next().ok_or(EINVAL)?;
        let mut key = || -> Result<Serial> {
            let number = text::parse_u64(words.next().ok_or(EINVAL)?)?;
            Serial::try_from(number).map_err(|_| ERANGE)
        };
        Ok(match verb {
            b"freeze" => Self::Freeze,
            b"update" | b"master_update" => Self::Update {
                owner: owner(verb),
                old: key()?,
                new: key()?,
            },
            b"disable" | b"disable_master" => Self::Disable {
                owner: owner(verb),
                key: key()?,
            },
            b"erase" | b"master_erase" => Self::Erase {
                owner: owner(verb),
                key: key()?,
            },
            b"overwrite" => Self::Overwrite { key: key()? },
            _ => return Err(EINVAL),
        })
    }

    /// Performs the operation on `dimm`.
    ///
    /// Fails with `EBUSY` if the DIMM is being overwritten, or would be erased under an enabled
    /// region; with `EIO` if its security is frozen; with `ENOKEY` if there is no such key. Other
    /// errors are those of [`Security`].
    pub(super) fn perform(self, dimm: &TypedDevice<Dimm>, lock: &BusLock<'_>) -> Result {
        let security = of(dimm)?;
        if dimm.overwrite().is_running() {
            return Err(EBUSY);
        }
        let protection = protection(dimm).ok_or(eopnotsupp())?;
        if let Self::Erase { .. } | Self::Overwrite { .. } = self {
            if dimm.is_active(lock) {
                return Err(EBUSY);
            }
        }
        if protection.frozen && !matches!(self, Self::Freeze) {
            return Err(EIO);
        }
        match self {
            Self::Freeze => security.freeze(dimm),
            Self::Update { owner, old, new } => {
                let old = old_passphrase(old)?;
                let new = passphrase(new)?;
                security.change(dimm, owner, old.bytes(), new.bytes())
            }
            Self::Disable { owner, key } => {
                security.disable(dimm, owner, old_passphrase(key)?.bytes())
            }
            Self::Erase { owner, key } => erase(security, dimm, owner, key),
            Self::Overwrite { key } => {
                let key = old_passphrase(key)?;
                let ready = dimm.overwrite().prepare(dimm, lock)?;
                security.overwrite(dimm, key.bytes())?;
                dimm.overwrite().is_incoherent.store(true, Relaxed);
                ready.watch();
                Ok(())
            }
        }
    }
}

fn owner(verb: &[u8]) -> Owner {
    if verb.starts_with(b"master_") || verb.ends_with(b"_master") {
        Owner::Master
    } else {
        Owner::User
    }
}

fn erase(security: &dyn Security, dimm: &TypedDevice<Dimm>, owner: Owner, key: Serial) -> Result {
    if owner == Owner::Master {
        let master = security.protection(dimm, Owner::Master);
        if !master.is_some_and(|master| master.lock == Lock::Unlocked) {
            return Err(eopnotsupp());
        }
    }
    security.erase(dimm, owner, old_passphrase(key)?.bytes())?;
    dimm.overwrite().is_incoherent.store(true, Relaxed);
    Ok(())
}

type Key = Secret<{ size_of::<Passphrase>() }>;

/// Returns the passphrase of a key. Fails with `ENOKEY` if there is no such key, with `EOPNOTSUPP`
/// if the kernel has no encrypted keys, and with `ENOMEM` if there is no memory for it.
fn passphrase(serial: Serial) -> Result<Key> {
    if serial == 0 {
        return Err(enokey());
    }
    key::lookup(serial)
}

fn old_passphrase(serial: Serial) -> Result<Key> {
    if serial == 0 {
        return Key::zero();
    }
    passphrase(serial)
}

/// Unlocks `dimm` with the key `nvdimm:<id>`, or with zeros if there is none.
///
/// If the parameter `key_revalidate` is set, a DIMM that is already unlocked is given its
/// passphrase as the old and the new one, which verifies it. The DIMM can be used whether or not
/// that succeeds.
pub(crate) fn unlock(dimm: &TypedDevice<Dimm>, _lock: &BusLock<'_>) {
    let (Ok(security), Some(protection)) = (of(dimm), protection(dimm)) else {
        return;
    };
    if dimm.overwrite().is_running() {
        return;
    }
    let outcome = match protection.lock {
        Lock::Disabled => return,
        Lock::Unlocked if !crate::KEY_REVALIDATE.is_on() => return,
        Lock::Unlocked => requested_passphrase(dimm)
            .and_then(|key| security.change(dimm, Owner::User, key.bytes(), key.bytes())),
        Lock::Locked => requested_passphrase(dimm)
            .and_then(|key| security.unlock(dimm, key.bytes()))
            .inspect(|()| dimm.overwrite().is_incoherent.store(true, Relaxed)),
    };
    if outcome.is_err() {
        match protection.lock {
            Lock::Locked => dev_warn!(dimm, "stays locked: no key has its passphrase\n"),
            _ => dev_info!(dimm, "is unlocked, but no key has its passphrase\n"),
        }
    }
}

fn requested_passphrase(dimm: &TypedDevice<Dimm>) -> Result<Key> {
    let Some(id) = &dimm.description().unique_id else {
        return Key::zero();
    };
    let id = core::str::from_utf8(id.to_bytes()).map_err(|_| EINVAL)?;
    let description = CString::try_from_fmt(fmt!("nvdimm:{id}"))?;
    match key::request(&description) {
        // Zeros would be a wrong passphrase, and DIMMs count failed attempts.
        Err(error) if error == ENOMEM => Err(error),
        Err(_) => Key::zero(),
        found => found,
    }
}
