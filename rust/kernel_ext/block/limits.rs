// SPDX-License-Identifier: GPL-2.0

//! What a disk can do, as the block layer and `/sys/block/*/queue/` see it.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h) (`struct queue_limits`)

use super::SECTOR_SHIFT;
use crate::sys;
use kernel::prelude::*;

// bindgen does not see the `BLK_FEAT_*` macros; helpers.c asserts that these are theirs.
const FEATURE_WRITE_CACHE: sys::blk_features_t = 1 << 0;
const FEATURE_FUA: sys::blk_features_t = 1 << 1;
const FEATURE_SYNCHRONOUS: sys::blk_features_t = 1 << 6;
const FEATURE_NOWAIT: sys::blk_features_t = 1 << 7;
const FEATURE_ATOMIC_WRITES: sys::blk_features_t = 1 << 14;

/// A block size that the block layer supports without large folios: a power of two, 512 bytes to
/// 4096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize(u32);

impl BlockSize {
    /// The traditional sector.
    pub const SECTOR: Self = Self(512);

    /// One page.
    pub const PAGE: Self = Self(4096);

    /// A block of `bytes` bytes; `EINVAL` if that is no power of two or out of range.
    pub fn new(bytes: u32) -> Result<Self> {
        if bytes.is_power_of_two() && (512..=4096).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(EINVAL)
        }
    }

    /// The size in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// log2 of the size in bytes.
    pub fn shift(self) -> u32 {
        self.0.trailing_zeros()
    }
}

/// The limits of a disk. What is not said is what a plain disk without any feature has.
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
    /// A disk that is addressed in units of `logical`; requests may be of any length.
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

    /// The unit that the medium likes best, at least the logical block size, which is the default.
    pub fn physical_block_size(mut self, size: BlockSize) -> Self {
        self.physical = Some(size);
        self
    }

    /// Written data may be lost until a flush; submitters send flushes when they need durability.
    pub fn write_cache(self) -> Self {
        self.feature(FEATURE_WRITE_CACHE)
    }

    /// A single write can be made durable without a flush of all the others.
    pub fn fua(self) -> Self {
        self.feature(FEATURE_FUA)
    }

    /// Requests are complete when `submit` returns; swap may use that.
    pub fn synchronous(self) -> Self {
        self.feature(FEATURE_SYNCHRONOUS)
    }

    /// Requests that must not wait are answered with `EAGAIN` rather than made to wait.
    pub fn nowait(self) -> Self {
        self.feature(FEATURE_NOWAIT)
    }

    /// Ranges may be discarded, in multiples of `granularity` and of any length.
    pub fn discard(mut self, granularity: BlockSize) -> Self {
        self.discard = Some(granularity);
        self
    }

    /// Ranges of any length may be zeroed without data being sent, and doing so gives up their
    /// storage.
    pub fn write_zeroes_unmaps(mut self) -> Self {
        self.unmaps_zeroes = true;
        self
    }

    /// A write of one block of `unit` is stored whole or not at all when the power fails.
    pub fn atomic_writes(mut self, unit: BlockSize) -> Self {
        self.atomic = Some(unit);
        self.feature(FEATURE_ATOMIC_WRITES)
    }

    /// Each logical block has `bytes` bytes of metadata, whose meaning is the submitter's own: they
    /// are stored and given back, but neither made nor checked. There are none if `bytes` is 0, or
    /// if the kernel has no `CONFIG_BLK_DEV_INTEGRITY`; those of a request are in one segment in
    /// any case.
    pub fn metadata(mut self, bytes: u8) -> Self {
        self.metadata = Some(bytes);
        self
    }

    fn feature(mut self, feature: sys::blk_features_t) -> Self {
        self.features |= feature;
        self
    }

    /// What the block layer wants to know. It is large, so it is made where it is used.
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

    /// How many of `sectors` sectors of 512 bytes make whole logical blocks.
    pub(super) fn whole_blocks(&self, sectors: u64) -> u64 {
        // The block size is a power of two, at least one sector, so this is a mask of the sectors
        // within a block.
        let within = (self.logical.bytes() >> SECTOR_SHIFT).saturating_sub(1);

        sectors & !u64::from(within)
    }
}
