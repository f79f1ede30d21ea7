// SPDX-License-Identifier: GPL-2.0

//! The crash explorer: runs the BTT engine on a simulated medium, stops it wherever the power may fail, recovers every
//! image that this can leave, with the engine and with a model of the C driver, and judges the result.
//!
//! [`plans`] has what is explored, [`mutants`] what is left out of the protocol to see that the explorer would notice.
//! [`random`] goes on where closing the states is out of reach: long histories of many requests.

mod explore;
mod foreign;
mod judge;
mod layout;
mod medium;
pub mod mutants;
pub mod plans;
pub mod random;

pub use explore::{
    Count,
    Violation, //
};
