// SPDX-License-Identifier: GPL-2.0

//! The driver of regions, `nd_region`. It creates the devices below a region when the region is
//! enabled, and removes them when it is disabled.

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
    PfnDevice,
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
        DeviceData,
        TypedDevice, //
    },
    jobs,
    memregion,
    module::ModuleRef, //
};

/// The driver `nd_region`.
pub(crate) struct RegionDriver;

/// Driver data of an enabled region.
pub(crate) struct Enabled {
    /// The labels describe the region, so they must stay in memory.
    _labels: KVec<LabelHold>,
    /// The provider executes commands for the region, so its module must stay.
    _provider: ModuleRef,
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
fn enable(bound: &Device<Bound>, region: &TypedDevice<Region>) -> Result<Enabled> {
    let provider = ModuleRef::try_new(region.bus().module()).ok_or(ENXIO)?;
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
            // Nothing was scheduled, so there is nothing to wait for. Waiting is not possible here,
            // either: the probe may run in the job that registers the region.
            *region.seeds().lock() = Seeds::closed();
            dev_err!(region, "cannot create its namespaces: {error:?}\n");
            return Err(error);
        }
    }
    seeds::create_all(region);
    Ok(Enabled {
        _labels: labels,
        _provider: provider,
    })
}

/// Unregisters the children of one kind. Returns their number.
fn unregister_all<T: DeviceData>(region: &TypedDevice<Region>) -> usize {
    let mut gone = 0;
    while let Some(child) = region.find_child::<T>(|child| !child.is_unregistering()) {
        child.unregister();
        gone += 1;
    }
    gone
}

/// Returns `true` if `region` has a child of one kind, even one that is being removed.
fn has<T: DeviceData>(region: &TypedDevice<Region>) -> bool {
    region.find_child::<T>(|_| true).is_some()
}

/// Unregisters all devices below `region`.
fn disable(region: &TypedDevice<Region>) {
    // From here on nothing new is scheduled. Registrations that were scheduled before are
    // completed, so that the devices can be unregistered.
    *region.seeds().lock() = Seeds::closed();
    // A device that a probe was creating when the seeds were closed is found in the next round.
    loop {
        jobs::drain();
        // Personalities are removed before the namespaces that they claim.
        let gone = unregister_all::<Btt>(region)
            + unregister_all::<PfnDevice>(region)
            + unregister_all::<Namespace>(region);
        if gone != 0 {
            continue;
        }
        // A child whose removal was claimed is deleted by another thread, which may not have
        // scheduled that yet.
        if !has::<Btt>(region) && !has::<PfnDevice>(region) && !has::<Namespace>(region) {
            break;
        }
        fsleep(Delta::from_millis(1));
    }
    region.found_namespaces.store(0, Relaxed);
    region.registered_namespaces.store(0, Relaxed);
    // The memory may be erased, or belong to another region, before it is used again. CPUs must not
    // write back what their caches still hold of it then. Where caches cannot be invalidated, as in
    // a guest, the memory cannot be erased either.
    let _ = memregion::invalidate_caches();
}
