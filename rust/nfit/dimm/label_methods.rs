// SPDX-License-Identifier: GPL-2.0

//! ACPI label methods (ACPI 6.5, section 6.5.10), in the payloads of the ioctl commands.
//!
//! ```text
//! method                         package or number            payload after the input
//! _LSI()                      -> {status, size, max transfer}  the same, 32 bits each
//! _LSR(offset, length)        -> {status, buffer}              status, bytes
//! _LSW(offset, length, bytes) -> status                        status
//! ```

use crate::firmware::command::{
    Output,
    Payload, //
};
use kernel::prelude::*;
use kernel_ext::acpi::{
    AcpiDevice,
    Argument,
    MethodError,
    Object,
    Value, //
};
use nd_format::uapi::{
    dimm_command,
    ConfigRange, //
};
use zerocopy::native_endian::U32;

/// Label methods that a DIMM has and the driver uses.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LabelMethods {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl LabelMethods {
    /// Queries a DIMM. Labels that cannot be written are ignored unless `even_read_only`: a
    /// namespace that was created without labels must not change its type because of stale ones.
    pub(crate) fn of(device: &AcpiDevice, even_read_only: bool) -> Self {
        let read = device.has_method(c"_LSI") && device.has_method(c"_LSR");
        let write = read && device.has_method(c"_LSW");
        Self {
            read: read && (write || even_read_only),
            write,
        }
    }

    /// Returns `true` if `command` is executed by a method.
    pub(crate) fn serve(self, command: u32) -> bool {
        match command {
            dimm_command::GET_CONFIG_SIZE | dimm_command::GET_CONFIG_DATA => self.read,
            dimm_command::SET_CONFIG_DATA => self.write,
            _ => false,
        }
    }
}

/// Executes a command for which [`LabelMethods::serve`] returned `true`. Returns its status.
pub(crate) fn execute(device: &AcpiDevice, command: u32, payload: Payload<'_>) -> Result<u32> {
    let Payload {
        input, mut output, ..
    } = payload;
    let answer = match command {
        dimm_command::GET_CONFIG_SIZE => device.evaluate(c"_LSI", &[]),
        dimm_command::GET_CONFIG_DATA => {
            let (offset, length, _) = area(input)?;
            device.evaluate(c"_LSR", &[offset, length])
        }
        dimm_command::SET_CONFIG_DATA => {
            let (offset, length, bytes) = area(input)?;
            device.evaluate(c"_LSW", &[offset, length, Argument::Buffer(bytes)])
        }
        _ => return Err(ENOTTY),
    };
    let answer = answer.map_err(|error: MethodError| {
        dev_err!(device, "label command {} failed: {}\n", command, error);
        EINVAL
    })?;
    copy(&answer, &mut output)?;
    output.finish()
}

/// Splits the input of a command into offset, length and the bytes that follow.
fn area(input: &[u8]) -> Result<(Argument<'_>, Argument<'_>, &[u8])> {
    let (range, bytes) = ConfigRange::ref_from_prefix(input).map_err(|_| EINVAL)?;
    let number = |word: U32| Argument::Integer(u64::from(word));
    Ok((number(range.in_offset), number(range.in_length), bytes))
}

/// Copies numbers as 32 bits, and a buffer if it fills the remaining room. `EINVAL`: the result
/// contains any other object. `ENXIO`: there is no room for a number.
fn copy(answer: &Object, output: &mut Output<'_>) -> Result {
    let copy_one = |value: Value<'_>, output: &mut Output<'_>| match value {
        // The specification defines the numbers as 32 bits.
        Value::Integer(number) => output.push(&(number as u32).to_ne_bytes()),
        Value::Buffer(bytes) => output.fill(bytes),
        Value::Package(_) | Value::Other(_) => Err(EINVAL),
    };
    match answer.value() {
        Value::Package(package) => package.iter().try_for_each(|value| copy_one(value, output)),
        single => copy_one(single, output),
    }
}
