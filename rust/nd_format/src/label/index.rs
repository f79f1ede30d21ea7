// SPDX-License-Identifier: GPL-2.0

//! The index of a label area: which slots hold labels.
//!
//! ```text
//!  0 signature "NAMESPACE_INDEX\0"       32 bytes of this index      60 version major (1)
//! 16 flags, zero (3 bytes)               40 offset of the other one  62 version minor
//! 19 size of labels: 128 << code         48 offset of label 0        64 checksum: Fletcher-64, with zeroes here
//! 20 sequence number, in the low 2 bits  56 number of slots          72 one bit for each slot, set if free
//! 24 offset of this index
//! ```
//!
//! An area has two indexes, written in turn. The one with the later sequence number is current, so
//! a torn write of the other one changes nothing. (UEFI 2.10, section 13.19, "Label Index Block
//! Definitions".)

use super::{
    geometry::{
        Geometry,
        IndexCopy,
        INDEX_HEADER_LEN, //
    },
    slots::{
        mark_all_free,
        Slots, //
    },
};
use crate::fletcher::fletcher64_le_without;
use core::fmt;
use zerocopy::{
    byteorder::{
        LittleEndian,
        U16,
        U32,
        U64, //
    },
    FromBytes as _, //
};

const SIGNATURE: [u8; 16] = *b"NAMESPACE_INDEX\0";

const CHECKSUM_OFFSET: usize = 64;

/// The header of an index on media. The bitmap follows it.
#[derive(
    zerocopy_derive::FromBytes,
    zerocopy_derive::IntoBytes,
    zerocopy_derive::Immutable,
    zerocopy_derive::KnownLayout,
    zerocopy_derive::Unaligned,
)]
#[repr(C)]
struct RawIndex {
    signature: [u8; 16],
    flags: [u8; 3],
    label_size_code: u8,
    sequence: U32<LittleEndian>,
    own_offset: U64<LittleEndian>,
    own_size: U64<LittleEndian>,
    other_offset: U64<LittleEndian>,
    labels_offset: U64<LittleEndian>,
    slots: U32<LittleEndian>,
    version_major: U16<LittleEndian>,
    version_minor: U16<LittleEndian>,
    checksum: U64<LittleEndian>,
}

const _: () = assert!(size_of::<RawIndex>() == INDEX_HEADER_LEN);

/// The sequence number of an index: 1, 2, 3 and then 1 again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sequence(u32);

impl Sequence {
    /// The number of the first index of a fresh area.
    pub const INITIAL_FIRST: Self = Self(3);

    /// The number of the second index of a fresh area.
    pub const INITIAL_SECOND: Self = Self(2);

    /// Decodes the field of an index, of which only the low two bits are significant. [`None`] if
    /// they are 0, which stands for "never written".
    pub const fn from_field(field: u32) -> Option<Self> {
        match field & 3 {
            0 => None,
            number => Some(Self(number)),
        }
    }

    /// Returns the number, 1 to 3.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns the following number.
    pub const fn successor(self) -> Self {
        Self(self.0 % 3 + 1)
    }
}

/// The fields of a valid index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Index {
    /// Sequence number.
    pub sequence: Sequence,
    /// Number of slots.
    pub slots: u32,
    /// Major and minor version number.
    pub version: (u16, u16),
}

impl Index {
    /// Decodes and checks the index `copy`, with which `bytes` begins.
    pub fn parse(bytes: &[u8], geometry: &Geometry, copy: IndexCopy) -> Result<Self, IndexError> {
        let size = geometry.index_size();
        let bytes = usize::try_from(size)
            .ok()
            .and_then(|size| bytes.get(..size))
            .ok_or(IndexError::Signature)?;
        let (raw, _) = RawIndex::ref_from_prefix(bytes).map_err(|_| IndexError::Signature)?;
        if raw.signature != SIGNATURE {
            return Err(IndexError::Signature);
        }
        let version = (raw.version_major.get(), raw.version_minor.get());
        if version.0 != 1 {
            return Err(IndexError::Version { found: version });
        }
        // The size code came with version 1.2; before it, all labels had 128 bytes.
        let found = if version.1 >= 2 {
            raw.label_size_code
        } else {
            0
        };
        let expected = geometry.format().size_code();
        if found != expected {
            return Err(IndexError::LabelSizeCode { found, expected });
        }
        let found = raw.checksum.get();
        let expected = fletcher64_le_without(bytes, CHECKSUM_OFFSET);
        if found != expected {
            return Err(IndexError::Checksum { found, expected });
        }
        let sequence = Sequence::from_field(raw.sequence.get()).ok_or(IndexError::Sequence {
            found: raw.sequence.get(),
        })?;
        expect(
            IndexField::OwnOffset,
            raw.own_offset,
            geometry.index_offset(copy),
        )?;
        expect(
            IndexField::OtherOffset,
            raw.other_offset,
            geometry.index_offset(copy.other()),
        )?;
        expect(
            IndexField::LabelsOffset,
            raw.labels_offset,
            geometry.labels_offset(),
        )?;
        let found = raw.own_size.get();
        if !(INDEX_HEADER_LEN as u64..=u64::from(size)).contains(&found) {
            return Err(IndexError::OwnSize { found, most: size });
        }
        let slots = raw.slots.get();
        if slots > geometry.slots_max() {
            return Err(IndexError::Slots {
                found: slots,
                most: geometry.slots_max(),
            });
        }
        Ok(Self {
            sequence,
            slots,
            version,
        })
    }

    /// Returns `true` if bytes that are no valid index of this layout are an intact index of
    /// another: their checksum is right over the size that they name, or over the size of an index
    /// of this layout. Only an intact index is evidence of another layout; anything else may be
    /// torn.
    pub(super) fn is_whole(bytes: &[u8], geometry: &Geometry) -> bool {
        let Ok((raw, _)) = RawIndex::ref_from_prefix(bytes) else {
            return false;
        };
        let sizes = [raw.own_size.get(), geometry.index_size().into()];
        raw.signature == SIGNATURE
            && sizes.into_iter().any(|size| {
                let index = usize::try_from(size)
                    .ok()
                    .and_then(|size| bytes.get(..size));
                index
                    .filter(|index| index.len() >= INDEX_HEADER_LEN && index.len() % 4 == 0)
                    .is_some_and(|index| {
                        raw.checksum.get() == fletcher64_le_without(index, CHECKSUM_OFFSET)
                    })
            })
    }

    /// Returns which of two valid indexes is current: the later one. Of two with equal numbers it
    /// is the second, because an area is initialised with the numbers 3 and 2 and then updated in
    /// the second index.
    pub fn newer(first: &Self, second: &Self) -> IndexCopy {
        if first.sequence == second.sequence || first.sequence.successor() == second.sequence {
            IndexCopy::Second
        } else {
            IndexCopy::First
        }
    }
}

/// Returns the bitmap, behind the header of an index.
fn bitmap(bytes: &[u8]) -> &[u8] {
    bytes.get(INDEX_HEADER_LEN..).unwrap_or(&[])
}

/// Returns the bitmap of an index that names `count` slots.
pub(super) fn slots(bytes: &[u8], count: u32) -> Slots<'_> {
    Slots::new(bitmap(bytes), count)
}

/// Returns the bitmap of an index for writing.
pub fn bitmap_mut(bytes: &mut [u8]) -> &mut [u8] {
    bytes.get_mut(INDEX_HEADER_LEN..).unwrap_or(&mut [])
}

/// Makes `bytes` the bitmap of an index in which all slots are free. [`seal`] writes the header.
pub fn clear(bytes: &mut [u8], slots: u32) {
    bytes.fill(0);
    mark_all_free(bitmap_mut(bytes), slots);
}

/// Writes the header of the index `copy`, with the checksum over header and bitmap.
pub fn seal(
    bytes: &mut [u8],
    geometry: &Geometry,
    copy: IndexCopy,
    sequence: Sequence,
    slots: u32,
) {
    let (major, minor) = geometry.format().version();
    if let Ok((raw, _)) = RawIndex::mut_from_prefix(bytes) {
        *raw = RawIndex {
            signature: SIGNATURE,
            flags: [0; 3],
            label_size_code: geometry.format().size_code(),
            sequence: U32::new(sequence.number()),
            own_offset: U64::new(geometry.index_offset(copy).into()),
            own_size: U64::new(geometry.index_size().into()),
            other_offset: U64::new(geometry.index_offset(copy.other()).into()),
            labels_offset: U64::new(geometry.labels_offset().into()),
            slots: U32::new(slots),
            version_major: U16::new(major),
            version_minor: U16::new(minor),
            checksum: U64::new(0),
        };
    }
    let sum = fletcher64_le_without(bytes, CHECKSUM_OFFSET);
    if let Ok((raw, _)) = RawIndex::mut_from_prefix(bytes) {
        raw.checksum = U64::new(sum);
    }
}

fn expect(field: IndexField, found: U64<LittleEndian>, expected: u32) -> Result<(), IndexError> {
    let found = found.get();
    if found == u64::from(expected) {
        return Ok(());
    }
    Err(IndexError::Offset {
        field,
        found,
        expected,
    })
}

/// Offsets in an index, whose values follow from the geometry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexField {
    /// Offset of the index itself.
    OwnOffset,
    /// Offset of the other index.
    OtherOffset,
    /// Offset of the first label.
    LabelsOffset,
}

impl fmt::Display for IndexField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnOffset => "myoff",
            Self::OtherOffset => "otheroff",
            Self::LabelsOffset => "labeloff",
        })
    }
}

/// Reasons why bytes are not a valid index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexError {
    /// There is no signature: most likely there never was an index.
    Signature,
    /// The major version is not 1.
    Version {
        /// Major and minor version number.
        found: (u16, u16),
    },
    /// The labels have another size than those of the expected format.
    LabelSizeCode {
        /// The size code in the index.
        found: u8,
        /// The size code of the format.
        expected: u8,
    },
    /// The checksum is wrong.
    Checksum {
        /// The checksum in the index.
        found: u64,
        /// The checksum of its bytes.
        expected: u64,
    },
    /// The sequence number is zero.
    Sequence {
        /// The whole field.
        found: u32,
    },
    /// An offset does not match the geometry.
    Offset {
        /// The field.
        field: IndexField,
        /// The offset in the index.
        found: u64,
        /// The offset in the geometry.
        expected: u32,
    },
    /// The index is larger than its place in the area, or smaller than its header.
    OwnSize {
        /// The size in the index.
        found: u64,
        /// The largest valid size.
        most: u32,
    },
    /// The area or the bitmap is too small for so many slots.
    Slots {
        /// The number in the index.
        found: u32,
        /// The largest valid number.
        most: u32,
    },
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("signature is wrong, expected NAMESPACE_INDEX"),
            Self::Version {
                found: (major, minor),
            } => write!(f, "version is {major}.{minor}, expected 1.x"),
            Self::LabelSizeCode { found, expected } => {
                write!(f, "labelsize is {found}, expected {expected}")
            }
            Self::Checksum { found, expected } => {
                write!(f, "checksum is {found:#018x}, expected {expected:#018x}")
            }
            Self::Sequence { found } => {
                write!(f, "seq is {found:#x}, expected 1 to 3 in its low bits")
            }
            Self::Offset {
                field,
                found,
                expected,
            } => write!(f, "{field} is {found:#x}, expected {expected:#x}"),
            Self::OwnSize { found, most } => {
                write!(
                    f,
                    "mysize is {found:#x}, expected {INDEX_HEADER_LEN:#x} to {most:#x}"
                )
            }
            Self::Slots { found, most } => write!(f, "nslot is {found}, expected at most {most}"),
        }
    }
}
