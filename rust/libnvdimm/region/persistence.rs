// SPDX-License-Identifier: GPL-2.0

//! What makes stores to a region durable.
//!
//! Stores reach the memory controller by a flush of their cache line, or by bypassing the cache, and a store fence. On most
//! platforms that is the end: power loss does not lose what the controller has taken. DIMMs with flush hints want a store
//! to one of them after the fence (ACPI 6.5, 5.2.25.8). A region that has a DIMM whose hints cannot be used is not enabled: it would
//! claim a durability that it does not have.

use super::{
    Mapping,
    Region, //
};
use crate::{
    provider::{
        PersistenceDomain,
        RegionKind, //
    },
    Bus, //
};
use kernel::prelude::*;
use kernel_ext::{
    device::Node,
    memory::{
        self,
        FlushHint,
        HintError, //
    },
};

/// What a fence of a region does.
pub(super) struct Flush {
    hints: KVec<FlushHint>,
}

impl Flush {
    /// Maps one flush hint of each DIMM of `region` that has any; a hint that several DIMMs name is written once.
    ///
    /// Any hint of a DIMM will do, so one that cannot be used is passed over. `ENXIO`: none of a DIMM's hints can be used.
    fn new(region: &Node<Region>) -> Result<Self> {
        let mut addresses = KVec::<u64>::new();
        let mut hints = KVec::new();
        for mapping in region.mappings() {
            let named = hints_of(mapping);
            if named.iter().any(|address| addresses.contains(address)) {
                continue;
            }
            if let Some((address, hint)) = first_usable(region, mapping, named)? {
                addresses.push(address, GFP_KERNEL)?;
                hints.push(hint, GFP_KERNEL)?;
            }
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

/// The physical addresses at which a DIMM can be flushed.
fn hints_of(mapping: &Mapping) -> &[u64] {
    &mapping.dimm().description().flush_hints
}

/// Maps the first of `named`, the flush hints of a DIMM of `region`, that can be used. `None`: there are none. `ENXIO`: there
/// are, but none can be used.
fn first_usable(
    region: &Node<Region>,
    mapping: &Mapping,
    named: &[u64],
) -> Result<Option<(u64, FlushHint)>> {
    let mut refused = None;
    for &address in named {
        let error = match map(region.bus(), address) {
            Ok(hint) => {
                if let Some((first, error)) = refused {
                    dev_warn!(
                        region,
                        "the flush hint {first:#x} of {} {error}: {address:#x} is used instead\n",
                        mapping.dimm().device().name()
                    );
                }
                return Ok(Some((address, hint)));
            }
            Err(error) => error,
        };
        refused.get_or_insert((address, error));
    }
    match refused {
        None => Ok(None),
        Some((first, error)) => {
            dev_err!(
                region,
                "the flush hint {first:#x} of {} {error}, and it has no other that can be used: what is written could not be made durable\n",
                mapping.dimm().device().name()
            );
            Err(ENXIO)
        }
    }
}

/// Maps the flush hint at `address`.
fn map(bus: &Node<Bus>, address: u64) -> Result<FlushHint, HintError> {
    match bus
        .operations()
        .memory_at(bus, address, FlushHint::SIZE as u64)
    {
        Some(memory) => FlushHint::lent(memory),
        None => FlushHint::map(bus.hint_pages(), address),
    }
}

/// Maps what fences of `region` store to, unless that was done before. To be called before there is anything on the region.
///
/// `ENXIO`: no flush hint of a DIMM can be used, so stores could not be made durable.
pub(super) fn map_flush_hints(region: &Node<Region>) -> Result {
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
        (!self.mappings.is_empty()).then(|| {
            self.mappings
                .iter()
                .any(|mapping| !hints_of(mapping).is_empty())
        })
    }

    /// Tells whether CPU caches must be flushed for stores to be durable.
    pub fn has_volatile_cache(&self) -> bool {
        self.description.kind == RegionKind::Persistent
            && self.description.persistence != Some(PersistenceDomain::CpuCache)
    }
}
