// SPDX-License-Identifier: GPL-2.0

//! The driver of regions, `nd_region`: creates what is on a region when it is enabled.

use super::Region;
use crate::{
    bus_type::NdBus,
    namespace,
    seeds::{
        self,
        Seeds, //
    },
    Btt,
    Kind,
    Namespace,
    TypeMask, //
};
use kernel::{
    device::{
        Core,
        Device, //
    },
    prelude::*, //
    sync::atomic::Relaxed,
};
use kernel_ext::{
    async_domain,
    bus::Driver,
    device::Node,
    module::ModuleReference, //
};

/// The driver `nd_region`.
pub(crate) struct RegionDriver;

/// What it keeps for an enabled region.
pub(crate) struct Enabled {
    /// The provider serves commands for the region, so it must stay.
    _provider: ModuleReference,
}

impl Driver<NdBus> for RegionDriver {
    type Data<'bound> = Enabled;

    const TAKES: TypeMask = TypeMask::REGION;

    fn probe<'bound>(device: &'bound Device<Core<'_>>) -> impl PinInit<Enabled, Error> + 'bound {
        match Kind::of(device) {
            Some(Kind::Region(region)) => enable(region),
            _ => Err(ENODEV),
        }
    }

    fn unbind<'bound>(device: &'bound Device<Core<'_>>, _enabled: Pin<&Enabled>) {
        if let Some(Kind::Region(region)) = Kind::of(device) {
            disable(region);
        }
    }
}

/// Creates the namespaces of `region` and the first seeds.
fn enable(region: &Node<Region>) -> Result<Enabled> {
    let provider = ModuleReference::try_new(region.bus().module()).ok_or(ENXIO)?;
    *region.seeds().lock() = Seeds::open();
    match namespace::create_all(region) {
        Ok(namespaces) => {
            region.found_namespaces.store(namespaces, Relaxed);
            region.registered_namespaces.store(namespaces, Relaxed);
        }
        Err(error) => {
            disable(region);
            return Err(error);
        }
    }
    seeds::create_all(region);
    Ok(Enabled {
        _provider: provider,
    })
}

/// Unregisters all that is on `region`.
fn disable(region: &Node<Region>) {
    // From here on nothing new is scheduled. What was scheduled before comes to its end, so that it can be unregistered.
    *region.seeds().lock() = Seeds::closed();
    async_domain::drain();
    // Personalities go before the namespaces that they claim.
    while let Some(btt) = region.find_child::<Btt>(|btt| !btt.is_dead()) {
        btt.unregister();
    }
    while let Some(namespace) = region.find_child::<Namespace>(|namespace| !namespace.is_dead()) {
        namespace.unregister();
    }
    async_domain::drain();
    region.found_namespaces.store(0, Relaxed);
    region.registered_namespaces.store(0, Relaxed);
}
