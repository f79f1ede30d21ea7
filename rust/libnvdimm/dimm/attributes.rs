// SPDX-License-Identifier: GPL-2.0

//! Attributes of `nmemN` (`Documentation/ABI/testing/sysfs-bus-nd`).

use super::Dimm;
use crate::{
    activation,
    attributes::Common,
    bus::show_commands,
    security::{
        FROZEN,
        SECURITY, //
    },
    text::line,
};
use kernel::prelude::*;
use kernel_ext::sysfs::{
    Attribute,
    Attributes,
    Group,
    Groups, //
};
use nd_format::uapi::Target;

/// `active` while an enabled region uses the labels of the DIMM.
static STATE: Attribute<Dimm> = Attribute::read_only(c"state", |dimm, out| {
    let lock = dimm.bus().lock();
    line!(
        out,
        "{}",
        if dimm.is_active(&lock) {
            "active"
        } else {
            "idle"
        }
    )
});

static FLAGS: Attribute<Dimm> = Attribute::read_only(c"flags", |dimm, out| {
    let label = if dimm.is_labelled() { "label " } else { "" };
    let lock = if dimm.is_locked() { "lock " } else { "" };
    line!(out, "{label}{lock}")
});

static COMMANDS: Attribute<Dimm> = Attribute::read_only(c"commands", |dimm, out| {
    show_commands(out, Target::Dimm, dimm.description().commands)
});

/// Number of free label slots, less the one that updates need.
static AVAILABLE_SLOTS: Attribute<Dimm> = Attribute::read_only(c"available_slots", |dimm, out| {
    let lock = dimm.bus().lock();
    let area = dimm.area(&lock).ok_or(ENXIO)?;
    line!(out, "{}", area.area().available_slots())
});

static ATTRIBUTES: Attributes<Dimm, 6> = Attributes::new([
    &STATE,
    &FLAGS,
    &COMMANDS,
    &AVAILABLE_SLOTS,
    &SECURITY,
    &FROZEN,
]);
static GROUP: Group<Dimm> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<Dimm, 3> =
    Groups::new([Common::<Dimm>::IDENTITY, &GROUP, &activation::DIMM_GROUP]);
