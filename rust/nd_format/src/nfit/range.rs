// SPDX-License-Identifier: GPL-2.0

//! Kinds of ranges, by their GUIDs (ACPI 6.5, table 5.131).

use crate::uuid::Guid;

/// What a [`SystemRange`](super::SystemRange) is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeKind {
    /// Memory that forgets.
    Volatile,
    /// Persistent memory.
    Persistent,
    /// Control registers of DIMMs.
    Control,
    /// Aperture of block-window DIMMs.
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
    /// The GUID of the kind; `None` for [`RangeKind::Unknown`].
    pub fn guid(self) -> Option<Guid> {
        Self::GUIDS
            .iter()
            .find(|&&(_, kind)| kind == self)
            .map(|&(guid, _)| guid)
    }

    const GUIDS: [(Guid, Self); 8] = [
        (
            Guid::new(
                0x7305944f,
                0xfdda,
                0x44e3,
                [0xb1, 0x6c, 0x3f, 0x22, 0xd2, 0x52, 0xe5, 0xd0],
            ),
            Self::Volatile,
        ),
        (
            Guid::new(
                0x66f0d379,
                0xb4f3,
                0x4074,
                [0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb],
            ),
            Self::Persistent,
        ),
        (
            Guid::new(
                0x92f701f6,
                0x13b4,
                0x405d,
                [0x91, 0x0b, 0x29, 0x93, 0x67, 0xe8, 0x23, 0x4c],
            ),
            Self::Control,
        ),
        (
            Guid::new(
                0x91af0530,
                0x5d86,
                0x470e,
                [0xa6, 0xb0, 0x0a, 0x2d, 0xb9, 0x40, 0x82, 0x49],
            ),
            Self::DataWindow,
        ),
        (
            Guid::new(
                0x77ab535a,
                0x45fc,
                0x624b,
                [0x55, 0x60, 0xf7, 0xb2, 0x81, 0xd1, 0xf9, 0x6e],
            ),
            Self::VolatileDisk,
        ),
        (
            Guid::new(
                0x3d5abd30,
                0x4175,
                0x87ce,
                [0x6d, 0x64, 0xd2, 0xad, 0xe5, 0x23, 0xc4, 0xbb],
            ),
            Self::VolatileCd,
        ),
        (
            Guid::new(
                0x5cea02c9,
                0x4d07,
                0x69d3,
                [0x26, 0x9f, 0x44, 0x96, 0xfb, 0xe0, 0x96, 0xf9],
            ),
            Self::PersistentDisk,
        ),
        (
            Guid::new(
                0x08018188,
                0x42cd,
                0xbb48,
                [0x10, 0x0f, 0x53, 0x87, 0xd5, 0x3d, 0xed, 0x3d],
            ),
            Self::PersistentCd,
        ),
    ];

    pub(super) fn of(guid: &Guid) -> Self {
        Self::GUIDS
            .iter()
            .find(|(known, _)| known == guid)
            .map_or(Self::Unknown, |&(_, kind)| kind)
    }

    /// Tells whether the range is a RAM disk or CD, which needs no index to be of use.
    pub fn is_virtual(self) -> bool {
        matches!(
            self,
            Self::VolatileDisk | Self::VolatileCd | Self::PersistentDisk | Self::PersistentCd
        )
    }

    /// Tells whether a mapping into the range shows that a DIMM is an NVDIMM.
    pub(super) fn is_of_nvdimm(self) -> bool {
        matches!(self, Self::Control | Self::Persistent)
    }
}
