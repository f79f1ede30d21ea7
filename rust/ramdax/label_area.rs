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
    Command,
    Status, //
};
use nd_format::uapi::{
    dimm_command,
    ConfigRange,
    ConfigRead,
    ConfigSize, //
};
use zerocopy::native_endian::U32;

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
    pub(crate) fn execute(&self, command: Command<'_>) -> Result<Status> {
        match command.number {
            dimm_command::GET_CONFIG_SIZE => get_size(command.payload)?,
            dimm_command::GET_CONFIG_DATA => self.read(command.payload)?,
            dimm_command::SET_CONFIG_DATA => self.write(command.payload)?,
            _ => return Err(ENOTTY),
        }
        Ok(Status::Success)
    }

    fn read(&self, payload: &mut [u8]) -> Result {
        let (header, data) = ConfigRead::mut_from_prefix(payload).map_err(|_| EINVAL)?;
        let (offset, length) = offset_and_length(&header.range)?;
        let data = data.get_mut(..length).ok_or(EINVAL)?;
        self.0.read(offset, data)?;
        header.status = U32::ZERO;
        Ok(())
    }

    fn write(&self, payload: &mut [u8]) -> Result {
        let (range, rest) = ConfigRange::mut_from_prefix(payload).map_err(|_| EINVAL)?;
        let (offset, length) = offset_and_length(range)?;
        let (data, status) = rest.split_at_mut_checked(length).ok_or(EINVAL)?;
        self.0.write(offset, data)?;
        memory::store_fence();
        let (status, _) = U32::mut_from_prefix(status).map_err(|_| EINVAL)?;
        *status = U32::ZERO;
        Ok(())
    }
}

fn get_size(payload: &mut [u8]) -> Result {
    let (answer, _) = ConfigSize::mut_from_prefix(payload).map_err(|_| EINVAL)?;
    *answer = ConfigSize {
        status: U32::ZERO,
        config_size: SIZE.into(),
        max_xfer: MAX_TRANSFER.into(),
    };
    Ok(())
}

/// Returns the offset and the length of a range. Fails with `EINVAL` if they exceed the area.
fn offset_and_length(range: &ConfigRange) -> Result<(u64, usize)> {
    let (offset, length) = (range.in_offset.get(), range.in_length.get());
    match offset.checked_add(length) {
        Some(end) if end <= SIZE => Ok((offset.into(), length as usize)),
        _ => Err(EINVAL),
    }
}
