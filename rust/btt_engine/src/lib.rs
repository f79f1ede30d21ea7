// SPDX-License-Identifier: GPL-2.0

//! The block translation table (BTT): atomic sectors on byte-addressable media.
//!
//! A BTT makes the write of a sector atomic: after a power failure the sector has either its old or
//! its new contents. The layout is that of the UEFI specification 2.10, chapter 6.
//!
//! The engine is a complete BTT except for the disk. It finds, creates, restores and recovers BTTs
//! and reads, writes and discards their sectors. It is generic over the [`Media`] and does not
//! depend on the kernel, so the code that the kernel runs is the code that the crash explorer and
//! loom check.
//!
//! # Terms
//!
//! | Term | Meaning |
//! |---|---|
//! | arena | a part of the namespace, at most 512 GiB, with a map, a flog and blocks of its own |
//! | sector | what a request addresses; `premap` is its number within its arena |
//! | block | place of a sector's data; there are more blocks than sectors |
//! | map | one 4-byte word for each sector: the block that holds its data, and its state |
//! | lane | owns one free block and a place in the flog; a write of a sector uses one lane |
//! | flog | free list and log: the last move of each lane, in two slots that are used in turn |
//!
//! # Entry points
//!
//! [`probe`] looks for a BTT and changes nothing. [`create`] creates one. [`Btt::open`] recovers a
//! BTT and returns it. Any number of threads may then call [`Btt::read`], [`Btt::write`] and
//! [`Btt::discard`]. [`Btt::try_read`], [`Btt::try_write`] and [`Btt::try_discard`] are for
//! requests with `REQ_NOWAIT`: they return [`IoError::WouldBlock`] instead of waiting for another
//! request. In the code `NOWAIT` tells the two apart, at compile time. A request that has stored
//! something is completed as one that may wait.
//!
//! # How a write commits
//!
//! A write of a sector takes the free block of a *lane*, writes the data there, logs the move in
//! the lane's flog slot and then changes the map. A request needs two fences:
//!
//! ```text
//!   lock the map words
//!   flush the map lines that the map locks remember
//!   for each sector, in any order:
//!     flush the map word that the lane's newest flog entry names
//!     store and flush the first half of the lane's older flog slot
//!     store and flush the data, in the free block
//!   ── fence 1 ──
//!   store and flush the second halves: one 8-byte store commits a sector
//!   ── fence 2 ── the write is durable: recovery would complete it
//!   store the map words, without a flush
//!   unlock the map words
//! ```
//!
//! After fence 2 a power failure may still lose the map word. The flog entry can redo it, so until
//! the word is durable
//!
//! - the entry must remain the newest one of its lane ([`lanes`] has the failure), and
//! - no other entry may be built on the word ([`map_locks`] has the failure).
//!
//! The next writer guarantees both by flushing the word before its own fence 1. Until then the word
//! is dirty in a cache. A flush right after the store would have to drain before the map lock can
//! be released, as releasing it takes a locked instruction.
//!
//! # When something fails
//!
//! When a fence fails, any part of what was flushed before it may be durable or not. All of it
//! counts as not flushed. A store that fails may have been carried out.
//!
//! - A store of data or of a first half, or fence 1: nothing has happened. The newest slots are
//!   intact, and words that are pending a flush stay pending. The arena remains writable. A lane
//!   whose slot could not be stored is retired.
//! - The store of a second half: its sector may have moved. Lane and map keep the old block. The
//!   other sectors of the batch are completed. *The arena is closed.*
//! - Fence 2: any sector of the batch may have moved. No map word is stored: if it became durable
//!   before its flog entry, it would name a block that is also free. Lanes and map keep the old
//!   blocks. *The arena is closed.*
//! - The store of a map word: the sector has moved, and readers see the old block. The other
//!   sectors of the batch are completed. *The arena is closed.*
//! - The fence of a discard: each sector is old or zero, as after a power failure. Nothing is built
//!   on that. The arena remains writable.
//! - A store or fence of [`Btt::open`]: it fails, and the next call does the same again.
//! - The fence of [`Btt::write_back`]: recovery makes up for it, as after a power failure.
//!
//! A closed arena is read-only until the BTT is opened again. Opening recovers it, and each sector
//! of the batch is old or new then. The gate is closed before the map locks are released, and every
//! request checks the gate while it holds its map locks. Therefore no acknowledged request depends
//! on what is in doubt. A lane in doubt is retired with the block that the map does not name as its
//! free block, so a check finds each block exactly once.
//!
//! # Locks
//!
//! Lock order: a lane group ([`lanes`]), then map locks in ascending order ([`map_locks`]). A
//! reader holds a slot of the read tracking table ([`tracking`]) and may take one map lock. A
//! writer that waits for readers holds a lane group but no map lock, so a reader that wants a map
//! lock gets it and finishes. While media errors are cleared only the lane group that owns the
//! block is locked.
//!
//! [`Btt::check`] pauses the write gate of an arena ([`write_gate`]) and then takes its lane
//! groups, one at a time. A writer that finds the gate paused releases its lane group and waits
//! with nothing locked. The check waits for a writer that has passed the gate. So a writer that
//! holds map locks only has to check whether the gate is closed for good.
//!
//! [`Btt::freeze`] freezes the gates of all arenas, takes the lane groups in the same way and then
//! holds all map locks ([`hibernate`]).

#![cfg_attr(not(CONFIG_RUST), no_std)]
#![forbid(unsafe_code)]

mod arena;
mod btt;
mod check;
mod create;
mod discard;
mod discover;
mod error;
mod hibernate;
mod lanes;
mod map_locks;
mod media;
mod open_params;
mod read;
mod recover;
mod statistics;
mod sync;
mod tracking;
mod write;
mod write_gate;

pub use arena::ArenaInfo;
pub use btt::{
    Btt,
    Opened,
    Postponed, //
};
pub use check::{
    CheckError,
    Defect,
    Report, //
};
pub use create::{
    create,
    CreateError,
    CreateParams, //
};
pub use discover::{
    probe,
    Detected,
    Restored, //
};
pub use error::{
    Absence,
    IoError,
    OpenError, //
};
pub use media::{
    Media,
    MediaError,
    Sink,
    Source, //
};
pub use open_params::OpenParams;
pub use recover::LostWord;
pub use statistics::Statistics;
#[cfg(all(feature = "watch", not(CONFIG_RUST)))]
pub use sync::watch;
#[cfg(any(loom, shuttle))]
pub use sync::weak;
pub use sync::NoMemory;
