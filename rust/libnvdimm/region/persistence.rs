// SPDX-License-Identifier: GPL-2.0

//! What makes stores to a region durable.
//!
//! A store reaches the memory controller when its cache line is flushed, or when it bypasses the
//! cache, and a store fence follows. On most platforms that is enough: the controller loses nothing
//! that it has accepted. DIMMs with flush hints need a store to one of them after the fence (ACPI
//! 6.5, 5.2.25.8). A region with a DIMM whose hints cannot be used is not enabled, because stores
//! to it would not be durable.

use super::{
    Mapping,
    Region, //
};
use crate::{
    provider::{
        Hint,
        PersistenceDomain,
        RegionKind, //
    },
    Bus, //
};
use kernel::prelude::*;
use kernel_ext::{
    device::TypedDevice,
    memory::{
        self,
        FlushHint,
        HintError, //
    },
};

/// The flush hints that a fence of a region writes to.
pub(super) struct Flush {
    hints: KVec<FlushHint>,
}

impl Flush {
    /// Maps one flush hint of each DIMM of `region` that has any. A hint that several DIMMs share
    /// is mapped once.
    ///
    /// Any hint of a DIMM will do, so unusable ones are skipped. Fails with `ENXIO` if a DIMM has
    /// hints but none of them can be used.
    fn new(region: &TypedDevice<Region>) -> Result<Self> {
        let mut used = KVec::<Hint>::new();
        let mut hints = KVec::new();
        for mapping in region.mappings() {
            let named = hints_of(mapping);
            if named.iter().any(|hint| used.contains(hint)) {
                continue;
            }
            if let Some((hint, mapped)) = first_usable(region, mapping, named)? {
                used.push(hint, GFP_KERNEL)?;
                hints.push(mapped, GFP_KERNEL)?;
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

/// Returns the flush hints of a DIMM.
fn hints_of(mapping: &Mapping) -> &[Hint] {
    &mapping.dimm().description().flush_hints
}

/// Maps the first of `named`, the flush hints of a DIMM of `region`, that can be used. Returns
/// `None` if there are no hints, and fails with `ENXIO` if there are but none can be used.
fn first_usable(
    region: &TypedDevice<Region>,
    mapping: &Mapping,
    named: &[Hint],
) -> Result<Option<(Hint, FlushHint)>> {
    let mut refused = None;
    for &hint in named {
        let address = hint.address();
        let error = match map(region.bus(), hint) {
            Ok(mapped) => {
                if let Some((first, error)) = refused {
                    dev_warn!(
                        region,
                        "the flush hint {first:#x} of {} {error}: {address:#x} is used instead\n",
                        mapping.dimm().device().name()
                    );
                }
                return Ok(Some((hint, mapped)));
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
                "the flush hint {first:#x} of {} {error}, and it has no other that can be used: stores would not be durable\n",
                mapping.dimm().device().name()
            );
            Err(ENXIO)
        }
    }
}

/// Maps a flush hint.
fn map(bus: &TypedDevice<Bus>, hint: Hint) -> Result<FlushHint, HintError> {
    match hint {
        Hint::Firmware(address) => FlushHint::map(bus.hint_pages(), address),
        Hint::Simulated(address) => bus
            .operations()
            .memory_at(bus, address, FlushHint::SIZE as u64)
            .ok_or(HintError::NotSimulated)
            .and_then(FlushHint::borrowed),
    }
}

/// Maps the flush hints of `region`, unless that was done before. Called before there is any device
/// below the region.
///
/// Fails with `ENXIO` if a DIMM has flush hints but none of them can be used: stores would not be
/// durable.
pub(super) fn map_flush_hints(region: &TypedDevice<Region>) -> Result {
    if region.flush.as_ref().is_none() {
        // Only the probe of the driver calls this, one at a time.
        region.flush.populate(Flush::new(region)?);
    }
    Ok(())
}

impl Region {
    /// Makes earlier stores of this thread to the region durable, if it has flushed their cache
    /// lines or they bypassed the cache.
    #[inline]
    pub fn fence(&self) {
        memory::store_fence();
        match self.flush.as_ref() {
            Some(flush) if !flush.hints.is_empty() => flush.write_hints(),
            _ => {}
        }
    }

    /// Returns `Some(true)` if a block device must flush explicitly. `None`: that is unknown,
    /// because the region has no DIMMs.
    pub fn needs_flush(&self) -> Option<bool> {
        (!self.mappings.is_empty()).then(|| {
            self.mappings
                .iter()
                .any(|mapping| !hints_of(mapping).is_empty())
        })
    }

    /// Returns `true` if CPU caches must be flushed for stores to be durable.
    pub fn has_volatile_cache(&self) -> bool {
        self.description.kind == RegionKind::Persistent
            && self.description.persistence != Some(PersistenceDomain::CpuCache)
    }
}
