// SPDX-License-Identifier: GPL-2.0

//! Translation of a system physical address into a DIMM and a DIMM physical address.
//!
//! Interleave sets of a simulated bus alternate by page:
//!
//! ```text
//! page of the range    0      1      2      3      4      5
//! DIMM, its page       A 0    B 0    A 1    B 1    A 2    B 2
//! ```

use crate::{
    output::{
        self,
        OutputBuilder, //
    },
    root::INVALID_INPUT,
    topology::{
        MappedPart,
        Topology, //
    },
};
use kernel::prelude::*;

/// Bytes of a DIMM that are contiguous in the set.
const LINE: u64 = 4096;

/// A place in a DIMM.
struct Place {
    handle: u32,
    dpa: u64,
}

/// Translates an address (8 bytes).
///
/// The output is status, flags and reserved (4 bytes), number of bytes for which the translation
/// holds (8 bytes), number of DIMMs. Each DIMM is handle, reserved, DIMM physical address (8
/// bytes).
pub(crate) fn translate(topology: &Topology, input: &[u8]) -> Result<KVVec<u8>> {
    let place = output::long(input).and_then(|(address, _)| place(topology, address));
    let Some(Place { handle, dpa }) = place else {
        return OutputBuilder::new(INVALID_INPUT)?
            .word(0)?
            .long(0)?
            .word(0)?
            .finish();
    };
    OutputBuilder::new(0)?
        .word(0)?
        .long(1)?
        .word(1)?
        .word(handle)?
        .word(0)?
        .long(dpa)?
        .finish()
}

fn place(topology: &Topology, address: u64) -> Option<Place> {
    let range = topology
        .ranges
        .iter()
        .find(|range| range.bytes().contains(&address))?;
    let members = || topology.members(range.index);
    let offset = address.checked_sub(range.start)?;
    let ways = members().count() as u64;
    let (line, within) = (offset / LINE, offset % LINE);
    let turn = line.checked_rem(ways)?;
    let (dimm, MappedPart { dpa, .. }) = members().nth(usize::try_from(turn).ok()?)?;
    Some(Place {
        handle: dimm.handle,
        dpa: dpa + line.checked_div(ways)? * LINE + within,
    })
}
