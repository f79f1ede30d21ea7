// SPDX-License-Identifier: GPL-2.0

//! Persistent memory: reserving and mapping a range, and access that is durable and survives media
//! errors.
//!
//! - [`PmemRange`] owns a range of physical addresses. No other driver can reserve it, and it is
//!   mapped with write-back caching.
//! - [`SimulatedMemory`] simulates such a range for a provider that has no hardware behind it.
//! - The methods of [`PmemRange`] copy between the range and kernel buffers or the memory of
//!   requests, and load and store single words. No reference to persistent memory exists:
//!   user-space mappings and the device itself may change it at any time, and a load may end in a
//!   machine check, which the methods turn into [`AccessError::Poisoned`].
//! - [`store_fence`] orders stores. [`FlushHint`] flushes the write queue of a DIMM.
//!
//! # Durability
//!
//! Stores become durable in two steps. First they are *flushed*: bulk writes use non-temporal
//! stores, which bypass the caches; single words are stored to the cache and [`PmemRange::flush`]
//! writes their lines back. Then a *fence* of the storing CPU ([`store_fence`]) orders everything
//! flushed before it. This module does not know what else a medium needs, such as the flush hints
//! of DIMMs or a flush by a hypervisor.
//!
//! # Ownership and locks
//!
//! A [`PmemRange`] and a [`FlushHint`] own their mapping and their reservation; dropping them
//! undoes both. Accesses take no lock. The mutex in [`HintPages`] is a leaf.
//!
//! Only x86-64 is supported.

mod access;
mod flush_hint;
mod persist;
mod poison;
mod range;
mod simulated;

pub use access::AccessError;
pub use flush_hint::{
    FlushHint,
    HintError,
    HintPages, //
};
pub use persist::store_fence;
pub use range::{
    MapError,
    PmemRange, //
};
pub(crate) use range::{
    Reservation,
    Use, //
};
pub use simulated::{
    SimulatedMemory,
    SimulatedRange, //
};

#[cfg(not(CONFIG_X86_64))]
compile_error!("persistent memory needs primitives that were written for x86-64 only");
