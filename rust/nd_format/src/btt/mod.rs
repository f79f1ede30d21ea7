// SPDX-License-Identifier: GPL-2.0

//! On-media format of the block translation table (UEFI 2.7 and later, "Block Translation Table (BTT) Layout").
//!
//! A BTT turns byte-addressable media into sectors that are written whole or not at all. The namespace is cut into
//! *arenas* of at most 512 GiB. In an arena every sector that the user sees (a *premap* block number) is translated by
//! the *map* to a block of the data area (a *postmap* block number). There are a few more blocks than sectors; a write
//! goes to a free block, is noted in the *flog* (free list and log) and becomes visible when the map names the block.
//!
//! ```text
//! namespace   | initial offset | arena 0              | arena 1 | … | unused tail, below 16 MiB |
//!               4 KiB in 1.1,
//!               none in 2.0
//!
//! arena       | info | data: internal_nlba blocks | map: 4 B × external_nlba | flog: 64 B × nfree | info2 |
//!              4 KiB                                                                               4 KiB
//! ```
//!
//! [`info`] has the block at both ends of an arena, [`geometry`] the arithmetic between them, [`map`] and [`flog`]
//! the entries of the two tables.

pub mod flog;
pub mod geometry;
pub mod info;
pub mod lba;
pub mod map;

pub use flog::{
    FlogEntry,
    FlogError,
    FlogLayout,
    FlogPair,
    LayoutDetector,
    Seq, //
};
pub use geometry::{
    ArenaGeometry,
    ArenaSpan,
    GeometryError, //
};
pub use info::{
    Info,
    InfoError,
    Version, //
};
pub use lba::LbaSize;
pub use map::{
    MapEntry,
    MapState, //
};

/// Bytes of an info block, and the unit to which the parts of an arena are rounded.
pub const INFO_SIZE: u64 = 4096;

/// Largest arena in bytes.
pub const ARENA_MAX: u64 = 1 << 39;

/// Smallest arena in bytes; a shorter rest of the namespace stays unused.
pub const ARENA_MIN: u64 = 1 << 24;

/// Free blocks, and so flog groups, of an arena that we make.
pub const NFREE: u32 = 256;
