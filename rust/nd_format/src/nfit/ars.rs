// SPDX-License-Identifier: GPL-2.0

//! Address range scrub: functions of the root device that find media errors, and their payloads
//! (ACPI 6.5, sections 9.20.7.2 to 9.20.7.5).
//!
//! A scrub runs in the firmware, one at a time. The driver starts it for a range and polls it until
//! it has ended.

use core::ops::Range;
use zerocopy::{
    little_endian::{
        U16,
        U32,
        U64, //
    },
    FromBytes as _,
    IntoBytes as _, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// Kind of memory that is scrubbed, as the functions number them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum MemoryKind {
    /// Volatile.
    Volatile = 1,
    /// Persistent.
    Persistent = 2,
}

/// How thorough a scrub is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// The firmware may return what it knows already.
    Short,
    /// The firmware reads the medium.
    Long,
}

/// Flag of a start: the firmware may return earlier results and read nothing.
const RETURN_PREVIOUS: u8 = 1 << 1;

/// Status of a start: the firmware is busy.
const START_BUSY: u16 = 6;

/// Flag of an output: there was not enough space for all records.
const OVERFLOW: u16 = 1;

/// Input of the function that returns the capabilities of the firmware for a range.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub struct CapabilityInput {
    address: U64,
    length: U64,
}

impl CapabilityInput {
    /// Returns the input for `length` bytes from `address` on.
    pub fn new(address: u64, length: u64) -> Self {
        Self {
            address: address.into(),
            length: length.into(),
        }
    }

    /// Returns the bytes of the input.
    pub fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Output of that function.
///
/// ```text
/// 0        4            8               12      14
/// | status | max output | unit of clear | flags | reserved |
/// ```
///
/// The high half of the status has a bit for each kind of memory that can be scrubbed.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct CapabilityAnswer {
    status: U16,
    kinds: U16,
    _max_output: U32,
    _clear_unit: U32,
}

/// Returns `true` if memory of a kind can be scrubbed. `answer` is the output for a
/// [`CapabilityInput`].
pub fn can_scrub(answer: &[u8], kind: MemoryKind) -> bool {
    CapabilityAnswer::ref_from_prefix(answer)
        .is_ok_and(|(answer, _)| answer.status == 0 && answer.kinds.get() & kind as u16 != 0)
}

/// Input of the function that starts a scrub.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub struct StartInput {
    address: U64,
    length: U64,
    kind: U16,
    flags: u8,
    reserved: [u8; 5],
}

impl StartInput {
    /// Returns the input for a scrub of `length` bytes from `address` on.
    pub fn new(address: u64, length: u64, kind: MemoryKind, depth: Depth) -> Self {
        Self {
            address: address.into(),
            length: length.into(),
            kind: (kind as u16).into(),
            flags: match depth {
                Depth::Short => RETURN_PREVIOUS,
                Depth::Long => 0,
            },
            reserved: [0; 5],
        }
    }

    /// Returns the bytes of the input.
    pub fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Result of a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Started {
    /// The scrub runs.
    Yes,
    /// Another scrub runs.
    Busy,
    /// The firmware refused, with this status.
    Refused(u16),
}

impl Started {
    /// Decodes the output for a [`StartInput`]; `None` if it has no status.
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let (status, _) = U16::read_from_prefix(answer).ok()?;
        Some(match status.get() {
            0 => Self::Yes,
            START_BUSY => Self::Busy,
            other => Self::Refused(other),
        })
    }
}

/// Output of the function that returns the progress of a scrub.
///
/// ```text
/// 0        4      8         16       24                32               40     42      44
/// | status | size | address | length | restart address | restart length | kind | flags | number of records
/// ```
///
/// Records follow at 48: handle, reserved, address (8 bytes), length (8 bytes). The output may end
/// earlier.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StatusHeader {
    status: U16,
    extended: U16,
    _size: U32,
    _address: U64,
    _length: U64,
    restart_address: U64,
    restart_length: U64,
    kind: U16,
    flags: U16,
    records: U32,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Record {
    _handle: U32,
    _reserved: U32,
    address: U64,
    length: U64,
}

/// Progress of a scrub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress<'a> {
    /// The scrub runs.
    Running,
    /// There was no scrub.
    None,
    /// The scrub has ended.
    Ended(Records<'a>),
    /// The scrub was interrupted because there was no space for more records. It can be continued
    /// for the rest of the range.
    Interrupted(Records<'a>, Option<Rest>),
    /// The scrub failed, with this status.
    Failed(u16),
}

/// The rest of the range of an interrupted scrub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// First address.
    pub address: u64,
    /// Length in bytes.
    pub length: u64,
    /// Kind of memory.
    pub kind: MemoryKind,
}

/// Media errors that a scrub found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    announced: u32,
}

impl<'a> Records<'a> {
    const NONE: Self = Self {
        bytes: &[],
        announced: 0,
    };

    /// Returns the bad address ranges, without a record that is cut off.
    pub fn iter(self) -> impl Iterator<Item = Range<u64>> + 'a {
        let mut rest = self.bytes;
        (0..self.announced).map_while(move |_| {
            let (record, next) = Record::read_from_prefix(rest).ok()?;
            rest = next;
            let start = record.address.get();
            Some(start..start.saturating_add(record.length.get()))
        })
    }

    /// Returns `true` if fewer records are present than the firmware announced.
    pub fn is_cut_off(self) -> bool {
        (self.bytes.len() / size_of::<Record>()) < self.announced as usize
    }
}

impl<'a> Progress<'a> {
    /// Decodes an output; `None` if it has no status.
    pub fn parse(answer: &'a [u8]) -> Option<Self> {
        const RUNNING: u16 = 1;
        const NONE: u16 = 2;
        const INTERRUPTED: u16 = 3;

        let ([status, extended], _) = <[U16; 2]>::read_from_prefix(answer).ok()?;
        if status != 0 {
            return Some(Self::Failed(status.get()));
        }
        let header = StatusHeader::ref_from_prefix(answer).ok();
        let records = header.map_or(Records::NONE, |(header, bytes)| Records {
            bytes,
            announced: header.records.get(),
        });
        Some(match extended.get() {
            RUNNING => Self::Running,
            NONE => Self::None,
            INTERRUPTED => match header {
                Some((header, _)) if header.flags.get() & OVERFLOW != 0 => {
                    Self::Interrupted(records, header.rest())
                }
                _ => Self::Ended(records),
            },
            0 => Self::Ended(records),
            _ => Self::Failed(extended.get()),
        })
    }
}

impl StatusHeader {
    fn rest(&self) -> Option<Rest> {
        let kind = match self.kind.get() {
            1 => MemoryKind::Volatile,
            2 => MemoryKind::Persistent,
            _ => return None,
        };
        (self.restart_length != 0).then(|| Rest {
            address: self.restart_address.get(),
            length: self.restart_length.get(),
            kind,
        })
    }
}

impl Rest {
    /// Returns the input that continues the scrub.
    pub fn input(self) -> StartInput {
        StartInput::new(self.address, self.length, self.kind, Depth::Long)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    /// An output with these halves of the status, flags and records.
    fn answer(status: u32, flags: u16, announced: u32, records: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(status.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        for field in [0x1000_u64, 0x4000, 0x3000, 0x2000] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(2_u16.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(announced.to_le_bytes());
        for (address, length) in records {
            bytes.extend([0; 8]);
            bytes.extend(address.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        bytes
    }

    fn found(progress: Progress<'_>) -> (Vec<Range<u64>>, bool) {
        match progress {
            Progress::Ended(records) | Progress::Interrupted(records, _) => {
                (records.iter().collect(), records.is_cut_off())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn layouts_are_those_of_the_interface() {
        assert_eq!(size_of::<StatusHeader>(), 48);
        assert_eq!(size_of::<Record>(), 24);
        assert_eq!(size_of::<StartInput>(), 24);
        assert_eq!(size_of::<CapabilityInput>(), 16);
    }

    #[test]
    fn a_kind_that_is_not_announced_is_not_scrubbed() {
        let capability = |status: u16, kinds: u16| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&status.to_le_bytes());
            bytes[2..4].copy_from_slice(&kinds.to_le_bytes());
            bytes
        };
        assert!(can_scrub(&capability(0, 2), MemoryKind::Persistent));
        assert!(!can_scrub(&capability(0, 2), MemoryKind::Volatile));
        assert!(!can_scrub(&capability(1, 3), MemoryKind::Persistent));
        assert!(!can_scrub(&capability(0, 3)[..11], MemoryKind::Persistent));
    }

    #[test]
    fn a_short_scrub_may_use_what_is_known() {
        let start = StartInput::new(0x10, 0x20, MemoryKind::Persistent, Depth::Short);
        assert_eq!(start.bytes()[16..19], [2, 0, 2]);
        let start = StartInput::new(0x10, 0x20, MemoryKind::Volatile, Depth::Long);
        assert_eq!(start.bytes()[16..19], [1, 0, 0]);
        assert_eq!(Started::parse(&[0; 8]), Some(Started::Yes));
        assert_eq!(Started::parse(&[6, 0, 0, 0]), Some(Started::Busy));
        assert_eq!(Started::parse(&[1, 0]), Some(Started::Refused(1)));
        assert_eq!(Started::parse(&[1]), None);
    }

    #[test]
    fn states_are_told_apart() {
        assert_eq!(
            Progress::parse(&answer(1 << 16, 0, 0, &[])),
            Some(Progress::Running)
        );
        assert_eq!(
            Progress::parse(&answer(2 << 16, 0, 0, &[])),
            Some(Progress::None)
        );
        assert_eq!(
            Progress::parse(&answer(5, 0, 0, &[])),
            Some(Progress::Failed(5))
        );
        // Stopped on request: there are no more results.
        assert!(matches!(
            Progress::parse(&answer(3 << 16, 0, 0, &[])),
            Some(Progress::Ended(_))
        ));
        // The header is cut off.
        assert_eq!(
            Progress::parse(&[0; 20]),
            Some(Progress::Ended(Records::NONE))
        );
        assert_eq!(Progress::parse(&[0; 3]), None);
    }

    #[test]
    fn records_are_as_many_as_there_are() {
        let errors = [(0x2000, 0x100), (0x4000, 0x200)];
        let bytes = answer(0, 0, 2, &errors);
        let expected = [0x2000..0x2100, 0x4000..0x4200];
        assert_eq!(
            found(Progress::parse(&bytes).unwrap()),
            (expected.to_vec(), false)
        );
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(
            found(Progress::parse(cut).unwrap()),
            (expected[..1].to_vec(), true)
        );
        // Bytes behind the announced records are ignored.
        let bytes = answer(0, 0, 1, &errors);
        assert_eq!(
            found(Progress::parse(&bytes).unwrap()),
            (expected[..1].to_vec(), false)
        );
        let bytes = answer(0, 0, u32::MAX, &[(u64::MAX, 2)]);
        assert_eq!(
            found(Progress::parse(&bytes).unwrap()),
            (std::iter::once(u64::MAX..u64::MAX).collect(), true)
        );
    }

    #[test]
    fn an_interrupted_scrub_goes_on_with_the_rest() {
        let bytes = answer(3 << 16, OVERFLOW, 1, &[(0x2000, 0x100)]);
        let Some(Progress::Interrupted(records, Some(rest))) = Progress::parse(&bytes) else {
            panic!("not interrupted");
        };
        assert_eq!(records.iter().count(), 1);
        assert_eq!((rest.address, rest.length), (0x3000, 0x2000));
        assert_eq!(rest.input().bytes()[16..19], [2, 0, 0]);
    }
}
