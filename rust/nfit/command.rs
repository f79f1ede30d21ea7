// SPDX-License-Identifier: GPL-2.0

//! Commands of user space and of the core, as functions of the firmware.
//!
//! A payload has its input first and room for output after it. `CALL` names a function; the other commands have the
//! number and the payload of the function that does them.

use kernel::prelude::*;
use kernel_ext::acpi::{
    AcpiDevice,
    DeviceSpecificMethod, //
};
use nd::provider::{
    bus_command,
    dimm_command, //
};
use nd_format::nfit::dsm::{
    Functions,
    MAX_FUNCTION, //
};
use zerocopy::native_endian::{
    U32,
    U64, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// What a `CALL` begins with (`struct nd_cmd_pkg` of the user-space interface).
///
/// ```text
/// 0        8          16        20         24         60              64      64 + input
/// | family | function | input   | room for | reserved | size of the   | input | output
/// |        |          | size    | output   |          | true output   |       |
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct CallHeader {
    family: U64,
    function: U64,
    input_size: U32,
    output_room: U32,
    reserved: [U32; 9],
    output_size: U32,
}

impl CallHeader {
    /// The family.
    pub(crate) fn family(&self) -> u64 {
        self.family.get()
    }

    /// The function, if it is one that may be passed on.
    fn function(&self) -> Option<u32> {
        u32::try_from(self.function.get())
            .ok()
            .filter(|&function| function <= MAX_FUNCTION)
    }
}

/// The header of a `CALL`, with reserved fields checked. `EINVAL`: there is none, or it has something in them.
pub(crate) fn call_header(payload: &[u8]) -> Result<&CallHeader> {
    let (header, _) = CallHeader::ref_from_prefix(payload).map_err(|_| EINVAL)?;
    if header.reserved.iter().any(|word| word.get() != 0) {
        return Err(EINVAL);
    }
    Ok(header)
}

/// A payload in its two parts.
pub(crate) struct Payload<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) output: Output<'a>,
}

/// Room for output.
pub(crate) struct Output<'a> {
    room: &'a mut [u8],
    used: usize,
}

/// Bytes of a status, which every answer begins with.
const STATUS: usize = 4;

impl Output<'_> {
    /// Appends as much of `bytes` as there is room for.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let free = self.room.get_mut(self.used..).unwrap_or_default();
        let length = free.len().min(bytes.len());
        if let (Some(to), Some(from)) = (free.get_mut(..length), bytes.get(..length)) {
            to.copy_from_slice(from);
        }
        self.used = self.used.saturating_add(length);
    }

    /// How many bytes were left. `ENXIO`: not even a status was pushed.
    pub(crate) fn finish(self) -> Result<usize> {
        if self.used < STATUS {
            return Err(ENXIO);
        }
        Ok(self.room.len().saturating_sub(self.used))
    }
}

impl<'a> Payload<'a> {
    /// Splits the payload of a DIMM's command other than `CALL`. `ENOTTY`: no such command; `EINVAL`: it is too short.
    pub(crate) fn of_dimm(command: u32, bytes: &'a mut [u8]) -> Result<Self> {
        /// Two numbers of 32 bits, the second of which tells how many bytes follow.
        const HEADER: usize = 8;

        let input = match command {
            dimm_command::SMART
            | dimm_command::SMART_THRESHOLD
            | dimm_command::FLAGS
            | dimm_command::GET_CONFIG_SIZE => 0,
            dimm_command::GET_CONFIG_DATA => HEADER,
            dimm_command::SET_CONFIG_DATA | dimm_command::VENDOR => {
                let (_, length) = <[U32; 2]>::read_from_prefix(bytes)
                    .map_err(|_| EINVAL)?
                    .0
                    .into();
                usize::try_from(length.get())?
                    .checked_add(HEADER)
                    .ok_or(EINVAL)?
            }
            _ => return Err(ENOTTY),
        };
        Self::split(bytes, input)
    }

    /// Splits the payload of the root device's command other than `CALL`. Errors as for DIMMs.
    pub(crate) fn of_bus(command: u32, bytes: &'a mut [u8]) -> Result<Self> {
        let input = match command {
            bus_command::ARS_CAP | bus_command::CLEAR_ERROR => 16,
            bus_command::ARS_START => 24,
            bus_command::ARS_STATUS => 0,
            _ => return Err(ENOTTY),
        };
        Self::split(bytes, input)
    }

    fn split(bytes: &'a mut [u8], input: usize) -> Result<Self> {
        let (input, room) = bytes.split_at_mut_checked(input).ok_or(EINVAL)?;
        Ok(Self {
            input,
            output: Output { room, used: 0 },
        })
    }
}

/// Executes a command that has a function of its own; returns the bytes of the payload that were left.
///
/// An answer that does not fit is cut off. `EINVAL`: the firmware gave no buffer. `ENXIO`: not even a status in it.
pub(crate) fn execute(
    device: &AcpiDevice,
    method: DeviceSpecificMethod,
    command: u32,
    payload: Payload<'_>,
) -> Result<usize> {
    let Payload { input, mut output } = payload;
    let answer = device
        .evaluate_function(method, u64::from(command), Some(input))
        .ok_or(EINVAL)?;
    output.push(answer.value().buffer().ok_or(EINVAL)?);
    output.finish()
}

/// Executes a `CALL` of one of `functions`; nothing is ever left of its payload.
///
/// An answer that does not fit is cut off, and the header tells how long it was. `ENOTTY`: the function may not be
/// called. `EINVAL`: the firmware gave no buffer, or the payload is shorter than its header says.
pub(crate) fn call(
    device: &AcpiDevice,
    method: impl FnOnce(u32) -> DeviceSpecificMethod,
    functions: Functions,
    payload: &mut [u8],
) -> Result<usize> {
    let (header, rest) = CallHeader::mut_from_prefix(payload).map_err(|_| EINVAL)?;
    let function = header
        .function()
        .filter(|&function| functions.contains(function))
        .ok_or(ENOTTY)?;
    let (input, room) = rest
        .split_at_mut_checked(usize::try_from(header.input_size.get())?)
        .ok_or(EINVAL)?;
    let room = room
        .get_mut(..usize::try_from(header.output_room.get())?)
        .ok_or(EINVAL)?;

    let answer = device
        .evaluate_function(method(function), u64::from(function), Some(input))
        .ok_or(EINVAL)?;
    let answer = answer.value().buffer().ok_or(EINVAL)?;
    header.output_size.set(u32::try_from(answer.len())?);
    Output { room, used: 0 }.push(answer);
    Ok(0)
}
