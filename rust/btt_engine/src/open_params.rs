// SPDX-License-Identifier: GPL-2.0

//! Parameters of [`probe`](crate::probe) and [`Btt::open`](crate::Btt::open).

use nd_format::{
    btt::Version,
    uuid::Uuid, //
};

/// What is to be opened, and how.
#[derive(Clone, Copy, Debug)]
pub struct OpenParams {
    /// Layout that belongs to the class of the namespace.
    pub version: Version,
    /// UUID of the namespace; nil if it has none.
    pub namespace_uuid: Uuid,
    /// Lane groups wanted: the number of CPUs. There are never more groups than lanes.
    pub groups: usize,
}
