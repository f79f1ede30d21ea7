// SPDX-License-Identifier: GPL-2.0

//! The bus type `nd`: it matches drivers with devices and adds `MODALIAS` to uevents.

use crate::Kind;
use kernel::{
    device::Device,
    prelude::*,
    str::CString,
    sync::aref::ARef, //
};
use kernel_ext::{
    bus::{
        self,
        Bus,
        BusType,
        Uevent, //
    },
    device::{
        DeviceData,
        TypedDevice, //
    },
};

/// The bus type.
pub struct NdBus;

static BUS_TYPE: BusType<NdBus> = BusType::new();

impl NdBus {
    /// Returns the bus type, for the parameters of new devices.
    pub(crate) fn bus_type() -> &'static BusType<Self> {
        &BUS_TYPE
    }

    /// Returns the first registered device of type `T` for which `is_wanted` returns `true`.
    pub(crate) fn find<T: DeviceData>(
        is_wanted: impl Fn(&TypedDevice<T>) -> bool,
    ) -> Option<ARef<TypedDevice<T>>> {
        bus::find_device::<Self>(|device| TypedDevice::from_device(device).is_some_and(&is_wanted))
            .and_then(|device| TypedDevice::from_device(&device).map(ARef::from))
    }
}

/// Type numbers that drivers match, as in `MODALIAS=nd:t<number>`.
pub(crate) mod type_id {
    pub(crate) const BUS: u32 = 0;
    pub(crate) const DIMM: u32 = 1;
    pub(crate) const REGION: u32 = 2;
    pub(crate) const NAMESPACE_IO: u32 = 4;
    pub(crate) const NAMESPACE_PMEM: u32 = 5;
    pub(crate) const DAX: u32 = 7;
}

/// The types of devices that a driver matches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TypeMask(u32);

impl TypeMask {
    /// Buses.
    pub(crate) const BUS: Self = Self(1 << type_id::BUS);
    /// DIMMs.
    pub(crate) const DIMM: Self = Self(1 << type_id::DIMM);
    /// Regions.
    pub(crate) const REGION: Self = Self(1 << type_id::REGION);
    /// Namespaces, with labels or without, and the personalities on them.
    pub const NAMESPACE: Self = Self((1 << type_id::NAMESPACE_IO) | (1 << type_id::NAMESPACE_PMEM));
    /// Device DAX.
    pub const DAX: Self = Self(1 << type_id::DAX);
}

/// Events that drivers of namespaces and personalities are notified of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The list of bad ranges of the bus changed.
    RevalidatePoison,
    /// The region became read-only, or writable again.
    RevalidateRegion,
}

/// The adapter between a driver for this bus and the driver core.
pub type Adapter<D> = bus::Adapter<NdBus, D>;

/// Declares a module that registers one driver for this bus. Module and driver have the same name.
///
/// ```ignore
/// nd::module_nd_driver! {
///     type: MyDriver,
///     name: "my_driver",
///     authors: ["Author name"],
///     description: "Description",
///     license: "GPL",
///     alias: ["nd:t4*"],
/// }
/// ```
#[macro_export]
macro_rules! module_nd_driver {
    ($($f:tt)*) => {
        ::kernel::module_driver!(<T>, $crate::Adapter<T>, { $($f)* });
    };
}

impl Bus for NdBus {
    const NAME: &'static CStr = c"nd";

    type Match = TypeMask;
    type Event = Event;

    fn bus_type() -> &'static BusType<Self> {
        Self::bus_type()
    }

    fn matches(device: &Device, driver: &TypeMask) -> bool {
        Kind::of(device).is_some_and(|kind| driver.0 & (1 << kind.type_id()) != 0)
    }

    fn uevent(device: &Device, event: &mut Uevent<'_>) -> Result {
        let Some(kind) = Kind::of(device) else {
            return Ok(());
        };
        event.add_modalias(&CString::try_from_fmt(fmt!("nd:t{}", kind.type_id()))?)
    }

    fn before_probe(device: &Device) -> Result {
        if let Some(bus) = Kind::of(device).and_then(|kind| kind.bus()) {
            bus.probe_begins();
        }
        Ok(())
    }

    fn after_probe(device: &Device, result: Result) {
        let Some(kind) = Kind::of(device) else {
            return;
        };
        if result.is_ok() || result == Err(kernel_ext::error::eopnotsupp()) {
            crate::seeds::advance(kind);
        }
        if let Some(bus) = kind.bus() {
            bus.probe_ends();
        }
    }
}
