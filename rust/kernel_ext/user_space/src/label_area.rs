// SPDX-License-Identifier: GPL-2.0

//! Label areas, read by the ioctls `ND_IOCTL_GET_CONFIG_SIZE` and `ND_IOCTL_GET_CONFIG_DATA` of a
//! DIMM's device node.
//!
//! C header: `include/uapi/linux/ndctl.h`

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

/// `struct nd_cmd_get_config_size`.
#[repr(C)]
#[derive(Default)]
struct Size {
    status: u32,
    area: u32,
    transfer: u32,
}

/// `struct nd_cmd_get_config_data_hdr`, with room for the data.
///
/// # Invariants
///
/// `length` is at most [`CHUNK`].
#[repr(C)]
struct Data {
    offset: u32,
    length: u32,
    status: u32,
    bytes: [u8; CHUNK],
}

const GET_CONFIG_SIZE: Opcode = opcode::read_write::<Size>(b'N', 4);
/// The size in the ioctl number is that of the header.
const GET_CONFIG_DATA: Opcode = opcode::read_write::<[u32; 3]>(b'N', 5);

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
        let mut size = Size::default();
        // SAFETY: The ioctl takes a `struct nd_cmd_get_config_size`, whose layout is that of
        // `Size`. It reads and writes these 12 bytes only, and every bit pattern is valid for them.
        unsafe { ioctl::ioctl(&node, Updater::<GET_CONFIG_SIZE, Size>::new(&mut size)) }?;
        if size.status != 0 {
            return Err(io::Error::other(format!("status {:#x}", size.status)));
        }
        Ok(Self {
            node,
            size: size.area,
            transfer: size.transfer,
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
            // INVARIANT: `step` is at most `CHUNK`.
            let mut data = Data {
                offset,
                length: (end - offset).min(step as u32),
                status: 0,
                bytes: [0; CHUNK],
            };
            let length = data.length as usize;
            // SAFETY: The ioctl takes a `struct nd_cmd_get_config_data_hdr` with `length` bytes
            // behind it, whose layout is that of `Data`. It reads the header and writes the status
            // and `length` bytes after it, which by the invariant of `Data` fit. Every bit pattern
            // is valid for them.
            unsafe { ioctl::ioctl(&self.node, Updater::<GET_CONFIG_DATA, Data>::new(&mut data)) }?;
            if data.status != 0 {
                return Err(io::Error::other(format!("status {:#x}", data.status)));
            }
            bytes.extend_from_slice(&data.bytes[..length]);
        }
        Ok(bytes)
    }
}
