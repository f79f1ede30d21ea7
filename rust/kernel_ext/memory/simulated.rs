// SPDX-License-Identifier: GPL-2.0

//! Memory of a provider that simulates persistent memory: ordinary kernel memory, whose content is
//! lost when it is freed, or a range of physical addresses other than the simulated one.
//!
//! [`SimulatedMemory`] owns the memory and is reference counted; each [`SimulatedRange`] holds a
//! reference. There are no locks.

use super::{
    range::{
        Mapping,
        Reservation,
        Use, //
    },
    MapError, //
};
use core::ptr::NonNull;
use kernel::{
    alloc::flags::__GFP_ZERO,
    prelude::*,
    sync::Arc, //
};

/// Storage behind the memory.
enum Storage {
    /// Allocated with `vmalloc`.
    Own { _storage: VVec<u8> },
    /// Physical addresses. Fields are dropped in order: the mapping before the reservation.
    Physical {
        _mapping: Mapping,
        _reservation: Reservation,
    },
}

/// Memory that simulates persistent memory. It lives while there are references to it, such as
/// those of its [parts](SimulatedRange).
///
/// # Invariants
///
/// `address` is the start of the allocation or mapping in `_storage`, which has at least `len`
/// bytes. All of them are initialised, and they are accessed through `address` alone.
pub struct SimulatedMemory {
    address: NonNull<u8>,
    len: usize,
    _storage: Storage,
}

// SAFETY: The memory is in the kernel's address space, which all threads share, and may be freed by
// any of them.
unsafe impl Send for SimulatedMemory {}

// SAFETY: No method forms a reference to the memory. All accesses are those of `PmemRange` and
// `FlushHint`, which are volatile or made by assembly and tolerate concurrent ones.
unsafe impl Sync for SimulatedMemory {}

impl SimulatedMemory {
    /// Allocates `len` zeroed bytes. `ENOMEM`: out of memory.
    pub fn new(len: usize) -> Result<Arc<Self>> {
        let mut storage = VVec::<u8>::with_capacity(len, GFP_KERNEL | __GFP_ZERO)?;
        let address = NonNull::new(storage.as_mut_ptr()).ok_or(ENOMEM)?;

        // INVARIANT: The storage has room for `len` bytes, which are zeroed. It is not accessed
        // through the vector again, only freed.
        Ok(Arc::new(
            Self {
                address,
                len,
                _storage: Storage::Own { _storage: storage },
            },
            GFP_KERNEL,
        )?)
    }

    /// Reserves `len` bytes of physical addresses from `start` on under `name`, and keeps their
    /// content. Fails like [`PmemRange::new`](super::PmemRange::new), except that `start` may be
    /// anywhere in a page; `ENOMEM`: out of memory.
    pub fn physical(name: &CStr, start: u64, len: usize) -> Result<Arc<Self>> {
        if start.checked_add(len as u64).is_none() || len == 0 {
            return Err(MapError::Invalid.into());
        }
        let reservation = Reservation::new(name, start, len as u64, Use::Memory)?;
        let mapping = Mapping::new(start, len)?;

        // INVARIANT: The mapping has `len` bytes. Memory at physical addresses is always
        // initialised. It is accessed through `address` alone, as the range is reserved.
        Ok(Arc::new(
            Self {
                address: mapping.address,
                len,
                _storage: Storage::Physical {
                    _mapping: mapping,
                    _reservation: reservation,
                },
            },
            GFP_KERNEL,
        )?)
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if the length is zero.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A part of a [`SimulatedMemory`], to which it holds a reference.
///
/// # Invariants
///
/// `offset + len` is at most the length of the memory.
#[derive(Clone)]
pub struct SimulatedRange {
    memory: Arc<SimulatedMemory>,
    offset: usize,
    len: usize,
}

impl SimulatedRange {
    /// Returns the part of `memory` of `len` bytes from `offset` on; `None` if it exceeds the
    /// memory.
    pub fn new(memory: Arc<SimulatedMemory>, offset: usize, len: usize) -> Option<Self> {
        // INVARIANT: The end is checked here.
        (offset.checked_add(len)? <= memory.len).then_some(Self {
            memory,
            offset,
            len,
        })
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if the length is zero.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the address of the first byte. `len` bytes from there on stay mapped while `self`
    /// lives.
    pub(super) fn address(&self) -> NonNull<u8> {
        // SAFETY: By the type invariants the offset is at most the length of the memory, which is
        // at most that of the allocation or mapping at `address`. `self.memory` keeps that alive.
        unsafe { self.memory.address.add(self.offset) }
    }
}
