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
//! # Locks
//!
//! In this order: a lane group ([`lanes`]), map buckets in ascending order ([`buckets`]). A reader holds a slot of the
//! read tracking table ([`tracking`]) and may take one map bucket. A writer waits for readers while it holds a lane group
//! and no bucket, so that the reader gets its bucket and leaves. Nothing is locked while the medium's errors are
//! cleared but the lane group that owns the block.
//!
//! [`Btt::check`] closes the gate ([`gate`]) of an arena and then takes its lane groups, one at a time. A writer that finds the
//! gate closed gives its lane group back and waits with nothing locked.

#![cfg_attr(not(CONFIG_RUST), no_std)]
#![forbid(unsafe_code)]

mod arena;
mod btt;
mod buckets;
mod check;
mod create;
mod discard;
mod discover;
mod error;
mod gate;
mod lanes;
mod media;
mod patience;
mod read;
mod recover;
mod statistics;
mod sync;
mod tracking;
mod write;

pub use arena::ArenaInfo;
pub use btt::{
    Btt,
    OpenParams,
    Opened, //
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
    Absence,
    Detected,
    Restored, //
};
pub use error::{
    IoError,
    OpenError, //
};
pub use media::{
    Media,
    MediaError,
    Sink,
    Source, //
};
pub use recover::LostWord;
pub use statistics::Statistics;
#[cfg(all(feature = "watch", not(CONFIG_RUST)))]
pub use sync::watch;
#[cfg(loom)]
pub use sync::weak;
pub use sync::NoMemory;
