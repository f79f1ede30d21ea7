// SPDX-License-Identifier: GPL-2.0

//! Reasons why the labels of a UUID describe no namespace.

use core::fmt;
use nd_format::{
    label::{
        Extent,
        LabelError, //
    },
    uuid::{
        Guid,
        Uuid, //
    },
};

/// A defect of the labels of a namespace. `member` is the number of the region's mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// The set has no cookie, so its labels cannot be distinguished from others.
    NoCookie,
    /// A DIMM has no label.
    Missing {
        /// The DIMM.
        member: usize,
    },
    /// A DIMM has a damaged label.
    Damaged {
        /// The DIMM.
        member: usize,
        /// The slot.
        slot: u32,
        /// The error.
        error: LabelError,
    },
    /// A DIMM has two labels.
    Duplicate {
        /// The DIMM.
        member: usize,
        /// The first two slots.
        slots: [u32; 2],
    },
    /// The label belongs to a set of another size.
    LabelCount {
        /// The DIMM.
        member: usize,
        /// Number of DIMMs in the label.
        found: u16,
        /// DIMMs of the set.
        expected: usize,
    },
    /// The set has no such position.
    Position {
        /// The DIMM.
        member: usize,
        /// The position in the label.
        found: u16,
        /// DIMMs of the set.
        ways: usize,
    },
    /// Two DIMMs claim the same position.
    SamePosition {
        /// The second one.
        member: usize,
        /// The position.
        position: u16,
    },
    /// The label is for another type of memory.
    RangeType {
        /// The DIMM.
        member: usize,
        /// The type in the label.
        found: Guid,
        /// The type of the region.
        expected: Guid,
    },
    /// The label's range is not in the part of the DIMM that belongs to the set.
    Outside {
        /// The DIMM.
        member: usize,
        /// The range in the label.
        found: Extent,
        /// The part of the DIMM.
        mapping: Extent,
    },
    /// The shares of two DIMMs differ in size.
    Size {
        /// The DIMM.
        member: usize,
        /// Its share.
        found: u64,
        /// The share of the DIMM at position 0.
        expected: u64,
    },
    /// An update was interrupted, and the shares are at different offsets of their mappings: where
    /// the old ones were cannot be inferred.
    Offset {
        /// The DIMM.
        member: usize,
        /// Offset in its mapping in bytes.
        found: u64,
        /// Offset of the label that describes the namespace.
        expected: u64,
    },
    /// A label is neither the old nor the new one of an update.
    Disagree {
        /// The DIMM.
        member: usize,
    },
    /// Another label names some of the same addresses, so their owner is unknown.
    Overlap {
        /// The DIMM.
        member: usize,
        /// The range of the namespace.
        found: Extent,
        /// The other namespace, of this set or of another one.
        other: Uuid,
        /// The range of the other namespace.
        taken: Extent,
    },
    /// The namespace ends behind the region. The caller of [`Set`](crate::Set) finds this: a set
    /// does not have the addresses of its region.
    Beyond {
        /// End of the namespace in bytes from the start of the region.
        end: u64,
        /// Size of the region in bytes.
        region: u64,
    },
    /// The size or the address of the namespace exceeds 64 bits.
    TooLarge {
        /// Size on each DIMM in bytes.
        share: u64,
    },
}

impl Defect {
    /// Returns the number of the mapping whose DIMM has the defect, if it is one of a DIMM.
    pub const fn member(&self) -> Option<usize> {
        match *self {
            Self::NoCookie | Self::Beyond { .. } | Self::TooLarge { .. } => None,
            Self::Missing { member }
            | Self::Damaged { member, .. }
            | Self::Duplicate { member, .. }
            | Self::LabelCount { member, .. }
            | Self::Position { member, .. }
            | Self::SamePosition { member, .. }
            | Self::RangeType { member, .. }
            | Self::Outside { member, .. }
            | Self::Size { member, .. }
            | Self::Offset { member, .. }
            | Self::Disagree { member }
            | Self::Overlap { member, .. } => Some(member),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCookie => f.write_str("isetcookie of the region is 0, expected nonzero"),
            Self::Missing { member } => {
                write!(f, "mapping{member} has no label")
            }
            Self::Damaged {
                member,
                slot,
                error,
            } => write!(f, "mapping{member}: slot {slot}: {error}"),
            Self::Duplicate {
                member,
                slots: [first, second],
            } => write!(
                f,
                "mapping{member} has labels in slots {first} and {second}, expected one label"
            ),
            Self::LabelCount {
                member,
                found,
                expected,
            } => write!(f, "mapping{member}: nlabel is {found}, expected {expected}"),
            Self::Position {
                member,
                found,
                ways,
            } => write!(
                f,
                "mapping{member}: position is {found}, expected less than {ways}"
            ),
            Self::SamePosition { member, position } => {
                write!(
                    f,
                    "mapping{member}: position is {position}, expected a unique one"
                )
            }
            Self::RangeType {
                member,
                found,
                expected,
            } => write!(
                f,
                "mapping{member}: type GUID is {found}, expected {expected}"
            ),
            Self::Outside {
                member,
                found,
                mapping,
            } => write!(
                f,
                "mapping{member}: dpa is {found}, expected a part of {mapping}"
            ),
            Self::Size {
                member,
                found,
                expected,
            } => write!(
                f,
                "mapping{member}: rawsize is {found:#x}, expected {expected:#x} as at position 0"
            ),
            Self::Offset {
                member,
                found,
                expected,
            } => write!(
                f,
                "mapping{member}: offset is {found:#x} after an interrupted update, expected {expected:#x}"
            ),
            Self::Disagree { member } => write!(
                f,
                "mapping{member}: label differs, expected the old or the new one of an update"
            ),
            Self::Overlap {
                member,
                found,
                other,
                taken,
            } => write!(
                f,
                "mapping{member}: dpa is {found}, expected no overlap with {taken} of {other}"
            ),
            Self::Beyond { end, region } => {
                write!(f, "end is {end:#x}, expected at most {region:#x}, the size of the region")
            }
            Self::TooLarge { share } => {
                write!(
                    f,
                    "rawsize is {share:#x}, expected a namespace that ends below 2^64"
                )
            }
        }
    }
}
