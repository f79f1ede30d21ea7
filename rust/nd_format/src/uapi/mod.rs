// SPDX-License-Identifier: GPL-2.0

//! Commands of the control nodes `/dev/ndctlN` and `/dev/nmemN`: numbers and payloads.
//!
//! Source: `include/uapi/linux/ndctl.h`. A payload begins with the input of the command; room for its
//! output follows. Numbers are in the byte order of the machine. [`layout`] says for each command which
//! fields there are, [`payload`] has the fixed parts as structures.
//!
//! The ioctl interface, the core's own commands and all providers use this module: no payload is
//! described anywhere else.

pub mod layout;
pub mod payload;

pub use layout::{
    word,
    Field,
    Layout,
    SizeError, //
};
pub use payload::{
    ArsCap,
    CallHeader,
    ClearError,
    ConfigRange,
    ConfigRead,
    ConfigSize,
    STATUS_MASK, //
};

/// The object that a command is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A bus (`/dev/ndctlN`).
    Bus,
    /// A DIMM (`/dev/nmemN`).
    Dimm,
}

/// Commands of a bus, by number (`ND_CMD_*`).
pub mod bus_command {
    /// Queries the ability to scrub a range.
    pub const ARS_CAP: u32 = 1;
    /// Starts an address range scrub.
    pub const ARS_START: u32 = 2;
    /// Queries an address range scrub.
    pub const ARS_STATUS: u32 = 3;
    /// Clears poison.
    pub const CLEAR_ERROR: u32 = 4;
    /// Passes a function of a command family through.
    pub const CALL: u32 = 10;
}

/// Commands of a DIMM, by number (`ND_CMD_*`).
pub mod dimm_command {
    /// Queries the health.
    pub const SMART: u32 = 1;
    /// Queries the health thresholds.
    pub const SMART_THRESHOLD: u32 = 2;
    /// Queries the flags.
    pub const FLAGS: u32 = 3;
    /// Queries the size of the label area.
    pub const GET_CONFIG_SIZE: u32 = 4;
    /// Reads from the label area.
    pub const GET_CONFIG_DATA: u32 = 5;
    /// Writes to the label area.
    pub const SET_CONFIG_DATA: u32 = 6;
    /// Vendor specific.
    pub const VENDOR: u32 = 9;
    /// Passes a function of a command family through.
    pub const CALL: u32 = 10;
}
