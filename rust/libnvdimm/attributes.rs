// SPDX-License-Identifier: GPL-2.0

//! Attributes that devices of all kinds have.

use crate::text::{
    line, //
};
use crate::{
    bus_type::NdBus,
    Kind, //
};
use kernel::{
    prelude::*, //
};
use kernel_ext::{
    device::{
        DeviceType,
        Node, //
    },
    sysfs::{
        Attribute,
        HIDDEN,
        READ_ONLY, //
    },
};

/// Text of the attribute `devtype`: the same as `DEVTYPE` in events.
pub(crate) trait TypeName: DeviceType {
    /// Returns it.
    fn type_name(&self) -> &'static CStr;
}

/// A device that is near to a NUMA node.
pub(crate) trait TargetNode: DeviceType {
    /// Returns the node that the memory would get if it became system memory; negative for none.
    fn target_node(&self) -> i32;
}

/// `modalias`: what the bus puts into events.
pub(crate) const fn modalias<T: DeviceType>() -> Attribute<T> {
    Attribute::read_only(c"modalias", |node: &Node<T>, out| {
        let kind = Kind::of(node.device()).ok_or(ENXIO)?;
        line!(out, "nd:t{}", kind.type_id())
    })
}

/// `devtype`.
pub(crate) const fn type_name<T: TypeName>() -> Attribute<T> {
    Attribute::read_only(c"devtype", |node: &Node<T>, out| {
        line!(out, "{}", node.type_name())
    })
}

/// `numa_node`.
pub(crate) const fn numa_node<T: DeviceType>() -> Attribute<T> {
    Attribute::read_only(c"numa_node", |node: &Node<T>, out| {
        line!(out, "{}", node.numa_node())
    })
    .visible(|_| if cfg!(CONFIG_NUMA) { READ_ONLY } else { HIDDEN })
}

/// `target_node`.
pub(crate) const fn target_node<T: TargetNode>() -> Attribute<T> {
    Attribute::read_only(c"target_node", |node: &Node<T>, out| {
        line!(out, "{}", node.target_node())
    })
    .visible(|node| {
        if cfg!(CONFIG_NUMA) && node.target_node() >= 0 {
            READ_ONLY
        } else {
            HIDDEN
        }
    })
}

/// The bus type, for parameters of new nodes.
pub(crate) fn bus_type() -> &'static kernel_ext::bus::BusType {
    <NdBus as kernel_ext::bus::Bus>::bus_type()
}
