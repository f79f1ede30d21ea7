// SPDX-License-Identifier: GPL-2.0

//! Namespaces, as labels describe them.

use super::{
    class::Class,
    defect::Defect,
    record::{
        Label,
        Name, //
    },
};
use crate::uuid::Uuid;
use core::fmt;

/// How the labels of a namespace were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Complete, and they agree. Some or all may have the flag "updating".
    Clean,
    /// An update was cut short. This is the namespace as it was before.
    RolledBack {
        /// The UUID that some labels have already, if that was to be changed.
        replaces: Option<Uuid>,
    },
}

impl State {
    /// Tells whether the labels are to be published again, before the namespace is changed: with the namespace's
    /// [`Contents`](super::Contents), the extents that [`Set::extent`](super::Set::extent) tells, and in place of
    /// [`Self::replaces`].
    pub fn wants_repair(&self) -> bool {
        *self != Self::Clean
    }

    /// The UUID whose labels the repair has to drop.
    pub fn replaces(&self) -> Option<Uuid> {
        match self {
            Self::Clean => None,
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

/// Where a label is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The number of the region's mapping.
    pub member: usize,
    /// The slot in the label area of that DIMM.
    pub slot: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} of mapping{}", self.slot, self.member)
    }
}

/// A namespace that cannot be used. Its labels stay, and reserve what they name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its UUID.
    pub uuid: Uuid,
    /// Why.
    pub defect: Defect,
    /// Its first label that is one.
    pub label: Option<(Place, Label)>,
    /// Bytes that its labels reserve on all DIMMs.
    pub reserved: u64,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.defect.fmt(f)?;
        match &self.label {
            Some((place, _)) => write!(f, "; first label in {place}"),
            None => Ok(()),
        }
    }
}

/// The key by which Linux numbers the namespaces of a region, for the namespace at the system physical address
/// `address`.
///
/// It compares the bytes of the little-endian address, first byte first.
pub const fn by_address(address: u64) -> u64 {
    address.swap_bytes()
}
