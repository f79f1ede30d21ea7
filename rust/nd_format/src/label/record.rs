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
    class::Class,
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

/// Bytes of a name, of which the last one must stay zero.
pub const NAME_LEN: usize = 64;

const CHECKSUM_OFFSET: usize = 248;

/// A label as it is on media; one of version 1.1 ends in front of the type GUID.
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

/// The name that a user gave to a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Name([u8; NAME_LEN]);

impl Name {
    /// No name.
    pub const EMPTY: Self = Self([0; NAME_LEN]);

    /// Takes `text`, up to its first NUL; [`None`] if it is longer than 63 bytes.
    pub fn new(text: &[u8]) -> Option<Self> {
        let text = text.split(|&byte| byte == 0).next().unwrap_or(&[]);
        let mut name = Self::EMPTY;
        let (field, _terminator) = name.0.split_at_mut(NAME_LEN - 1);
        field.get_mut(..text.len())?.copy_from_slice(text);
        Some(name)
    }

    /// The text, without the padding.
    pub fn text(&self) -> &[u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or(&[])
    }
}

/// Flags of a label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(u32);

impl Flags {
    /// What a finished label has.
    pub const NONE: Self = Self(0);

    /// The other labels of the set may not have been written yet.
    pub const UPDATING: Self = Self(1 << 3);

    /// The flags with these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Tells whether an update of the set was under way when the label was written.
    pub const fn updating(self) -> bool {
        self.0 & Self::UPDATING.0 != 0
    }
}

/// What only labels of version 1.2 say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Types {
    /// The type of the range of system physical addresses.
    pub range: Guid,
    /// The abstraction.
    pub class: Class,
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
    /// Number of this DIMM in the set.
    pub position: u16,
    /// Cookie of the set.
    pub cookie: u64,
    /// Bytes of a sector: 512, 4096, or 0 for "not named".
    pub lba_size: u64,
    /// The DIMM's part of the namespace.
    pub extent: Extent,
    /// Types; [`None`] in a label of version 1.1.
    pub types: Option<Types>,
}

impl Label {
    /// Decodes the label in the slot `slot`, whose bytes are `bytes`.
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

    /// Decodes like [`Self::decode`]; of what is no label, the error has what is named there.
    pub(super) fn read(bytes: &[u8], format: LabelFormat, slot: u32) -> Result<Self, Damaged> {
        Self::decode(bytes, format, slot).map_err(|error| Damaged::read(bytes, error))
    }

    /// The range that the label names which `bytes` may hold.
    pub fn peek_extent(bytes: &[u8]) -> Option<Extent> {
        let (raw, _) = RawCommon::ref_from_prefix(bytes).ok()?;
        Extent::new(raw.dpa.get(), raw.raw_size.get())
    }

    /// The UUID of the label that `bytes` may hold.
    pub fn peek_uuid(bytes: &[u8]) -> Option<Uuid> {
        Uuid::read_from_prefix(bytes).ok().map(|(uuid, _)| uuid)
    }

    /// Encodes the label for the slot `slot`, with its checksum if the format has one.
    ///
    /// `bytes` is as long as a label of `format`; what does not fit is left out.
    pub fn encode(&self, bytes: &mut [u8], format: LabelFormat, slot: u32) {
        let types = self.types.unwrap_or(Types {
            range: Guid::NIL,
            class: Class::None,
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

    /// The class; [`Class::None`] in a label of version 1.1.
    pub fn class(&self) -> Class {
        self.types.map_or(Class::None, |types| types.class)
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
            class: Class::from_guid(raw.abstraction_guid),
        })
    }
}

/// What is in a slot that is not free, but is no label: it is damaged, or was written for another slot.
///
/// The slot stays taken, and the addresses stay reserved that are named there. Nothing else follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// The UUID that is named.
    pub uuid: Uuid,
    /// The cookie that is named.
    pub cookie: u64,
    /// The range that is named, if it is one.
    pub extent: Option<Extent>,
    /// What is wrong.
    pub error: LabelError,
}

impl Damaged {
    /// Reads what `bytes` name, which are no label because of `error`.
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

/// Why a slot that is not free holds no label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelError {
    /// The area ends within the label.
    Cut {
        /// Bytes that there are.
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
        /// The sum in the label.
        found: u64,
        /// The sum of the label.
        expected: u64,
    },
    /// The range is empty or runs past the end of all addresses.
    Extent {
        /// Its first address.
        dpa: u64,
        /// Its bytes.
        raw_size: u64,
    },
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { found, expected } => write!(f, "label has {found} bytes, expected {expected}"),
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
