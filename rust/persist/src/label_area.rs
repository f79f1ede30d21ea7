// SPDX-License-Identifier: GPL-2.0

//! Label areas, read by the ioctls `ND_IOCTL_GET_CONFIG_SIZE` and `ND_IOCTL_GET_CONFIG_DATA` of a
//! DIMM's device node.

use nd_format::uapi::{
    dimm_command,
    ConfigRange,
    ConfigRead,
    ConfigSize, //
};
use rustix::ioctl::{
    self,
    opcode,
    Opcode,
    Updater, //
};
use std::{
    fs::File,
    io,
    path::Path, //
};

/// Maximum number of bytes of one call.
const CHUNK: usize = 4096;

/// Payload of `GET_CONFIG_DATA`, with room for the data.
///
/// # Invariants
///
/// `header.range.in_length` is at most [`CHUNK`].
#[repr(C)]
struct Data {
    header: ConfigRead,
    bytes: [u8; CHUNK],
}

const GET_CONFIG_SIZE: Opcode =
    opcode::read_write::<ConfigSize>(b'N', dimm_command::GET_CONFIG_SIZE as u8);
/// The size in the ioctl number is that of the header.
const GET_CONFIG_DATA: Opcode =
    opcode::read_write::<ConfigRead>(b'N', dimm_command::GET_CONFIG_DATA as u8);

/// The label area of one DIMM.
pub struct LabelArea {
    node: File,
    size: u32,
    transfer: u32,
}

impl LabelArea {
    /// Opens the device node of a DIMM, `/dev/nmemN`.
    ///
    /// # Errors
    ///
    /// Those of `open`. `ENOTTY`: the DIMM has no label area.
    pub fn open(node: &Path) -> io::Result<Self> {
        let node = File::options().read(true).write(true).open(node)?;
        let mut size = ConfigSize::default();
        // SAFETY: The ioctl takes a `struct nd_cmd_get_config_size`, whose layout is that of
        // `ConfigSize`. It reads and writes these 12 bytes only, and every bit pattern is valid for
        // them.
        unsafe {
            ioctl::ioctl(
                &node,
                Updater::<GET_CONFIG_SIZE, ConfigSize>::new(&mut size),
            )
        }?;
        check(size.status.get())?;
        Ok(Self {
            node,
            size: size.config_size.get(),
            transfer: size.max_xfer.get(),
        })
    }

    /// Returns the first `most` bytes of the area, or all if it is shorter.
    ///
    /// # Errors
    ///
    /// Those of the ioctl, or a status other than success.
    pub fn read(&self, most: u32) -> io::Result<Vec<u8>> {
        let step = (self.transfer as usize).clamp(1, CHUNK);
        let mut bytes = Vec::new();
        let end = self.size.min(most);
        for offset in (0..end).step_by(step) {
            let length = (end - offset).min(step as u32);
            // INVARIANT: `step` is at most `CHUNK`.
            let mut data = Data {
                header: ConfigRead {
                    range: ConfigRange {
                        in_offset: offset.into(),
                        in_length: length.into(),
                    },
                    ..ConfigRead::default()
                },
                bytes: [0; CHUNK],
            };
            // SAFETY: The ioctl takes a `struct nd_cmd_get_config_data_hdr` with `in_length` bytes
            // behind it, whose layout is that of `Data`. It reads the header and writes the status
            // and `in_length` bytes after it, which by the invariant of `Data` fit. Every bit
            // pattern is valid for them.
            unsafe { ioctl::ioctl(&self.node, Updater::<GET_CONFIG_DATA, Data>::new(&mut data)) }?;
            check(data.header.status.get())?;
            bytes.extend_from_slice(&data.bytes[..length as usize]);
        }
        Ok(bytes)
    }
}

/// Fails unless `status` is success.
fn check(status: u32) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("status {status:#x}"))),
    }
}
