// SPDX-License-Identifier: GPL-2.0

//! The label area of a DIMM in memory: the end of its range.
//!
//! ```text
//! 0                                        length - 128 KiB        length
//! | what the region hands out to namespaces | label area           |
//! ```
//!
//! Commands are executed one at a time, under the bus lock.

use kernel::prelude::*;
use kernel_ext::{
    memory::{
        self,
        PmemRange, //
    },
    resource::AddressRange, //
};
use nd::provider::{
    dimm_command,
    Command, //
};

/// Size of a label area in bytes, as in the C driver.
pub(crate) const SIZE: u32 = 128 << 10;

/// Maximum size of a transfer in bytes, as in the C driver.
const MAX_TRANSFER: u32 = 8;

/// Bit mask of the commands that a DIMM supports.
pub(crate) const COMMANDS: u64 = 1 << dimm_command::GET_CONFIG_SIZE
    | 1 << dimm_command::GET_CONFIG_DATA
    | 1 << dimm_command::SET_CONFIG_DATA;

/// The label area of a DIMM.
pub(crate) struct LabelStorage(PmemRange);

impl LabelStorage {
    /// Reserves and maps the label area of the DIMM in `range`.
    ///
    /// Fails with `EINVAL` if the range is not larger than a label area, and with `EBUSY` if the
    /// addresses are in use.
    pub(crate) fn new(range: AddressRange) -> Result<Self> {
        let start = range
            .last
            .checked_sub(u64::from(SIZE) - 1)
            .filter(|&start| start > range.first)
            .ok_or(EINVAL)?;
        Ok(Self(PmemRange::new(c"ramdax", start, SIZE.into())?))
    }

    /// Returns the first address of the area.
    pub(crate) fn start(&self) -> u64 {
        self.0.start()
    }

    /// Executes a command. Fails with `EINVAL` if the payload is too short or names bytes that are
    /// not in the area, and with `ENOTTY` if the command is unknown.
    pub(crate) fn execute(&self, command: Command<'_>) -> Result<usize> {
        match command.number {
            dimm_command::GET_CONFIG_SIZE => get_size(command.payload)?,
            dimm_command::GET_CONFIG_DATA => self.read(command.payload)?,
            dimm_command::SET_CONFIG_DATA => self.write(command.payload)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    /// Input: offset, length. Output: status, data.
    fn read(&self, payload: &mut [u8]) -> Result {
        let (input, output) = payload.split_at_mut_checked(8).ok_or(EINVAL)?;
        let (offset, length) = offset_and_length(input)?;
        let (status, data) = output.split_at_mut_checked(4).ok_or(EINVAL)?;
        let data = data.get_mut(..length).ok_or(EINVAL)?;
        self.0.read(offset, data)?;
        set_word(status, 0)
    }

    /// Input: offset, length, data. Output: status.
    fn write(&self, payload: &mut [u8]) -> Result {
        let (input, rest) = payload.split_at_mut_checked(8).ok_or(EINVAL)?;
        let (offset, length) = offset_and_length(input)?;
        let (data, status) = rest.split_at_mut_checked(length).ok_or(EINVAL)?;
        self.0.write(offset, data)?;
        memory::store_fence();
        set_word(status, 0)
    }
}

/// Output: status, size of the area, largest transfer.
fn get_size(payload: &mut [u8]) -> Result {
    let mut words = payload.chunks_exact_mut(4);
    for value in [0, SIZE, MAX_TRANSFER] {
        set_word(words.next().ok_or(EINVAL)?, value)?;
    }
    Ok(())
}

/// Returns the offset and the length at the start of a payload. Fails with `EINVAL` if they exceed
/// the area.
fn offset_and_length(input: &[u8]) -> Result<(u64, usize)> {
    let word = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    let (offset, length) = input.split_at_checked(4).ok_or(EINVAL)?;
    let offset = word(offset).ok_or(EINVAL)?;
    let length = word(length).ok_or(EINVAL)?;
    match offset.checked_add(length) {
        Some(end) if end <= SIZE => Ok((offset.into(), length as usize)),
        _ => Err(EINVAL),
    }
}

fn set_word(field: &mut [u8], value: u32) -> Result {
    *field.first_chunk_mut().ok_or(EINVAL)? = value.to_ne_bytes();
    Ok(())
}
