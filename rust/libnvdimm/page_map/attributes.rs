// SPDX-License-Identifier: GPL-2.0

//! Attributes of `pfnN.M` and `daxN.M` (`Documentation/sysfs.md`).

use super::{
    supported_alignments,
    PageMap, //
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
    device::Node,
    sysfs::{
        Attribute,
        Attributes,
        Group,
        Groups, //
    },
};
use nd_format::page_map::Location;

static UUID: Attribute<PageMap> = personality::uuid();
static NAMESPACE: Attribute<PageMap> = personality::namespace();

static MODE: Attribute<PageMap> = Attribute::<PageMap>::read_write(
    c"mode",
    |page_map, out| match *page_map.location.lock() {
        None => line!(out, "none"),
        Some(Location::Ram) => line!(out, "ram"),
        Some(Location::Pmem) => line!(out, "pmem"),
    },
    |page_map, input| {
        let page_map = UnboundPersonality::new(page_map)?;
        *page_map.location.lock() = match text::without_newline(input) {
            b"pmem" => Some(Location::Pmem),
            b"ram" => Some(Location::Ram),
            b"none" => None,
            _ => return Err(EINVAL),
        };
        Ok(())
    },
)
.expecting("none, ram or pmem");

static ALIGN: Attribute<PageMap> = Attribute::<PageMap>::read_write(
    c"align",
    |page_map, out| line!(out, "{}", page_map.align()),
    |page_map, input| {
        let page_map = UnboundPersonality::new(page_map)?;
        let align = text::parse_choice(input, supported_alignments())?;
        page_map.align.store(align, Relaxed);
        Ok(())
    },
)
.expecting("one of supported_alignments");

static SUPPORTED_ALIGNMENTS: Attribute<PageMap> =
    Attribute::read_only(c"supported_alignments", |_, out| {
        for align in supported_alignments() {
            print!(out, "{align} ")?;
        }
        line!(out)
    });

/// Returns the physical addresses of the data. Fails with `ENXIO` while no driver is bound.
fn data_of_enabled(page_map: &Node<PageMap>) -> Result<Range<u64>> {
    let device_lock = page_map.lock_device();
    if !device_lock.is_bound() {
        return Err(ENXIO);
    }
    Ok(page_map.data.lock().clone())
}

static RESOURCE: Attribute<PageMap> = Attribute::root_read_only(c"resource", |page_map, out| {
    line!(out, "{:#x}", data_of_enabled(page_map)?.start)
});

static SIZE: Attribute<PageMap> = Attribute::read_only(c"size", |page_map, out| {
    let data = data_of_enabled(page_map)?;
    line!(out, "{}", data.end.saturating_sub(data.start))
});

static ATTRIBUTES: Attributes<PageMap, 7> = Attributes::new([
    &MODE,
    &ALIGN,
    &SUPPORTED_ALIGNMENTS,
    &UUID,
    &NAMESPACE,
    &RESOURCE,
    &SIZE,
]);
static GROUP: Group<PageMap> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<PageMap, 3> = Groups::new([
    Common::<PageMap>::IDENTITY,
    Common::<PageMap>::PLACE,
    &GROUP,
]);
