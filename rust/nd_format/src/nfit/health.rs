// SPDX-License-Identifier: GPL-2.0

//! Health of a DIMM: function 1 of the Intel family (NVDIMM DSM Interface, "Get SMART and Health
//! Info").

use zerocopy::{
    little_endian::{
        U16,
        U32, //
    },
    FromBytes as _, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    KnownLayout,
    Unaligned, //
};

/// Function number.
pub const SMART: u32 = 1;

/// Output of the function.
///
/// ```text
/// 0        4       8          12       16             20               24      25    27
/// | status | flags | reserved | health | temperatures | shutdown count | queue | ... | reserved ...
///
///     35               36            40            132
/// ... | shutdown state | vendor size | vendor data |
/// ```
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SmartPayload {
    status: U32,
    /// Flags of the fields below that are valid.
    flags: U32,
    reserved: [u8; 4],
    health: [u8; 4],
    temperatures: [U16; 2],
    /// Number of dirty shutdowns, after which data may have been lost, over the life of the DIMM.
    shutdown_count: U32,
    queue_status: u8,
    power_temperature: U16,
    reserved2: [u8; 8],
    /// Not zero if the last shutdown was dirty.
    shutdown_state: u8,
    vendor_size: U32,
    vendor_data: [u8; 92],
}

const COUNT_VALID: u32 = 1 << 5;
const STATE_VALID: u32 = 1 << 10;

/// Shutdown state of a DIMM. After a dirty shutdown data may have been lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shutdown {
    /// `true` if the last shutdown was dirty; `false` if the firmware does not report it.
    pub was_dirty: bool,
    /// Number of dirty shutdowns; `None` if the firmware does not report it.
    pub dirty_count: Option<u32>,
}

impl Shutdown {
    /// Decodes the output of the function; `None` if it is too short or reports a failure.
    pub fn from_smart(answer: &[u8]) -> Option<Self> {
        let (smart, _) = SmartPayload::ref_from_prefix(answer).ok()?;
        if smart.status.get() != 0 {
            return None;
        }
        let valid = |flag| smart.flags.get() & flag != 0;
        Some(Self {
            was_dirty: valid(STATE_VALID) && smart.shutdown_state != 0,
            dirty_count: valid(COUNT_VALID).then(|| smart.shutdown_count.get()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u8, flags: u32) -> [u8; 132] {
        let mut answer = [0; 132];
        answer[0] = status;
        answer[4..8].copy_from_slice(&flags.to_le_bytes());
        answer[20..24].copy_from_slice(&7_u32.to_le_bytes());
        answer[35] = 1;
        answer
    }

    #[test]
    fn valid_fields_are_taken() {
        let shutdown = |flags| Shutdown::from_smart(&answer(0, flags)).unwrap();
        let nothing = Shutdown::default();
        assert_eq!(shutdown(!(COUNT_VALID | STATE_VALID)), nothing);
        assert_eq!(
            shutdown(COUNT_VALID),
            Shutdown {
                dirty_count: Some(7),
                ..nothing
            }
        );
        assert_eq!(
            shutdown(STATE_VALID),
            Shutdown {
                was_dirty: true,
                ..nothing
            }
        );
    }

    #[test]
    fn bad_answers_are_no_answers() {
        assert_eq!(size_of::<SmartPayload>(), 132);
        assert_eq!(Shutdown::from_smart(&answer(1, COUNT_VALID)), None);
        assert_eq!(Shutdown::from_smart(&answer(0, COUNT_VALID)[..131]), None);
    }
}
