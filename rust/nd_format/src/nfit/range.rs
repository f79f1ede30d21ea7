// SPDX-License-Identifier: GPL-2.0

//! Kinds of ranges, by their GUIDs (ACPI 6.5, table 5.131).

use crate::uuid::Guid;

/// Purpose of a [`SystemRange`](super::SystemRange).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeKind {
    /// Volatile memory.
    Volatile,
    /// Persistent memory.
    Persistent,
    /// Control registers of DIMMs.
    Control,
    /// Block data window of DIMMs.
    DataWindow,
    /// RAM disk, volatile.
    VolatileDisk,
    /// RAM CD, volatile.
    VolatileCd,
    /// RAM disk, persistent.
    PersistentDisk,
    /// RAM CD, persistent.
    PersistentCd,
    /// A GUID that the specification does not assign.
    Unknown,
}

impl RangeKind {
    /// Returns the GUID of the kind; `None` for [`RangeKind::Unknown`].
    pub fn guid(self) -> Option<Guid> {
        Self::GUIDS
            .iter()
            .find(|&&(_, kind)| kind == self)
            .map(|&(guid, _)| guid)
    }

    const GUIDS: [(Guid, Self); 8] = [
        (
            Guid::new(0x7305944f_fdda_44e3_b16c_3f22d252e5d0),
            Self::Volatile,
        ),
        (
            Guid::new(0x66f0d379_b4f3_4074_ac43_0d3318b78cdb),
            Self::Persistent,
        ),
        (
            Guid::new(0x92f701f6_13b4_405d_910b_299367e8234c),
            Self::Control,
        ),
        (
            Guid::new(0x91af0530_5d86_470e_a6b0_0a2db9408249),
            Self::DataWindow,
        ),
        (
            Guid::new(0x77ab535a_45fc_624b_5560_f7b281d1f96e),
            Self::VolatileDisk,
        ),
        (
            Guid::new(0x3d5abd30_4175_87ce_6d64_d2ade523c4bb),
            Self::VolatileCd,
        ),
        (
            Guid::new(0x5cea02c9_4d07_69d3_269f_4496fbe096f9),
            Self::PersistentDisk,
        ),
        (
            Guid::new(0x08018188_42cd_bb48_100f_5387d53ded3d),
            Self::PersistentCd,
        ),
    ];

    pub(super) fn of(guid: &Guid) -> Self {
        Self::GUIDS
            .iter()
            .find(|(known, _)| known == guid)
            .map_or(Self::Unknown, |&(_, kind)| kind)
    }

    /// Returns `true` if the range is a RAM disk or CD, which can be used without an index.
    pub fn is_virtual(self) -> bool {
        matches!(
            self,
            Self::VolatileDisk | Self::VolatileCd | Self::PersistentDisk | Self::PersistentCd
        )
    }

    /// Returns `true` if a mapping into the range shows that a DIMM is an NVDIMM.
    pub(super) fn is_of_nvdimm(self) -> bool {
        matches!(self, Self::Control | Self::Persistent)
    }
}
