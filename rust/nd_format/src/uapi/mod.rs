// SPDX-License-Identifier: GPL-2.0

//! Commands of the control nodes `/dev/ndctlN` and `/dev/nmemN`: numbers and payloads.
//!
//! Source: `include/uapi/linux/ndctl.h`. A payload begins with the input of the command; room for
//! its output follows. Numbers are in the byte order of the machine. [`layout`] says for each
//! command which fields there are, [`payload`] has the fixed parts as structures.
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

impl Target {
    /// Returns the name of a command in the attribute `commands` (`nvdimm_bus_cmd_name()` and
    /// `nvdimm_cmd_name()`).
    pub const fn command_name(self, number: u32) -> &'static str {
        match self {
            Self::Bus => match number {
                bus_command::ARS_CAP => "ars_cap",
                bus_command::ARS_START => "ars_start",
                bus_command::ARS_STATUS => "ars_status",
                bus_command::CLEAR_ERROR => "clear_error",
                bus_command::CALL => "cmd_call",
                _ => "unknown",
            },
            Self::Dimm => match number {
                dimm_command::SMART => "smart",
                dimm_command::SMART_THRESHOLD => "smart_thresh",
                dimm_command::FLAGS => "flags",
                dimm_command::GET_CONFIG_SIZE => "get_size",
                dimm_command::GET_CONFIG_DATA => "get_data",
                dimm_command::SET_CONFIG_DATA => "set_data",
                dimm_command::VENDOR_EFFECT_LOG_SIZE => "effect_size",
                dimm_command::VENDOR_EFFECT_LOG => "effect_log",
                dimm_command::VENDOR => "vendor",
                dimm_command::CALL => "cmd_call",
                _ => "unknown",
            },
        }
    }
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
    /// Queries the size of the log of effects of vendor specific commands. Has no payload in
    /// `ndctl.h`.
    pub const VENDOR_EFFECT_LOG_SIZE: u32 = 7;
    /// Reads that log. Has no payload in `ndctl.h`.
    pub const VENDOR_EFFECT_LOG: u32 = 8;
    /// Vendor specific.
    pub const VENDOR: u32 = 9;
    /// Passes a function of a command family through.
    pub const CALL: u32 = 10;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_with_a_payload_has_a_name() {
        for target in [Target::Bus, Target::Dimm] {
            for number in 0..64 {
                let named = target.command_name(number) != "unknown";
                let log = target == Target::Dimm && (number == 7 || number == 8);
                assert_eq!(
                    named,
                    log || Layout::of(target, number).is_some(),
                    "{number}"
                );
            }
        }
    }
}
