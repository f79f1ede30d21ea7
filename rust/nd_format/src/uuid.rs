// SPDX-License-Identifier: GPL-2.0

//! UUIDs in the two byte orders that the formats use.

use core::fmt;
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// A UUID as it is stored on media: sixteen bytes, printed in storage order (RFC 9562 text).
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub struct Uuid([u8; 16]);

/// Error: the text is not a UUID of the form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUuid;

/// Length of the text form of a UUID in characters.
const TEXT_LEN: usize = 36;

/// Positions of the dashes in the text form.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl Uuid {
    /// The UUID of all zeroes, which the formats use for "none".
    pub const NIL: Self = Self([0; 16]);

    /// Creates a UUID from its bytes in storage order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes in storage order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns `true` if this is [`Uuid::NIL`].
    pub fn is_nil(&self) -> bool {
        *self == Self::NIL
    }

    /// Parses the first 36 bytes of `text`. Like the kernel's own parser, it ignores what follows
    /// them.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidUuid> {
        let text = text.get(..TEXT_LEN).ok_or(InvalidUuid)?;
        let mut bytes = [0; 16];
        let mut nibbles = 0;
        for (position, &character) in text.iter().enumerate() {
            if DASHES.contains(&position) {
                if character != b'-' {
                    return Err(InvalidUuid);
                }
                continue;
            }
            let digit = char::from(character).to_digit(16).ok_or(InvalidUuid)?;
            // CAST: A digit is below 16.
            let digit = digit as u8;
            let byte = bytes.get_mut(nibbles / 2).ok_or(InvalidUuid)?;
            *byte = (*byte << 4) | digit;
            nibbles += 1;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A GUID in the byte order of UEFI and ACPI: the first three fields are little endian.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID of all zeroes.
    pub const NIL: Self = Self([0; 16]);

    /// Creates a GUID from the digits of its text form, for example
    /// `0x66f0d379_b4f3_4074_ac43_0d3318b78cdb`.
    pub const fn new(digits: u128) -> Self {
        Self(swap_fields(digits.to_be_bytes()))
    }

    /// Creates a GUID from its bytes in storage order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes in storage order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Converts between the byte order of a GUID's text and that of its storage. The conversion is its
/// own inverse.
const fn swap_fields(g: [u8; 16]) -> [u8; 16] {
    [
        g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13],
        g[14], g[15],
    ]
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Uuid(swap_fields(self.0));
        fmt::Display::fmt(&text, f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    const TEXT: &str = "f0d64d51-7ad4-44e2-8757-6b8e8e4f7500";

    #[test]
    fn text_round_trip() {
        let uuid = Uuid::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(uuid.as_bytes()[..4], [0xf0, 0xd6, 0x4d, 0x51]);
        assert_eq!(uuid.to_string(), TEXT);
    }

    #[test]
    fn text_after_the_uuid_is_ignored() {
        let text = std::format!("{TEXT}\nrest");
        assert_eq!(Uuid::parse(text.as_bytes()).unwrap().to_string(), TEXT);
    }

    #[test]
    fn wrong_text_is_refused() {
        for text in [
            "",
            "f0d64d51",
            "f0d64d51-7ad4-44e2-8757-6b8e8e4f750",
            "f0d64d51x7ad4-44e2-8757-6b8e8e4f7500",
        ] {
            assert_eq!(Uuid::parse(text.as_bytes()), Err(InvalidUuid), "{text}");
        }
        assert_eq!(
            Uuid::parse(b"g0d64d51-7ad4-44e2-8757-6b8e8e4f7500"),
            Err(InvalidUuid)
        );
        assert_eq!(
            Uuid::parse(b"+0d64d51-7ad4-44e2-8757-6b8e8e4f7500"),
            Err(InvalidUuid)
        );
    }

    #[test]
    fn guid_is_mixed_endian() {
        let pmem = Guid::new(0x66f0d379_b4f3_4074_ac43_0d3318b78cdb);
        assert_eq!(
            pmem.as_bytes()[..8],
            [0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40]
        );
        assert_eq!(pmem.to_string(), "66f0d379-b4f3-4074-ac43-0d3318b78cdb");
    }
}
