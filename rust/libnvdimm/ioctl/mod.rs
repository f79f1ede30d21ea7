// SPDX-License-Identifier: GPL-2.0

//! The control nodes `/dev/ndctlN` and `/dev/nmemN`.
//!
//! An ioctl passes one buffer: input, then space for output, laid out per command
//! ([`nd_format::uapi`]). The core looks the object up, checks permissions and the size of the
//! buffer, and lets the provider execute the command.

mod call;
mod clear_error;
mod cmd_layout;

use crate::{
    Bus,
    Dimm,
    NdBus, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use kernel_ext::chrdev::{
    Call,
    Operations,
    Registration, //
};

static BUS_MAJOR: Atomic<u32> = Atomic::new(0);
static DIMM_MAJOR: Atomic<u32> = Atomic::new(0);

/// `/dev/ndctlN`.
pub(crate) struct BusNode;

impl Operations for BusNode {
    const MODULE: &'static ThisModule = kernel_compat::this_module!();

    fn ioctl(call: Call) -> Result<c_long> {
        let bus = NdBus::find::<Bus>(|bus| bus.id() == call.minor).ok_or(ENXIO)?;
        call::serve(&bus, None, call)
    }
}

/// `/dev/nmemN`.
pub(crate) struct DimmNode;

impl Operations for DimmNode {
    const MODULE: &'static ThisModule = kernel_compat::this_module!();

    fn ioctl(call: Call) -> Result<c_long> {
        let dimm = NdBus::find::<Dimm>(|dimm| dimm.id() == call.minor).ok_or(ENXIO)?;
        call::serve(dimm.bus(), Some(&dimm), call)
    }
}

/// Registers the character devices of buses.
pub(crate) fn register_bus_nodes() -> Result<Registration<BusNode>> {
    let nodes = Registration::new(c"ndctl")?;
    BUS_MAJOR.store(nodes.major(), Relaxed);
    Ok(nodes)
}

/// Registers the character devices of DIMMs.
pub(crate) fn register_dimm_nodes() -> Result<Registration<DimmNode>> {
    let nodes = Registration::new(c"dimmctl")?;
    DIMM_MAJOR.store(nodes.major(), Relaxed);
    Ok(nodes)
}

/// Returns the major number of the character devices of buses.
pub(crate) fn bus_major() -> u32 {
    BUS_MAJOR.load(Relaxed)
}

/// Returns the major number of the character devices of DIMMs.
pub(crate) fn dimm_major() -> u32 {
    DIMM_MAJOR.load(Relaxed)
}
