// SPDX-License-Identifier: GPL-2.0

//! The walk over the structures of the table.

use super::{
    layout::{
        Capabilities,
        ControlRegion,
        DataWindow,
        DeviceHandle,
        FlushHintsHeader,
        InterleaveHeader,
        Mapping,
        StructureHeader,
        SystemRange, //
    },
    Error,
    LengthRule, //
};
use core::mem::size_of;
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
    /// A range of system addresses.
    Range(&'a SystemRange),
    /// A part of a DIMM in a range.
    Mapping(&'a Mapping),
    /// How DIMMs take turns.
    Interleave(Interleave<'a>),
    /// SMBIOS data, of no use here.
    Smbios(&'a [u8]),
    /// What a DIMM is.
    ControlRegion(&'a ControlRegion),
    /// A block window.
    DataWindow(&'a DataWindow),
    /// Where to flush a DIMM.
    FlushHints(FlushHints<'a>),
    /// What the platform promises.
    Capabilities(&'a Capabilities),
    /// A type that this crate does not know. It is for the caller to report it.
    Unknown {
        /// The type.
        kind: u16,
        /// The whole structure.
        bytes: &'a [u8],
    },
}

/// Type 2: how the DIMMs of a set take turns.
#[derive(Clone, Copy, Debug)]
pub struct Interleave<'a> {
    /// The fixed part.
    pub header: &'a InterleaveHeader,
    /// Offset of each line, in lines.
    pub lines: &'a [U32],
}

/// Type 6: the addresses that flush a DIMM's queues when written to.
#[derive(Clone, Copy, Debug)]
pub struct FlushHints<'a> {
    /// The DIMM.
    pub device: DeviceHandle,
    /// System physical addresses, eight bytes each.
    pub addresses: &'a [U64],
}

/// Walks the structures of a table, which begin at the first byte of `bytes`.
///
/// The walk ends at the end of the bytes, or after the first error. Zeroes up to the end are padding, which some
/// firmware leaves there; a structure of length zero before anything else is an error.
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
        let structure = Structure::decode(kind, bytes).map_err(|expected| Error::WrongLength {
            offset,
            kind,
            found,
            expected,
        })?;
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
            // There is no telling where the next structure begins.
            self.rest = &[];
        }
        Some(step)
    }
}

impl<'a> Structure<'a> {
    /// Takes the `bytes` of a whole structure; the error is the length that its type demands.
    fn decode(kind: u16, bytes: &'a [u8]) -> Result<Self, LengthRule> {
        Ok(match kind {
            0 => Self::Range(decode_range(bytes)?),
            1 => Self::Mapping(exactly(bytes)?),
            2 => {
                let (header, lines) = at_least::<InterleaveHeader>(bytes)?;
                let lines = elements(bytes, lines, header.line_count.get())?;
                Self::Interleave(Interleave { header, lines })
            }
            3 => Self::Smbios(bytes),
            4 => Self::ControlRegion(at_least(bytes)?.0),
            5 => Self::DataWindow(exactly(bytes)?),
            6 => {
                let (header, addresses) = at_least::<FlushHintsHeader>(bytes)?;
                Self::FlushHints(FlushHints {
                    device: DeviceHandle(header.handle.get()),
                    addresses: elements(bytes, addresses, u32::from(header.count.get()))?,
                })
            }
            7 => Self::Capabilities(at_least(bytes)?.0),
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

/// The first `count` elements of `tail`, with which the structure `bytes` ends.
fn elements<'a, T>(bytes: &[u8], tail: &'a [u8], count: u32) -> Result<&'a [T], LengthRule>
where
    T: FromBytes + Immutable + Unaligned,
{
    // A count too large for `usize` is too large for the table, whose length has sixteen bits.
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let fixed = bytes.len().saturating_sub(tail.len());
    <[T]>::ref_from_prefix_with_elems(tail, count)
        .map(|(elements, _)| elements)
        .map_err(|_| {
            LengthRule::AtLeast(fixed.saturating_add(count.saturating_mul(size_of::<T>())))
        })
}

/// How many steps the walks of a test take: a table of any length must be seen through in time.
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

    /// The steps of this thread so far.
    pub(in super::super) fn so_far() -> u64 {
        STEPS.get()
    }
}
