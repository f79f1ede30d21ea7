// SPDX-License-Identifier: GPL-2.0

//! The driver of DIMMs, `nvdimm`.

use crate::{
    bus_type::NdBus,
    Kind,
    TypeMask, //
};
use kernel::{
    device::{
        Core,
        Device, //
    },
    prelude::*, //
};
use kernel_ext::bus::Driver;

/// The driver `nvdimm`. While it is bound the DIMM counts as enabled.
pub(crate) struct DimmDriver;

impl Driver<NdBus> for DimmDriver {
    type Data<'bound> = ();

    const TAKES: TypeMask = TypeMask::DIMM;

    fn probe<'bound>(device: &'bound Device<Core<'_>>) -> impl PinInit<(), Error> + 'bound {
        match Kind::of(device) {
            Some(Kind::Dimm(_)) => Ok(()),
            _ => Err(ENODEV),
        }
    }
}
