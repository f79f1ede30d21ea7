// SPDX-License-Identifier: GPL-2.0

//! The address abstraction of a namespace, as its labels name it.

use crate::uuid::Guid;

const BTT_1_1: Guid = Guid::new(0x8aed63a2_29a2_4c66_8b12_f05d15d3922a);
const BTT_2_0: Guid = Guid::new(0x18633bfc_1735_4217_8ac9_17239282d3f8);
const PFN: Guid = Guid::new(0x266400ba_fb9f_4677_bcb0_968f11d0d225);
const DAX: Guid = Guid::new(0x97a86d9c_3cdd_4eda_986f_5068b4f80088);

/// The address abstraction of a namespace (UEFI 2.10, section 13.19, "AddressAbstractionGuid"). The
/// GUIDs of PFN, DAX and BTT 1.1 are Linux's own. In C: `enum nvdimm_claim_class`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ClaimClass {
    /// No abstraction is named: whatever is found at the usual places is used. Labels of version
    /// 1.1 can name no other class.
    #[default]
    None,
    /// A block translation table of version 1.1.
    Btt1_1,
    /// A block translation table of version 2.0.
    Btt2_0,
    /// A PFN device: memory with a memmap, for file systems.
    Pfn,
    /// A DAX device: memory with a memmap, as a character device.
    Dax,
    /// Another abstraction. The namespace can only be used raw, and keeps the GUID.
    Unknown(Guid),
}

impl ClaimClass {
    /// Returns the class of an abstraction GUID.
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

    /// Returns the abstraction GUID in labels of the class.
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
