// SPDX-License-Identifier: GPL-2.0

//! Attributes of `ndbusN` (`Documentation/ABI/testing/sysfs-bus-nd`).

use super::{
    wait_probe,
    Bus, //
};
use crate::{
    activation,
    text::{
        line,
        print, //
    },
};
use kernel::{
    prelude::*,
    str::Formatter, //
};
use kernel_ext::sysfs::{
    Attribute,
    Attributes,
    Group,
    Groups, //
};
use nd_format::uapi::Target;

static COMMANDS: Attribute<Bus> = Attribute::read_only(c"commands", |bus, out| {
    show_commands(out, Target::Bus, bus.description().commands)
});

static PROVIDER: Attribute<Bus> = Attribute::read_only(c"provider", |bus, out| {
    line!(out, "{}", bus.description().provider_name)
});

static WAIT_PROBE: Attribute<Bus> = Attribute::read_only(c"wait_probe", |bus, out| {
    wait_probe(bus)?;
    line!(out, "1")
});

static ATTRIBUTES: Attributes<Bus, 3> = Attributes::new([&COMMANDS, &PROVIDER, &WAIT_PROBE]);
static GROUP: Group<Bus> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<Bus, 2> = Groups::new([&GROUP, &activation::BUS_GROUP]);

/// Prints the names of the commands of `target` in `mask`, lowest number first, each followed by a
/// space.
pub(crate) fn show_commands(out: &mut Formatter<'_>, target: Target, mask: u64) -> Result {
    for number in (0..u64::BITS).filter(|number| mask & (1 << number) != 0) {
        print!(out, "{} ", target.command_name(number))?;
    }
    line!(out)
}
