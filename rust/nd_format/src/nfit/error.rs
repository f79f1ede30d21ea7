// SPDX-License-Identifier: GPL-2.0

//! Errors of a table.

use core::fmt;

/// Reason why bytes are not a table. Offsets are in bytes from the first structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The static table is shorter than its header.
    NoHeader {
        /// Bytes of the table.
        found: usize,
    },
    /// The static table's signature is not `NFIT`.
    Signature {
        /// The signature.
        found: [u8; 4],
    },
    /// The length in the header of the static table is smaller than the header or larger than the
    /// table.
    TableLength {
        /// The length in the header.
        found: u32,
        /// Bytes of the table.
        available: usize,
    },
    /// The table ends within the header of a structure.
    HeaderCut {
        /// Offset of the structure.
        offset: usize,
        /// Bytes up to the end of the table.
        available: usize,
    },
    /// A structure's length does not cover its own header.
    LengthTooShort {
        /// Offset of the structure.
        offset: usize,
        /// Its type.
        kind: u16,
        /// Its length.
        found: u16,
    },
    /// A structure reaches past the end of the table.
    PastEnd {
        /// Offset of the structure.
        offset: usize,
        /// Its type.
        kind: u16,
        /// Its length.
        found: u16,
        /// Bytes up to the end of the table.
        available: usize,
    },
    /// The length of a structure is wrong for its type, and the structure is too short to tell what
    /// it describes. Any part of the table may be incomplete without it.
    WrongLength {
        /// Offset of the structure.
        offset: usize,
        /// Its type.
        kind: u16,
        /// Its length.
        found: u16,
        /// Length that its type requires.
        expected: LengthRule,
    },
}

/// Lengths that a structure may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LengthRule {
    /// Exactly this length.
    Exactly(usize),
    /// At least this length.
    AtLeast(usize),
}

impl fmt::Display for LengthRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(expected) => write!(f, "{expected}"),
            Self::AtLeast(expected) => write!(f, "at least {expected}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoHeader { found } => {
                write!(f, "table has {found} bytes, expected a header of 40")
            }
            Self::Signature { found } => {
                write!(f, "table has signature \"{}\", expected \"NFIT\"", found.escape_ascii())
            }
            Self::TableLength { found, available } => {
                write!(f, "table length is {found}, expected 40 to {available}")
            }
            Self::HeaderCut { offset, available } => write!(
                f,
                "structure at offset {offset:#x} has {available} bytes up to the end of the table, \
                 expected a header of 4"
            ),
            Self::LengthTooShort { offset, kind, found } => write!(
                f,
                "structure at offset {offset:#x} (type {kind}) has length {found}, expected at least 4"
            ),
            Self::PastEnd {
                offset,
                kind,
                found,
                available,
            } => write!(
                f,
                "structure at offset {offset:#x} (type {kind}) has length {found}, expected at most \
                 the {available} bytes up to the end of the table"
            ),
            Self::WrongLength {
                offset,
                kind,
                found,
                expected,
            } => write!(
                f,
                "structure at offset {offset:#x} (type {kind}) has length {found}, expected {expected}"
            ),
        }
    }
}
