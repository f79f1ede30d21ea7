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
        FlushHint, //
    },
};

/// What a fence of a region does.
pub(super) struct Flush {
    hints: KVec<FlushHint>,
}

impl Flush {
    /// Maps the flush hints of the DIMMs; a hint that several DIMMs name is written once.
    pub(super) fn new(bus: &Node<Bus>, mappings: &[Mapping]) -> Result<Self> {
        let mut addresses = KVec::<u64>::new();
        for mapping in mappings {
            let Some(&address) = mapping.dimm().description().flush_hints.first() else {
                continue;
            };
            if !addresses.contains(&address) {
                addresses.push(address, GFP_KERNEL)?;
            }
        }
        let mut hints = KVec::new();
        for address in addresses {
            let lent = bus
                .operations()
                .memory_at(bus, address, FlushHint::SIZE as u64);
            let hint = match lent {
                Some(memory) => FlushHint::lent(memory)?,
                None => FlushHint::map(address)?,
            };
            hints.push(hint, GFP_KERNEL)?;
        }
        Ok(Self { hints })
    }
}

impl Region {
    /// Makes durable what this thread has flushed to the region, or stored past the cache, before.
    #[inline]
    pub fn fence(&self) {
        memory::store_fence();
        if !self.flush.hints.is_empty() {
            self.write_hints();
        }
    }

    #[cold]
    fn write_hints(&self) {
        for hint in &self.flush.hints {
            hint.write();
        }
        memory::store_fence();
    }

    /// Tells whether a block device must flush explicitly: `None` if that cannot be known, for a region without DIMMs.
    pub fn needs_flush(&self) -> Option<bool> {
        (!self.mappings.is_empty()).then_some(!self.flush.hints.is_empty())
    }

    /// Tells whether CPU caches must be flushed for stores to be durable.
    pub fn has_volatile_cache(&self) -> bool {
        self.description.kind == RegionKind::Persistent
            && self.description.persistence != Some(PersistenceDomain::CpuCache)
    }
}
