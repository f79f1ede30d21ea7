// SPDX-License-Identifier: GPL-2.0

//! Attributes of `namespaceN.M` (`Documentation/ABI/testing/sysfs-bus-nd`).

use super::{
    configure::Configurable,
    Namespace,
    SECTOR_SIZES, //
};
use crate::{
    attributes::Common,
    claim::{
        ClaimClass,
        HolderKind, //
    },
    text::{
        self,
        line,
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
use nd_format::label::Name;

static NSTYPE: Attribute<Namespace> = Attribute::read_only(c"nstype", |namespace, out| {
    line!(out, "{}", namespace.region().namespace_type())
});

static SIZE: Attribute<Namespace> =
    Attribute::read_only(c"size", |namespace, out| line!(out, "{}", namespace.size()));

static RESOURCE: Attribute<Namespace> = Attribute::root_read_only(c"resource", |namespace, out| {
    let content = *namespace.content.lock();
    if content.size == 0 || content.is_refused {
        return Err(ENXIO);
    }
    text::show_hex(out, content.start)
});

static MODE: Attribute<Namespace> = Attribute::read_only(c"mode", |namespace, out| {
    let _device_lock = namespace.lock_device();
    let mode = match namespace.holder() {
        Some(holder) => match holder.kind {
            HolderKind::Btt => "safe",
            HolderKind::Pfn => "memory",
            HolderKind::Dax => "dax",
        },
        None if namespace.region().wants_memmap() && !namespace.is_forced_raw() => "memory",
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

static HOLDER_CLASS: Attribute<Namespace> = Attribute::<Namespace>::read_write(
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
        let configurable = Configurable::new(namespace)?;
        let class = match text::without_newline(input) {
            b"btt" => configurable.btt_class()?,
            b"pfn" => ClaimClass::Pfn,
            b"dax" => ClaimClass::Dax,
            b"" => ClaimClass::None,
            _ => return Err(EINVAL),
        };
        configurable.set_class(class)
    },
)
.expecting("btt, pfn, dax or nothing");

static FORCE_RAW: Attribute<Namespace> = Attribute::<Namespace>::read_write(
    c"force_raw",
    |namespace, out| line!(out, "{}", u8::from(namespace.is_forced_raw())),
    |namespace, input| {
        namespace.force_raw.store(text::parse_bool(input)?, Relaxed);
        Ok(())
    },
)
.expecting("0 or 1");

static LABELLED_SIZE: Attribute<Namespace> = Attribute::<Namespace>::read_write(
    c"size",
    |namespace, out| line!(out, "{}", namespace.size()),
    |namespace, input| {
        let size = text::parse_u64(input)?;
        Configurable::new(namespace)?.set_size(size)
    },
)
.expecting("a multiple of the region's align");

static UUID: Attribute<Namespace> = Attribute::<Namespace>::read_write(
    c"uuid",
    |namespace, out| text::show_uuid(out, namespace.content.lock().uuid),
    |namespace, input| {
        let configurable = Configurable::new(namespace)?;
        configurable.set_uuid(text::parse_uuid(input)?)
    },
)
.expecting("a UUID that is not in use on the bus");

static ALT_NAME: Attribute<Namespace> = Attribute::<Namespace>::read_write_bytes(
    c"alt_name",
    |namespace, page| {
        // As bytes: the name may have any encoding.
        let name = namespace.content.lock().name;
        // Not called as a method: `Init` of the prelude has one of the same name.
        let line = Iterator::chain(name.text().iter(), b"\n");
        Ok(page
            .iter_mut()
            .zip(line)
            .map(|(to, from)| *to = *from)
            .count())
    },
    |namespace, input| {
        let configurable = Configurable::new(namespace)?;
        configurable.set_name(Name::new(input.trim_ascii()).ok_or(EINVAL)?)
    },
)
.expecting("at most 63 bytes");

static SECTOR_SIZE: Attribute<Namespace> = Attribute::<Namespace>::read_write(
    c"sector_size",
    |namespace, out| {
        let current = namespace.content.lock().sector_size;
        text::show_selection(out, &SECTOR_SIZES, Some(current))
    },
    |namespace, input| {
        let configurable = Configurable::new(namespace)?;
        configurable.set_sector_size(text::parse_choice(input, SECTOR_SIZES)?)
    },
)
.expecting("one of the sizes that it lists");

static DPA_EXTENTS: Attribute<Namespace> =
    Attribute::read_only(c"dpa_extents", |namespace, out| {
        let region = namespace.region();
        let lock = region.bus().lock();
        let uuid = namespace.content.lock().uuid;
        let count = match uuid {
            Some(uuid) => region.extents(uuid, &lock)?.iter().flatten().count(),
            None => 0,
        };
        line!(out, "{count}")
    });

static IO_ATTRIBUTES: Attributes<Namespace, 7> = Attributes::new([
    &NSTYPE,
    &SIZE,
    &RESOURCE,
    &MODE,
    &HOLDER,
    &HOLDER_CLASS,
    &FORCE_RAW,
]);
static IO_GROUP: Group<Namespace> = Group::new(&IO_ATTRIBUTES);
pub(super) static IO_GROUPS: Groups<Namespace, 3> = Groups::new([
    Common::<Namespace>::IDENTITY,
    Common::<Namespace>::PLACE,
    &IO_GROUP,
]);

static LABELLED_ATTRIBUTES: Attributes<Namespace, 11> = Attributes::new([
    &NSTYPE,
    &LABELLED_SIZE,
    &RESOURCE,
    &MODE,
    &HOLDER,
    &HOLDER_CLASS,
    &FORCE_RAW,
    &UUID,
    &ALT_NAME,
    &SECTOR_SIZE,
    &DPA_EXTENTS,
]);
static LABELLED_GROUP: Group<Namespace> = Group::new(&LABELLED_ATTRIBUTES);
pub(super) static LABELLED_GROUPS: Groups<Namespace, 3> = Groups::new([
    Common::<Namespace>::IDENTITY,
    Common::<Namespace>::PLACE,
    &LABELLED_GROUP,
]);
