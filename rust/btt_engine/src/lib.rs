// SPDX-License-Identifier: GPL-2.0

//! The block translation table: sectors that are written whole or not at all, on media that only know bytes.
//!
//! The engine is the whole of a BTT but its disk: it finds, makes, restores and recovers BTTs and reads, writes and
//! discards their sectors. It is generic over the [`Media`] that it runs on and knows no kernel, so that the code that
//! runs in the kernel is the very code that the crash explorer and loom check.
//!
//! # Ways in
//!
//! [`probe`] looks for a BTT and changes nothing. [`create`] makes one. [`Btt::open`] recovers one and makes it usable;
//! [`Btt::read`], [`Btt::write`] and [`Btt::discard`] may then be called by any number of threads; [`Btt::try_read`] and its
//! siblings do not wait for others.
//!
//! # How a write commits
//!
//! A write of one sector takes a free block from a *lane*, writes it, notes the move in the lane's flog slot and then
//! changes the map. Two fences a request are enough:
//!
//! ```text
//!   lock the map words
//!   data to the free blocks
//!   flush the map words that the lanes' newest flog slots name
//!   first halves of the flog slots
//!   flush the lines that the map locks remember
//!   ── fence 1 ──
//!   second halves: one 8-byte store each decides
//!   ── fence 2 ── the write is durable: recovery would finish it
//!   map words, not flushed
//!   unlock them
//! ```
//!
//! After fence 2 the map word may be lost, as the flog slot can redo it; so the slot must not be replaced as the lane's
//! newest, and nobody may build upon the word, before it is durable. Both are made sure by whoever comes next, who flushes
//! the word before fence 1 of his own. Until then it is dirty in a cache; a flush right after the store would be one more that has to
//! drain before the lock can be given back.
//!
//! # When something fails
//!
//! A fence that fails may have made durable anything of what was flushed, or nothing, and what was
//! flushed before it counts as not flushed any more. A store that fails may have been carried out.
//!
//! - A store of data or of a first half, or fence 1: nothing has happened. The newest slots are
//!   whole, and what is still to be flushed is not forgotten. The arena stays writable. A lane
//!   whose slot could not be stored is retired.
//! - The store of a second half: its sector may have moved. Lane and map go by the old block. The
//!   other sectors of the batch go on. *The arena is closed.*
//! - Fence 2: any sector of the batch may have moved. No map word is stored: durable before its
//!   entry in the flog, it would name a block that is free as well. Lanes and map go by the old
//!   blocks. *The arena is closed.*
//! - The store of a map word: the sector has moved, and readers see the old block. The other
//!   sectors of the batch go on. *The arena is closed.*
//! - The fence of a discard: each sector is old or zero, as when the power fails. Nothing is built
//!   on that. The arena stays writable.
//! - A store or fence of [`Btt::open`]: it fails, and the next one does the same again.
//! - The fence of [`Btt::write_back`]: recovery makes up for it, as after a power failure.
//!
//! A closed arena is read-only until the BTT is opened again. That recovers it, and each sector of
//! the batch is old or new then. The gate is closed before the map locks are given back, and each
//! request looks at the gate when it has its map locks. So no acknowledged request depends on what
//! is in doubt. A lane in doubt is retired, and its free block is the one that the map does not
//! name, so that a check finds each block once.
//!
//! # Locks
//!
//! In this order: a lane group ([`lanes`]), map locks in ascending order ([`map_locks`]). A reader holds a slot of the
//! read tracking table ([`tracking`]) and may take one map lock. A writer waits for readers while it holds a lane group
//! and no map lock, so that the reader gets its lock and leaves. Nothing is locked while the medium's errors are
//! cleared but the lane group that owns the block.
//!
//! [`Btt::check`] pauses the gate ([`write_gate`]) of an arena and then takes its lane groups, one at a
//! time. A writer that finds the gate paused gives its lane group back and waits with nothing
//! locked. One that has a lane group is waited for; so with map locks in hand it matters only
//! whether the gate is closed for good.

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
