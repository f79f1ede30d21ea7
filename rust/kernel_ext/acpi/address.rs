// SPDX-License-Identifier: GPL-2.0

//! Addresses that the firmware has supplied.

/// A physical address in a table or an object of the firmware. Safe code cannot make up one, only
/// choose a field: see [`Table::address_at`](super::Table::address_at) and
/// [`Object::address_at`](super::Object::address_at).
///
/// # Invariants
///
/// The firmware has supplied the eight bytes of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareAddress(u64);

impl FirmwareAddress {
    /// Reads the little-endian address in `field`. Returns `None` unless `field` is a part of
    /// `bytes`, and not a copy of one, and has the length of an address.
    ///
    /// # Safety
    ///
    /// The firmware must have supplied `bytes`.
    pub(crate) unsafe fn read(bytes: &[u8], field: &[u8]) -> Option<Self> {
        let offset = field
            .as_ptr()
            .addr()
            .checked_sub(bytes.as_ptr().addr())
            .filter(|_| field.len() == size_of::<u64>())?;
        let address = bytes.get(offset..)?.first_chunk()?;
        // INVARIANT: The address was read from `bytes`, which the caller guarantees to be from the
        // firmware.
        Some(Self(u64::from_le_bytes(*address)))
    }

    /// Returns the address.
    pub fn get(self) -> u64 {
        self.0
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_firmware_address)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], field: &[u8]) -> Option<u64> {
        // SAFETY: The test maps nothing at the address.
        unsafe { FirmwareAddress::read(bytes, field) }.map(FirmwareAddress::get)
    }

    #[test]
    fn only_fields_of_the_bytes_are_read() {
        let memory = [1u8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let copy = memory;
        let bytes = &memory[1..11];

        assert!(read(bytes, &memory[1..9]) == Some(0x0908_0706_0504_0302));
        assert!(read(bytes, &memory[3..11]) == Some(0x0b0a_0908_0706_0504));
        assert!(read(bytes, &memory[..8]).is_none());
        assert!(read(bytes, &memory[4..]).is_none());
        assert!(read(bytes, &memory[3..10]).is_none());
        assert!(read(bytes, &copy[1..9]).is_none());
    }
}
