// SPDX-License-Identifier: GPL-2.0

//! The driver of `daxN.M`, `dax_pmem.ko`. There is no device DAX yet: whoever enables one is told so.
//!
//! The C module of this name needs the C core. Were this one not there, that one would be loaded for every such device, and
//! fail with missing symbols.

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

/// The driver. It never drives anything.
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
    // A seed, which nobody has configured yet, is refused without a word.
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
    description: "NVDIMM device DAX driver, which has none",
    license: "GPL",
    alias: ["nd:t7*"],
}
