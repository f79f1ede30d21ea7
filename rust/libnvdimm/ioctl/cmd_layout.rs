// SPDX-License-Identifier: GPL-2.0

//! Layout of commands: how long their input and output are (`include/uapi/linux/ndctl.h`).
//!
//! ```text
//! DIMM  1 SMART            -                              status, data 128
//!       2 SMART_THRESHOLD  -                              status, data 8
//!       3 FLAGS            -                              status, flags
//!       4 GET_CONFIG_SIZE  -                              status, size, max transfer
//!       5 GET_CONFIG_DATA  offset, length                 status, data [length]
//!       6 SET_CONFIG_DATA  offset, length, data [length]  status
//!       9 VENDOR           opcode, length, data [length]  status, length, data [length]
//! bus   1 ARS_CAP          address 8, length 8            status, maximum, unit, flags
//!       2 ARS_START        address 8, length 8, 8         status, time
//!       3 ARS_STATUS       -                              status, length (of all output), rest
//!       4 CLEAR_ERROR      address 8, length 8            status, reserved, cleared 8
//! both 10 CALL             header 64, payload [size_in]   payload [size_out]
//! ```
//!
//! Fields are four bytes unless a number says otherwise.

use crate::provider::{
    bus_command,
    dimm_command, //
};
use kernel::prelude::*;

/// Size of the header of a `CALL` in bytes.
pub(super) const CALL_HEADER: usize = 64;

/// Maximum size of the buffer of an ioctl in bytes.
pub(super) const MAX_SIZE: usize = 4 << 20;

/// The object that a command is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Bus,
    Dimm,
}

/// Returns the size of the buffer of command `number` in bytes. `field` reads the 32-bit field at
/// an offset of the buffer.
///
/// Fails with `ENOTTY` if there is no such command, and with `EINVAL` if the size is invalid or
/// more than [`MAX_SIZE`]. Other errors are those of `field`.
pub(super) fn size(
    target: Target,
    number: u32,
    field: impl Fn(usize) -> Result<usize>,
) -> Result<usize> {
    let (input, output) = match (target, number) {
        (_, dimm_command::CALL) => (add(CALL_HEADER, field(16)?)?, field(20)?),
        (Target::Dimm, dimm_command::SMART) => (0, 132),
        (Target::Dimm, dimm_command::SMART_THRESHOLD) => (0, 12),
        (Target::Dimm, dimm_command::FLAGS) => (0, 8),
        (Target::Dimm, dimm_command::GET_CONFIG_SIZE) => (0, 12),
        (Target::Dimm, dimm_command::GET_CONFIG_DATA) => (8, add(4, field(4)?)?),
        (Target::Dimm, dimm_command::SET_CONFIG_DATA) => (add(8, field(4)?)?, 4),
        (Target::Dimm, dimm_command::VENDOR) => {
            let input = add(8, field(4)?)?;
            // The second length follows the input, whose size varies.
            (input, add(8, field(add(input, 4)?)?)?)
        }
        (Target::Bus, bus_command::ARS_CAP) => (16, 16),
        (Target::Bus, bus_command::ARS_START) => (24, 8),
        (Target::Bus, bus_command::ARS_STATUS) => (
            0,
            match field(4)? {
                0..=4 => 8,
                5..=7 => return Err(EINVAL),
                length => length,
            },
        ),
        (Target::Bus, bus_command::CLEAR_ERROR) => (16, 16),
        _ => return Err(ENOTTY),
    };
    let size = add(input, output)?;
    if size > MAX_SIZE {
        return Err(EINVAL);
    }
    Ok(size)
}

/// Returns the 32-bit field at `offset`.
pub(super) fn field(bytes: &[u8], offset: usize) -> Option<usize> {
    let field = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?) as usize)
}

/// Returns the 64-bit field at `offset`.
pub(super) fn wide_field(bytes: &[u8], offset: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_ne_bytes(field.try_into().ok()?))
}

fn add(a: usize, b: usize) -> Result<usize> {
    a.checked_add(b).ok_or(EINVAL)
}

#[kernel::prelude::kunit_tests(nd_ioctl_cmd_layout)]
mod tests {
    use super::*;

    /// Returns the size of a `VENDOR` command with this much input and output.
    fn vendor(input: usize, output: usize) -> Result<usize> {
        size(Target::Dimm, dimm_command::VENDOR, |offset| match offset {
            4 => Ok(input),
            place if place == 8 + input + 4 => Ok(output),
            _ => Err(EFAULT),
        })
    }

    #[test]
    fn the_length_of_output_is_behind_the_input() {
        for input in [0, 1, 240, 241, 4096] {
            assert!(vendor(input, 20) == Ok(8 + input + 8 + 20));
        }
        assert!(vendor(MAX_SIZE - 16, 0) == Ok(MAX_SIZE));
        assert!(vendor(MAX_SIZE - 16, 1) == Err(EINVAL));
        assert!(vendor(u32::MAX as usize, 0) == Err(EINVAL));
    }
}
