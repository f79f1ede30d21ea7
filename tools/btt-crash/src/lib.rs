// SPDX-License-Identifier: GPL-2.0

//! The crash explorer. It runs the BTT engine on a simulated medium, stops it wherever the power
//! may fail, recovers every image that this can leave, with the engine and with a model of the C
//! driver, and judges the result.
//!
//! [`plans`] lists what is explored. [`mutants`] lists the parts of the protocol that are left out
//! one by one to show that the explorer notices. [`trace`] judges images that others have recorded.
//! [`random`] covers what is too large to be explored to the end: long histories of many requests.
//!
//! # How two threads are interleaved
//!
//! - `script` runs one request of the real engine, alone, and records what it does as symbolic
//!   `access`es, up to the point at which the engine needs an answer: a map word, a lane.
//! - `program` keeps what has been learnt from these runs.
//! - `step` performs the accesses of two such requests in every order on the `cell`s of a `state`.
//! - `canon` identifies states that are equivalent.
//! - `crash` lets the power fail and has the images judged.
//! - `reopen` opens the BTT again without a power failure.
//! - `explore` repeats this until no new state is found.

mod access;
mod canon;
mod cell;
mod crash;
mod encoding;
mod explore;
mod faults;
mod foreign;
mod image;
mod judge;
mod layout;
mod medium;
pub mod mutants;
pub mod plans;
mod program;
pub mod random;
mod reopen;
mod script;
mod state;
mod step;
pub mod trace;

pub use explore::{
    Count,
    Violation, //
};
