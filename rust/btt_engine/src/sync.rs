// SPDX-License-Identifier: GPL-2.0

//! What the engine needs of its surroundings to be shared by threads: memory, locks, atomic words, barriers.
//!
//! The engine names nothing else of the kernel or of the standard library, so that the same code runs in the kernel, in
//! user space and in loom, which tries all interleavings of it. All memory is taken when a BTT is opened.
//!
//! Two implementations give the same names: `in_kernel` for kbuild, `hosted` for cargo, where it stands on the standard
//! library or, with `--cfg loom`, on loom.
//!
//! | Name | What it is |
//! |---|---|
//! | [`Slots`] | a slice on the heap |
//! | [`LockRing`] | locks that sleep, found by any number, which wraps around |
//! | [`LockWord`] | a word that is a lock, and a number that it protects, on a cache line of their own |
//! | [`PaddedWord`] | an atomic word on a cache line of its own |
//! | [`WaitQueue`] | sleep until a condition changes |
//! | [`full_barrier`] | orders everything before it, stores too, before everything after it, loads too |
//! | [`relax`] | wait a little before looking again |

use core::fmt;

#[cfg(not(CONFIG_RUST))]
mod hosted;
#[cfg(CONFIG_RUST)]
mod in_kernel;

#[cfg(all(feature = "watch", not(CONFIG_RUST)))]
pub mod watch;

#[cfg(any(loom, shuttle))]
pub use hosted::weak;
#[cfg(not(CONFIG_RUST))]
pub(crate) use hosted::{
    full_barrier,
    relax,
    Guard,
    LockRing,
    LockWord,
    PaddedWord,
    Slots, //
    WaitQueue,
};
#[cfg(CONFIG_RUST)]
pub(crate) use in_kernel::{
    full_barrier,
    relax,
    Guard,
    LockRing,
    LockWord,
    PaddedWord,
    Slots, //
    WaitQueue,
};

/// Memory could not be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}
