// SPDX-License-Identifier: GPL-2.0

//! Where things are in a label area.
//!
//! ```text
//! 0            index_size       2 * index_size                     config_size
//! | index 0    | index 1        | label 0 | label 1 | ... | unused |
//! ```
//!
//! An index holds a header and one bit for each slot, rounded up to 256 bytes. How many slots fit depends on the
//! size of the indexes, and that on the slots; the formats resolve this by sizing the indexes for an area full of
//! labels first. (UEFI 2.10, section 13.19, "Label Storage Area".)

use core::fmt;

/// Bytes of an index in front of its bitmap.
pub(super) const INDEX_HEADER_LEN: usize = 72;

/// Indexes are multiples of this many bytes.
const INDEX_ALIGN: u64 = 256;

/// An area of fewer slots cannot be updated safely.
const SLOTS_MIN: u64 = 2;

/// The two sizes of labels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LabelFormat {
    /// 128 bytes, without a checksum.
    V1_1,
    /// 256 bytes, with types and a checksum.
    V1_2,
}

impl LabelFormat {
    /// Bytes of a label.
    pub const fn label_len(self) -> usize {
        match self {
            Self::V1_1 => 128,
            Self::V1_2 => 256,
        }
    }

    /// The code of the size in an index: bytes are `128 << code`.
    pub const fn size_code(self) -> u8 {
        match self {
            Self::V1_1 => 0,
            Self::V1_2 => 1,
        }
    }

    /// Major and minor number that an index of such labels carries when Linux writes it.
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
    /// The one at the start of the area.
    First,
    /// The one behind it.
    Second,
}

impl IndexCopy {
    /// Both copies.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];

    /// The other copy.
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// 0 or 1.
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

/// The places in a label area of a given size, for labels of a given format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Geometry {
    config_size: u32,
    format: LabelFormat,
    index_size: u32,
    slots: u32,
}

impl Geometry {
    /// Divides an area of `config_size` bytes.
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

    /// Bytes from the start of the area that suffice to find the indexes of either format.
    pub fn discovery_len(config_size: u32) -> Result<u32, AreaTooSmall> {
        // Smaller labels mean more slots and larger indexes.
        Self::new(config_size, LabelFormat::V1_1).map(|geometry| 2 * geometry.index_size)
    }

    /// Bytes of the area.
    pub const fn config_size(&self) -> u32 {
        self.config_size
    }

    /// The size of labels.
    pub const fn format(&self) -> LabelFormat {
        self.format
    }

    /// Bytes of one index.
    pub const fn index_size(&self) -> u32 {
        self.index_size
    }

    /// Slots of an area that this code initialises. An index on media may name another number.
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// Where an index is, in bytes from the start of the area.
    pub const fn index_offset(&self, copy: IndexCopy) -> u32 {
        match copy {
            IndexCopy::First => 0,
            IndexCopy::Second => self.index_size,
        }
    }

    /// Where the labels begin.
    pub const fn labels_offset(&self) -> u32 {
        2 * self.index_size
    }

    /// Where the label of `slot` is; [`None`] if there is no such place in the area.
    pub fn label_offset(&self, slot: u32) -> Option<u32> {
        let len = u64::from(self.label_len());
        let offset = u64::from(self.labels_offset()).checked_add(u64::from(slot) * len)?;
        if offset + len > u64::from(self.config_size) {
            return None;
        }
        u32::try_from(offset).ok()
    }

    /// Bytes of one label.
    pub const fn label_len(&self) -> u32 {
        // CAST: 128 or 256.
        self.format.label_len() as u32
    }

    /// The most slots that an index may name: they have a bit, and room in the area.
    pub fn slots_max(&self) -> u32 {
        let bits = self.index_size.saturating_sub(INDEX_HEADER_LEN as u32) * 8;
        let room = (self.config_size - self.labels_offset()) / self.label_len();
        bits.min(room)
    }
}

/// Bytes of an index with a bit for each of `slots`.
const fn index_len(slots: u64) -> u64 {
    (INDEX_HEADER_LEN as u64 + slots.div_ceil(8)).next_multiple_of(INDEX_ALIGN)
}

/// An area has no room for two indexes and two labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AreaTooSmall {
    /// Bytes of the area.
    pub config_size: u32,
    /// The format that was to be stored.
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
