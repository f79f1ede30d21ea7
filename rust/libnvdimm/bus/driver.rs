// SPDX-License-Identifier: GPL-2.0

//! The driver of buses. It creates the control node `/dev/ndctlN` of each.

use crate::{
    bus_type::NdBus,
    ioctl,
    Kind,
    TypeMask, //
};
use kernel::{
    device::{
        Core,
        Device, //
    },
    prelude::*, //
};
use kernel_ext::{
    bus::Driver,
    class::{
        Class,
        ClassDevice, //
    },
};

/// The class of control nodes.
pub(crate) static CLASS: Class = Class::new(c"nd");

/// The driver `nd_bus`.
pub(crate) struct BusDriver;

/// Driver data of a bus: its control node, which is removed on drop.
pub(crate) struct ControlNode {
    _control: ClassDevice,
}

impl Driver<NdBus> for BusDriver {
    type Data<'bound> = ControlNode;

    const TAKES: TypeMask = TypeMask::BUS;
    const SUPPRESS_BIND: bool = true;

    fn probe<'bound>(
        device: &'bound Device<Core<'_>>,
    ) -> impl PinInit<ControlNode, Error> + 'bound {
        Self::bind(kernel_ext::device::normal(device))
    }
}

impl BusDriver {
    fn bind(device: &Device) -> Result<ControlNode> {
        let Some(Kind::Bus(bus)) = Kind::of(device) else {
            return Err(ENODEV);
        };
        let id = bus.id();
        Ok(ControlNode {
            _control: CLASS.create_device(device, ioctl::bus_major(), id, fmt!("ndctl{id}"))?,
        })
    }
}
