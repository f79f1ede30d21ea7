// SPDX-License-Identifier: GPL-2.0

//! Attributes that the driver adds to buses, DIMMs and regions, in the directory `nfit` of each.

mod bus;

pub(crate) use self::bus::groups as bus;
