// SPDX-License-Identifier: GPL-2.0

//! What this module adds to the attributes of buses, DIMMs and regions, in a directory `nfit` of each.

mod bus;
mod dimm;
mod region;

pub(crate) use self::{
    bus::groups as bus,
    dimm::groups as dimm,
    region::groups as region, //
};
