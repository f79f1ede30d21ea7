// SPDX-License-Identifier: GPL-2.0

//! Why the labels of a UUID make up no namespace.

use super::extent::Extent;
use crate::uuid::{
    Guid,
    Uuid, //
};
use core::fmt;

/// What is wrong with the labels of a namespace. `member` is the number of the region's mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// The set has no cookie, so that its labels cannot be told from others.
    NoCookie,
    /// A creation was interrupted: only some labels have been written, all with the flag "updating".
    Interrupted,
    /// A removal was interrupted: only some labels are left.
    Removed,
    /// Labels that a creation might have left, or the change of the UUID of another namespace, of which labels are missing.
    Unclear,
    /// A DIMM has no label.
    Missing {
        /// The DIMM.
        member: usize,
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
        /// The number in the label.
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
    /// The label is for another kind of memory.
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
    /// Shares of DIMMs differ.
    Size {
        /// The DIMM.
        member: usize,
        /// Its share.
        found: u64,
        /// The share of the DIMM at position 0.
        expected: u64,
    },
    /// An update was interrupted, and the shares of DIMMs are at different offsets of their mappings: where the old ones
    /// were cannot be inferred.
    Offset {
        /// The DIMM.
        member: usize,
        /// Bytes from the start of its mapping.
        found: u64,
        /// The offset of the label that tells the state of the namespace.
        expected: u64,
    },
    /// A label is neither the old nor the new one of an update.
    Disagree {
        /// The DIMM.
        member: usize,
    },
    /// What an interrupted update should give back belongs to somebody else.
    Overlap {
        /// The DIMM.
        member: usize,
        /// The other namespace.
        other: Uuid,
    },
    /// The size or the address of the namespace is no 64-bit number.
    TooLarge {
        /// Bytes of each DIMM.
        share: u64,
    },
}

impl Defect {
    /// Tells whether the labels are what an interrupted creation or removal has left. They may be retracted: there
    /// is no namespace that could be lost.
    pub const fn is_residue(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Removed)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCookie => f.write_str("isetcookie of the region is 0, expected another number"),
            Self::Interrupted => {
                f.write_str("its creation was interrupted, expected labels on all DIMMs")
            }
            Self::Removed => {
                f.write_str("its removal was interrupted, expected labels on all DIMMs or none")
            }
            Self::Unclear => f.write_str(
                "it may be the new UUID of a namespace of which labels are missing, expected labels on all DIMMs",
            ),
            Self::Missing { member } => {
                write!(f, "mapping{member} has no label of it, expected one")
            }
            Self::Duplicate {
                member,
                slots: [first, second],
            } => write!(
                f,
                "mapping{member} has labels of it in slots {first} and {second}, expected one"
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
                    "mapping{member}: position is {position}, expected one that no other label has"
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
                "mapping{member}: rawsize is {found:#x}, expected {expected:#x} as in position 0"
            ),
            Self::Offset {
                member,
                found,
                expected,
            } => write!(
                f,
                "its update was interrupted, and mapping{member}: offset is {found:#x}, expected {expected:#x}"
            ),
            Self::Disagree { member } => write!(
                f,
                "mapping{member}: label differs, expected the old or the new one of an update"
            ),
            Self::Overlap { member, other } => {
                write!(
                    f,
                    "mapping{member}: dpa belongs to namespace {other}, expected it to be free"
                )
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
