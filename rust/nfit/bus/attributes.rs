// SPDX-License-Identifier: GPL-2.0

//! Attributes of `ndbusN/nfit`.

use super::nfit_bus::NfitBus;
use crate::scrub::Scrub;
use kernel::{
    fmt::Write as _,
    prelude::*,
    str::{
        kstrtobool_bytes,
        parse_int::ParseInt,
        BStr, //
    },
    sync::atomic::Relaxed, //
};
use kernel_ext::{
    device::TypedDevice,
    sysfs::{
        Attribute,
        Attributes,
        Group,
        GroupList,
        Groups,
        HIDDEN,
        READ_WRITE, //
    },
    task::{
        capable,
        Capability, //
    },
};
use nd::Bus;
use nd_format::nfit::{
    ars::Depth,
    dsm::BusFamily, //
};

/// Revision of the table. User space recognises an ACPI bus by this attribute.
static REVISION: Attribute<Bus> = Attribute::read_only(c"revision", |bus, out| {
    let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
    writeln!(out, "{}", bus.revision)?;
    Ok(())
});

static DSM_MASK: Attribute<Bus> = Attribute::read_only(c"dsm_mask", |bus, out| {
    let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
    writeln!(out, "{}", bus.callable(BusFamily::Nfit))?;
    Ok(())
});

/// Number of completed scrubs of all ranges, with a `+` while one is pending or running. Writing 1
/// requests a scrub.
static SCRUB: Attribute<Bus> = Attribute::<Bus>::read_write(
    c"scrub",
    |bus, out| {
        let scrub = scrub_of(bus).ok_or(ENXIO)?;
        let status = scrub.status(capable(Capability::SysRawio));
        let sign = if status.is_running { "+" } else { "" };
        writeln!(out, "{}{sign}", status.count)?;
        Ok(())
    },
    |bus, input| {
        let text = input.strip_suffix(b"\n").unwrap_or(input);
        if i64::from_str(BStr::from_bytes(text))? != 1 {
            return Err(EINVAL);
        }
        scrub_of(bus).ok_or(ENXIO)?.request(Depth::Long)
    },
)
.expecting("1")
.visible(|bus| {
    if scrub_of(bus).is_some() {
        READ_WRITE
    } else {
        HIDDEN
    }
});

fn scrub_of(bus: &Bus) -> Option<&Scrub> {
    bus.private::<NfitBus>()?.scrub()
}

/// 1 if a hardware error starts a long scrub of all ranges, 0 if it starts a short one.
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

/// `Y` if devices count as idle during firmware activation, so that the firmware need not idle
/// them.
static FIRMWARE_ACTIVATE_NOIDLE: Attribute<Bus> = Attribute::read_write(
    c"firmware_activate_noidle",
    |bus: &TypedDevice<Bus>, out| {
        let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
        let idle = bus.devices_are_idle.load(Relaxed);
        writeln!(out, "{}", if idle { "Y" } else { "N" })?;
        Ok(())
    },
    |bus, input| {
        let idle = kstrtobool_bytes(input)?;
        let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
        bus.devices_are_idle.store(idle, Relaxed);
        Ok(())
    },
)
.visible(|bus| match bus.private::<NfitBus>() {
    Some(bus) if bus.activates_firmware() => READ_WRITE,
    _ => HIDDEN,
});

static ATTRIBUTES: Attributes<Bus, 5> = Attributes::new([
    &REVISION,
    &DSM_MASK,
    &SCRUB,
    &HW_ERROR_SCRUB,
    &FIRMWARE_ACTIVATE_NOIDLE,
]);
static GROUP: Group<Bus> = Group::named(c"nfit", &ATTRIBUTES);
static GROUPS: Groups<Bus, 1> = Groups::new([&GROUP]);

pub(crate) fn groups() -> GroupList<Bus> {
    GROUPS.list()
}
