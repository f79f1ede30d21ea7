// SPDX-License-Identifier: GPL-2.0

//! What a label says about the use of its namespace.

use crate::uuid::Guid;

const BTT_1_1: Guid = Guid::new(
    0x8aed_63a2,
    0x29a2,
    0x4c66,
    [0x8b, 0x12, 0xf0, 0x5d, 0x15, 0xd3, 0x92, 0x2a],
);
const BTT_2_0: Guid = Guid::new(
    0x1863_3bfc,
    0x1735,
    0x4217,
    [0x8a, 0xc9, 0x17, 0x23, 0x92, 0x82, 0xd3, 0xf8],
);
const PFN: Guid = Guid::new(
    0x2664_00ba,
    0xfb9f,
    0x4677,
    [0xbc, 0xb0, 0x96, 0x8f, 0x11, 0xd0, 0xd2, 0x25],
);
const DAX: Guid = Guid::new(
    0x97a8_6d9c,
    0x3cdd,
    0x4eda,
    [0x98, 0x6f, 0x50, 0x68, 0xb4, 0xf8, 0x00, 0x88],
);

/// The abstraction that a namespace was made for (UEFI 2.10, section 13.19, "AddressAbstractionGuid"; the GUIDs of
/// PFN and DAX, and that of BTT 1.1, are Linux' own).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Class {
    /// None named: whatever is found at the usual places is used. All that labels of version 1.1 can say.
    #[default]
    None,
    /// A block translation table of version 1.1.
    Btt1_1,
    /// A block translation table of version 2.0.
    Btt2_0,
    /// Memory with a page map, for file systems.
    Pfn,
    /// Memory with a page map, as a character device.
    Dax,
    /// Somebody else's. The namespace can be used raw only, and keeps its GUID.
    Unknown(Guid),
}

impl Class {
    /// The class of an abstraction GUID.
    pub fn from_guid(guid: Guid) -> Self {
        match guid {
            Guid::NIL => Self::None,
            BTT_1_1 => Self::Btt1_1,
            BTT_2_0 => Self::Btt2_0,
            PFN => Self::Pfn,
            DAX => Self::Dax,
            other => Self::Unknown(other),
        }
    }

    /// The abstraction GUID that a label of the class carries.
    pub const fn guid(self) -> Guid {
        match self {
            Self::None => Guid::NIL,
            Self::Btt1_1 => BTT_1_1,
            Self::Btt2_0 => BTT_2_0,
            Self::Pfn => PFN,
            Self::Dax => DAX,
            Self::Unknown(guid) => guid,
        }
    }
}
