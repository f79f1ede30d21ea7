// SPDX-License-Identifier: GPL-2.0

//! The places of indexes and labels in a label area.
//!
//! ```text
//! 0            index_size       2 * index_size                     config_size
//! | index 0    | index 1        | label 0 | label 1 | ... | unused |
//! ```
//!
//! An index consists of a header and one bit for each slot, rounded up to 256 bytes. The number of
//! slots depends on the size of the indexes, and that on the number of slots. The formats resolve
//! this by first sizing the indexes for an area full of labels. (UEFI 2.10, section 13.19, "Label
//! Storage Area".)

use core::fmt;

/// Bytes of the header of an index, in front of the bitmap.
pub(super) const INDEX_HEADER_LEN: usize = 72;

/// The size of an index is a multiple of this many bytes.
const INDEX_ALIGN: u64 = 256;

/// An area with fewer slots cannot be updated safely.
const SLOTS_MIN: u64 = 2;

/// The formats of labels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LabelFormat {
    /// 128 bytes, without a checksum.
    V1_1,
    /// 256 bytes, with types and a checksum.
    V1_2,
}

impl LabelFormat {
    /// Returns the bytes of a label.
    pub const fn label_len(self) -> usize {
        match self {
            Self::V1_1 => 128,
            Self::V1_2 => 256,
        }
    }

    /// Returns the size code in an index: a label has `128 << code` bytes.
    pub const fn size_code(self) -> u8 {
        match self {
            Self::V1_1 => 0,
            Self::V1_2 => 1,
        }
    }

    /// Returns the major and minor version number that Linux writes into an index of such labels.
    pub const fn version(self) -> (u16, u16) {
        match self {
            Self::V1_1 => (1, 1),
            Self::V1_2 => (1, 2),
        }
    }
}

impl fmt::Display for LabelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version();
        write!(f, "{major}.{minor}")
    }
}

/// One of the two copies of the index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IndexCopy {
    /// The copy at the start of the area.
    First,
    /// The copy behind the first one.
    Second,
}

impl IndexCopy {
    /// Both copies.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];

    /// Returns the other copy.
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Returns 0 for the first copy, 1 for the second one.
    pub const fn number(self) -> u32 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }
}

impl fmt::Display for IndexCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index{}", self.number())
    }
}

/// The geometry of a label area of a given size, for labels of a given format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Geometry {
    config_size: u32,
    format: LabelFormat,
    index_size: u32,
    slots: u32,
}

impl Geometry {
    /// Computes the geometry of an area of `config_size` bytes.
    pub fn new(config_size: u32, format: LabelFormat) -> Result<Self, AreaTooSmall> {
        let too_small = AreaTooSmall {
            config_size,
            format,
        };
        let size = u64::from(config_size);
        let label = format.label_len() as u64;
        let indexes = 2 * index_len(size / label);
        let slots = size.checked_sub(indexes).ok_or(too_small)? / label;
        let index_size = index_len(slots);
        if slots < SLOTS_MIN || 2 * index_size > size - slots * label {
            return Err(too_small);
        }
        Ok(Self {
            config_size,
            format,
            // Both are below `config_size`.
            index_size: u32::try_from(index_size).map_err(|_| too_small)?,
            slots: u32::try_from(slots).map_err(|_| too_small)?,
        })
    }

    /// Returns the size of the area in bytes.
    pub const fn config_size(&self) -> u32 {
        self.config_size
    }

    /// Returns the format of the labels.
    pub const fn format(&self) -> LabelFormat {
        self.format
    }

    /// Returns the size of one index in bytes.
    pub const fn index_size(&self) -> u32 {
        self.index_size
    }

    /// Returns the number of slots of an area that this code initialises. An index on media may
    /// name another number.
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// Returns the offset of an index from the start of the area.
    pub const fn index_offset(&self, copy: IndexCopy) -> u32 {
        match copy {
            IndexCopy::First => 0,
            IndexCopy::Second => self.index_size,
        }
    }

    /// Returns the offset of the first label from the start of the area.
    pub const fn labels_offset(&self) -> u32 {
        2 * self.index_size
    }

    /// Returns the offset of the label in `slot` from the start of the area; [`None`] if it would
    /// not lie within the area.
    pub fn label_offset(&self, slot: u32) -> Option<u32> {
        let len = u64::from(self.label_len());
        let offset = u64::from(self.labels_offset()).checked_add(u64::from(slot) * len)?;
        if offset + len > u64::from(self.config_size) {
            return None;
        }
        u32::try_from(offset).ok()
    }

    /// Returns the size of one label in bytes.
    pub const fn label_len(&self) -> u32 {
        // CAST: 128 or 256.
        self.format.label_len() as u32
    }

    /// Returns the largest number of slots that an index may name: each has a bit in the index and
    /// a place in the area.
    pub fn slots_max(&self) -> u32 {
        let bits = self.index_size.saturating_sub(INDEX_HEADER_LEN as u32) * 8;
        let room = (self.config_size - self.labels_offset()) / self.label_len();
        bits.min(room)
    }
}

/// Returns the size of an index with a bit for each of `slots`.
const fn index_len(slots: u64) -> u64 {
    (INDEX_HEADER_LEN as u64 + slots.div_ceil(8)).next_multiple_of(INDEX_ALIGN)
}

/// A label area is too small for two indexes and two labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AreaTooSmall {
    /// Size of the area in bytes.
    pub config_size: u32,
    /// Format of the labels.
    pub format: LabelFormat,
}

impl fmt::Display for AreaTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "label area of {} bytes, expected room for two indexes and {SLOTS_MIN} labels of {} bytes",
            self.config_size,
            self.format.label_len()
        )
    }
}
