// SPDX-License-Identifier: GPL-2.0

//! `nmemN/security` and `nmemN/frozen` (`Documentation/ABI/testing/sysfs-bus-nd`).

use super::{
    operation::Operation,
    protection,
    Lock, //
};
use crate::{
    text::line,
    Dimm, //
};
use kernel::prelude::*;
use kernel_ext::{
    device::TypedDevice,
    sysfs::{
        Attribute,
        HIDDEN,
        READ_ONLY,
        READ_WRITE, //
    },
};

/// The security state of the DIMM. A write performs one of the operations ([`Operation`]).
pub(crate) static SECURITY: Attribute<Dimm> = Attribute::read_write(
    c"security",
    |dimm: &TypedDevice<Dimm>, out| {
        if dimm.overwrite().is_running() {
            return line!(out, "overwrite");
        }
        match protection(dimm).ok_or(ENOTTY)?.lock {
            Lock::Disabled => line!(out, "disabled"),
            Lock::Unlocked => line!(out, "unlocked"),
            Lock::Locked => line!(out, "locked"),
        }
    },
    |dimm, input| {
        let (_device_lock, lock) = dimm.bus().lock_idle(dimm.device());
        Operation::parse(input)?.perform(dimm, &lock)
    },
)
.visible(|dimm| if_protected(dimm, READ_WRITE))
.expecting("an operation that the state allows, and the numbers of its keys");

/// Whether security cannot be changed until the next power cycle.
pub(crate) static FROZEN: Attribute<Dimm> =
    Attribute::read_only(c"frozen", |dimm: &TypedDevice<Dimm>, out| {
        let frozen = protection(dimm).is_some_and(|protection| protection.frozen);
        line!(out, "{}", u8::from(frozen))
    })
    .visible(|dimm| if_protected(dimm, READ_ONLY));

fn if_protected(dimm: &TypedDevice<Dimm>, mode: u16) -> u16 {
    if protection(dimm).is_some() {
        mode
    } else {
        HIDDEN
    }
}
