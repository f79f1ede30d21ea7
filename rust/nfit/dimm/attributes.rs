// SPDX-License-Identifier: GPL-2.0

//! Attributes of `nmemN/nfit`: identity of a DIMM and state that its firmware reported.

use super::nfit_dimm::NfitDimm;
use kernel::{
    fmt::Write as _,
    prelude::*, //
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
        READ_ONLY, //
    },
};
use nd::Dimm;
use nd_format::nfit::{
    ControlRegion,
    DimmId, //
};

fn ours(dimm: &TypedDevice<Dimm>) -> Result<&NfitDimm> {
    dimm.private::<NfitDimm>().ok_or(ENXIO)
}

fn control_region(dimm: &TypedDevice<Dimm>) -> Result<&ControlRegion> {
    ours(dimm)?.control_region.as_ref().ok_or(ENXIO)
}

/// Returns the mode of an attribute of the control region: hidden if there is none.
fn with_control_region(dimm: &TypedDevice<Dimm>) -> u16 {
    if control_region(dimm).is_ok() {
        READ_ONLY
    } else {
        HIDDEN
    }
}

/// Defines an attribute that shows a 16-bit field of the control region.
macro_rules! control_region_number {
    ($name:ident, $file:literal, |$region:ident| $value:expr) => {
        static $name: Attribute<Dimm> = Attribute::read_only($file, |dimm, out| {
            let $region = control_region(dimm)?;
            let value: u16 = $value;
            writeln!(out, "{value:#06x}")?;
            Ok(())
        })
        .visible(with_control_region);
    };
}

control_region_number!(VENDOR, c"vendor", |region| u16::from_be_bytes(
    region.vendor
));
control_region_number!(DEVICE, c"device", |region| u16::from_be_bytes(
    region.device
));
control_region_number!(REVISION, c"rev_id", |region| u16::from_be_bytes(
    region.revision
));
control_region_number!(SUBSYSTEM_VENDOR, c"subsystem_vendor", |region| {
    u16::from_be_bytes(region.subsystem_vendor)
});
control_region_number!(SUBSYSTEM_DEVICE, c"subsystem_device", |region| {
    u16::from_be_bytes(region.subsystem_device)
});
control_region_number!(SUBSYSTEM_REVISION, c"subsystem_rev_id", |region| {
    u16::from_be_bytes(region.subsystem_revision)
});
control_region_number!(FORMAT, c"format", |region| region.format.get());

static SERIAL: Attribute<Dimm> = Attribute::read_only(c"serial", |dimm, out| {
    let serial = u32::from_be_bytes(control_region(dimm)?.serial);
    writeln!(out, "{serial:#010x}")?;
    Ok(())
})
.visible(with_control_region);

static ID: Attribute<Dimm> = Attribute::read_only(c"id", |dimm, out| {
    writeln!(out, "{}", DimmId::new(control_region(dimm)?))?;
    Ok(())
})
.visible(with_control_region);

/// Number of interfaces of the DIMM. Block windows, the second interface, are obsolete.
static FORMATS: Attribute<Dimm> = Attribute::read_only(c"formats", |dimm, out| {
    writeln!(out, "{}", u8::from(ours(dimm)?.backs_persistent_memory))?;
    Ok(())
})
.visible(with_control_region);

static HANDLE: Attribute<Dimm> = Attribute::read_only(c"handle", |dimm, out| {
    writeln!(out, "{}", ours(dimm)?.handle)?;
    Ok(())
});

static PHYSICAL_ID: Attribute<Dimm> = Attribute::read_only(c"phys_id", |dimm, out| {
    writeln!(out, "{:#x}", ours(dimm)?.physical_id)?;
    Ok(())
});

static FLAGS: Attribute<Dimm> = Attribute::read_only(c"flags", |dimm, out| {
    writeln!(out, "{}", ours(dimm)?.state())?;
    Ok(())
});

static FAMILY: Attribute<Dimm> = Attribute::read_only(c"family", |dimm, out| {
    let firmware = ours(dimm)?.firmware.as_ref().ok_or(ENXIO)?;
    let known = firmware.functions.ok_or(ENXIO)?;
    writeln!(out, "{}", known.family.number())?;
    Ok(())
});

static DSM_MASK: Attribute<Dimm> = Attribute::read_only(c"dsm_mask", |dimm, out| {
    let firmware = ours(dimm)?.firmware.as_ref().ok_or(ENXIO)?;
    let known = firmware.functions.ok_or(ENXIO)?;
    writeln!(out, "{}", known.functions)?;
    Ok(())
});

fn dirty_shutdowns(dimm: &TypedDevice<Dimm>) -> Result<u32> {
    let firmware = ours(dimm)?.firmware.as_ref().ok_or(ENXIO)?;
    firmware.shutdown.dirty_count.ok_or(ENXIO)
}

static DIRTY_SHUTDOWN: Attribute<Dimm> = Attribute::read_only(c"dirty_shutdown", |dimm, out| {
    writeln!(out, "{}", dirty_shutdowns(dimm)?)?;
    Ok(())
})
.visible(|dimm| {
    if dirty_shutdowns(dimm).is_ok() {
        with_control_region(dimm)
    } else {
        HIDDEN
    }
});

static ATTRIBUTES: Attributes<Dimm, 16> = Attributes::new([
    &HANDLE,
    &PHYSICAL_ID,
    &VENDOR,
    &DEVICE,
    &REVISION,
    &SUBSYSTEM_VENDOR,
    &SUBSYSTEM_DEVICE,
    &SUBSYSTEM_REVISION,
    &FORMAT,
    &FORMATS,
    &SERIAL,
    &ID,
    &FLAGS,
    &FAMILY,
    &DSM_MASK,
    &DIRTY_SHUTDOWN,
]);
static GROUP: Group<Dimm> = Group::named(c"nfit", &ATTRIBUTES);
static GROUPS: Groups<Dimm, 1> = Groups::new([&GROUP]);

pub(crate) fn groups() -> GroupList<Dimm> {
    GROUPS.list()
}
