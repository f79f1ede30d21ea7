// SPDX-License-Identifier: GPL-2.0

//! The DIMMs that a table describes.

use super::layout::{
    ControlRegion,
    DeviceHandle,
    MappingFlags, //
};
use core::fmt;

/// A DIMM, assembled from its mappings and its control region.
#[derive(Clone, Copy, Debug)]
pub struct Dimm<'a> {
    /// Its handle, which names it in the table.
    pub handle: DeviceHandle,
    /// Its SMBIOS handle.
    pub physical_id: u16,
    /// Its state flags: the union over its mappings.
    pub flags: MappingFlags,
    /// `true` if a persistent range has a part of it.
    pub backs_persistent_memory: bool,
    /// Its control region; `None` if its mappings name none.
    pub control_region: Option<&'a ControlRegion>,
}

/// Reason why a DIMM cannot be assembled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DimmError {
    /// The DIMM's mappings name a control region that is not in the table.
    NoControlRegion {
        /// The DIMM.
        handle: DeviceHandle,
        /// The index that they name.
        index: u16,
    },
    /// A mapping of the DIMM, or its flush hints, is malformed, so that its contents are unknown.
    Malformed {
        /// The DIMM.
        handle: DeviceHandle,
        /// Offset of the structure.
        offset: usize,
    },
}

impl fmt::Display for DimmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoControlRegion { handle, index } => write!(
                f,
                "DIMM {handle} names control region {index}, expected one that is in the table"
            ),
            Self::Malformed { handle, offset } => write!(
                f,
                "DIMM {handle} has a structure at offset {offset:#x} that cannot be read, expected one of a legal length"
            ),
        }
    }
}

/// Unique identifier of a DIMM as UEFI and the `id` attribute format it:
/// `vendor-location-date-serial`, or `vendor-serial` if the manufacturing data is not valid (ACPI
/// 6.5, section 5.2.25.6).
#[derive(Clone, Copy, Debug)]
pub struct DimmId<'a>(&'a ControlRegion);

impl<'a> DimmId<'a> {
    /// Returns the identifier of the DIMM that `control_region` describes.
    pub fn new(control_region: &'a ControlRegion) -> Self {
        Self(control_region)
    }
}

impl fmt::Display for DimmId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dimm = self.0;
        write!(f, "{:04x}-", u16::from_be_bytes(dimm.vendor))?;
        if dimm.has_manufacturing_data() {
            let date = u16::from_be_bytes(dimm.manufacturing_date);
            write!(f, "{:02x}-{date:04x}-", dimm.manufacturing_location)?;
        }
        write!(f, "{:08x}", u32::from_be_bytes(dimm.serial))
    }
}
