// SPDX-License-Identifier: GPL-2.0

//! Clearing of poison: making memory whose content is lost usable again.
//!
//! The provider does it with a command, in units of its own (ACPI 6.5, 9.20.7.6). One that has no such command has
//! nothing to clear: a store repairs the memory.

use super::Region;
use crate::provider::{
    bus_command,
    Command, //
};
use kernel::prelude::*;
use kernel_ext::memalloc::NoIo;

/// Bytes of the payload of `ARS_CAP` and of `CLEAR_ERROR`, input and output together (`include/uapi/linux/ndctl.h`).
///
/// ```text
///              0         8        16      20          24                      28     30
/// ARS_CAP      address   length   status  max output  unit of clearing        flags  reserved
/// CLEAR_ERROR  address   length   status  reserved    bytes cleared (8 bytes)
/// ```
const PAYLOAD: usize = 32;

/// Low half of a status: what the firmware has to say; 0 is success.
const STATUS_MASK: u32 = 0xffff;

impl Region {
    /// Clears the poison of `len` bytes at the physical address `address`. The content is lost; what it is then is not
    /// said. Returns how many bytes are usable again, counted from `address`.
    ///
    /// `ENXIO`: the provider cannot clear just this range. Other errors are those of the provider.
    pub fn clear_poison(&self, address: u64, len: u64) -> Result<u64> {
        if !self.bus().operations().clears_poison_by_command() {
            self.poison_cleared(&(address..address.saturating_add(len)));
            return Ok(len);
        }

        let capability = self.poison_command(bus_command::ARS_CAP, address, len)?;
        let unit = u64::from(word(&capability, 24)?);
        let mask = unit.wrapping_sub(1);
        if !unit.is_power_of_two() || (address | len) & mask != 0 {
            return Err(ENXIO);
        }

        let cleared = self.poison_command(bus_command::CLEAR_ERROR, address, len)?;
        let low = word(&cleared, 24)?;
        let high = word(&cleared, 28)?;
        // The firmware is not believed to have cleared more than it was told to.
        let cleared = (u64::from(high) << 32 | u64::from(low)).min(len);
        self.poison_cleared(&(address..address.saturating_add(cleared)));
        Ok(cleared)
    }

    fn poison_command(&self, number: u32, address: u64, len: u64) -> Result<[u8; PAYLOAD]> {
        let mut payload = [0; PAYLOAD];
        for (field, value) in payload
            .chunks_exact_mut(size_of::<u64>())
            .zip([address, len])
        {
            field.copy_from_slice(&value.to_le_bytes());
        }

        // Disks ask for this in the middle of a write.
        let _no_io = NoIo::enter();
        self.bus().operations().execute(
            self.bus(),
            None,
            Command {
                number,
                payload: &mut payload,
            },
        )?;

        match word(&payload, 16)? & STATUS_MASK {
            0 => Ok(payload),
            _ => Err(EIO),
        }
    }
}

/// The 32-bit word at `offset` of a payload.
fn word(payload: &[u8; PAYLOAD], offset: usize) -> Result<u32> {
    let bytes = payload
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .ok_or(EINVAL)?;
    Ok(u32::from_le_bytes(*bytes))
}
