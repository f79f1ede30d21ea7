// SPDX-License-Identifier: GPL-2.0

//! What makes stores to a region durable.
//!
//! Stores reach the memory controller by a flush of their cache line, or by bypassing the cache, and a store fence. On most
//! platforms that is the end: power loss does not lose what the controller has taken. DIMMs with flush hints want a store
//! to one of them after the fence (ACPI 6.5, 5.2.25.8).

use super::{
    Mapping,
    Region, //
};
use crate::provider::{
    PersistenceDomain,
    RegionKind, //
};
use kernel::prelude::*;
use kernel_ext::{
    device::Node,
    memory::{
        self,
        FlushHint, //
    },
};

/// What a fence of a region does.
pub(super) struct Flush {
    hints: KVec<FlushHint>,
}

impl Flush {
    /// Maps the flush hints of the DIMMs of `region`; a hint that several DIMMs name is written once. `ENXIO`: one cannot be mapped.
    fn new(region: &Node<Region>) -> Result<Self> {
        let mut addresses = KVec::<u64>::new();
        for address in region.mappings().iter().filter_map(hint) {
            if !addresses.contains(&address) {
                addresses.push(address, GFP_KERNEL)?;
            }
        }
        let bus = region.bus();
        let mut hints = KVec::new();
        for address in addresses {
            let lent = bus
                .operations()
                .memory_at(bus, address, FlushHint::SIZE as u64);
            let hint = match lent {
                Some(memory) => FlushHint::lent(memory),
                None => FlushHint::map(address),
            }
            .map_err(|error| {
                dev_err!(
                    region,
                    "its flush hint {address:#x} cannot be mapped ({error:?}), expected a multiple of {}\n",
                    FlushHint::SIZE
                );
                ENXIO
            })?;
            hints.push(hint, GFP_KERNEL)?;
        }
        Ok(Self { hints })
    }

    #[cold]
    fn write_hints(&self) {
        for hint in &self.hints {
            hint.write();
        }
        memory::store_fence();
    }
}

/// The physical address at which a DIMM is flushed, if it has one.
fn hint(mapping: &Mapping) -> Option<u64> {
    mapping.dimm().description().flush_hints.first().copied()
}

/// Maps what fences of `region` store to, unless that was done before. To be called before there is anything on the region.
///
/// `ENXIO`: a flush hint cannot be mapped, so stores could not be made durable.
pub(super) fn prepare_fences(region: &Node<Region>) -> Result {
    if region.flush.as_ref().is_none() {
        // Only the driver's probe comes here, one at a time.
        region.flush.populate(Flush::new(region)?);
    }
    Ok(())
}

impl Region {
    /// Makes durable what this thread has flushed to the region, or stored past the cache, before.
    #[inline]
    pub fn fence(&self) {
        memory::store_fence();
        match self.flush.as_ref() {
            Some(flush) if !flush.hints.is_empty() => flush.write_hints(),
            _ => {}
        }
    }

    /// Tells whether a block device must flush explicitly: `None` if that cannot be known, for a region without DIMMs.
    pub fn needs_flush(&self) -> Option<bool> {
        (!self.mappings.is_empty())
            .then(|| self.mappings.iter().any(|mapping| hint(mapping).is_some()))
    }

    /// Tells whether CPU caches must be flushed for stores to be durable.
    pub fn has_volatile_cache(&self) -> bool {
        self.description.kind == RegionKind::Persistent
            && self.description.persistence != Some(PersistenceDomain::CpuCache)
    }
}
