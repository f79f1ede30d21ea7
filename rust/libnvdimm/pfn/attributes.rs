// SPDX-License-Identifier: GPL-2.0

//! Attributes of `pfnN.M` and `daxN.M` (`Documentation/ABI/testing/sysfs-bus-nd`).

use super::{
    supported_alignments,
    PfnDevice, //
};
use crate::{
    attributes::Common,
    personality::{
        self,
        UnboundPersonality, //
    },
    text::{
        self,
        line,
        print, //
    },
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kernel_ext::{
    device::TypedDevice,
    sysfs::{
        Attribute,
        Attributes,
        Group,
        Groups, //
    },
};
use nd_format::pfn::Location;

static UUID: Attribute<PfnDevice> = personality::uuid();
static NAMESPACE: Attribute<PfnDevice> = personality::namespace();

static MODE: Attribute<PfnDevice> = Attribute::<PfnDevice>::read_write(
    c"mode",
    |pfn, out| match *pfn.location.lock() {
        None => line!(out, "none"),
        Some(Location::Ram) => line!(out, "ram"),
        Some(Location::Pmem) => line!(out, "pmem"),
    },
    |pfn, input| {
        let pfn = UnboundPersonality::new(pfn)?;
        *pfn.location.lock() = match text::without_newline(input) {
            b"pmem" => Some(Location::Pmem),
            b"ram" => Some(Location::Ram),
            b"none" => None,
            _ => return Err(EINVAL),
        };
        Ok(())
    },
)
.expecting("none, ram or pmem");

static ALIGN: Attribute<PfnDevice> = Attribute::<PfnDevice>::read_write(
    c"align",
    |pfn, out| line!(out, "{}", pfn.align()),
    |pfn, input| {
        let pfn = UnboundPersonality::new(pfn)?;
        let align = text::parse_choice(input, supported_alignments())?;
        pfn.align.store(align, Relaxed);
        Ok(())
    },
)
.expecting("one of supported_alignments");

static SUPPORTED_ALIGNMENTS: Attribute<PfnDevice> =
    Attribute::read_only(c"supported_alignments", |_, out| {
        for align in supported_alignments() {
            print!(out, "{align} ")?;
        }
        line!(out)
    });

/// Returns the physical addresses of the data. Fails with `ENXIO` while no driver is bound.
fn data_of_enabled(pfn: &TypedDevice<PfnDevice>) -> Result<Range<u64>> {
    let device_lock = pfn.lock_device();
    if !device_lock.is_bound() {
        return Err(ENXIO);
    }
    Ok(pfn.data.lock().clone())
}

static RESOURCE: Attribute<PfnDevice> = Attribute::root_read_only(c"resource", |pfn, out| {
    line!(out, "{:#x}", data_of_enabled(pfn)?.start)
});

static SIZE: Attribute<PfnDevice> = Attribute::read_only(c"size", |pfn, out| {
    let data = data_of_enabled(pfn)?;
    line!(out, "{}", data.end.saturating_sub(data.start))
});

static ATTRIBUTES: Attributes<PfnDevice, 7> = Attributes::new([
    &MODE,
    &ALIGN,
    &SUPPORTED_ALIGNMENTS,
    &UUID,
    &NAMESPACE,
    &RESOURCE,
    &SIZE,
]);
static GROUP: Group<PfnDevice> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<PfnDevice, 3> = Groups::new([
    Common::<PfnDevice>::IDENTITY,
    Common::<PfnDevice>::PLACE,
    &GROUP,
]);
