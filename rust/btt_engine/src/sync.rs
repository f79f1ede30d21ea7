// SPDX-License-Identifier: GPL-2.0

//! The facade over the kernel or the standard library: memory, locks, atomic words, barriers.
//!
//! The engine uses nothing else of its environment that threads share. So the same code runs in the
//! kernel, in user space, and in loom, which explores all interleavings. All memory is allocated
//! when a BTT is opened.
//!
//! Two implementations have the same names: `in_kernel` for kbuild, and `hosted` for cargo, over
//! the standard library or, with `--cfg loom` or `--cfg shuttle`, over loom or shuttle.
//!
//! | Name | Purpose |
//! |---|---|
//! | [`Slots`] | a slice on the heap |
//! | [`LockRing`] | sleeping locks, indexed by any number, which wraps around |
//! | [`LockWord`] | a word that is a lock, and a number that it protects, on one cache line |
//! | [`PaddedWord`] | an atomic word on a cache line of its own |
//! | [`WaitQueue`] | sleep until a condition changes |
//! | [`full_barrier`] | orders earlier accesses before later ones, stores before loads too |
//! | [`relax`] | wait a little between two looks at a condition |

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

/// There is not enough memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}
