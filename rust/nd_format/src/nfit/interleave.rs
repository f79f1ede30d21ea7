// SPDX-License-Identifier: GPL-2.0

//! Interleave sets: the DIMMs that share a range, and their order.
//!
//! Namespace labels carry a cookie of the set for which they were written. They are not trusted
//! once the DIMMs are plugged differently. A cookie is the Fletcher-64 checksum of one record for
//! each DIMM, in the order of the DIMMs in the set (NVDIMM Namespace Specification, "Interleave Set
//! Cookie"; UEFI 2.10, section 13.19):
//!
//! ```text
//!       0               8        12       14     16         17           48
//! v1.1  | region offset | serial | 0             |                           (16 bytes)
//! v1.2  | region offset | serial | vendor | date | location | 0 ...      |   (48 bytes)
//! ```
//!
//! Records contain the DIMM's numbers as the bytes in the table. They are summed as little-endian
//! words, as on the machines that have such a table.

use super::layout::{
    ControlRegion,
    Mapping, //
};
use crate::{
    fletcher::fletcher64,
    label::Cookies, //
};
use core::fmt;
use core::iter;

/// Largest number of DIMMs in a set.
pub const MAX_MEMBERS: usize = 32;

/// A DIMM as a member of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    region_offset: u64,
    serial: [u8; 4],
    vendor: [u8; 2],
    date: [u8; 2],
    location: u8,
}

impl Member {
    /// Returns the member for `mapping`, a mapping of the DIMM that `dimm` describes.
    pub fn new(mapping: &Mapping, dimm: &ControlRegion) -> Self {
        Self {
            region_offset: mapping.region_offset.get(),
            serial: dimm.serial,
            vendor: dimm.vendor,
            date: dimm.manufacturing_date,
            location: dimm.manufacturing_location,
        }
    }

    /// Returns the words with which both records begin.
    fn head(&self) -> [u32; 3] {
        let offset = self.region_offset;
        // CAST: The low and the high half.
        [
            offset as u32,
            (offset >> 32) as u32,
            u32::from_le_bytes(self.serial),
        ]
    }

    fn record_v1_1(&self) -> impl Iterator<Item = u32> {
        self.head().into_iter().chain(iter::once(0))
    }

    fn record_v1_2(&self) -> impl Iterator<Item = u32> {
        let [v0, v1] = self.vendor;
        let [d0, d1] = self.date;
        self.head()
            .into_iter()
            .chain([
                u32::from_le_bytes([v0, v1, d0, d1]),
                u32::from(self.location),
            ])
            .chain([0; 7])
    }

    /// Returns the sort key of the specification.
    fn rank_key(&self) -> u64 {
        self.region_offset
    }

    /// Returns the sort key of early kernels, which compared the bytes of the little-endian offset.
    fn legacy_rank_key(&self) -> u64 {
        self.region_offset.swap_bytes()
    }
}

/// A set has more than [`MAX_MEMBERS`] members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyMembers {
    /// Number of members.
    pub found: usize,
}

impl fmt::Display for TooManyMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "interleave set has {} mappings, expected at most {MAX_MEMBERS}",
            self.found
        )
    }
}

/// An interleave set.
#[derive(Clone, Copy, Debug)]
pub struct InterleaveSet<'m> {
    members: &'m [Member],
}

impl<'m> InterleaveSet<'m> {
    /// Returns the set of `members`, given in any order.
    pub fn new(members: &'m [Member]) -> Result<Self, TooManyMembers> {
        if members.len() > MAX_MEMBERS {
            return Err(TooManyMembers {
                found: members.len(),
            });
        }
        Ok(Self { members })
    }

    /// Returns the cookies of the set. They do not depend on the order in which the members were
    /// given, as long as the offsets of the members differ.
    pub fn cookies(&self) -> Cookies {
        Cookies {
            v1_1: fletcher64(self.by(Member::rank_key).flat_map(Member::record_v1_1)),
            v1_2: fletcher64(self.by(Member::rank_key).flat_map(Member::record_v1_2)),
            alternate: fletcher64(
                self.by(Member::legacy_rank_key)
                    .flat_map(Member::record_v1_1),
            ),
        }
    }

    /// Returns the position in the set of the member that was given as number `index`; `None` if
    /// there is no such member.
    pub fn position(&self, index: usize) -> Option<usize> {
        let member = self.members.get(index)?;
        Some(self.rank(index, member, Member::rank_key))
    }

    /// Returns the number of members in front of this one. Members with equal keys, which no sane
    /// table has, keep the order of the table.
    fn rank(&self, index: usize, member: &Member, key: fn(&Member) -> u64) -> usize {
        let place = (key(member), index);
        self.members
            .iter()
            .enumerate()
            .filter(|&(other, neighbour)| (key(neighbour), other) < place)
            .count()
    }

    /// Returns the members in ascending order of `key`. A set is so small that sorting is not worth
    /// a buffer.
    fn by(self, key: fn(&Member) -> u64) -> impl Iterator<Item = &'m Member> {
        (0..self.members.len()).filter_map(move |place| {
            self.members
                .iter()
                .enumerate()
                .find(|&(index, member)| self.rank(index, member, key) == place)
                .map(|(_, member)| member)
        })
    }
}
