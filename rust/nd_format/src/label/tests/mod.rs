// SPDX-License-Identifier: GPL-2.0

//! Tests against the numbers of the specification.

extern crate std;

mod index;
mod record;
mod slots;

use super::*;
use crate::uuid::{
    Guid,
    Uuid, //
};
use std::{
    vec,
    vec::Vec, //
};

fn extent(start: u64, len: u64) -> Extent {
    Extent::new(start, len).unwrap()
}
