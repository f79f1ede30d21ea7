// SPDX-License-Identifier: GPL-2.0

//! One label: a DIMM's share of one namespace.
//!
//! ```text
//!   0 uuid of the namespace          104 dpa: first address in the DIMM     version 1.2 goes on:
//!  16 name, 64 bytes, zero padded    112 rawsize: bytes in this DIMM        128 type GUID: of the SPA range
//!  80 flags                          120 slot: the label's own              144 abstraction GUID: the class
//!  84 nlabel: DIMMs of the set       124 alignment, unused                  160 zeroes
//!  86 position of this DIMM in it    125 zeroes                             248 checksum: Fletcher-64 of the label,
//!  88 cookie of the set              128 end of version 1.1                     zeroes here
//!  96 lbasize: bytes of a sector, or 0
//! ```
//!
//! All numbers are little endian. (UEFI 2.10, section 13.19, "Namespace Label Definitions".)

use super::{
    class::ClaimClass,
    extent::Extent,
    geometry::LabelFormat, //
};
use crate::{
    fletcher::fletcher64_le_without,
    uuid::{
        Guid,
        Uuid, //
    },
};
use core::fmt;
use zerocopy::{
    byteorder::{
        LittleEndian,
        U16,
        U32,
        U64, //
    },
    FromBytes as _,
    IntoBytes as _, //
};

/// Bytes of a name, including the terminating zero.
pub const NAME_LEN: usize = 64;

const CHECKSUM_OFFSET: usize = 248;

/// A label on media. A label of version 1.1 ends in front of the type GUID.
#[derive(
    zerocopy_derive::FromBytes,
    zerocopy_derive::IntoBytes,
    zerocopy_derive::Immutable,
    zerocopy_derive::KnownLayout,
    zerocopy_derive::Unaligned,
)]
#[repr(C)]
struct RawLabel {
    common: RawCommon,
    type_guid: Guid,
    abstraction_guid: Guid,
    reserved: [u8; 88],
    checksum: U64<LittleEndian>,
}

#[derive(
    zerocopy_derive::FromBytes,
    zerocopy_derive::IntoBytes,
    zerocopy_derive::Immutable,
    zerocopy_derive::KnownLayout,
    zerocopy_derive::Unaligned,
)]
#[repr(C)]
struct RawCommon {
    uuid: Uuid,
    name: [u8; NAME_LEN],
    flags: U32<LittleEndian>,
    nlabel: U16<LittleEndian>,
    position: U16<LittleEndian>,
    cookie: U64<LittleEndian>,
    lba_size: U64<LittleEndian>,
    dpa: U64<LittleEndian>,
    raw_size: U64<LittleEndian>,
    slot: U32<LittleEndian>,
    align: u8,
    reserved: [u8; 3],
}

const _: () = assert!(size_of::<RawCommon>() == LabelFormat::V1_1.label_len());
const _: () = assert!(size_of::<RawLabel>() == LabelFormat::V1_2.label_len());
const _: () = assert!(core::mem::offset_of!(RawLabel, checksum) == CHECKSUM_OFFSET);

/// The name that a user gave to a namespace (`alt_name` in sysfs).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Name([u8; NAME_LEN]);

impl Name {
    /// The empty name.
    pub const EMPTY: Self = Self([0; NAME_LEN]);

    /// Makes a name of `text` up to its first NUL; [`None`] if that is longer than 63 bytes.
    pub fn new(text: &[u8]) -> Option<Self> {
        let text = text.split(|&byte| byte == 0).next().unwrap_or(&[]);
        let mut name = Self::EMPTY;
        let (field, _terminator) = name.0.split_at_mut(NAME_LEN - 1);
        field.get_mut(..text.len())?.copy_from_slice(text);
        Some(name)
    }

    /// Returns the text without the padding.
    pub fn text(&self) -> &[u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or(&[])
    }
}

/// Flags of a label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(u32);

impl Flags {
    /// No flag: the label is finished.
    pub const NONE: Self = Self(0);

    /// "Updating": the other labels of the namespace may not have been written yet.
    pub const UPDATING: Self = Self(1 << 3);

    /// Makes flags of `bits`.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns `true` if the flag "updating" is set.
    pub const fn updating(self) -> bool {
        self.0 & Self::UPDATING.0 != 0
    }
}

/// The fields that only labels of version 1.2 have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Types {
    /// Type of the range of system physical addresses.
    pub range: Guid,
    /// Address abstraction.
    pub class: ClaimClass,
}

/// A label, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Label {
    /// UUID of the namespace.
    pub uuid: Uuid,
    /// Name of the namespace.
    pub name: Name,
    /// Flags.
    pub flags: Flags,
    /// DIMMs in the set.
    pub nlabel: u16,
    /// Position of this DIMM in the set.
    pub position: u16,
    /// Cookie of the set.
    pub cookie: u64,
    /// Sector size in bytes: 512, 4096, or 0 for "unspecified". Not checked.
    pub lba_size: u64,
    /// Range of the namespace on this DIMM.
    pub extent: Extent,
    /// Types; [`None`] in a label of version 1.1.
    pub types: Option<Types>,
}

impl Label {
    /// Decodes the label in slot `slot`, with which `bytes` begins.
    pub fn decode(bytes: &[u8], format: LabelFormat, slot: u32) -> Result<Self, LabelError> {
        let cut = LabelError::Cut {
            found: bytes.len(),
            expected: format.label_len(),
        };
        let bytes = bytes.get(..format.label_len()).ok_or(cut)?;
        let (raw, _) = RawCommon::ref_from_prefix(bytes).map_err(|_| cut)?;
        let found = raw.slot.get();
        if found != slot {
            return Err(LabelError::Slot {
                found,
                expected: slot,
            });
        }
        let types = match format {
            LabelFormat::V1_1 => None,
            LabelFormat::V1_2 => Some(Types::decode(bytes, cut)?),
        };
        let (dpa, raw_size) = (raw.dpa.get(), raw.raw_size.get());
        let extent = Extent::new(dpa, raw_size).ok_or(LabelError::Extent { dpa, raw_size })?;
        Ok(Self {
            uuid: raw.uuid,
            name: Name(raw.name),
            flags: Flags(raw.flags.get()),
            nlabel: raw.nlabel.get(),
            position: raw.position.get(),
            cookie: raw.cookie.get(),
            lba_size: raw.lba_size.get(),
            extent,
            types,
        })
    }

    /// Decodes like [`Self::decode`], but returns the fields of a damaged label with its error.
    pub(super) fn read(bytes: &[u8], format: LabelFormat, slot: u32) -> Result<Self, Damaged> {
        Self::decode(bytes, format, slot).map_err(|error| Damaged::read(bytes, error))
    }

    /// Returns the range that `bytes` name, whether or not they are a valid label.
    pub fn peek_extent(bytes: &[u8]) -> Option<Extent> {
        let (raw, _) = RawCommon::ref_from_prefix(bytes).ok()?;
        Extent::new(raw.dpa.get(), raw.raw_size.get())
    }

    /// Returns the UUID that `bytes` name, whether or not they are a valid label.
    pub fn peek_uuid(bytes: &[u8]) -> Option<Uuid> {
        Uuid::read_from_prefix(bytes).ok().map(|(uuid, _)| uuid)
    }

    /// Encodes the label for slot `slot`, with its checksum if the format has one.
    ///
    /// `bytes` is as long as a label of `format`; a shorter slice gets the beginning of the label.
    pub fn encode(&self, bytes: &mut [u8], format: LabelFormat, slot: u32) {
        let types = self.types.unwrap_or(Types {
            range: Guid::NIL,
            class: ClaimClass::None,
        });
        let mut raw = RawLabel {
            common: RawCommon {
                uuid: self.uuid,
                name: self.name.0,
                flags: U32::new(self.flags.0),
                nlabel: U16::new(self.nlabel),
                position: U16::new(self.position),
                cookie: U64::new(self.cookie),
                lba_size: U64::new(self.lba_size),
                dpa: U64::new(self.extent.start()),
                raw_size: U64::new(self.extent.len()),
                slot: U32::new(slot),
                align: 0,
                reserved: [0; 3],
            },
            type_guid: types.range,
            abstraction_guid: types.class.guid(),
            reserved: [0; 88],
            checksum: U64::new(0),
        };
        raw.checksum = U64::new(fletcher64_le_without(raw.as_bytes(), CHECKSUM_OFFSET));
        let encoded = raw.as_bytes().iter().take(format.label_len());
        for (byte, encoded) in bytes.iter_mut().zip(encoded) {
            *byte = *encoded;
        }
    }

    /// Returns the class; [`ClaimClass::None`] for a label of version 1.1.
    pub fn class(&self) -> ClaimClass {
        self.types.map_or(ClaimClass::None, |types| types.class)
    }
}

impl Types {
    fn decode(bytes: &[u8], cut: LabelError) -> Result<Self, LabelError> {
        let (raw, _) = RawLabel::ref_from_prefix(bytes).map_err(|_| cut)?;
        let found = raw.checksum.get();
        let expected = fletcher64_le_without(raw.as_bytes(), CHECKSUM_OFFSET);
        if found != expected {
            return Err(LabelError::Checksum { found, expected });
        }
        Ok(Self {
            range: raw.type_guid,
            class: ClaimClass::from_guid(raw.abstraction_guid),
        })
    }
}

/// The contents of a taken slot that are no valid label: the label is damaged, or was written for
/// another slot.
///
/// The slot stays taken, and the range that it names stays reserved. Nothing else is inferred from
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// The UUID that it names.
    pub uuid: Uuid,
    /// The cookie that it names.
    pub cookie: u64,
    /// The range that it names, if that is valid.
    pub extent: Option<Extent>,
    /// The error.
    pub error: LabelError,
}

impl Damaged {
    /// Reads the fields of `bytes`, which are no valid label because of `error`.
    fn read(bytes: &[u8], error: LabelError) -> Self {
        let Ok((raw, _)) = RawCommon::ref_from_prefix(bytes) else {
            return Self {
                uuid: Uuid::NIL,
                cookie: 0,
                extent: None,
                error,
            };
        };
        Self {
            uuid: raw.uuid,
            cookie: raw.cookie.get(),
            extent: Extent::new(raw.dpa.get(), raw.raw_size.get()),
            error,
        }
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label of {}: {}", self.uuid, self.error)
    }
}

/// Reasons why a taken slot holds no valid label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelError {
    /// The area ends within the label.
    Cut {
        /// Bytes that are left.
        found: usize,
        /// Bytes of a label.
        expected: usize,
    },
    /// The label was written for another slot.
    Slot {
        /// The slot in the label.
        found: u32,
        /// The slot where it is.
        expected: u32,
    },
    /// The checksum is wrong.
    Checksum {
        /// The checksum in the label.
        found: u64,
        /// The checksum of its bytes.
        expected: u64,
    },
    /// The range is empty or exceeds the address space.
    Extent {
        /// First address.
        dpa: u64,
        /// Length in bytes.
        raw_size: u64,
    },
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { found, expected } => {
                write!(f, "label has {found} bytes, expected {expected}")
            }
            Self::Slot { found, expected } => write!(f, "slot is {found}, expected {expected}"),
            Self::Checksum { found, expected } => {
                write!(f, "checksum is {found:#018x}, expected {expected:#018x}")
            }
            Self::Extent { dpa, raw_size } => write!(
                f,
                "rawsize is {raw_size:#x} at dpa {dpa:#x}, expected a nonempty range that ends below 2^64"
            ),
        }
    }
}
