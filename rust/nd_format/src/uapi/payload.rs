// SPDX-License-Identifier: GPL-2.0

//! The fixed parts of payloads, as `struct nd_cmd_*` of `include/uapi/linux/ndctl.h` has them.
//!
//! Each structure can be borrowed from the start of a payload or of a part of one
//! (`ref_from_prefix`, `mut_from_prefix` of zerocopy), whatever its alignment.

use zerocopy::native_endian::{
    U16,
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

/// Low half of a status: the answer of the firmware, 0 for success. The high half is extended
/// status.
pub const STATUS_MASK: u32 = 0xffff;

/// Whole payload of `GET_CONFIG_SIZE`, which has output alone (`struct nd_cmd_get_config_size`).
///
/// ```text
/// 0        4             8          12
/// | status | config_size | max_xfer |
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ConfigSize {
    /// Status; a DIMM whose memory is locked says so here and answers the rest.
    pub status: U32,
    /// Bytes of the label area.
    pub config_size: U32,
    /// Most bytes that one command transfers.
    pub max_xfer: U32,
}

/// Start of the payload of `GET_CONFIG_DATA` and `SET_CONFIG_DATA`: a range of the label area.
///
/// ```text
///                  0           4           8                   8 + in_length
/// GET_CONFIG_DATA  | in_offset | in_length | status | out_buf [in_length]
/// SET_CONFIG_DATA  | in_offset | in_length | in_buf [in_length] | status
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ConfigRange {
    /// First byte in the label area.
    pub in_offset: U32,
    /// Bytes.
    pub in_length: U32,
}

/// Start of the payload of `GET_CONFIG_DATA` (`struct nd_cmd_get_config_data_hdr`). The bytes that
/// were read follow.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ConfigRead {
    /// Input.
    pub range: ConfigRange,
    /// Status.
    pub status: U32,
}

/// Whole payload of `ARS_CAP` (`struct nd_cmd_ars_cap`).
///
/// ```text
/// 0         8        16       20            24               28      30         32
/// | address | length | status | max_ars_out | clear_err_unit | flags | reserved |
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ArsCap {
    /// First physical address.
    pub address: U64,
    /// Bytes.
    pub length: U64,
    /// Status.
    pub status: U32,
    /// Most bytes of the output of `ARS_STATUS`.
    pub max_ars_out: U32,
    /// Bytes that are cleared at once, a power of two.
    pub clear_err_unit: U32,
    /// Flags of the scrub.
    pub flags: U16,
    /// Reserved.
    pub reserved: U16,
}

/// Whole payload of `CLEAR_ERROR` (`struct nd_cmd_clear_error`).
///
/// ```text
/// 0         8        16       20         24        32
/// | address | length | status | reserved | cleared |
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ClearError {
    /// First physical address.
    pub address: U64,
    /// Bytes.
    pub length: U64,
    /// Status.
    pub status: U32,
    /// Reserved.
    pub reserved: U32,
    /// Bytes that were cleared, counted from `address`.
    pub cleared: U64,
}

/// Header of `CALL` (`struct nd_cmd_pkg`): input and output follow it.
///
/// ```text
/// 0           8            16           20            24             60           64
/// | nd_family | nd_command | nd_size_in | nd_size_out | nd_reserved2 | nd_fw_size |
/// 64                  64 + nd_size_in
/// | input             | room for output [nd_size_out]
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CallHeader {
    /// Command family.
    pub nd_family: U64,
    /// Function of the family.
    pub nd_command: U64,
    /// Bytes of input.
    pub nd_size_in: U32,
    /// Bytes of room for output.
    pub nd_size_out: U32,
    /// Reserved: zeroes.
    pub nd_reserved2: [U32; 9],
    /// Bytes of the whole output, also of what had no room.
    pub nd_fw_size: U32,
}

const _: () = assert!(size_of::<ConfigSize>() == 12);
const _: () = assert!(size_of::<ConfigRange>() == 8);
const _: () = assert!(size_of::<ConfigRead>() == 12);
const _: () = assert!(size_of::<ArsCap>() == 32);
const _: () = assert!(size_of::<ClearError>() == 32);
const _: () = assert!(size_of::<CallHeader>() == 64);
