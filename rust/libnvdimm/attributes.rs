// SPDX-License-Identifier: GPL-2.0

//! Attribute groups that several kinds of devices share.

use crate::{
    text::line,
    Kind, //
};
use core::marker::PhantomData;
use kernel::prelude::*;
use kernel_ext::{
    device::{
        DeviceData,
        TypedDevice, //
    },
    sysfs::{
        Attribute,
        Attributes,
        Group,
        HIDDEN,
        READ_ONLY, //
    },
};

/// The shared groups, for devices of type `T`.
pub(crate) struct Common<T: DeviceData>(PhantomData<T>);

impl<T: DeviceData> Common<T> {
    /// `modalias` and `devtype`. Uevents of the device carry both.
    pub(crate) const IDENTITY: &'static Group<T> = &Group::new(Self::IDENTITY_ATTRIBUTES);

    const IDENTITY_ATTRIBUTES: &'static Attributes<T, 2> =
        &Attributes::new([Self::MODALIAS, Self::TYPE_NAME]);

    /// `numa_node` and `target_node`, for regions and the devices below them.
    pub(crate) const PLACE: &'static Group<T> = &Group::new(Self::PLACE_ATTRIBUTES);

    const PLACE_ATTRIBUTES: &'static Attributes<T, 2> =
        &Attributes::new([Self::NUMA_NODE, Self::TARGET_NODE]);

    const MODALIAS: &'static Attribute<T> =
        &Attribute::read_only(c"modalias", |device: &TypedDevice<T>, out| {
            let kind = Kind::of(device.device()).ok_or(ENXIO)?;
            line!(out, "nd:t{}", kind.type_id())
        });

    const TYPE_NAME: &'static Attribute<T> =
        &Attribute::read_only(c"devtype", |device: &TypedDevice<T>, out| {
            line!(out, "{}", device.type_name().ok_or(ENXIO)?)
        });

    const NUMA_NODE: &'static Attribute<T> =
        &Attribute::read_only(c"numa_node", |device: &TypedDevice<T>, out| {
            line!(out, "{}", device.numa_node())
        })
        .visible(|_| if cfg!(CONFIG_NUMA) { READ_ONLY } else { HIDDEN });

    const TARGET_NODE: &'static Attribute<T> =
        &Attribute::read_only(c"target_node", |device: &TypedDevice<T>, out| {
            line!(out, "{}", target_node(device).ok_or(ENXIO)?)
        })
        .visible(|device: &TypedDevice<T>| {
            if cfg!(CONFIG_NUMA) && target_node(device).is_some() {
                READ_ONLY
            } else {
                HIDDEN
            }
        });
}

/// Returns the NUMA node that the memory of `device` would belong to as system memory, if it is
/// known.
fn target_node<T: DeviceData>(device: &TypedDevice<T>) -> Option<i32> {
    let region = Kind::of(device.device())?.region()?;
    let target = region.target_node();
    (target >= 0).then_some(target)
}
