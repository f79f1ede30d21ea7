// SPDX-License-Identifier: GPL-2.0

//! The driver of namespaces, BTT devices and pfn devices, `nd_pmem.ko`.
//!
//! A namespace gets a raw disk, unless there is a BTT or a pfn info block on it. For these a device
//! is created, which this driver probes in turn. The disk of a BTT device comes from `nd_btt`. A
//! disk exists as long as the driver is bound to its device.
//!
//! The driver core calls probe, notify and shutdown with the lock of the device held. This module
//! has no locks of its own.

#![forbid(unsafe_code)]

mod namespace;
mod pfn;
mod raw;

use crate::{
    pfn::PfnDisk,
    raw::RawDisk, //
};
use kernel::{
    device::{
        Bound,
        Core,
        Device, //
    },
    prelude::*, //
};
use kernel_ext::bus::Driver;
use nd::{
    namespace::OpenNamespace,
    Event,
    Kind,
    NdBus,
    TypeMask, //
};
use nd_btt::AttachedBtt;

/// The driver.
struct PmemDriver;

/// The disk of a device, by the kind of the device.
enum PmemDisk<'bound> {
    /// The namespace as it is.
    Raw(RawDisk<'bound>),
    /// The BTT of a BTT device.
    Btt(AttachedBtt<'bound>),
    /// The data of a pfn device.
    Pfn(PfnDisk<'bound>),
}

impl<'bound> PmemDisk<'bound> {
    fn new(device: &'bound Device<Core<'_>>) -> Result<Self> {
        match Kind::of(device).ok_or(ENODEV)? {
            kind @ Kind::Namespace(_) => {
                let namespace = OpenNamespace::of(kind)?;
                let range = namespace::open_raw(&namespace)?;
                RawDisk::new(device, &namespace, range).map(Self::Raw)
            }
            Kind::Btt(btt) => AttachedBtt::new(device, btt).map(Self::Btt),
            Kind::Pfn(pfn) => PfnDisk::new(device, pfn).map(Self::Pfn),
            _ => Err(ENODEV),
        }
    }
}

impl Driver<NdBus> for PmemDriver {
    type Data<'bound> = PmemDisk<'bound>;

    const TAKES: TypeMask = TypeMask::NAMESPACE;

    fn probe<'bound>(
        device: &'bound Device<Core<'_>>,
    ) -> impl PinInit<PmemDisk<'bound>, Error> + 'bound {
        PmemDisk::new(device)
    }

    fn shutdown<'bound>(device: &'bound Device<Core<'_>>, disk: Pin<&PmemDisk<'bound>>) {
        match (Kind::of(device), disk.get_ref()) {
            (_, PmemDisk::Btt(btt)) => btt.write_back(),
            (Some(Kind::Namespace(namespace)), _) => namespace.region().fence(),
            (Some(Kind::Pfn(pfn)), _) => pfn.region().fence(),
            _ => (),
        }
    }

    fn notify<'bound>(_device: &'bound Device<Bound>, disk: Pin<&PmemDisk<'bound>>, event: Event) {
        match (event, disk.get_ref()) {
            (Event::RevalidateRegion, PmemDisk::Raw(disk)) => disk.revalidate_region(),
            (Event::RevalidateRegion, PmemDisk::Btt(btt)) => btt.revalidate_region(),
            (Event::RevalidateRegion, PmemDisk::Pfn(pfn)) => pfn.disk().revalidate_region(),
            (Event::RevalidatePoison, PmemDisk::Raw(disk)) => disk.revalidate_poison(),
            (Event::RevalidatePoison, PmemDisk::Btt(btt)) => btt.revalidate_poison(),
            (Event::RevalidatePoison, PmemDisk::Pfn(pfn)) => pfn.disk().revalidate_poison(),
        }
    }
}

nd::module_nd_driver! {
    type: PmemDriver,
    name: "nd_pmem",
    authors: ["The nvdimm-rust developers"],
    description: "NVDIMM persistent memory driver",
    license: "GPL",
    alias: ["pmem", "nd:t4*", "nd:t5*"],
}
