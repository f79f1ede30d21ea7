// SPDX-License-Identifier: GPL-2.0

//! The driver of regions, `nd_region`: creates what is on a region when it is enabled.

use super::{
    persistence::map_flush_hints,
    Region, //
};
use crate::{
    bus_type::NdBus,
    dimm::LabelHold,
    namespace,
    security,
    seeds::{
        self,
        Seeds, //
    },
    Btt,
    Kind,
    Namespace,
    PageMap,
    TypeMask, //
};
use kernel::{
    device::{
        Bound,
        Core,
        Device, //
    },
    prelude::*,
    sync::atomic::Relaxed,
    time::{
        delay::fsleep,
        Delta, //
    },
};
use kernel_ext::{
    bus::Driver,
    device::{
        DeviceType,
        Node, //
    },
    jobs,
    memregion,
    module::ModuleReference, //
};

/// The driver `nd_region`.
pub(crate) struct RegionDriver;

/// What it keeps for an enabled region.
pub(crate) struct Enabled {
    /// The labels say what is on the region, so they must stay in memory.
    _labels: KVec<LabelHold>,
    /// The provider serves commands for the region, so it must stay.
    _provider: ModuleReference,
}

impl Driver<NdBus> for RegionDriver {
    type Data<'bound> = Enabled;

    const TAKES: TypeMask = TypeMask::REGION;

    fn probe<'bound>(device: &'bound Device<Core<'_>>) -> impl PinInit<Enabled, Error> + 'bound {
        match Kind::of(device) {
            Some(Kind::Region(region)) => enable(device, region),
            _ => Err(ENODEV),
        }
    }

    fn unbind<'bound>(device: &'bound Device<Core<'_>>, _enabled: Pin<&Enabled>) {
        if let Some(Kind::Region(region)) = Kind::of(device) {
            disable(region);
        }
    }
}

/// Creates the namespaces of `region`, whose device is `bound`, and the first seeds.
fn enable(bound: &Device<Bound>, region: &Node<Region>) -> Result<Enabled> {
    let provider = ModuleReference::try_new(region.bus().module()).ok_or(ENXIO)?;
    security::admit(region)?;
    let mut labels = KVec::new();
    for mapping in region.mappings() {
        if let Some(hold) = LabelHold::new(mapping.dimm())? {
            labels.push(hold, GFP_KERNEL)?;
        }
    }
    map_flush_hints(region)?;
    region.init_badblocks(bound);
    *region.seeds().lock() = Seeds::open();
    match namespace::create_all(region) {
        Ok(namespaces) => {
            region.found_namespaces.store(namespaces, Relaxed);
            region.registered_namespaces.store(namespaces, Relaxed);
        }
        Err(error) => {
            // Nothing was scheduled, so there is nothing to wait for. Here that could not be done, either: the region may be
            // probed by the job that registers it.
            *region.seeds().lock() = Seeds::closed();
            dev_err!(region, "its namespaces cannot be made: {error:?}\n");
            return Err(error);
        }
    }
    seeds::create_all(region);
    Ok(Enabled {
        _labels: labels,
        _provider: provider,
    })
}

/// Unregisters the children of one kind. Returns how many there were.
fn unregister_all<T: DeviceType>(region: &Node<Region>) -> usize {
    let mut gone = 0;
    while let Some(child) = region.find_child::<T>(|child| !child.is_dead()) {
        child.unregister();
        gone += 1;
    }
    gone
}

/// Tells whether `region` has a child of one kind, be it one that is going.
fn has<T: DeviceType>(region: &Node<Region>) -> bool {
    region.find_child::<T>(|_| true).is_some()
}

/// Unregisters all that is on `region`.
fn disable(region: &Node<Region>) {
    // From here on nothing new is scheduled. What was scheduled before comes to its end, so that it can be unregistered.
    *region.seeds().lock() = Seeds::closed();
    // What a probe had begun to create when the seeds were closed turns up in the next round.
    loop {
        jobs::drain();
        // Personalities go before the namespaces that they claim.
        let gone = unregister_all::<Btt>(region)
            + unregister_all::<PageMap>(region)
            + unregister_all::<Namespace>(region);
        if gone != 0 {
            continue;
        }
        // One that is dead is deleted by another thread, which may not have scheduled that yet.
        if !has::<Btt>(region) && !has::<PageMap>(region) && !has::<Namespace>(region) {
            break;
        }
        fsleep(Delta::from_millis(1));
    }
    region.found_namespaces.store(0, Relaxed);
    region.registered_namespaces.store(0, Relaxed);
    // The memory may be erased or belong to another region before it is used again, and what CPUs still hold of it must not be
    // written back then. Where that is not possible, as in a guest, the memory cannot be erased either.
    let _ = memregion::invalidate_caches();
}
