// SPDX-License-Identifier: GPL-2.0

//! The crash explorer: runs the BTT engine on a simulated medium, stops it wherever the power may fail, recovers every
//! image that this can leave, with the engine and with a model of the C driver, and judges the result.
//!
//! [`plans`] has what is explored, [`mutants`] what is left out of the protocol to see that the explorer would notice.
//! [`trace`] judges what others have recorded. [`random`] goes on where closing the states is out of reach: long histories of many requests.
//!
//! # How two threads are interleaved
//!
//! `script` runs requests of the real engine, alone, and writes down what they do as symbolic `access`es, up to the point at
//! which they have to know something: a map word, a lane. `program` keeps what was learnt. `step` does the accesses of two such requests in every order on
//! the `cell`s of a `state`, `canon` finds states that are the same, `crash` lets the power fail and has the images judged,
//! `reopen` lets another owner open the BTT without a power failure, `explore` goes on until there are no other states.

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
