// SPDX-License-Identifier: GPL-2.0

//! The driver of namespaces and of BTT devices, `nd_pmem.ko`.
//!
//! A namespace becomes a raw disk, unless something is found on it: a BTT or a page map is handed over to a device of its own,
//! which is probed by this driver again. The disk of a BTT comes from `nd_btt`. A disk lives as long as the driver is bound.
//!
//! The locks taken here are those of the device core: the driver core calls with the lock of the device held. Requests take
//! no lock of this module.

#![forbid(unsafe_code)]

mod namespace;
mod page_map;
mod raw;

use crate::{
    page_map::PageMapDisk,
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

/// What became of a device: its disk.
enum Personality<'bound> {
    /// The namespace as it is.
    Raw(RawDisk<'bound>),
    /// The BTT of a BTT device.
    Btt(AttachedBtt<'bound>),
    /// The data behind a page map.
    PageMap(PageMapDisk<'bound>),
}

impl<'bound> Personality<'bound> {
    fn new(device: &'bound Device<Core<'_>>) -> Result<Self> {
        match Kind::of(device).ok_or(ENODEV)? {
            kind @ Kind::Namespace(_) => {
                let namespace = OpenNamespace::of(kind)?;
                let range = namespace::open_raw(&namespace)?;
                RawDisk::new(device, &namespace, range).map(Self::Raw)
            }
            Kind::Btt(btt) => AttachedBtt::new(device, btt).map(Self::Btt),
            Kind::PageMap(page_map) => PageMapDisk::new(device, page_map).map(Self::PageMap),
            _ => Err(ENODEV),
        }
    }
}

impl Driver<NdBus> for PmemDriver {
    type Data<'bound> = Personality<'bound>;

    const TAKES: TypeMask = TypeMask::NAMESPACE;

    fn probe<'bound>(
        device: &'bound Device<Core<'_>>,
    ) -> impl PinInit<Personality<'bound>, Error> + 'bound {
        Personality::new(device)
    }

    fn shutdown<'bound>(device: &'bound Device<Core<'_>>, personality: Pin<&Personality<'bound>>) {
        match (Kind::of(device), personality.get_ref()) {
            (_, Personality::Btt(btt)) => btt.write_back(),
            (Some(Kind::Namespace(namespace)), _) => namespace.region().fence(),
            (Some(Kind::PageMap(page_map)), _) => page_map.region().fence(),
            _ => (),
        }
    }

    fn notify<'bound>(
        _device: &'bound Device<Bound>,
        personality: Pin<&Personality<'bound>>,
        event: Event,
    ) {
        match (event, personality.get_ref()) {
            (Event::RevalidateRegion, Personality::Raw(disk)) => disk.follow_region(),
            (Event::RevalidateRegion, Personality::Btt(btt)) => btt.follow_region(),
            (Event::RevalidateRegion, Personality::PageMap(map)) => map.disk().follow_region(),
            (Event::RevalidatePoison, Personality::Raw(disk)) => disk.revalidate_poison(),
            (Event::RevalidatePoison, Personality::Btt(btt)) => btt.revalidate_poison(),
            (Event::RevalidatePoison, Personality::PageMap(map)) => map.disk().revalidate_poison(),
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
