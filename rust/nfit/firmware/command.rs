// SPDX-License-Identifier: GPL-2.0

//! Ioctl commands of user space and the core, as `_DSM` functions.
//!
//! A payload starts with the input; the rest is room for the output. `CALL` names a function. Any
//! other command has the number and the payload of the function that executes it.

use super::FirmwareDevice;
use kernel::prelude::*;
use kernel_ext::acpi::DeviceSpecificMethod;
use nd_format::{
    nfit::dsm::{
        Functions,
        MAX_FUNCTION, //
    },
    uapi::{
        word,
        CallHeader,
        Layout,
        Target, //
    },
};

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
    layout: Layout,
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

    /// Returns the status, with which the output begins. `ENXIO`: not even that was appended.
    pub(crate) fn finish(self) -> Result<u32> {
        let filled = self.room.get(..self.used);
        filled.and_then(|filled| word(filled, 0)).ok_or(ENXIO)
    }
}

impl<'a> Payload<'a> {
    /// Splits the payload of a command other than `CALL`. `ENOTTY`: no such command; `EINVAL`: the
    /// payload is too short.
    pub(crate) fn split(target: Target, command: u32, payload: &'a mut [u8]) -> Result<Self> {
        let layout = Layout::of(target, command).ok_or(ENOTTY)?;
        let (input, room) = layout.split(payload).ok_or(EINVAL)?;
        Ok(Self {
            input,
            output: Output { room, used: 0 },
            layout,
        })
    }
}

/// Executes a command other than `CALL`. Returns its status.
///
/// Output that ends early leaves the remaining fields of the payload unchanged. `EINVAL`: the
/// firmware returned no buffer. `ENXIO`: the output lacks a status, or a field does not fit.
pub(crate) fn execute(
    device: &dyn FirmwareDevice,
    method: DeviceSpecificMethod,
    command: u32,
    payload: Payload<'_>,
) -> Result<u32> {
    let Payload {
        input,
        mut output,
        layout,
    } = payload;
    let answer = device.evaluate_function(method, command, input)?;
    let answer = answer.buffer().ok_or(EINVAL)?;
    for field in layout.output_fields(input, answer) {
        output.push(field)?;
    }
    output.finish()
}

/// Executes a `CALL` of one of `functions`.
///
/// Output that does not fit is truncated; the header gives its full length. `ENOTTY`: the function
/// must not be called. `EINVAL`: the firmware returned no buffer, a reserved field is set, or the
/// payload is shorter than its header says.
pub(crate) fn call(
    device: &dyn FirmwareDevice,
    method: impl FnOnce(u32) -> DeviceSpecificMethod,
    functions: Functions,
    payload: &mut [u8],
) -> Result {
    let (header, rest) = CallHeader::mut_from_prefix(payload).map_err(|_| EINVAL)?;
    if header.nd_reserved2.iter().any(|word| word.get() != 0) {
        return Err(EINVAL);
    }
    let function = u32::try_from(header.nd_command.get())
        .ok()
        .filter(|&function| function <= MAX_FUNCTION && functions.contains(function))
        .ok_or(ENOTTY)?;
    let (input, room) = rest
        .split_at_mut_checked(usize::try_from(header.nd_size_in.get())?)
        .ok_or(EINVAL)?;
    let room = room
        .get_mut(..usize::try_from(header.nd_size_out.get())?)
        .ok_or(EINVAL)?;

    let answer = device.evaluate_function(method(function), function, input)?;
    let answer = answer.buffer().ok_or(EINVAL)?;
    header.nd_fw_size.set(u32::try_from(answer.len())?);
    let fitting = answer.len().min(room.len());
    Output { room, used: 0 }.push(answer.get(..fitting).unwrap_or_default())
}
