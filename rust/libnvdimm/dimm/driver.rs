// SPDX-License-Identifier: GPL-2.0

//! The driver of DIMMs, `nvdimm`. It reads the labels.

use super::{
    label_area::Reading,
    CachedArea,
    Dimm, //
};
use crate::{
    bus_type::NdBus,
    security,
    Kind,
    TypeMask, //
};
use kernel::{
    device::{
        Core,
        Device, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::Relaxed, //
    },
};
use kernel_ext::{
    bus::Driver,
    device::TypedDevice, //
};

/// The driver `nvdimm`. A DIMM is enabled while it is bound.
pub(crate) struct DimmDriver;

/// Keeps a DIMM enabled until it is dropped.
pub(crate) struct Enabled(ARef<TypedDevice<Dimm>>);

impl Drop for Enabled {
    fn drop(&mut self) {
        self.0.disable();
    }
}

impl Driver<NdBus> for DimmDriver {
    type Data<'bound> = Enabled;

    const TAKES: TypeMask = TypeMask::DIMM;

    fn probe<'bound>(device: &'bound Device<Core<'_>>) -> impl PinInit<Enabled, Error> + 'bound {
        match Kind::of(device) {
            Some(Kind::Dimm(dimm)) => enable(dimm),
            _ => Err(ENODEV),
        }
    }
}

/// Enables `dimm`, after reading its label area if it has one.
///
/// A DIMM whose memory is locked is enabled, too, so that it can be unlocked and its namespaces can
/// be listed.
fn enable(dimm: &TypedDevice<Dimm>) -> Result<Enabled> {
    security::unlock(dimm, &dimm.bus().lock());
    loop {
        let changes = dimm.label_changes();
        let area = read_labels(dimm)?;
        if dimm.enable(area, changes) {
            return Ok(Enabled(dimm.into()));
        }
    }
}

fn read_labels(dimm: &TypedDevice<Dimm>) -> Result<Option<CachedArea>> {
    if !dimm.has_label_commands() {
        return Ok(None);
    }
    let Reading { area, locked } = CachedArea::read(dimm).inspect_err(|&error| {
        if error == EACCES {
            dimm.locked.store(true, Relaxed);
        }
    })?;
    dimm.locked.store(locked, Relaxed);
    if locked {
        dev_warn!(dimm, "is locked: its namespaces cannot be used\n");
    }
    Ok(area)
}
