// SPDX-License-Identifier: GPL-2.0

//! Seeds: unconfigured devices that an enabled region offers to user space.
//!
//! There is one seed of each kind. When it is put to use the next one takes its place. While a region is disabled its seeds
//! are closed: nothing is created on it.

use crate::{
    async_work,
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
use kernel_ext::device::Node;

/// The seeds of a region.
#[derive(Default)]
pub(crate) struct Seeds {
    open: bool,
    namespace: Option<ARef<Node<Namespace>>>,
    btt: Option<ARef<Node<Btt>>>,
}

impl Seeds {
    /// Those of a disabled region.
    pub(crate) fn closed() -> Self {
        Self::default()
    }

    /// Those of a region that is being enabled.
    pub(crate) fn open() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }

    /// Returns the namespace seed.
    pub(crate) fn namespace(&self) -> Option<&Node<Namespace>> {
        self.namespace.as_deref()
    }

    /// Returns the BTT seed.
    pub(crate) fn btt(&self) -> Option<&Node<Btt>> {
        self.btt.as_deref()
    }

    /// Tells whether `btt` is the BTT seed.
    pub(crate) fn is_btt(&self, btt: &Node<Btt>) -> bool {
        self.btt().is_some_and(|seed| ptr::eq(seed, btt))
    }

    /// Makes `namespace` the seed; `ENXIO` if the region is being disabled.
    pub(crate) fn set_namespace(&mut self, namespace: ARef<Node<Namespace>>) -> Result {
        if !self.open {
            return Err(ENXIO);
        }
        self.namespace = Some(namespace);
        Ok(())
    }

    /// Makes `btt` the seed; `ENXIO` if the region is being disabled.
    fn set_btt(&mut self, btt: ARef<Node<Btt>>) -> Result {
        if !self.open {
            return Err(ENXIO);
        }
        self.btt = Some(btt);
        Ok(())
    }
}

/// Creates the seeds of a region that was just enabled, but for that of namespaces.
pub(crate) fn create_all(region: &Node<Region>) {
    create_btt(region);
}

/// Replaces the BTT seed. If there is no memory for one the region goes without.
fn create_btt(region: &Node<Region>) {
    let created = Btt::create_seed(region).and_then(|seed| {
        region.seeds().lock().set_btt(seed.clone())?;
        async_work::register(seed)
    });
    if let Err(error) = created {
        if error != ENXIO {
            dev_warn!(region, "no BTT seed: {error:?}\n");
        }
    }
}

/// Replaces the seed that `device` was, now that a driver has taken it.
///
/// Without labels there is no further namespace to offer: the namespace seed stays.
pub(crate) fn advance(device: Kind<'_>) {
    if let Kind::Btt(btt) = device {
        let region = btt.region();
        if region.seeds().lock().is_btt(btt) {
            create_btt(region);
        }
    }
}
