// SPDX-License-Identifier: GPL-2.0

//! Memory that keeps its content: reserving and mapping a range of it, and access that is durable
//! and survives errors.
//!
//! - [`PmemRange`] owns a range of physical addresses: nobody else can reserve it, and it is mapped
//!   with write-back caching;
//! - [`ProviderMemory`] plays such a range, for providers that simulate one;
//! - its methods copy between the range and kernel buffers or the memory of requests, and load and
//!   store single words. There is no reference to persistent memory: others may change it (a
//!   user-space mapping, the device itself), and a load may end in a machine check, which the
//!   methods turn into [`AccessError::Poisoned`];
//! - [`store_fence`] orders stores, [`FlushHint`] tells DIMMs that want to be told.
//!
//! # Durability
//!
//! Stores become durable in two steps. They are *flushed*: bulk writes are non-temporal and pass
//! the caches by, single words are stored to the cache and [`PmemRange::flush`] writes their lines
//! back. Then a *fence* of the storing CPU ([`store_fence`]) orders everything flushed before it.
//! What else a medium needs to be durable (flush hints of DIMMs, a host) is not known here.
//!
//! Only x86-64 is supported.

mod access;
mod flush_hint;
mod persist;
mod poison;
mod provider;
mod range;

pub use access::AccessError;
pub use flush_hint::{
    FlushHint,
    HintError,
    HintPages, //
};
pub use persist::store_fence;
pub use provider::{
    ProviderMemory,
    ProviderRange, //
};
pub use range::{
    MapError,
    PmemRange, //
};
pub(crate) use range::{
    Reservation,
    Use, //
};

#[cfg(not(CONFIG_X86_64))]
compile_error!("persistent memory needs primitives that were written for x86-64 only");
