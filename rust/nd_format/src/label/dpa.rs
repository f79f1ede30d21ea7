// SPDX-License-Identifier: GPL-2.0

//! Reserved addresses of a DIMM.

use super::{
    area::LabelArea,
    extent::Extent, //
};
use crate::{
    sort::sort_by_key,
    uuid::Uuid, //
};
use core::fmt;

/// A range of a DIMM that belongs to a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// UUID of the namespace.
    pub owner: Uuid,
    /// The range.
    pub extent: Extent,
}

/// The ranges that the labels of a DIMM reserve, in the order of their slots.
pub fn reservations(area: LabelArea<'_>) -> impl Iterator<Item = Reservation> + '_ {
    area.labels().map(|stored| Reservation {
        owner: stored.label.uuid,
        extent: stored.label.extent,
    })
}

/// All reservations of one DIMM.
///
/// # Invariants
///
/// They ascend and do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct Reserved<'a>(&'a [Reservation]);

impl<'a> Reserved<'a> {
    /// Sorts `list` and checks that no two of them overlap.
    pub fn sort(list: &'a mut [Reservation]) -> Result<Self, Overlap> {
        sort_by_key(list, |reservation| reservation.extent.start());
        Self::new(list)
    }

    /// Takes a sorted `list` and checks that no two of them overlap.
    pub fn new(list: &'a [Reservation]) -> Result<Self, Overlap> {
        for pair in list.windows(2) {
            if let &[lower, upper] = pair {
                // Ascending by this very condition, too.
                if lower.extent.end() > upper.extent.start() {
                    return Err(Overlap { lower, upper });
                }
            }
        }
        Ok(Self(list))
    }

    /// The range of the namespace `owner`.
    pub fn of(&self, owner: Uuid) -> Option<Extent> {
        let mine = self.0.iter().find(|reservation| reservation.owner == owner);
        mine.map(|reservation| reservation.extent)
    }
}

/// Two namespaces reserve the same addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlap {
    /// The one that starts first.
    pub lower: Reservation,
    /// The other one.
    pub upper: Reservation,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "dpa {} of namespace {} overlaps {} of {}, expected ranges apart",
            self.upper.extent, self.upper.owner, self.lower.extent, self.lower.owner
        )
    }
}
