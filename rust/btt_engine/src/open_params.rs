// SPDX-License-Identifier: GPL-2.0

//! Parameters of [`probe`](crate::probe) and [`Btt::open`](crate::Btt::open).

use nd_format::{
    btt::Version,
    uuid::Uuid, //
};

/// How to look for a BTT, and how to open it.
#[derive(Clone, Copy, Debug)]
pub struct OpenParams {
    /// Version of the layout, which depends on the class of the namespace.
    pub version: Version,
    /// UUID of the namespace; nil if it has none.
    pub namespace_uuid: Uuid,
    /// Number of lane groups wanted: the number of CPUs. There are at most as many groups as lanes.
    pub groups: usize,
}
