// SPDX-License-Identifier: GPL-2.0

//! Attributes of `pfnN.M` and `daxN.M` (`Documentation/sysfs.md`).

use super::{
    supported_alignments,
    Location,
    PageMap, //
};
use crate::text::{
    line,
    print, //
};
use crate::{
    attributes::Common,
    personality::{
        self,
        Configurable, //
    },
    text, //
};
use kernel::{
    prelude::*,
    str::Formatter,
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

static UUID: Attribute<PageMap> = personality::uuid();
static NAMESPACE: Attribute<PageMap> = personality::namespace();

static MODE: Attribute<PageMap> = Attribute::<PageMap>::read_write(
    c"mode",
    |page_map, out| match *page_map.location.lock() {
        Location::None => line!(out, "none"),
        Location::Ram => line!(out, "ram"),
        Location::Pmem => line!(out, "pmem"),
    },
    |page_map, input| {
        let page_map = Configurable::new(page_map)?;
        *page_map.location.lock() = match text::without_newline(input) {
            b"pmem" => Location::Pmem,
            b"ram" => Location::Ram,
            b"none" => Location::None,
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
        let page_map = Configurable::new(page_map)?;
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

/// The usable part of the namespace is known once a driver is bound, which none is yet.
fn show_of_enabled(_page_map: &Node<PageMap>, _out: &mut Formatter<'_>) -> Result {
    Err(ENXIO)
}

static RESOURCE: Attribute<PageMap> = Attribute::root_read_only(c"resource", show_of_enabled);
static SIZE: Attribute<PageMap> = Attribute::read_only(c"size", show_of_enabled);

static ATTRIBUTES: Attributes<PageMap, 8> = Attributes::new([
    &MODE,
    &ALIGN,
    &SUPPORTED_ALIGNMENTS,
    &UUID,
    &NAMESPACE,
    &RESOURCE,
    &SIZE,
]);
static GROUP: Group<PageMap> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<PageMap, 4> = Groups::new([
    Common::<PageMap>::IDENTITY,
    Common::<PageMap>::PLACE,
    &GROUP,
]);
