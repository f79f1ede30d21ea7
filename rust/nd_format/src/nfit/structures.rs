// SPDX-License-Identifier: GPL-2.0

//! The walk over the structures of the table.

use super::{
    layout::{
        Capabilities,
        ControlRegion,
        DataWindow,
        DeviceHandle,
        FlushHintsHeader,
        FlushHintsKey,
        InterleaveHeader,
        Mapping,
        MappingKey,
        StructureHeader,
        SystemRange, //
    },
    Error,
    LengthRule, //
};
use core::{
    fmt,
    mem::size_of, //
};
use zerocopy::{
    little_endian::{
        U32,
        U64, //
    },
    FromBytes,
    Immutable,
    KnownLayout,
    Unaligned, //
};

/// One structure of the table.
#[derive(Clone, Copy, Debug)]
pub enum Structure<'a> {
    /// A range of system physical addresses.
    Range(&'a SystemRange),
    /// A part of a DIMM in a range.
    Mapping(&'a Mapping),
    /// How the DIMMs of a set are interleaved.
    Interleave(Interleave<'a>),
    /// SMBIOS data, not used here.
    Smbios(&'a [u8]),
    /// Identity of a DIMM.
    ControlRegion(&'a ControlRegion),
    /// A block window.
    DataWindow(&'a DataWindow),
    /// Flush hint addresses of a DIMM.
    FlushHints(FlushHints<'a>),
    /// Capabilities of the platform.
    Capabilities(&'a Capabilities),
    /// A structure whose length is wrong for its type. Reporting it is up to the caller.
    Malformed(Malformed<'a>),
    /// A structure of unknown type. Reporting it is up to the caller.
    Unknown {
        /// The type.
        kind: u16,
        /// The whole structure.
        bytes: &'a [u8],
    },
}

/// Type 2: how the DIMMs of a set are interleaved.
#[derive(Clone, Copy, Debug)]
pub struct Interleave<'a> {
    /// The fixed part.
    pub header: &'a InterleaveHeader,
    /// Offset of each line, in lines.
    pub lines: &'a [U32],
}

/// Type 6: addresses to which a write flushes a DIMM's queues.
#[derive(Clone, Copy, Debug)]
pub struct FlushHints<'a> {
    /// The DIMM.
    pub device: DeviceHandle,
    /// System physical addresses, eight bytes each.
    pub addresses: &'a [U64],
}

/// A structure whose length is wrong for its type. The length still tells where the next structure
/// begins, so only what this structure describes is in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed<'a> {
    /// Offset of the structure.
    pub offset: usize,
    /// Its type.
    pub kind: u16,
    /// Length that its type requires.
    pub expected: LengthRule,
    bytes: &'a [u8],
}

impl<'a> Malformed<'a> {
    /// Returns the error of a table in which this structure cannot be skipped.
    pub(super) fn as_error(&self) -> Error {
        Error::WrongLength {
            offset: self.offset,
            kind: self.kind,
            // CAST: It is the 16-bit length of the structure.
            found: self.bytes.len() as u16,
            expected: self.expected,
        }
    }

    /// Returns what the structure describes, as far as other structures depend on it.
    ///
    /// Returns `None` if the structure ends before the field that says so.
    pub(super) fn subject(&self) -> Option<Subject> {
        match self.kind {
            kind::MAPPING => {
                let (fields, _) = MappingKey::ref_from_prefix(self.bytes).ok()?;
                Some(Subject::Mapping {
                    device: DeviceHandle(fields.handle.get()),
                    range_index: fields.range_index.get(),
                })
            }
            kind::FLUSH_HINTS => {
                let (fields, _) = FlushHintsKey::ref_from_prefix(self.bytes).ok()?;
                Some(Subject::FlushHints {
                    device: DeviceHandle(fields.handle.get()),
                })
            }
            // A reference to a missing range or control region is detected. Without one of the
            // other structures the table only promises less.
            _ => Some(Subject::Itself),
        }
    }
}

impl fmt::Display for Malformed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            kind,
            expected,
            bytes,
        } = self;
        let found = bytes.len();
        write!(
            f,
            "structure at offset {offset:#x} (type {kind}) has length {found}, expected {expected}"
        )
    }
}

/// Subject of a malformed structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// A part of this DIMM in this range.
    Mapping {
        device: DeviceHandle,
        range_index: u16,
    },
    /// Flush hint addresses of this DIMM.
    FlushHints { device: DeviceHandle },
    /// Nothing that would look complete without the structure.
    Itself,
}

/// Types of structures (ACPI 6.5, table 5.130).
mod kind {
    pub(super) const RANGE: u16 = 0;
    pub(super) const MAPPING: u16 = 1;
    pub(super) const INTERLEAVE: u16 = 2;
    pub(super) const SMBIOS: u16 = 3;
    pub(super) const CONTROL_REGION: u16 = 4;
    pub(super) const DATA_WINDOW: u16 = 5;
    pub(super) const FLUSH_HINTS: u16 = 6;
    pub(super) const CAPABILITIES: u16 = 7;
}

/// Returns the structures of a table, which begin at the first byte of `bytes`.
///
/// The walk ends at the end of the bytes or after the first error; what follows an error is lost.
/// Zeroes up to the end are padding, which some firmware leaves there. A structure of length zero
/// in front of anything else is an error.
pub fn structures(bytes: &[u8]) -> Structures<'_> {
    Structures {
        rest: bytes,
        offset: 0,
    }
}

/// Iterator of [`structures`].
#[derive(Clone, Debug)]
pub struct Structures<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Structures<'a> {
    fn step(&mut self) -> Result<Structure<'a>, Error> {
        let offset = self.offset;
        let available = self.rest.len();
        let (header, _) = StructureHeader::ref_from_prefix(self.rest)
            .map_err(|_| Error::HeaderCut { offset, available })?;
        let kind = header.kind.get();
        let found = header.length.get();
        let length = usize::from(found);
        if length < size_of::<StructureHeader>() {
            return Err(Error::LengthTooShort {
                offset,
                kind,
                found,
            });
        }
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Error::PastEnd {
            offset,
            kind,
            found,
            available,
        })?;
        let structure = Structure::decode(kind, bytes).unwrap_or_else(|expected| {
            Structure::Malformed(Malformed {
                offset,
                kind,
                expected,
                bytes,
            })
        });
        self.rest = rest;
        self.offset = offset.saturating_add(length);
        Ok(structure)
    }
}

impl<'a> Iterator for Structures<'a> {
    type Item = Result<Structure<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        #[cfg(test)]
        steps::count();
        if self.rest.iter().all(|&byte| byte == 0) {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            // The start of the next structure is unknown.
            self.rest = &[];
        }
        Some(step)
    }
}

impl<'a> Structure<'a> {
    /// Decodes the `bytes` of a whole structure. The error is the length that its type requires.
    fn decode(kind: u16, bytes: &'a [u8]) -> Result<Self, LengthRule> {
        Ok(match kind {
            kind::RANGE => Self::Range(decode_range(bytes)?),
            kind::MAPPING => Self::Mapping(exactly(bytes)?),
            kind::INTERLEAVE => {
                let (header, lines) = at_least::<InterleaveHeader>(bytes)?;
                let lines = elements(bytes, lines, header.line_count.get())?;
                Self::Interleave(Interleave { header, lines })
            }
            kind::SMBIOS => Self::Smbios(bytes),
            kind::CONTROL_REGION => Self::ControlRegion(at_least(bytes)?.0),
            kind::DATA_WINDOW => Self::DataWindow(exactly(bytes)?),
            kind::FLUSH_HINTS => {
                let (header, addresses) = at_least::<FlushHintsHeader>(bytes)?;
                Self::FlushHints(FlushHints {
                    device: DeviceHandle(header.handle.get()),
                    addresses: elements(bytes, addresses, u32::from(header.count.get()))?,
                })
            }
            kind::CAPABILITIES => Self::Capabilities(at_least(bytes)?.0),
            _ => Self::Unknown { kind, bytes },
        })
    }
}

fn decode_range(bytes: &[u8]) -> Result<&SystemRange, LengthRule> {
    const COOKIE: usize = size_of::<u64>();

    let (range, rest) = at_least::<SystemRange>(bytes)?;
    let tail = if range.has_location_cookie() {
        COOKIE
    } else {
        0
    };
    if rest.len() != tail {
        return Err(LengthRule::Exactly(size_of::<SystemRange>() + tail));
    }
    Ok(range)
}

fn exactly<T>(bytes: &[u8]) -> Result<&T, LengthRule>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    T::ref_from_bytes(bytes).map_err(|_| LengthRule::Exactly(size_of::<T>()))
}

fn at_least<T>(bytes: &[u8]) -> Result<(&T, &[u8]), LengthRule>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    T::ref_from_prefix(bytes).map_err(|_| LengthRule::AtLeast(size_of::<T>()))
}

/// Returns the first `count` elements of `tail`, with which the structure `bytes` ends.
fn elements<'a, T>(bytes: &[u8], tail: &'a [u8], count: u32) -> Result<&'a [T], LengthRule>
where
    T: FromBytes + Immutable + Unaligned,
{
    // A count too large for `usize` is too large for the structure, whose length has 16 bits.
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let fixed = bytes.len().saturating_sub(tail.len());
    <[T]>::ref_from_prefix_with_elems(tail, count)
        .map(|(elements, _)| elements)
        .map_err(|_| {
            LengthRule::AtLeast(fixed.saturating_add(count.saturating_mul(size_of::<T>())))
        })
}

/// Counts the steps of walks in tests: the time that a table takes must be bounded, whatever its
/// contents.
#[cfg(test)]
pub(super) mod steps {
    extern crate std;

    use std::cell::Cell;

    std::thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    /// Returns the steps of this thread so far.
    pub(in super::super) fn so_far() -> u64 {
        STEPS.get()
    }
}
