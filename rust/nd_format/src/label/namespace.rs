// SPDX-License-Identifier: GPL-2.0

//! Namespaces, as labels describe them.

use super::{
    class::Class,
    defect::Defect,
    record::Name, //
};
use crate::uuid::Uuid;

/// How the labels of a namespace were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Complete. Labels whose shares are at different offsets are left as they are, even if some have the flag "updating".
    Settled,
    /// All there, but some still with the flag "updating".
    Unfinished,
    /// An update was interrupted. This is the namespace as it was before.
    RolledBack {
        /// The UUID that some labels have already, if that was to be changed.
        replaces: Option<Uuid>,
    },
}

impl State {
    /// Tells whether the labels should be published again, before anything else is done with the namespace: with
    /// the namespace's [`Contents`](super::Contents), the extents that [`Set::extent`](super::Set::extent) tells,
    /// and in place of [`Self::replaces`].
    pub fn wants_repair(&self) -> bool {
        *self != Self::Settled
    }

    /// The UUID whose labels the repair has to drop.
    pub fn replaces(&self) -> Option<Uuid> {
        match self {
            Self::Settled | Self::Unfinished => None,
            Self::RolledBack { replaces } => *replaces,
        }
    }
}

/// A namespace of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Namespace {
    /// UUID.
    pub uuid: Uuid,
    /// Name.
    pub name: Name,
    /// Bytes of a sector: 512, 4096, or 0 for "not named".
    pub lba_size: u64,
    /// Class.
    pub class: Class,
    /// Bytes on each DIMM.
    pub share: u64,
    /// Bytes on all DIMMs.
    pub size: u64,
    /// Bytes from the start of the region to that of the namespace.
    pub offset: u64,
    /// How the labels were found.
    pub state: State,
    /// Bytes from the start of each mapping to the namespace.
    pub(super) share_offset: u64,
}

/// A namespace that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its UUID.
    pub uuid: Uuid,
    /// Why.
    pub defect: Defect,
}

/// The key by which Linux numbers the namespaces of a region, for the namespace at the system physical address
/// `address`.
///
/// It compares the bytes of the little-endian address, first byte first.
pub const fn by_address(address: u64) -> u64 {
    address.swap_bytes()
}
