// SPDX-License-Identifier: GPL-2.0

//! Free space for namespaces on the DIMMs of a set.
//!
//! A set uses one range of each of its DIMMs, the mapping. It allocates in units: the alignment of
//! the region divided by the number of DIMMs. Addresses are interleaved, so a namespace has the
//! same offset in each mapping, and free space is what is free there on all DIMMs. It is expressed
//! in addresses of the first DIMM, from which Linux computes the addresses of namespaces.

use crate::reservations;
use core::fmt;
use nd_format::{
    label::{
        Extent,
        LabelArea, //
    },
    sort::sort_by_key, //
};

/// The mappings of a set, represented by that of the first DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mappings {
    first: Extent,
    align: u64,
}

impl Mappings {
    /// Takes the `mappings` of a set, the shortest of which limits all of them, and the size of a
    /// unit, `align`, in bytes; [`None`] if there are no mappings.
    pub fn new(mappings: impl IntoIterator<Item = Extent>, align: u64) -> Option<Self> {
        let mut mappings = mappings.into_iter();
        let first = mappings.next()?;
        let shortest = mappings.fold(first.len(), |len, mapping| len.min(mapping.len()));
        Some(Self {
            first: Extent::new(first.start(), shortest)?,
            align,
        })
    }

    /// Returns the ranges that the labels in `area`, of whichever set, reserve in `mapping`, as
    /// ranges of the first DIMM. `mapping` is that of the DIMM with this area.
    pub fn reserved(
        self,
        area: LabelArea<'_>,
        mapping: Extent,
    ) -> impl Iterator<Item = Extent> + '_ {
        let inside = move |extent: Extent| {
            let start = extent.start().max(mapping.start());
            Extent::between(start, extent.end().min(mapping.end()))
        };
        reservations(area).filter_map(move |extent| {
            // Units that a reservation beside the mapping reaches into are not free either.
            let units = extent.widened(self.align).unwrap_or(extent);
            if !units.overlaps(&mapping) {
                return None;
            }
            let to_first = |extent: Extent| extent.moved(mapping, self.first);
            to_first(extent).or_else(|| inside(extent).and_then(to_first))
        })
    }
}

/// The ranges that are free on all DIMMs of a set.
///
/// # Invariants
///
/// `reserved` is in ascending order, and no two ranges in it overlap.
#[derive(Clone, Copy, Debug)]
pub struct FreeSpace<'a> {
    mappings: Mappings,
    reserved: &'a [Extent],
}

impl<'a> FreeSpace<'a> {
    /// Computes what is left of `mappings` by `reserved`, which [`Mappings::reserved`] has returned
    /// for all DIMMs. `reserved` may be in any order; it is sorted and merged in place.
    pub fn new(mappings: Mappings, reserved: &'a mut [Extent]) -> Self {
        sort_by_key(reserved, Extent::start);
        let count = merge(reserved);
        Self {
            mappings,
            reserved: reserved.get(..count).unwrap_or(&[]),
        }
    }

    /// Returns the free ranges in ascending order.
    pub fn gaps(self) -> impl Iterator<Item = Extent> + 'a {
        let mapping = self.mappings.first;
        let inside = self.reserved.iter().copied();
        let inside = inside.filter(move |extent| extent.overlaps(&mapping));
        // Each gap ends where the next reservation begins, or with the mapping.
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

    /// Returns the whole units of the free ranges in ascending order.
    fn unit_gaps(self) -> impl Iterator<Item = Extent> + 'a {
        self.gaps()
            .filter_map(move |gap| gap.narrowed(self.mappings.align))
    }

    /// Returns the free bytes of each DIMM in whole units. On all DIMMs together this is
    /// `available_size` in sysfs.
    ///
    /// A reservation takes every unit that it touches. If its last unit ends behind the mapping,
    /// the whole mapping is unavailable.
    pub fn available_size(&self) -> u64 {
        let Mappings { first, align } = self.mappings;
        let reserved = self.reserved.iter().try_fold(0u64, |sum, extent| {
            let extent = extent.widened(align)?;
            if !extent.overlaps(&first) {
                return Some(sum);
            }
            if extent.end() > first.end() {
                return None;
            }
            sum.checked_add(extent.len())
        });
        let free = reserved.and_then(|reserved| first.len().checked_sub(reserved));
        free.map_or(0, |free| free - free.checked_rem(align).unwrap_or(free))
    }

    /// Returns the size in bytes, on each DIMM, of the largest free range of whole units. On all
    /// DIMMs together this is `max_available_extent` in sysfs.
    pub fn max_available_extent(&self) -> u64 {
        let largest = self.unit_gaps().map(|gap| gap.len()).max().unwrap_or(0);
        largest.min(self.available_size())
    }

    /// Returns the range for a new namespace that has `len` bytes on each DIMM: the lowest one that
    /// fits.
    pub fn allocate(&self, len: u64) -> Result<Extent, NoSpace> {
        self.unit_gaps()
            .filter(|gap| gap.len() >= len)
            .find_map(|gap| Extent::new(gap.start(), len))
            .ok_or(NoSpace {
                len,
                adjacent: None,
            })
    }

    /// Returns the range of a namespace that has `old` now and is to have `len` bytes on each DIMM;
    /// [`None`] if `len` is 0.
    ///
    /// A namespace shrinks at its end. It grows into an adjacent gap, of which the lower one is
    /// tried first.
    pub fn resize(&self, old: Option<Extent>, len: u64) -> Result<Option<Extent>, NoSpace> {
        if len == 0 {
            return Ok(None);
        }
        let Some(old) = old else {
            return self.allocate(len).map(Some);
        };
        let Some(more) = len.checked_sub(old.len()).filter(|&more| more != 0) else {
            return Ok(Extent::new(old.start(), len));
        };
        self.unit_gaps()
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
            .ok_or(NoSpace {
                len,
                adjacent: Some(old),
            })
    }
}

/// Merges overlapping ranges in `extents`, which are in ascending order. Returns the number of
/// ranges that are left, at the front.
fn merge(extents: &mut [Extent]) -> usize {
    let mut count = 0usize;
    for index in 0..extents.len() {
        let Some(&next) = extents.get(index) else {
            break;
        };
        let last = count.checked_sub(1).and_then(|last| extents.get_mut(last));
        match last {
            Some(last) if last.overlaps(&next) => {
                let end = last.end().max(next.end());
                *last = Extent::between(last.start(), end).unwrap_or(*last);
            }
            _ => {
                if let Some(place) = extents.get_mut(count) {
                    *place = next;
                }
                count += 1;
            }
        }
    }
    count
}

/// Returns the range of a namespace on the first DIMM, given the mapping of each DIMM and the range
/// there. All ranges must have the same length and the same offset in their mappings, or there must
/// be none.
pub fn common_extent(
    shares: impl IntoIterator<Item = (Extent, Option<Extent>)>,
) -> Result<Option<Extent>, ShareMismatch> {
    let mut shares = shares.into_iter().enumerate();
    let Some((_, (first, common))) = shares.next() else {
        return Ok(None);
    };
    for (member, (mapping, found)) in shares {
        let expected = common.and_then(|extent| extent.moved(first, mapping));
        if found != expected {
            return Err(ShareMismatch {
                member,
                found,
                expected,
            });
        }
    }
    Ok(common)
}

/// The shares of a namespace differ in their offset or length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShareMismatch {
    /// Number of the mapping.
    pub member: usize,
    /// The range on that DIMM.
    pub found: Option<Extent>,
    /// The range that corresponds to that on the first DIMM.
    pub expected: Option<Extent>,
}

impl fmt::Display for ShareMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mapping{}: dpa is ", self.member)?;
        write_extent(f, self.found)?;
        f.write_str(", expected ")?;
        write_extent(f, self.expected)
    }
}

fn write_extent(f: &mut fmt::Formatter<'_>, extent: Option<Extent>) -> fmt::Result {
    match extent {
        Some(extent) => write!(f, "{extent}"),
        None => f.write_str("none"),
    }
}

/// A namespace does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSpace {
    /// Bytes that it needs on each DIMM.
    pub len: u64,
    /// The range that it has, which it can only grow from; [`None`] for a new namespace.
    pub adjacent: Option<Extent>,
}

impl fmt::Display for NoSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.adjacent {
            Some(old) => write!(
                f,
                "no free dpa on all DIMMs next to {old} to grow to {:#x} bytes",
                self.len
            ),
            None => write!(f, "no free dpa range of {:#x} bytes on all DIMMs", self.len),
        }
    }
}
