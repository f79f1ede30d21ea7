// SPDX-License-Identifier: GPL-2.0

//! Allocators of the numbers in device names. The lowest free number is allocated, and freed when
//! the device is released.

use crate::Region;
use kernel::{
    id_pool::IdPool,
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        SpinLock, //
    },
};
use kernel_ext::device::TypedDevice;

/// A lock-free allocator of the numbers 0 to 64 × `WORDS` − 1.
pub(crate) struct IdBitmap<const WORDS: usize>([Atomic<u64>; WORDS]);

impl<const WORDS: usize> IdBitmap<WORDS> {
    /// Returns an allocator in which all numbers are free.
    pub(crate) const fn new() -> Self {
        Self([const { Atomic::new(0) }; WORDS])
    }

    /// Allocates the lowest free number. Fails with `ENOSPC` if there is none.
    pub(crate) fn allocate(&self) -> Result<u32> {
        for (index, word) in (0u32..).zip(&self.0) {
            let mut taken = word.load(Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                match word.cmpxchg(taken, taken | (1 << bit), Full) {
                    Ok(_) => return Ok(index * u64::BITS + bit),
                    Err(now) => taken = now,
                }
            }
        }
        Err(ENOSPC)
    }

    /// Frees a number that [`Self::allocate`] returned.
    pub(crate) fn free(&self, id: u32) {
        let Some(word) = self.0.get((id / u64::BITS) as usize) else {
            return;
        };
        let bit = 1 << (id % u64::BITS);
        let mut taken = word.load(Relaxed);
        while let Err(now) = word.cmpxchg(taken, taken & !bit, Full) {
            taken = now;
        }
    }
}

/// A number from a static [`IdBitmap`], freed on drop.
pub(crate) struct StaticId<const WORDS: usize> {
    ids: &'static IdBitmap<WORDS>,
    id: u32,
}

impl<const WORDS: usize> StaticId<WORDS> {
    /// Allocates the lowest free number of `ids`.
    pub(crate) fn allocate(ids: &'static IdBitmap<WORDS>) -> Result<Self> {
        Ok(Self {
            ids,
            id: ids.allocate()?,
        })
    }

    /// Returns the number.
    pub(crate) fn get(&self) -> u32 {
        self.id
    }
}

impl<const WORDS: usize> Drop for StaticId<WORDS> {
    fn drop(&mut self) {
        self.ids.free(self.id);
    }
}

/// The number of a child of a region, freed on drop. Keeps the region alive.
pub(crate) struct ChildId {
    region: ARef<TypedDevice<Region>>,
    pool: ChildPool,
    id: u32,
}

/// The allocator of the numbers of one kind of children of a region. It grows as needed, since
/// labels can describe many namespaces.
#[pin_data]
pub(crate) struct ChildIds {
    #[pin]
    pool: SpinLock<IdPool>,
}

impl ChildIds {
    /// Returns an allocator in which all numbers are free.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            pool <- new_spinlock!(IdPool::new()),
        })
    }

    fn allocate(&self) -> Result<u32> {
        loop {
            let grow = {
                let mut pool = self.pool.lock();
                if let Some(id) = pool.find_unused_id(0) {
                    let number = id.as_u32();
                    let _ = id.acquire();
                    return Ok(number);
                }
                pool.grow_request().ok_or(ENOSPC)?
            };
            let larger = grow.realloc(GFP_KERNEL)?;
            self.pool.lock().grow(larger);
        }
    }

    fn free(&self, id: u32) {
        self.pool.lock().release_id(id as usize);
    }
}

type ChildPool = fn(&Region) -> &ChildIds;

impl ChildId {
    /// Allocates the lowest free number from the allocator of `region` that `pool` returns.
    pub(crate) fn allocate(region: &TypedDevice<Region>, pool: ChildPool) -> Result<Self> {
        Ok(Self {
            region: region.into(),
            pool,
            id: pool(region).allocate()?,
        })
    }

    /// Returns the number.
    pub(crate) fn get(&self) -> u32 {
        self.id
    }

    /// Returns the region.
    pub(crate) fn region(&self) -> &TypedDevice<Region> {
        &self.region
    }
}

impl Drop for ChildId {
    fn drop(&mut self) {
        (self.pool)(&self.region).free(self.id);
    }
}
