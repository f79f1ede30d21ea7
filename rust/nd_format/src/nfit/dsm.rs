// SPDX-License-Identifier: GPL-2.0

//! Device-specific methods (`_DSM`) of the NVDIMM root device and of the DIMMs (ACPI 6.5, section
//! 9.19).
//!
//! A family is a GUID with numbered functions. Function 0 of each family returns the set of
//! functions that the firmware implements. User space may call the functions that the firmware
//! implements *and* that are publicly documented.

use crate::{
    uapi::bus_command,
    uuid::Guid, //
};
use core::fmt;

/// A set of function numbers, or of ioctl command numbers, 0 to 63.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Functions(u64);

impl Functions {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Returns the set whose bits are those of `mask`.
    pub const fn from_mask(mask: u64) -> Self {
        Self(mask)
    }

    /// Returns the set as a bit mask.
    pub const fn mask(self) -> u64 {
        self.0
    }

    /// Returns the functions from `first` to `last`, both included and at most 63.
    pub const fn span(first: u32, last: u32) -> Self {
        Self((u64::MAX << first) & (u64::MAX >> (63 - last)))
    }

    /// Returns `true` if `number` is in the set; no number above 63 is.
    pub const fn contains(self, number: u32) -> bool {
        number < u64::BITS && self.0 & (1 << number) != 0
    }

    /// Returns `true` if all of `other` is in the set.
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the union of both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the intersection of both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns this set without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the numbers in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |&number| self.contains(number))
    }
}

/// Formats the set as the `dsm_mask` attribute shows it.
impl fmt::Display for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Numbers that functions of DIMM families and ioctl commands of DIMMs have in common.
pub mod dimm_function {
    pub use crate::uapi::dimm_command::{
        GET_CONFIG_DATA,
        GET_CONFIG_SIZE,
        SET_CONFIG_DATA,
        VENDOR, //
    };
}

/// The label functions of a DIMM.
pub const LABEL_FUNCTIONS: Functions = Functions::span(
    dimm_function::GET_CONFIG_SIZE,
    dimm_function::SET_CONFIG_DATA,
);

/// Function that returns the set of implemented functions. User space must not call it.
pub const QUERY: u32 = 0;

/// Largest function number that user space may call.
pub const MAX_FUNCTION: u32 = 31;

/// A family of DIMM functions. The number is the `nd_family` of `ND_CMD_CALL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DimmFamily {
    /// Intel; became the common family.
    Intel = 0,
    /// HPE, first family.
    Hpe1 = 1,
    /// HPE, second family.
    Hpe2 = 2,
    /// Microsoft.
    Microsoft = 3,
    /// Hyper-V.
    HyperV = 4,
}

impl DimmFamily {
    /// All families, in the order in which a device is queried for them.
    pub const ALL: [Self; 5] = [
        Self::Intel,
        Self::Hpe1,
        Self::Hpe2,
        Self::Microsoft,
        Self::HyperV,
    ];

    /// Returns the number in the ioctl ABI.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Returns the GUID with which `_DSM` is called.
    pub const fn guid(self) -> Guid {
        match self {
            Self::Intel => Guid::new(0x4309ac30_0d11_11e4_9191_0800200c9a66),
            Self::Hpe1 => Guid::new(0x9002c334_acf3_4c0e_9642_a235f0d53bc6),
            Self::Hpe2 => Guid::new(0x5008664b_b758_41a0_a03c_27c2f2d04f7e),
            Self::Microsoft => Guid::new(0x1ee68b36_d4bd_4a1a_9a16_4f8e53d46e05),
            Self::HyperV => Guid::new(0x5746c5f2_a9a2_4264_ad0e_e4ddc9e09e80),
        }
    }

    /// Returns the functions that user space may call if the firmware implements them. Function 0,
    /// the query, is never among them.
    pub const fn documented(self) -> Functions {
        match self {
            Self::Intel => Functions::span(1, 30),
            Self::Hpe1 => Functions::from_mask(0x1c_3c76),
            Self::Hpe2 => Functions::span(1, 8),
            Self::Microsoft => Functions::span(1, 31),
            Self::HyperV => Functions::span(1, 4),
        }
    }

    /// Returns the documented functions that pass opaque commands to the vendor's firmware. An
    /// administrator may forbid them.
    pub const fn vendor_specific(self) -> Functions {
        match self {
            Self::Intel => Functions::span(dimm_function::VENDOR, dimm_function::VENDOR),
            Self::Hpe2 => Functions::span(8, 8),
            Self::Hpe1 | Self::Microsoft | Self::HyperV => Functions::NONE,
        }
    }

    /// Returns the revision with which a function is called.
    pub const fn revision(self, function: u32) -> u64 {
        match (self, function) {
            (Self::Intel, 11..=30) => 2,
            _ => 1,
        }
    }

    /// Returns the ioctl commands that are passed to one of `functions`, of the same number and
    /// payload.
    pub const fn commands(self, functions: Functions) -> Functions {
        match self {
            Self::Intel => functions.intersection(Functions::span(1, 9)),
            Self::Hpe1 | Self::Hpe2 | Self::Microsoft | Self::HyperV => Functions::NONE,
        }
    }
}

/// A family of functions of the root device. The number is the `nd_family` of `ND_CMD_CALL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BusFamily {
    /// ACPI: address range scrub and error injection.
    Nfit = 0,
    /// Intel: firmware activation.
    Intel = 1,
}

impl BusFamily {
    /// All families.
    pub const ALL: [Self; 2] = [Self::Nfit, Self::Intel];

    /// Revision with which every function is called.
    pub const REVISION: u64 = 1;

    /// Functions of [`BusFamily::Nfit`] that are also ioctl commands, of the same number.
    pub const COMMANDS: Functions = Functions::span(bus_command::ARS_CAP, bus_command::CLEAR_ERROR);

    /// Returns the number in the ioctl ABI.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Returns the GUID with which `_DSM` is called.
    pub const fn guid(self) -> Guid {
        match self {
            Self::Nfit => Guid::new(0x2f10e7a4_9e91_11e4_89d3_123b93f75cba),
            Self::Intel => Guid::new(0xc7d8acd4_2df8_4b82_9f65_a325335af149),
        }
    }

    /// Returns the functions that user space may call if the firmware implements them.
    pub const fn documented(self) -> Functions {
        match self {
            Self::Nfit => Functions::span(1, 5).union(Functions::span(7, 9)),
            Self::Intel => Functions::span(1, 2),
        }
    }
}
