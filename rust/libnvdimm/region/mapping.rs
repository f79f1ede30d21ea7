// SPDX-License-Identifier: GPL-2.0

//! Mappings: the parts of DIMMs that a region consists of.

use crate::{
    provider::MappingDescription,
    Dimm, //
};
use kernel::sync::aref::ARef;
use kernel_ext::device::TypedDevice;

/// A part of a DIMM.
pub struct Mapping {
    dimm: ARef<TypedDevice<Dimm>>,
    dpa: u64,
    size: u64,
    position: u32,
}

impl From<MappingDescription> for Mapping {
    fn from(description: MappingDescription) -> Self {
        Self {
            dimm: description.dimm,
            dpa: description.dpa,
            size: description.size,
            position: description.position,
        }
    }
}

impl Mapping {
    /// Returns the DIMM.
    pub fn dimm(&self) -> &TypedDevice<Dimm> {
        &self.dimm
    }

    /// Returns the first DIMM physical address.
    pub fn dpa(&self) -> u64 {
        self.dpa
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the position of the DIMM in the interleave set.
    pub fn position(&self) -> u32 {
        self.position
    }
}
