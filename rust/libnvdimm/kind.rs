// SPDX-License-Identifier: GPL-2.0

//! The kinds of devices on the bus.

use crate::{
    bus_type::type_id,
    Btt,
    Bus,
    Dimm,
    Namespace,
    PfnDevice,
    Region, //
};
use kernel::device::{
    Device,
    DeviceContext, //
};
use kernel_ext::device::TypedDevice;
use nd_format::pfn::DaxMode;

/// A device on the bus `nd`, by its kind.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// `ndbusN`.
    Bus(&'a TypedDevice<Bus>),
    /// `nmemN`.
    Dimm(&'a TypedDevice<Dimm>),
    /// `regionN`.
    Region(&'a TypedDevice<Region>),
    /// `namespaceN.M`.
    Namespace(&'a TypedDevice<Namespace>),
    /// `bttN.M`.
    Btt(&'a TypedDevice<Btt>),
    /// `pfnN.M` or `daxN.M`.
    Pfn(&'a TypedDevice<PfnDevice>),
}

impl<'a> Kind<'a> {
    /// Returns the kind of `device`; `None` if it is not a device of this subsystem.
    pub fn of<Ctx: DeviceContext>(device: &'a Device<Ctx>) -> Option<Self> {
        let device: &Device = kernel_ext::device::normal(device);
        if let Some(namespace) = TypedDevice::from_device(device) {
            return Some(Self::Namespace(namespace));
        }
        if let Some(btt) = TypedDevice::from_device(device) {
            return Some(Self::Btt(btt));
        }
        if let Some(pfn) = TypedDevice::from_device(device) {
            return Some(Self::Pfn(pfn));
        }
        if let Some(region) = TypedDevice::from_device(device) {
            return Some(Self::Region(region));
        }
        if let Some(dimm) = TypedDevice::from_device(device) {
            return Some(Self::Dimm(dimm));
        }
        TypedDevice::from_device(device).map(Self::Bus)
    }

    /// Returns the type number that drivers match. BTT and pfn devices have that of the namespaces
    /// of their region, which changes when a DIMM gets labels.
    pub(crate) fn type_id(self) -> u32 {
        match self {
            Self::Bus(_) => type_id::BUS,
            Self::Dimm(_) => type_id::DIMM,
            Self::Region(_) => type_id::REGION,
            Self::Namespace(namespace) => namespace.region().namespace_type(),
            Self::Btt(btt) => btt.region().namespace_type(),
            Self::Pfn(pfn) => match pfn.mode() {
                DaxMode::FsDax => pfn.region().namespace_type(),
                DaxMode::DevDax => type_id::DAX,
            },
        }
    }

    /// Returns the region that the device is or is below.
    pub(crate) fn region(self) -> Option<&'a TypedDevice<Region>> {
        match self {
            Self::Bus(_) | Self::Dimm(_) => None,
            Self::Region(region) => Some(region),
            Self::Namespace(namespace) => Some(namespace.region()),
            Self::Btt(btt) => Some(btt.region()),
            Self::Pfn(pfn) => Some(pfn.region()),
        }
    }

    /// Returns the bus that the device is below.
    pub(crate) fn bus(self) -> Option<&'a TypedDevice<Bus>> {
        match self {
            Self::Bus(_) => None,
            Self::Dimm(dimm) => Some(dimm.bus()),
            _ => self.region().map(|region| region.bus()),
        }
    }
}
