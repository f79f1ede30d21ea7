// SPDX-License-Identifier: GPL-2.0

//! Attributes of `bttN.M` (`Documentation/sysfs.md`).

use crate::text::{
    line, //
};
use super::{
    Btt,
    Config,
    SECTOR_SIZES,
    TYPE_NAME, //
};
use crate::{
    async_work,
    attributes::{
        modalias,
        numa_node,
        target_node,
        type_name,
        TargetNode,
        TypeName, //
    },
    claim::{
        Claim,
        HolderKind, //
    },
    text,
    Namespace, //
};
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

impl TypeName for Btt {
    fn type_name(&self) -> &'static CStr {
        TYPE_NAME
    }
}

impl TargetNode for Btt {
    fn target_node(&self) -> i32 {
        self.region().target_node()
    }
}

static MODALIAS: Attribute<Btt> = modalias();
static DEVTYPE: Attribute<Btt> = type_name();
static NUMA_NODE: Attribute<Btt> = numa_node();
static TARGET_NODE: Attribute<Btt> = target_node();

static SECTOR_SIZE: Attribute<Btt> = Attribute::read_write(
    c"sector_size",
    |btt, out| text::show_selection(out, &SECTOR_SIZES, btt.config.lock().sector_size),
    |btt, input| {
        let device_lock = btt.lock_device();
        let _bus_lock = btt.region().bus().lock();
        if device_lock.is_bound() {
            return Err(EBUSY);
        }
        let size = text::parse_u64(input)?;
        let size = SECTOR_SIZES.into_iter().find(|&known| u64::from(known) == size).ok_or(EINVAL)?;
        btt.config.lock().sector_size = Some(size);
        Ok(())
    },
);

static UUID: Attribute<Btt> = Attribute::read_write(
    c"uuid",
    |btt, out| text::show_uuid(out, btt.config.lock().uuid),
    |btt, input| {
        let device_lock = btt.lock_device();
        if device_lock.is_bound() {
            return Err(EBUSY);
        }
        btt.config.lock().uuid = Some(text::parse_uuid(input)?);
        Ok(())
    },
);

static NAMESPACE: Attribute<Btt> = Attribute::read_write(
    c"namespace",
    |btt, out| {
        let _bus_lock = btt.region().bus().lock();
        match btt.namespace() {
            Some(namespace) => line!(out, "{}", namespace.device().name())?,
            None => line!(out)?,
        }
        Ok(())
    },
    store_namespace,
);

/// Claims the namespace that `input` names, or releases the one that is claimed if it names none.
fn store_namespace(btt: &Node<Btt>, input: &[u8]) -> Result {
    let device_lock = btt.lock_device();
    let bus_lock = btt.region().bus().lock();
    if device_lock.is_bound() {
        return Err(EBUSY);
    }
    let name = text::without_trailing_space(input);
    if !name.is_empty() && !name.starts_with(b"namespace") {
        return Err(EINVAL);
    }
    if name.is_empty() {
        *btt.config.lock() = Config::default();
        if !btt.region().seeds().lock().is_btt(btt) {
            // Nobody can name an idle device that is not the seed, so it would only be in the way.
            async_work::unregister(btt)?;
        }
        return Ok(());
    }
    if btt.namespace().is_some() {
        return Err(EBUSY);
    }
    let namespace = btt
        .region()
        .find_child::<Namespace>(|namespace| namespace.device().name().to_bytes() == name)
        .ok_or(ENODEV)?;
    let claim = Claim::take(namespace, btt.holder(HolderKind::Btt), &bus_lock)?;
    btt.config.lock().claim = Some(claim);
    Ok(())
}

static SIZE: Attribute<Btt> = Attribute::read_only(c"size", |btt, out| {
    let device_lock = btt.lock_device();
    if !device_lock.is_bound() {
        return Err(ENXIO);
    }
    line!(out, "{}", btt.disk_size.load(Relaxed))
});

/// Says that the flags in a flog entry's old block are not mistaken for a part of its number.
static LOG_ZERO_FLAGS: Attribute<Btt> = Attribute::read_only(c"log_zero_flags", |_, out| {
    line!(out, "Y")
});

static ATTRIBUTES: Attributes<Btt, 10> = Attributes::new([
    &MODALIAS,
    &DEVTYPE,
    &NUMA_NODE,
    &TARGET_NODE,
    &SECTOR_SIZE,
    &UUID,
    &NAMESPACE,
    &SIZE,
    &LOG_ZERO_FLAGS,
]);
static GROUP: Group<Btt> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<Btt, 2> = Groups::new([&GROUP]);
