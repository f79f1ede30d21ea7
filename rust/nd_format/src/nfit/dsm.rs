// SPDX-License-Identifier: GPL-2.0

//! Device-specific methods (`_DSM`) of the NVDIMM root device and of the DIMMs (ACPI 6.5, section 9.19).
//!
//! A family is a GUID under which a device answers to numbered functions. Function 0 of each tells which others there
//! are. What may be called from user space is what the firmware has *and* what is publicly documented.

use crate::uuid::Guid;
use core::fmt;

/// A set of function numbers, or of ioctl command numbers, 0 to 63.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Functions(u64);

impl Functions {
    /// No function.
    pub const NONE: Self = Self(0);

    /// The set whose bits are those of `mask`.
    pub const fn from_mask(mask: u64) -> Self {
        Self(mask)
    }

    /// The bits.
    pub const fn mask(self) -> u64 {
        self.0
    }

    /// The functions from `first` to `last`.
    pub const fn span(first: u32, last: u32) -> Self {
        Self((u64::MAX << first) & (u64::MAX >> (63 - last)))
    }

    /// Tells whether `number` is in the set; no number above 63 is.
    pub const fn contains(self, number: u32) -> bool {
        number < u64::BITS && self.0 & (1 << number) != 0
    }

    /// Tells whether all of `other` is in the set.
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// This set without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |&number| self.contains(number))
    }
}

/// As `dsm_mask` shows it.
impl fmt::Display for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Function numbers that `_DSM` families of DIMMs and ioctl commands of DIMMs have in common.
pub mod dimm_function {
    /// Size of the label area.
    pub const GET_CONFIG_SIZE: u32 = 4;
    /// A part of the label area.
    pub const GET_CONFIG_DATA: u32 = 5;
    /// Change of a part of the label area.
    pub const SET_CONFIG_DATA: u32 = 6;
    /// Passes anything to the vendor's firmware.
    pub const VENDOR: u32 = 9;
}

/// The label functions of a DIMM.
pub const LABEL_FUNCTIONS: Functions = Functions::span(
    dimm_function::GET_CONFIG_SIZE,
    dimm_function::SET_CONFIG_DATA,
);

/// The function that tells which functions there are; user space is not to call it.
pub const QUERY: u32 = 0;

/// Largest function number that is passed on for user space.
pub const MAX_FUNCTION: u32 = 31;

/// A family of DIMM functions. The number is the `nd_family` of `ND_CMD_CALL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DimmFamily {
    /// Intel's, which became the common one.
    Intel = 0,
    /// HPE's first.
    Hpe1 = 1,
    /// HPE's second.
    Hpe2 = 2,
    /// Microsoft's.
    Microsoft = 3,
    /// Hyper-V's.
    HyperV = 4,
}

impl DimmFamily {
    /// All families that a device can answer to, in the order in which they are asked.
    pub const ALL: [Self; 5] = [
        Self::Intel,
        Self::Hpe1,
        Self::Hpe2,
        Self::Microsoft,
        Self::HyperV,
    ];

    /// The number of the ioctl ABI.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The GUID that `_DSM` is called with.
    pub const fn guid(self) -> Guid {
        match self {
            Self::Intel => Guid::new(0x4309ac30_0d11_11e4_9191_0800200c9a66),
            Self::Hpe1 => Guid::new(0x9002c334_acf3_4c0e_9642_a235f0d53bc6),
            Self::Hpe2 => Guid::new(0x5008664b_b758_41a0_a03c_27c2f2d04f7e),
            Self::Microsoft => Guid::new(0x1ee68b36_d4bd_4a1a_9a16_4f8e53d46e05),
            Self::HyperV => Guid::new(0x5746c5f2_a9a2_4264_ad0e_e4ddc9e09e80),
        }
    }

    /// The functions that user space may call if the device has them. Function 0, the query, is never among them.
    pub const fn documented(self) -> Functions {
        match self {
            Self::Intel => Functions::span(1, 30),
            Self::Hpe1 => Functions::from_mask(0x1c_3c76),
            Self::Hpe2 => Functions::span(1, 8),
            Self::Microsoft => Functions::span(1, 31),
            Self::HyperV => Functions::span(1, 4),
        }
    }

    /// Those of them that pass opaque commands to the vendor's firmware, which an administrator may forbid.
    pub const fn vendor_specific(self) -> Functions {
        match self {
            Self::Intel => Functions::span(dimm_function::VENDOR, dimm_function::VENDOR),
            Self::Hpe2 => Functions::span(8, 8),
            Self::Hpe1 | Self::Microsoft | Self::HyperV => Functions::NONE,
        }
    }

    /// The revision with which a function is called.
    pub const fn revision(self, function: u32) -> u64 {
        match (self, function) {
            (Self::Intel, 11..=30) => 2,
            _ => 1,
        }
    }

    /// The ioctl commands that are passed to a function of the same number and payload.
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
    /// The one of the ACPI specification: address range scrub and error injection.
    Nfit = 0,
    /// Intel's: firmware activation.
    Intel = 1,
}

impl BusFamily {
    /// All families.
    pub const ALL: [Self; 2] = [Self::Nfit, Self::Intel];

    /// The revision with which every function is called.
    pub const REVISION: u64 = 1;

    /// The functions of [`BusFamily::Nfit`] that are ioctl commands of the same number, too.
    pub const COMMANDS: Functions = Functions::span(1, 4);

    /// The number of the ioctl ABI.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The GUID that `_DSM` is called with.
    pub const fn guid(self) -> Guid {
        match self {
            Self::Nfit => Guid::new(0x2f10e7a4_9e91_11e4_89d3_123b93f75cba),
            Self::Intel => Guid::new(0xc7d8acd4_2df8_4b82_9f65_a325335af149),
        }
    }

    /// The functions that user space may call if the device has them.
    pub const fn documented(self) -> Functions {
        match self {
            Self::Nfit => Functions::span(1, 5).union(Functions::span(7, 9)),
            Self::Intel => Functions::span(1, 2),
        }
    }
}
