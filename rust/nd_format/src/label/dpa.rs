// SPDX-License-Identifier: GPL-2.0

//! Arithmetic of free and reserved addresses of a DIMM.
//!
//! Namespaces reserve ranges of the DIMMs that they are on. A region uses a mapping, which is a range of each of
//! its DIMMs, and hands it out in units of its alignment divided by the number of DIMMs; `align` below is this
//! quotient.

use super::{
    area::LabelArea,
    extent::Extent, //
};
use crate::{
    sort::insertion_sort_by_key,
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
        insertion_sort_by_key(list, |reservation| reservation.extent.start());
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

    /// The free ranges of `mapping`, in ascending order.
    pub fn gaps(self, mapping: Extent) -> impl Iterator<Item = Extent> + 'a {
        let inside = self.0.iter().map(|reservation| reservation.extent);
        let inside = inside.filter(move |extent| extent.overlaps(&mapping));
        // Each gap ends where a reservation, or the mapping, ends it.
        let ends = inside
            .clone()
            .map(|extent| extent.start())
            .chain([mapping.end()]);
        let starts = [mapping.start()]
            .into_iter()
            .chain(inside.map(|extent| extent.end()));
        starts
            .zip(ends)
            .filter_map(|(start, end)| Extent::between(start, end))
    }

    /// Free bytes of `mapping`, in whole units of `align`.
    ///
    /// A reservation takes every unit that it touches. One that does not end with the mapping's last unit makes the
    /// whole mapping unavailable.
    pub fn available(&self, mapping: Extent, align: u64) -> u64 {
        let taken = self.0.iter().try_fold(0u64, |taken, reservation| {
            let extent = reservation.extent.widened(align)?;
            if !extent.overlaps(&mapping) {
                return Some(taken);
            }
            if extent.end() > mapping.end() {
                return None;
            }
            taken.checked_add(extent.len())
        });
        let free = taken.and_then(|taken| mapping.len().checked_sub(taken));
        free.map_or(0, |free| free - free.checked_rem(align).unwrap_or(free))
    }

    /// Bytes of the largest free range of `mapping` that begins and ends at multiples of `align`.
    pub fn largest_gap(&self, mapping: Extent, align: u64) -> u64 {
        let gaps = self.gaps(mapping).filter_map(|gap| gap.narrowed(align));
        let largest = gaps.map(|gap| gap.len()).max().unwrap_or(0);
        largest.min(self.available(mapping, align))
    }

    /// The range that a namespace of `len` bytes gets: the lowest one that fits.
    pub fn place(&self, mapping: Extent, align: u64, len: u64) -> Result<Extent, NoSpace> {
        self.gaps(mapping)
            .filter_map(|gap| gap.narrowed(align))
            .filter(|gap| gap.len() >= len)
            .find_map(|gap| Extent::new(gap.start(), len))
            .ok_or(NoSpace {
                len,
                adjacent: None,
            })
    }

    /// The range that the namespace `owner` has once its share of the DIMM is `len` bytes; [`None`] if that is
    /// nothing.
    ///
    /// A namespace shrinks at its end. It grows into a gap next to it, of which the lower one is tried first.
    pub fn resize(
        &self,
        owner: Uuid,
        mapping: Extent,
        align: u64,
        len: u64,
    ) -> Result<Option<Extent>, NoSpace> {
        if len == 0 {
            return Ok(None);
        }
        let Some(old) = self.of(owner) else {
            return self.place(mapping, align, len).map(Some);
        };
        let no_space = NoSpace {
            len,
            adjacent: Some(old),
        };
        let Some(more) = len.checked_sub(old.len()).filter(|&more| more != 0) else {
            return Ok(Extent::new(old.start(), len));
        };
        self.gaps(mapping)
            .filter_map(|gap| gap.narrowed(align))
            .filter(|gap| gap.len() >= more)
            .find_map(|gap| {
                if gap.end() == old.start() {
                    Extent::between(old.start() - more, old.end())
                } else if gap.start() == old.end() {
                    Extent::new(old.start(), len)
                } else {
                    None
                }
            })
            .map(Some)
            .ok_or(no_space)
    }
}

/// Bytes that new namespaces of a region can have, from the [`Reserved::available`] of its DIMMs; [`None`] stands
/// for a DIMM that is disabled, which makes it nothing.
pub fn available_size(dimms: impl IntoIterator<Item = Option<u64>>) -> u64 {
    let sum = dimms
        .into_iter()
        .try_fold(0u64, |sum, available| sum.checked_add(available?));
    sum.unwrap_or(0)
}

/// Bytes that one new namespace of a region can have, from the [`Reserved::largest_gap`] of its DIMMs; DIMMs that are
/// disabled or full do not count, as in Linux.
pub fn max_available_extent(dimms: impl IntoIterator<Item = Option<u64>>) -> u64 {
    let mut ways = 0u64;
    let least = dimms
        .into_iter()
        .inspect(|_| ways += 1)
        .flatten()
        .filter(|&largest| largest != 0)
        .min();
    least.and_then(|least| least.checked_mul(ways)).unwrap_or(0)
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

/// A namespace does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSpace {
    /// Bytes that it should have.
    pub len: u64,
    /// The range that it has and that it should adjoin.
    pub adjacent: Option<Extent>,
}

impl fmt::Display for NoSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.adjacent {
            Some(old) => write!(
                f,
                "no free dpa next to {old} to grow to {:#x} bytes",
                self.len
            ),
            None => write!(f, "no free dpa range of {:#x} bytes", self.len),
        }
    }
}
