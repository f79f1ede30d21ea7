// SPDX-License-Identifier: GPL-2.0

//! On-media format of the block translation table (UEFI 2.7 and later, "Block Translation Table
//! (BTT) Layout").
//!
//! A BTT makes sector writes on byte-addressable media atomic. The namespace is divided into
//! *arenas* of at most 512 GiB. In each arena the *map* translates a sector number (a *premap*
//! block number) into a block of the data area (a *postmap* block number). An arena has a few more
//! blocks than sectors. A write goes to a free block, is recorded in the *flog* (free list and
//! log), and becomes visible when the map entry names the new block.
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
//! [`info`] is the codec of the block at both ends of an arena, [`geometry`] computes and checks
//! the layout between them, [`map`] and [`flog`] are the codecs of the entries of the two tables.

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

/// Size of an info block in bytes. The parts of an arena are rounded to this unit.
pub const INFO_SIZE: u64 = 4096;

/// Size of the largest arena in bytes.
pub const ARENA_MAX: u64 = 1 << 39;

/// Size of the smallest arena in bytes. A shorter rest of the namespace stays unused.
pub const ARENA_MIN: u64 = 1 << 24;

/// Number of free blocks, and therefore of lanes and flog groups, in a new arena.
pub const NFREE: u32 = 256;
