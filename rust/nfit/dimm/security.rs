// SPDX-License-Identifier: GPL-2.0

//! Security of DIMMs by functions of Intel's family.

use super::nfit_dimm::NfitDimm;
use crate::firmware::status_of;
use kernel::prelude::*;
use kernel_ext::{
    device::TypedDevice,
    error::eopnotsupp,
    key, //
};
use nd::{
    security::{
        Owner,
        Passphrase,
        Protection, //
    },
    Dimm, //
};
use nd_format::nfit::{
    dsm::{
        DimmFamily,
        Functions, //
    },
    security::{
        function,
        status,
        SecurityState, //
    },
};

/// Security operations. Nothing is cached: the firmware can change its state at any time.
pub(crate) struct Security;

impl nd::security::Security for Security {
    fn protection(&self, dimm: &TypedDevice<Dimm>, owner: Owner) -> Option<Protection> {
        const NEEDED: Functions = Functions::span(function::STATE, function::STATE);

        let known = dimm.private::<NfitDimm>()?;
        if !known.has_functions(DimmFamily::Intel, NEEDED) {
            return None;
        }
        let answer = known.call(function::STATE, &[]).ok();
        let state = answer
            .as_ref()
            .and_then(|answer| SecurityState::from_answer(answer.buffer()?));
        let Some(state) = state else {
            dev_err!(dimm, "cannot query the security state\n");
            return None;
        };
        match owner {
            Owner::User => state.user(),
            Owner::Master => Some(state.master()),
        }
    }

    fn freeze(&self, dimm: &TypedDevice<Dimm>) -> Result {
        match call(dimm, function::FREEZE, &[])? {
            0 => Ok(()),
            _ => Err(EIO),
        }
    }

    fn change(
        &self,
        dimm: &TypedDevice<Dimm>,
        owner: Owner,
        old: &Passphrase,
        new: &Passphrase,
    ) -> Result {
        let function = match owner {
            Owner::User => function::SET_PASSPHRASE,
            Owner::Master => function::SET_MASTER_PASSPHRASE,
        };
        let mut input = [*old, *new];
        let outcome = call(dimm, function, input.as_flattened());
        key::wipe(input.as_flattened_mut());
        match outcome? {
            0 => Ok(()),
            status::WRONG_PASSPHRASE => Err(EINVAL),
            status::NOT_SUPPORTED => Err(eopnotsupp()),
            _ => Err(EIO),
        }
    }

    fn disable(&self, dimm: &TypedDevice<Dimm>, owner: Owner, passphrase: &Passphrase) -> Result {
        if owner == Owner::Master {
            return Err(eopnotsupp());
        }
        match call(dimm, function::DISABLE, passphrase)? {
            0 => Ok(()),
            status::WRONG_PASSPHRASE => Err(EINVAL),
            _ => Err(ENXIO),
        }
    }

    fn unlock(&self, dimm: &TypedDevice<Dimm>, passphrase: &Passphrase) -> Result {
        match call(dimm, function::UNLOCK, passphrase)? {
            0 => Ok(()),
            status::WRONG_PASSPHRASE => Err(EINVAL),
            _ => Err(EIO),
        }
    }

    fn erase(&self, dimm: &TypedDevice<Dimm>, owner: Owner, passphrase: &Passphrase) -> Result {
        let function = match owner {
            Owner::User => function::ERASE,
            Owner::Master => function::MASTER_ERASE,
        };
        match call(dimm, function, passphrase)? {
            0 => Ok(()),
            status::WRONG_PASSPHRASE => Err(EINVAL),
            status::NOT_SUPPORTED => Err(eopnotsupp()),
            _ => Err(ENXIO),
        }
    }

    fn overwrite(&self, dimm: &TypedDevice<Dimm>, passphrase: &Passphrase) -> Result {
        match call(dimm, function::OVERWRITE, passphrase)? {
            0 => Ok(()),
            status::WRONG_PASSPHRASE => Err(EINVAL),
            status::CANNOT_OVERWRITE => Err(eopnotsupp()),
            _ => Err(ENXIO),
        }
    }

    fn is_overwritten(&self, dimm: &TypedDevice<Dimm>) -> Result<bool> {
        match call(dimm, function::QUERY_OVERWRITE, &[])? {
            0 => Ok(true),
            status::OVERWRITING => Ok(false),
            _ => Err(ENXIO),
        }
    }
}

/// Calls a function and returns its status.
fn call(dimm: &TypedDevice<Dimm>, function: u32, input: &[u8]) -> Result<u32> {
    let known = dimm.private::<NfitDimm>().ok_or(ENXIO)?;
    status_of(known.call(function, input)?.buffer())
}
