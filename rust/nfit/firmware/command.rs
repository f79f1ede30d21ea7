// SPDX-License-Identifier: GPL-2.0

//! Ioctl commands of user space and the core, as `_DSM` functions.
//!
//! A payload starts with the input; the rest is room for the output. `CALL` names a function. Any
//! other command has the number and the payload of the function that executes it.

use super::FirmwareDevice;
use kernel::prelude::*;
use kernel_ext::acpi::DeviceSpecificMethod;
use nd::provider::{
    bus_command,
    dimm_command, //
};
use nd_format::nfit::{
    ars,
    dsm::{
        Functions,
        MAX_FUNCTION, //
    },
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

/// Header of a `CALL` payload (`struct nd_cmd_pkg` in `include/uapi/linux/ndctl.h`).
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
    /// Returns the family.
    pub(crate) fn family(&self) -> u64 {
        self.family.get()
    }

    /// Returns the function, or `None` if the number is out of range.
    fn function(&self) -> Option<u32> {
        u32::try_from(self.function.get())
            .ok()
            .filter(|&function| function <= MAX_FUNCTION)
    }
}

/// Returns the header of a `CALL`. `EINVAL`: the payload is too short.
pub(crate) fn call_header(payload: &[u8]) -> Result<&CallHeader> {
    CallHeader::ref_from_prefix(payload)
        .map(|(header, _)| header)
        .map_err(|_| EINVAL)
}

/// A payload, split into input and room for output.
pub(crate) struct Payload<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) output: Output<'a>,
    answer: &'static [Field],
}

/// Room for output, filled field by field.
pub(crate) struct Output<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Output<'_> {
    fn left(&self) -> usize {
        self.room.len().saturating_sub(self.used)
    }

    /// Appends a field. `ENXIO`: there is no room for it.
    pub(crate) fn push(&mut self, field: &[u8]) -> Result {
        let end = self.used.checked_add(field.len()).ok_or(ENXIO)?;
        self.room
            .get_mut(self.used..end)
            .ok_or(ENXIO)?
            .copy_from_slice(field);
        self.used = end;
        Ok(())
    }

    /// Fills the remaining room with the start of `bytes`, or does nothing if `bytes` is too short.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> Result {
        bytes
            .get(..self.left())
            .map_or(Ok(()), |field| self.push(field))
    }

    /// Returns the number of unfilled bytes. `ENXIO`: not even a status was appended.
    pub(crate) fn finish(self) -> Result<usize> {
        if self.used == 0 {
            return Err(ENXIO);
        }
        Ok(self.left())
    }
}

/// Length of an output field.
#[derive(Clone, Copy)]
enum Field {
    /// A fixed number of bytes.
    Bytes(usize),
    /// All of the remaining room.
    Room,
    /// The second word of the output is the length.
    Declared,
    /// Scrub results; the second word of the output gives their size in bytes.
    ScrubResults,
}

impl Field {
    /// Returns the size of the field in `answer`, of which `left` bytes remain, as do `room` bytes
    /// of the payload.
    fn size(self, answer: &[u8], left: usize, room: usize) -> usize {
        let declared =
            || <[U32; 2]>::ref_from_prefix(answer).map_or(u32::MAX, |([_, size], _)| size.get());
        match self {
            Self::Bytes(size) => size,
            Self::Room => room,
            Self::Declared => usize::try_from(declared()).unwrap_or(usize::MAX),
            Self::ScrubResults => ars::results_size(declared(), left),
        }
    }
}

/// Layout of a command's payload: bytes of input, then the fields of the output. The first one is a
/// status.
struct Shape {
    input: usize,
    answer: &'static [Field],
}

impl Shape {
    /// Returns the layout of a DIMM command other than `CALL`. `ENOTTY`: no such command; `EINVAL`:
    /// the input is too short.
    fn of_dimm(command: u32, bytes: &[u8]) -> Result<Self> {
        use Field::{
            Bytes,
            Declared,
            Room, //
        };

        /// Two words, the second of which is the number of bytes that follow.
        const HEADER: usize = 8;
        let with_data = || {
            <[U32; 2]>::ref_from_prefix(bytes)
                .ok()
                .and_then(|([_, size], _)| usize::try_from(size.get()).ok()?.checked_add(HEADER))
                .ok_or(EINVAL)
        };
        let (input, answer): (_, &[Field]) = match command {
            dimm_command::SMART => (0, &[Bytes(4), Bytes(128)]),
            dimm_command::SMART_THRESHOLD => (0, &[Bytes(4), Bytes(8)]),
            dimm_command::FLAGS => (0, &[Bytes(4), Bytes(4)]),
            dimm_command::GET_CONFIG_SIZE => (0, &[Bytes(4), Bytes(4), Bytes(4)]),
            dimm_command::GET_CONFIG_DATA => (HEADER, &[Bytes(4), Room]),
            dimm_command::SET_CONFIG_DATA => (with_data()?, &[Bytes(4)]),
            dimm_command::VENDOR => (with_data()?, &[Bytes(4), Bytes(4), Declared]),
            _ => return Err(ENOTTY),
        };
        Ok(Self { input, answer })
    }

    /// Returns the layout of a bus command other than `CALL`. `ENOTTY`: no such command.
    fn of_bus(command: u32) -> Result<Self> {
        use Field::{
            Bytes,
            ScrubResults, //
        };

        let (input, answer): (_, &[Field]) = match command {
            bus_command::ARS_CAP => (16, &[Bytes(4), Bytes(4), Bytes(4), Bytes(2), Bytes(2)]),
            bus_command::ARS_START => (24, &[Bytes(4), Bytes(4)]),
            bus_command::ARS_STATUS => (0, &[Bytes(4), Bytes(4), ScrubResults]),
            bus_command::CLEAR_ERROR => (16, &[Bytes(4), Bytes(4), Bytes(8)]),
            _ => return Err(ENOTTY),
        };
        Ok(Self { input, answer })
    }
}

impl<'a> Payload<'a> {
    /// Splits the payload of a DIMM command other than `CALL`. `ENOTTY`: no such command; `EINVAL`:
    /// the payload is too short.
    pub(crate) fn of_dimm(command: u32, bytes: &'a mut [u8]) -> Result<Self> {
        Self::split(bytes, Shape::of_dimm(command, bytes)?)
    }

    /// Splits the payload of a bus command other than `CALL`. Errors as for DIMMs.
    pub(crate) fn of_bus(command: u32, bytes: &'a mut [u8]) -> Result<Self> {
        Self::split(bytes, Shape::of_bus(command)?)
    }

    fn split(bytes: &'a mut [u8], shape: Shape) -> Result<Self> {
        let (input, room) = bytes.split_at_mut_checked(shape.input).ok_or(EINVAL)?;
        Ok(Self {
            input,
            answer: shape.answer,
            output: Output { room, used: 0 },
        })
    }
}

/// Executes a command other than `CALL`. Returns the number of payload bytes that were left
/// unfilled.
///
/// Output that ends early leaves the remaining fields of the payload unchanged. `EINVAL`: the
/// firmware returned no buffer. `ENXIO`: the output lacks a status, or a field does not fit.
pub(crate) fn execute(
    device: &dyn FirmwareDevice,
    method: DeviceSpecificMethod,
    command: u32,
    payload: Payload<'_>,
) -> Result<usize> {
    let Payload {
        input,
        answer: fields,
        mut output,
    } = payload;
    let answer = device.evaluate_function(method, command, input)?;
    let answer = answer.buffer().ok_or(EINVAL)?;
    let mut rest = answer;
    for field in fields {
        let Some((bytes, next)) =
            rest.split_at_checked(field.size(answer, rest.len(), output.left()))
        else {
            break;
        };
        output.push(bytes)?;
        rest = next;
    }
    output.finish()
}

/// Executes a `CALL` of one of `functions`. Returns 0: no part of the payload is reported as
/// unfilled.
///
/// Output that does not fit is truncated; the header gives its full length. `ENOTTY`: the function
/// must not be called. `EINVAL`: the firmware returned no buffer, a reserved field is set, or the
/// payload is shorter than its header says.
pub(crate) fn call(
    device: &dyn FirmwareDevice,
    method: impl FnOnce(u32) -> DeviceSpecificMethod,
    functions: Functions,
    payload: &mut [u8],
) -> Result<usize> {
    let (header, rest) = CallHeader::mut_from_prefix(payload).map_err(|_| EINVAL)?;
    if header.reserved.iter().any(|word| word.get() != 0) {
        return Err(EINVAL);
    }
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

    let answer = device.evaluate_function(method(function), function, input)?;
    let answer = answer.buffer().ok_or(EINVAL)?;
    header.output_size.set(u32::try_from(answer.len())?);
    let fitting = answer.len().min(room.len());
    Output { room, used: 0 }.push(answer.get(..fitting).unwrap_or_default())?;
    Ok(0)
}
