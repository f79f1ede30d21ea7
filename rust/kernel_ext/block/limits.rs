// SPDX-License-Identifier: GPL-2.0

//! The capabilities of a disk, as the block layer and `/sys/block/*/queue/` see them.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h) (`struct queue_limits`)

use super::SECTOR_SHIFT;
use crate::sys;
use kernel::prelude::*;

// bindgen does not see the `BLK_FEAT_*` macros; helpers.c asserts that these values are equal.
const FEATURE_WRITE_CACHE: sys::blk_features_t = 1 << 0;
const FEATURE_FUA: sys::blk_features_t = 1 << 1;
const FEATURE_SYNCHRONOUS: sys::blk_features_t = 1 << 6;
const FEATURE_NOWAIT: sys::blk_features_t = 1 << 7;
const FEATURE_ATOMIC_WRITES: sys::blk_features_t = 1 << 14;

/// A block size that the block layer supports without large folios: a power of two from 512 to 4096
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize(u32);

impl BlockSize {
    /// 512 bytes, the traditional sector size.
    pub const SECTOR: Self = Self(512);

    /// 4096 bytes, one page.
    pub const PAGE: Self = Self(4096);

    /// Returns a block size of `bytes`. `EINVAL`: it is not a power of two or out of range.
    pub fn new(bytes: u32) -> Result<Self> {
        if bytes.is_power_of_two() && (512..=4096).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(EINVAL)
        }
    }

    /// Returns the size in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// Returns log2 of the size in bytes.
    pub fn shift(self) -> u32 {
        self.0.trailing_zeros()
    }
}

/// The limits of a disk. The default is a disk without optional features.
#[derive(Clone, Copy)]
pub struct Limits {
    logical: BlockSize,
    physical: Option<BlockSize>,
    discard: Option<BlockSize>,
    atomic: Option<BlockSize>,
    unmaps_zeroes: bool,
    metadata: Option<u8>,
    features: sys::blk_features_t,
}

impl Limits {
    /// Returns the limits of a disk with logical blocks of size `logical` and without optional
    /// features. Requests may have any length.
    pub fn new(logical: BlockSize) -> Self {
        Self {
            logical,
            physical: None,
            discard: None,
            atomic: None,
            unmaps_zeroes: false,
            metadata: None,
            features: 0,
        }
    }

    /// Sets the physical block size, the preferred unit of the medium. It is at least the logical
    /// block size, which is the default.
    pub fn physical_block_size(mut self, size: BlockSize) -> Self {
        self.physical = Some(size);
        self
    }

    /// Announces a volatile write cache: written data may be lost until a flush, and submitters
    /// send flushes when they need durability.
    pub fn write_cache(self) -> Self {
        self.feature(FEATURE_WRITE_CACHE)
    }

    /// Announces that a single write can be made durable without a flush (force unit access).
    pub fn fua(self) -> Self {
        self.feature(FEATURE_FUA)
    }

    /// Announces that requests are complete when `submit` returns, which swap makes use of.
    pub fn synchronous(self) -> Self {
        self.feature(FEATURE_SYNCHRONOUS)
    }

    /// Announces that a `NOWAIT` request fails with `EAGAIN` where it would have to wait.
    pub fn nowait(self) -> Self {
        self.feature(FEATURE_NOWAIT)
    }

    /// Announces discards of any length, in multiples of `granularity`.
    pub fn discard(mut self, granularity: BlockSize) -> Self {
        self.discard = Some(granularity);
        self
    }

    /// Announces the operation that zeroes ranges of any length and deallocates their storage.
    pub fn write_zeroes_unmaps(mut self) -> Self {
        self.unmaps_zeroes = true;
        self
    }

    /// Announces that a write of one block of size `unit` is stored completely or not at all when
    /// the power fails.
    pub fn atomic_writes(mut self, unit: BlockSize) -> Self {
        self.atomic = Some(unit);
        self.feature(FEATURE_ATOMIC_WRITES)
    }

    /// Announces `bytes` bytes of integrity metadata per logical block. They are opaque: the disk
    /// stores and returns them, and the kernel neither generates nor verifies them. There are none
    /// if `bytes` is 0 or if the kernel lacks `CONFIG_BLK_DEV_INTEGRITY`. The metadata of a request
    /// are in one segment.
    pub fn metadata(mut self, bytes: u8) -> Self {
        self.metadata = Some(bytes);
        self
    }

    fn feature(mut self, feature: sys::blk_features_t) -> Self {
        self.features |= feature;
        self
    }

    /// Returns the limits in the block layer's format.
    pub(super) fn to_raw(self) -> sys::queue_limits {
        let mut raw: sys::queue_limits = pin_init::zeroed();

        raw.features = self.features;
        raw.max_hw_sectors = u32::MAX;
        raw.logical_block_size = self.logical.bytes();
        if let Some(physical) = self.physical {
            raw.physical_block_size = physical.bytes();
        }
        if let Some(granularity) = self.discard {
            raw.max_hw_discard_sectors = u32::MAX;
            raw.discard_granularity = granularity.bytes();
        }
        if self.unmaps_zeroes {
            raw.max_write_zeroes_sectors = u32::MAX;
            raw.max_hw_wzeroes_unmap_sectors = u32::MAX;
        }
        if let Some(unit) = self.atomic {
            raw.atomic_write_hw_max = unit.bytes();
            raw.atomic_write_hw_unit_min = unit.bytes();
            raw.atomic_write_hw_unit_max = unit.bytes();
        }
        if let Some(bytes) = self.metadata {
            raw.max_integrity_segments = 1;
            if cfg!(CONFIG_BLK_DEV_INTEGRITY) {
                raw.integrity.metadata_size = bytes;
                raw.integrity.tag_size = bytes;
            }
        }
        raw
    }

    /// Returns `sectors`, a number of 512-byte sectors, rounded down to whole logical blocks.
    pub(super) fn whole_blocks(&self, sectors: u64) -> u64 {
        // The block size is a power of two and at least one sector, so this masks the sectors
        // within a block.
        let within = (self.logical.bytes() >> SECTOR_SHIFT).saturating_sub(1);

        sectors & !u64::from(within)
    }
}
