// SPDX-License-Identifier: GPL-2.0

//! Namespaces, as labels describe them.

use crate::defect::Defect;
use core::fmt;
use nd_format::{
    label::{
        ClaimClass,
        Label,
        Name, //
    },
    uuid::Uuid, //
};

/// The state in which the labels of a namespace were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The labels are complete and agree. Some or all may have the flag "updating".
    Clean,
    /// An update was interrupted. The namespace is shown as it was before.
    RolledBack {
        /// The new UUID that some labels have already, if the update was to change it.
        replaces: Option<Uuid>,
    },
}

impl State {
    /// Returns `true` if the labels must be written again before the namespace is changed: with the
    /// namespace's [`LabelFields`](crate::LabelFields), the extents that
    /// [`Set::extent`](crate::Set::extent) returns, and in place of the labels of
    /// [`Self::replaces`].
    pub fn needs_recovery(&self) -> bool {
        *self != Self::Clean
    }

    /// Returns the UUID whose labels recovery has to drop.
    pub fn replaces(&self) -> Option<Uuid> {
        match self {
            Self::Clean => None,
            Self::RolledBack { replaces } => *replaces,
        }
    }
}

/// A namespace of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabelledNamespace {
    /// UUID.
    pub uuid: Uuid,
    /// Name.
    pub name: Name,
    /// Sector size in bytes: 512, 4096, or 0 for "unspecified". Not checked: a label on media may
    /// name any number.
    pub lba_size: u64,
    /// Class.
    pub class: ClaimClass,
    /// Size on each DIMM in bytes.
    pub share: u64,
    /// Size on all DIMMs together in bytes.
    pub size: u64,
    /// Offset from the start of the region in bytes.
    pub offset: u64,
    /// State of its labels.
    pub state: State,
    /// Offset of each share from the start of its mapping in bytes.
    pub(crate) share_offset: u64,
}

/// The place of a label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Number of the region's mapping.
    pub member: usize,
    /// Slot in the label area of that DIMM.
    pub slot: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} of mapping{}", self.slot, self.member)
    }
}

/// A namespace that cannot be used. Its labels stay and keep their addresses reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// UUID.
    pub uuid: Uuid,
    /// The reason.
    pub defect: Defect,
    /// The first of its labels that is not damaged, and its place.
    pub label: Option<(Place, Label)>,
    /// Bytes that its labels reserve on all DIMMs together.
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

/// Returns the key by which Linux sorts, and so numbers, the namespaces of a region, for the
/// namespace at the system physical address `address`.
///
/// The order is that of the little-endian addresses, compared byte by byte from the first one.
pub const fn linux_sort_key(address: u64) -> u64 {
    address.swap_bytes()
}
