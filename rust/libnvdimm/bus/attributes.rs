// SPDX-License-Identifier: GPL-2.0

//! Attributes of `ndbusN` (`Documentation/sysfs.md`).

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

static COMMANDS: Attribute<Bus> = Attribute::read_only(c"commands", |bus, out| {
    show_commands(out, bus.description().commands, |number| match number {
        1 => "ars_cap",
        2 => "ars_start",
        3 => "ars_status",
        4 => "clear_error",
        10 => "cmd_call",
        _ => "unknown",
    })
});

static PROVIDER: Attribute<Bus> = Attribute::read_only(c"provider", |bus, out| {
    line!(out, "{}", bus.description().provider_name)
});

static WAIT_PROBE: Attribute<Bus> = Attribute::read_only(c"wait_probe", |bus, out| {
    wait_probe(bus)?;
    line!(out, "1")
});

static ATTRIBUTES: Attributes<Bus, 4> = Attributes::new([&COMMANDS, &PROVIDER, &WAIT_PROBE]);
static GROUP: Group<Bus> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<Bus, 3> = Groups::new([&GROUP, &activation::BUS_GROUP]);

/// Prints the names of the commands in a mask, lowest number first, each followed by a space.
pub(crate) fn show_commands(
    out: &mut Formatter<'_>,
    mask: u64,
    name: fn(u32) -> &'static str,
) -> Result {
    for number in (0..u64::BITS).filter(|number| mask & (1 << number) != 0) {
        print!(out, "{} ", name(number))?;
    }
    line!(out)
}
