// SPDX-License-Identifier: GPL-2.0

//! Serves one ioctl.
//!
//! The length fields in user memory are read first, to compute the size of the buffer. Then the
//! whole buffer is copied. Only the copy counts, and its length fields must yield the same size.

use super::{
    clear_error,
    cmd_layout, //
};
use crate::{
    provider::{
        Command,
        Status, //
    },
    Bus,
    Dimm, //
};
use kernel::{
    ioctl::{
        _IOC_NR,
        _IOC_TYPE, //
    },
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use kernel_ext::{
    chrdev::Call,
    device::TypedDevice, //
};
use nd_format::uapi::{
    self,
    bus_command,
    dimm_command,
    CallHeader,
    Target, //
};

/// Numbers of the commands that need a node which is open for writing. Buses and DIMMs share the
/// list, as in `__nd_ioctl()` of `drivers/nvdimm/bus.c`, so two harmless DIMM commands (2 and 4)
/// are in it.
const NEED_WRITE_ACCESS: [u32; 5] = [
    bus_command::ARS_START,
    bus_command::CLEAR_ERROR,
    dimm_command::SET_CONFIG_DATA,
    dimm_command::VENDOR,
    dimm_command::CALL,
];

/// The ioctl type of all commands in `include/uapi/linux/ndctl.h`.
const SUBSYSTEM: u32 = b'N' as u32;

/// Serves `call` for `dimm`, or for `bus` itself.
///
/// Commands of other types fail with `ENOTTY`. Many programs query whether a file that they open is
/// a terminal. Taken for command 1 of a DIMM, that ioctl (0x5401) would write 132 bytes of health
/// data into a buffer of 36 bytes.
pub(super) fn serve(
    bus: &TypedDevice<Bus>,
    dimm: Option<&TypedDevice<Dimm>>,
    call: Call,
) -> Result<c_long> {
    if _IOC_TYPE(call.command) != SUBSYSTEM {
        return Err(ENOTTY);
    }
    let _running = bus.begin_call()?;
    let number = _IOC_NR(call.command);
    let (target, commands) = match dimm {
        Some(dimm) => (Target::Dimm, dimm.description().commands),
        None => (Target::Bus, bus.description().commands),
    };

    let user = UserPtr::from_addr(call.argument);
    if number == dimm_command::CALL {
        let mut header = CallHeader::default();
        UserSlice::new(user, size_of::<CallHeader>())
            .reader()
            .read_slice(header.as_mut_bytes())?;
        check_family(bus, target, &header)?;
    }
    if number >= u64::BITS || commands & (1 << number) == 0 {
        return Err(ENOTTY);
    }
    if !call.writable && NEED_WRITE_ACCESS.contains(&number) {
        return Err(EPERM);
    }

    let size = cmd_layout::size(target, number, |offset| read_word(user, offset))?;
    let mut buffer = KVVec::<u8>::with_capacity(size, GFP_KERNEL)?;
    UserSlice::new(user, size).read_all(&mut buffer, GFP_KERNEL)?;
    // Another thread may have changed the fields since they were read.
    let function = if number == dimm_command::CALL {
        let (header, _) = CallHeader::ref_from_prefix(&buffer).map_err(|_| EINVAL)?;
        check_family(bus, target, header)?;
        u32::try_from(header.nd_command.get()).unwrap_or(u32::MAX)
    } else {
        number
    };
    let in_copy = |offset| uapi::word(&buffer, offset).ok_or(EINVAL);
    if cmd_layout::size(target, number, in_copy)? != size {
        return Err(EINVAL);
    }

    let clears_errors = dimm.is_none() && number == bus_command::CLEAR_ERROR;
    let status = {
        let object = dimm.map_or_else(|| bus.device(), |dimm| dimm.device());
        let (_device_lock, bus_lock) = bus.lock_idle(object);
        bus.operations().clear_to_send(bus, dimm, function)?;
        if clears_errors {
            clear_error::check(bus, &buffer, &bus_lock)?;
        }
        if let Some(dimm) = dimm {
            // The copy of the labels that enabled regions use would become stale.
            if function == dimm_command::SET_CONFIG_DATA && dimm.is_active(&bus_lock) {
                return Err(EBUSY);
            }
        }
        let command = Command {
            number,
            payload: &mut buffer,
        };
        bus.operations().execute(bus, dimm, command)?
    };
    if clears_errors && status == Status::Success {
        clear_error::account(bus, &buffer);
    }
    UserSlice::new(user, size).writer().write_slice(&buffer)?;
    Ok(0)
}

/// Reads the 32-bit word at `offset` of the buffer at `user`.
fn read_word(user: UserPtr, offset: usize) -> Result<u32> {
    let mut bytes = [0u8; 4];
    UserSlice::new(user.wrapping_byte_add(offset), bytes.len())
        .reader()
        .read_slice(&mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// Checks that the command family that a `CALL` names is supported. Fails with `EINVAL` if not.
fn check_family(bus: &Bus, target: Target, header: &CallHeader) -> Result {
    let families = match target {
        Target::Bus => bus.description().bus_families,
        Target::Dimm => bus.dimm_families(),
    };
    let family = header.nd_family.get();
    if family >= u64::from(u64::BITS) || families & (1 << family) == 0 {
        return Err(EINVAL);
    }
    Ok(())
}
