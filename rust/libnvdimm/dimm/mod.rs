// SPDX-License-Identifier: GPL-2.0

//! DIMMs: `nmemN`, with a node in `/dev` for management commands.

mod attributes;
mod driver;

pub(crate) use self::driver::DimmDriver;

use crate::{
    attributes::bus_type,
    ids::{
        IdBitmap,
        StaticId, //
    },
    ioctl,
    provider::DimmDescription,
    Bus,
    Kind,
    NdBus, //
};
use core::any::Any;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    },
};
use kernel_ext::{
    class::device_number,
    device::{
        DeviceType,
        Node,
        NodeParameters,
        Table, //
    },
};

/// More than minors: a DIMM beyond 256 works, but has no node in `/dev`.
static IDS: IdBitmap<64> = IdBitmap::new();

static TABLE: Table<Dimm> = Table::named(TYPE_NAME, attributes::GROUPS.list());

const TYPE_NAME: &CStr = c"nvdimm";

/// A DIMM.
pub struct Dimm {
    bus: ARef<Node<Bus>>,
    id: StaticId<64>,
    description: DimmDescription,
    locked: Atomic<bool>,
}

impl DeviceType for Dimm {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&TABLE] }
    }
}

impl Dimm {
    /// Registers a DIMM on `bus`; in sysfs it appears in the background. It goes with its bus.
    pub fn register(bus: &Node<Bus>, description: DimmDescription) -> Result<ARef<Node<Self>>> {
        let id = StaticId::allocate(&IDS)?;
        let number = id.get();
        let node = Node::new(
            &NodeParameters {
                bus: bus_type(),
                parent: Some(bus.device()),
                table: &TABLE,
                groups: description.groups,
                numa_node: -1,
                device_number: device_number(ioctl::dimm_major(), number),
            },
            fmt!("nmem{number}"),
            Ok::<_, Error>(Self {
                bus: bus.into(),
                id,
                locked: Atomic::new(description.flags.locked),
                description,
            }),
        )?;
        crate::async_work::register(node.clone())?;
        Ok(node)
    }

    /// Returns the bus that the DIMM is on.
    pub fn bus(&self) -> &Node<Bus> {
        &self.bus
    }

    /// Returns the number in the DIMM's name.
    pub fn id(&self) -> u32 {
        self.id.get()
    }

    /// Returns the provider's own data, if they are of type `T`.
    pub fn private<T: Any>(&self) -> Option<&T> {
        self.description.private.downcast_ref()
    }

    pub(crate) fn description(&self) -> &DimmDescription {
        &self.description
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Relaxed)
    }
}

/// Returns the registered DIMM with the number `id`.
pub(crate) fn find(id: u32) -> Option<ARef<Node<Dimm>>> {
    kernel_ext::bus::find_device::<NdBus>(
        |device| matches!(Kind::of(device), Some(Kind::Dimm(dimm)) if dimm.id() == id),
    )
    .and_then(|device| Node::from_device(&device).map(ARef::from))
}
