// SPDX-License-Identifier: GPL-2.0

//! `ndbusN/nfit`.

use crate::bus::NfitBus;
use kernel::{
    fmt::Write as _,
    prelude::*,
    str::{
        parse_int::ParseInt,
        BStr, //
    },
    sync::atomic::Relaxed, //
};
use kernel_ext::sysfs::{
    Attribute,
    Attributes,
    Group,
    GroupList,
    Groups, //
};
use nd::Bus;
use nd_format::nfit::dsm::BusFamily;

/// Revision of the table. That it is there tells that this is a bus of ACPI.
static REVISION: Attribute<Bus> = Attribute::read_only(c"revision", |bus, out| {
    let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
    writeln!(out, "{}", bus.revision)?;
    Ok(())
});

static DSM_MASK: Attribute<Bus> = Attribute::read_only(c"dsm_mask", |bus, out| {
    let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
    writeln!(out, "{}", bus.functions(BusFamily::Nfit))?;
    Ok(())
});

/// Whether a hardware error is to be followed by a scrub of everything. Nothing scrubs yet; the wish is only kept.
static HW_ERROR_SCRUB: Attribute<Bus> = Attribute::<Bus>::read_write(
    c"hw_error_scrub",
    |bus, out| {
        let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
        writeln!(out, "{}", u8::from(bus.scrub_on_error.load(Relaxed)))?;
        Ok(())
    },
    |bus, input| {
        let text = input.strip_suffix(b"\n").unwrap_or(input);
        let wish = match i64::from_str(BStr::from_bytes(text))? {
            0 => false,
            1 => true,
            _ => return Err(EINVAL),
        };
        let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
        bus.scrub_on_error.store(wish, Relaxed);
        Ok(())
    },
)
.expecting("0 or 1");

static ATTRIBUTES: Attributes<Bus, 4> = Attributes::new([&REVISION, &DSM_MASK, &HW_ERROR_SCRUB]);
static GROUP: Group<Bus> = Group::named(c"nfit", &ATTRIBUTES);
static GROUPS: Groups<Bus, 2> = Groups::new([&GROUP]);

pub(crate) fn groups() -> GroupList<Bus> {
    GROUPS.list()
}
