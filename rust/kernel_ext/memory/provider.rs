// SPDX-License-Identifier: GPL-2.0

//! Memory of a provider's own that plays persistent memory: ordinary memory of the kernel, which
//! forgets everything when it is freed, or physical addresses other than those that it plays.

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

/// Where the memory is.
enum Storage {
    /// Allocated.
    Own { _storage: VVec<u8> },
    /// At physical addresses. Drop order: the mapping goes before the reservation.
    Physical {
        _mapping: Mapping,
        _reservation: Reservation,
    },
}

/// Memory that plays persistent memory. It lives as long as somebody has a part of it.
///
/// # Invariants
///
/// `address` is that of the allocation or of the mapping of `_storage`, which has at least `len`
/// bytes, all of them initialised, and is accessed through `address` alone.
pub struct ProviderMemory {
    address: NonNull<u8>,
    len: usize,
    _storage: Storage,
}

// SAFETY: The memory belongs to no thread.
unsafe impl Send for ProviderMemory {}

// SAFETY: No method forms a reference to the memory, and accesses go through raw pointers that
// behave like hardware.
unsafe impl Sync for ProviderMemory {}

impl ProviderMemory {
    /// Allocates `len` bytes, which are zeroes.
    pub fn new(len: usize) -> Result<Arc<Self>> {
        let mut storage = VVec::<u8>::with_capacity(len, GFP_KERNEL | __GFP_ZERO)?;
        let address = NonNull::new(storage.as_mut_ptr()).ok_or(ENOMEM)?;

        // INVARIANT: The storage has room for `len` zeroes and is never touched again, only freed.
        Ok(Arc::new(
            Self {
                address,
                len,
                _storage: Storage::Own { _storage: storage },
            },
            GFP_KERNEL,
        )?)
    }

    /// Takes `len` bytes of physical addresses from `start` on, as they are, and reserves them
    /// under `name`. Errors as those of [`PmemRange::new`](super::PmemRange::new).
    pub fn physical(name: &CStr, start: u64, len: usize) -> Result<Arc<Self>> {
        if start.checked_add(len as u64).is_none() || len == 0 {
            return Err(MapError::Invalid.into());
        }
        let reservation = Reservation::new(name, start, len as u64, Use::Memory)?;
        let mapping = Mapping::new(start, len)?;

        // INVARIANT: The mapping is of `len` bytes, and memory is always initialised.
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

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A part of a [`ProviderMemory`], which it keeps alive.
///
/// # Invariants
///
/// `offset + len` is not past the end of the memory.
#[derive(Clone)]
pub struct ProviderRange {
    memory: Arc<ProviderMemory>,
    offset: usize,
    len: usize,
}

impl ProviderRange {
    /// The part of `memory` of `len` bytes from `offset` on; `None` if there are not as many.
    pub fn new(memory: Arc<ProviderMemory>, offset: usize, len: usize) -> Option<Self> {
        // INVARIANT: This is what is checked.
        (offset.checked_add(len)? <= memory.len).then_some(Self {
            memory,
            offset,
            len,
        })
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of the first byte; `len` bytes from there on are mapped as long as this lives.
    pub(super) fn address(&self) -> NonNull<u8> {
        // SAFETY: By the type invariant this stays within the allocation.
        unsafe { self.memory.address.add(self.offset) }
    }
}
