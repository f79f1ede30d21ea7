// SPDX-License-Identifier: GPL-2.0

//! The driver of `daxN.M`, `dax_pmem.ko`. Device DAX is not supported yet: the driver refuses each
//! device with a message.
//!
//! Without this module, the C module of the same name would be loaded for each such device. It
//! needs the C core, so it would fail with missing symbols.

#![forbid(unsafe_code)]

use core::convert::Infallible;
use kernel::{
    device::{
        Core,
        Device, //
    },
    prelude::*, //
};
use kernel_ext::bus::Driver;
use nd::{
    namespace::OpenNamespace,
    Kind,
    NdBus,
    TypeMask, //
};

/// The driver. It never binds to a device.
struct DaxDriver;

impl Driver<NdBus> for DaxDriver {
    type Data<'bound> = Infallible;

    const TAKES: TypeMask = TypeMask::DAX;

    fn probe<'bound>(device: &'bound Device<Core<'_>>) -> impl PinInit<Infallible, Error> + 'bound {
        refuse(device)
    }
}

fn refuse(device: &Device<Core<'_>>) -> Result<Infallible> {
    let kind = Kind::of(device).ok_or(ENODEV)?;
    // A seed is not configured, and is refused without a message.
    let _namespace = OpenNamespace::of(kind)?;
    dev_err!(
        device,
        "device DAX is not supported: it can be configured, but not enabled\n"
    );
    Err(ENXIO)
}

nd::module_nd_driver! {
    type: DaxDriver,
    name: "dax_pmem",
    authors: ["The nvdimm-rust developers"],
    description: "NVDIMM device DAX placeholder: device DAX is not supported",
    license: "GPL",
    alias: ["nd:t7*"],
}
