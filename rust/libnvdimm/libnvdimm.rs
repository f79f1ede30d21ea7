// SPDX-License-Identifier: GPL-2.0

//! The core of the NVDIMM subsystem, `libnvdimm.ko`: the bus `nd` and the devices on it.
//!
//! ```text
//! ndbusN ── nmemN                    a DIMM
//!        └─ regionN ── namespaceN.M  a range of persistent memory
//!                   └─ bttN.M        a personality that claims a namespace
//! ```
//!
//! Providers ([`provider`]) register buses, DIMMs and regions. The region driver creates namespaces
//! and seeds. Other modules drive namespaces and personalities; they tell devices apart with
//! [`Kind`].
//!
//! # Lock order
//!
//! 1. the device lock ([`DeviceLock`](kernel_ext::device::DeviceLock)), that of a parent before
//!    that of its child;
//! 2. the bus lock ([`bus::BusLock`]), which is held to reconfigure objects below the bus;
//! 3. the locks inside objects. They are leaves: nothing waits for another lock under one of them.
//!
//! # Imports between files
//!
//! The files of buses, DIMMs, regions, namespaces and personalities import each other in a circle.
//! A device keeps its parent alive and names its type, and a parent finds, counts and unregisters
//! its children. [`provider`] describes all of them, and the ioctls and the security commands act
//! on them. The files of no kind of device, such as `text` and `range_set`, are outside of the
//! circle.

#![forbid(unsafe_code)]

pub mod activation;
mod async_work;
mod attributes;
pub mod btt;
pub mod bus;
mod bus_type;
pub mod claim;
mod dimm;
mod ids;
mod ioctl;
mod kind;
pub mod legacy_memory;
pub mod namespace;
mod personality;
mod pfn;
pub mod provider;
pub mod range_set;
pub mod region;
pub mod security;
mod seeds;
mod text;

pub use self::{
    btt::Btt,
    bus::{
        Bus,
        BusRegistration, //
    },
    bus_type::{
        Adapter,
        Event,
        NdBus,
        TypeMask, //
    },
    dimm::Dimm,
    kind::Kind,
    namespace::Namespace,
    pfn::{
        PfnConfig,
        PfnDevice, //
    },
    region::Region, //
};

use kernel::{
    driver,
    prelude::*, //
};
use kernel_ext::{
    bus as driver_core,
    chrdev,
    class,
    jobs, //
};

/// The registrations of the module. They are dropped in this order.
#[pin_data]
struct Libnvdimm {
    #[pin]
    region_driver: driver::Registration<Adapter<region::RegionDriver>>,
    #[pin]
    dimm_driver: driver::Registration<Adapter<dimm::DimmDriver>>,
    #[pin]
    bus_driver: driver::Registration<Adapter<bus::BusDriver>>,
    _drain: DrainOnDrop,
    class: class::Registration,
    dimm_nodes: chrdev::Registration<ioctl::DimmNode>,
    bus_nodes: chrdev::Registration<ioctl::BusNode>,
    bus: driver_core::Registration<NdBus>,
    jobs: jobs::Registration,
}

/// When dropped, waits for all background jobs and for the release of all devices. Both run code of
/// this module.
struct DrainOnDrop;

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        // The modules of providers depend on this one, so they are unloaded by now. Jobs that they
        // scheduled may still be running.
        jobs::drain();
        kernel_ext::device::wait_until_released();
    }
}

impl kernel::InPlaceModule for Libnvdimm {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // Fields are initialised in this order.
        try_pin_init!(Self {
            jobs: jobs::Registration::new(c"nd")?,
            bus: driver_core::Registration::new()?,
            bus_nodes: ioctl::register_bus_nodes()?,
            dimm_nodes: ioctl::register_dimm_nodes()?,
            class: bus::CLASS.register()?,
            _drain: DrainOnDrop,
            bus_driver <- driver::Registration::new(c"nd_bus", module),
            dimm_driver <- driver::Registration::new(c"nvdimm", module),
            region_driver <- driver::Registration::new(c"nd_region", module),
        })
    }
}

module! {
    type: Libnvdimm,
    name: "libnvdimm",
    authors: ["The nvdimm-rust developers"],
    description: "NVDIMM (Non-Volatile Memory Device) core",
    license: "GPL",
    alias: ["nd:t1*", "nd:t2*"],
    imports_ns: ["DEVMEM"],
}

kernel_ext::bool_params! {
    KEY_REVALIDATE: "key_revalidate" = true, "Verify the passphrase of DIMMs that are already unlocked";
}
