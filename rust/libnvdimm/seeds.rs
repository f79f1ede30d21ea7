// SPDX-License-Identifier: GPL-2.0

//! Seeds: unconfigured devices that an enabled region offers to user space.
//!
//! There is one seed of each kind. When a driver takes it, another one replaces it. While a region
//! is disabled its seeds are closed: no devices are created below it.

use crate::{
    async_work,
    ids::ChildId,
    personality::Personality,
    pfn::PfnDevice,
    Btt,
    Kind,
    Namespace,
    Region, //
};
use core::ptr;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::device::{
    DeviceData,
    TypedDevice, //
};
use nd_format::pfn::DaxMode;

/// A kind of device below a region. There is a seed of each kind.
pub(crate) trait RegionChild: DeviceData {
    /// Returns its number, and with that its region.
    fn id(&self) -> &ChildId;

    /// Returns the seed of the kind of `self`.
    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a TypedDevice<Self>>;

    /// Returns its region.
    fn parent_region(&self) -> &TypedDevice<Region> {
        self.id().region()
    }
}

/// Returns `true` if `device` is the seed of its kind.
pub(crate) fn is_seed<T: RegionChild>(device: &TypedDevice<T>) -> bool {
    let seeds = device.parent_region().seeds().lock();
    device
        .seed(&seeds)
        .is_some_and(|seed| ptr::eq(seed, device))
}

/// The seeds of a region.
#[derive(Default)]
pub(crate) struct Seeds {
    open: bool,
    namespace: Option<ARef<TypedDevice<Namespace>>>,
    btt: Option<ARef<TypedDevice<Btt>>>,
    pfn: Option<ARef<TypedDevice<PfnDevice>>>,
    dax: Option<ARef<TypedDevice<PfnDevice>>>,
}

impl Seeds {
    /// Returns the seeds of a disabled region.
    pub(crate) fn closed() -> Self {
        Self::default()
    }

    /// Returns the seeds of a region that is being enabled: none yet.
    pub(crate) fn open() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }

    /// Returns the namespace seed.
    pub(crate) fn namespace(&self) -> Option<&TypedDevice<Namespace>> {
        self.namespace.as_deref()
    }

    /// Returns the BTT seed.
    pub(crate) fn btt(&self) -> Option<&TypedDevice<Btt>> {
        self.btt.as_deref()
    }

    /// Returns the seed of pfn or dax devices.
    pub(crate) fn pfn_device(&self, mode: DaxMode) -> Option<&TypedDevice<PfnDevice>> {
        match mode {
            DaxMode::FsDax => self.pfn.as_deref(),
            DaxMode::DevDax => self.dax.as_deref(),
        }
    }

    /// Makes `namespace` the namespace seed. Fails with `ENXIO` if the region is being disabled.
    pub(crate) fn set_namespace(&mut self, namespace: ARef<TypedDevice<Namespace>>) -> Result {
        if !self.open {
            return Err(ENXIO);
        }
        self.namespace = Some(namespace);
        Ok(())
    }
}

/// Creates the seeds of a region that was just enabled, except the namespace seed.
pub(crate) fn create_all(region: &TypedDevice<Region>) {
    create_btt(region, None);
    create_pfn_device(region, DaxMode::FsDax, None);
    create_pfn_device(region, DaxMode::DevDax, None);
}

fn create_btt(region: &TypedDevice<Region>, old: Option<&TypedDevice<Btt>>) {
    replace(region, "BTT", Btt::create_seed(region), old, |seeds| {
        &mut seeds.btt
    });
}

fn create_pfn_device(
    region: &TypedDevice<Region>,
    mode: DaxMode,
    old: Option<&TypedDevice<PfnDevice>>,
) {
    let created = PfnDevice::create_seed(region, mode);
    match mode {
        DaxMode::FsDax => replace(region, "pfn", created, old, |seeds| &mut seeds.pfn),
        DaxMode::DevDax => replace(region, "dax", created, old, |seeds| &mut seeds.dax),
    }
}

/// Stores `created` in the slot that `select` returns and registers it, unless the slot no longer
/// holds `old`. Failures are logged; the region does without a new seed then.
fn replace<T: DeviceData>(
    region: &TypedDevice<Region>,
    kind: &str,
    created: Result<ARef<TypedDevice<T>>>,
    old: Option<&TypedDevice<T>>,
    select: fn(&mut Seeds) -> &mut Option<ARef<TypedDevice<T>>>,
) {
    let registered = created.and_then(|seed| {
        let replaced = {
            let mut seeds = region.seeds().lock();
            let open = seeds.open;
            let place = select(&mut seeds);
            // The region is being disabled, or another thread has replaced the seed since the
            // caller looked.
            if !open || place.as_deref().map(ptr::from_ref) != old.map(ptr::from_ref) {
                return Ok(());
            }
            place.replace(seed.clone())
        };
        drop(replaced);
        async_work::register(seed)
    });
    if let Err(error) = registered {
        dev_warn!(region, "no {kind} seed: {error:?}\n");
    }
}

/// Replaces `device`, which a driver has taken, if it is a seed. The same goes for the namespace
/// that it claims.
pub(crate) fn advance(device: Kind<'_>) {
    match device {
        Kind::Namespace(namespace) => advance_namespace(namespace),
        Kind::Btt(btt) => {
            if is_seed(btt) {
                create_btt(btt.region(), Some(btt));
            }
            advance_claimed(btt);
        }
        Kind::Pfn(pfn) => {
            if is_seed(pfn) {
                create_pfn_device(pfn.region(), pfn.mode(), Some(pfn));
            }
            advance_claimed(pfn);
        }
        Kind::Bus(_) | Kind::Dimm(_) | Kind::Region(_) => (),
    }
}

fn advance_claimed<T: Personality>(personality: &TypedDevice<T>) {
    if let Some(namespace) = personality.claimed_namespace() {
        advance_namespace(&namespace);
    }
}

/// Replaces `namespace` if it is the seed. A region without labels has no other namespace to offer,
/// so its seed stays.
fn advance_namespace(namespace: &TypedDevice<Namespace>) {
    let region = namespace.region();
    if is_seed(namespace) && region.is_labelled() {
        let created = Namespace::create_seed(region);
        replace(region, "namespace", created, Some(namespace), |seeds| {
            &mut seeds.namespace
        });
    }
}
