// SPDX-License-Identifier: GPL-2.0

//! Attributes of `namespaceN.M` (`Documentation/sysfs.md`).

use super::{
    Namespace,
    TYPE_NAME, //
};
use crate::text::{
    line, //
};
use crate::{
    attributes::{
        modalias,
        numa_node,
        target_node,
        type_name,
        TargetNode,
        TypeName, //
    },
    claim::{
        ClaimClass,
        HolderKind, //
    },
    text::{
        self,
        Foreign, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kernel_ext::sysfs::{
    Attribute,
    Attributes,
    Group,
    Groups, //
};

impl TypeName for Namespace {
    fn type_name(&self) -> &'static CStr {
        TYPE_NAME
    }
}

impl TargetNode for Namespace {
    fn target_node(&self) -> i32 {
        self.region().target_node()
    }
}

static MODALIAS: Attribute<Namespace> = modalias();
static DEVTYPE: Attribute<Namespace> = type_name();
static NUMA_NODE: Attribute<Namespace> = numa_node();
static TARGET_NODE: Attribute<Namespace> = target_node();

static NSTYPE: Attribute<Namespace> = Attribute::read_only(c"nstype", |namespace, out| {
    line!(out, "{}", namespace.region().namespace_type())
});

static SIZE: Attribute<Namespace> =
    Attribute::read_only(c"size", |namespace, out| line!(out, "{}", namespace.size()));

static RESOURCE: Attribute<Namespace> = Attribute::root_read_only(c"resource", |namespace, out| {
    text::show_hex(out, namespace.start())
});

static MODE: Attribute<Namespace> = Attribute::read_only(c"mode", |namespace, out| {
    let _device_lock = namespace.lock_device();
    let mode = match namespace.holder() {
        Some(holder) => match holder.kind {
            HolderKind::Btt => "safe",
            HolderKind::Pfn => "memory",
            HolderKind::Dax => "dax",
        },
        None if namespace.region().has_page_map() && !namespace.is_forced_raw() => "memory",
        None => "raw",
    };
    line!(out, "{mode}")
});

static HOLDER: Attribute<Namespace> = Attribute::read_only(c"holder", |namespace, out| {
    let _device_lock = namespace.lock_device();
    match namespace.holder() {
        Some(holder) => line!(out, "{}", Foreign(holder))?,
        None => line!(out)?,
    }
    Ok(())
});

static HOLDER_CLASS: Attribute<Namespace> = Attribute::read_write(
    c"holder_class",
    |namespace, out| {
        let _device_lock = namespace.lock_device();
        match namespace.claim_class() {
            ClaimClass::None => line!(out)?,
            ClaimClass::Btt1_1 | ClaimClass::Btt2_0 => line!(out, "btt")?,
            ClaimClass::Pfn => line!(out, "pfn")?,
            ClaimClass::Dax => line!(out, "dax")?,
            ClaimClass::Unknown(_) => line!(out, "<unknown>")?,
        }
        Ok(())
    },
    |namespace, input| {
        let class = match text::without_newline(input) {
            b"" => ClaimClass::None,
            // The version for a region whose DIMMs have no labels.
            b"btt" => ClaimClass::Btt1_1,
            b"pfn" => ClaimClass::Pfn,
            b"dax" => ClaimClass::Dax,
            _ => return Err(EINVAL),
        };
        let (device_lock, _bus_lock) = namespace.region().bus().lock_idle(namespace.device());
        if device_lock.is_bound() {
            return Err(EBUSY);
        }
        let mut claim = namespace.claim.lock();
        if claim.holder.is_some() {
            return Err(EBUSY);
        }
        claim.class = class;
        // There is no label to keep the class in. It holds until the namespace goes, and that is what the error says.
        Err(ENXIO)
    },
);

static FORCE_RAW: Attribute<Namespace> = Attribute::read_write(
    c"force_raw",
    |namespace, out| line!(out, "{}", u8::from(namespace.is_forced_raw())),
    |namespace, input| {
        namespace.force_raw.store(text::parse_bool(input)?, Relaxed);
        Ok(())
    },
);

static ATTRIBUTES: Attributes<Namespace, 12> = Attributes::new([
    &MODALIAS,
    &DEVTYPE,
    &NUMA_NODE,
    &TARGET_NODE,
    &NSTYPE,
    &SIZE,
    &RESOURCE,
    &MODE,
    &HOLDER,
    &HOLDER_CLASS,
    &FORCE_RAW,
]);
static GROUP: Group<Namespace> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<Namespace, 2> = Groups::new([&GROUP]);
