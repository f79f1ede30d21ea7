// SPDX-License-Identifier: GPL-2.0

//! The NFIT of a topology, as the bytes that firmware would supply (ACPI 6.5, section 5.2.25).

use crate::{
    module_parameters,
    topology::{
        Dimm,
        MappedPart,
        Range,
        Topology,
        FLUSH_HINTS,
        HINTS, //
    },
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use kernel_compat::parameter;
use nd_format::nfit::{
    Capabilities,
    ControlRegion,
    FlushHintsHeader,
    Mapping,
    MappingFlags,
    StructureHeader,
    SystemRange, //
};
use zerocopy::{
    Immutable,
    IntoBytes, //
};

/// Types of structures.
mod kind {
    pub(super) const RANGE: u16 = 0;
    pub(super) const MAPPING: u16 = 1;
    pub(super) const CONTROL_REGION: u16 = 4;
    pub(super) const FLUSH_HINTS: u16 = 6;
    pub(super) const CAPABILITIES: u16 = 7;
}

/// Returns the structures for `topology`, without the table header.
pub(crate) fn build(topology: &Topology) -> Result<KVec<u8>> {
    let mut bytes = KVec::new();
    for range in topology.ranges {
        push(&mut bytes, &system_range(range)?)?;
    }
    for (number, dimm) in (0_u16..).zip(topology.dimms) {
        // Index 0 means that there is none.
        let control_region_index = number + 1;
        for (region_id, part) in (0..).zip(dimm.parts) {
            push(
                &mut bytes,
                &mapping(dimm, region_id, control_region_index, part)?,
            )?;
        }
        if dimm.parts.is_empty() {
            continue;
        }
        push(&mut bytes, &control_region(dimm, control_region_index)?)?;
        if topology.flushes {
            flush_hints(&mut bytes, dimm)?;
        }
    }
    if topology.flushes {
        push(&mut bytes, &capabilities()?)?;
    }
    Ok(bytes)
}

/// Returns the simulated physical address of the first flush hint of a DIMM.
pub(crate) fn hint_page(dimm: &Dimm) -> u64 {
    FLUSH_HINTS + u64::from(dimm.number) * PAGE_SIZE as u64
}

fn push<T: IntoBytes + Immutable>(bytes: &mut KVec<u8>, structure: &T) -> Result {
    Ok(bytes.extend_from_slice(structure.as_bytes(), GFP_KERNEL)?)
}

fn header<T>(kind: u16, rest: usize) -> Result<StructureHeader> {
    Ok(StructureHeader {
        kind: kind.into(),
        length: u16::try_from(size_of::<T>() + rest)?.into(),
    })
}

fn system_range(range: &Range) -> Result<SystemRange> {
    Ok(SystemRange {
        header: header::<SystemRange>(kind::RANGE, 0)?,
        index: range.index.into(),
        flags: 0.into(),
        reserved: 0.into(),
        proximity: 0.into(),
        guid: range.kind.guid().ok_or(EINVAL)?,
        base: range.start.into(),
        length: range.len().into(),
        attributes: 0.into(),
    })
}

fn mapping(dimm: &Dimm, region_id: u16, control_region: u16, part: &MappedPart) -> Result<Mapping> {
    let flags = part
        .flags
        .iter()
        .copied()
        .fold(MappingFlags::default(), MappingFlags::union);
    Ok(Mapping {
        header: header::<Mapping>(kind::MAPPING, 0)?,
        handle: dimm.handle.into(),
        physical_id: dimm.physical_id.into(),
        region_id: region_id.into(),
        range_index: part.range.into(),
        control_region_index: control_region.into(),
        size: part.size.into(),
        region_offset: part.offset.into(),
        dpa: part.dpa.into(),
        interleave_index: 0.into(),
        ways: part.ways.into(),
        flags: flags.bits().into(),
        reserved: 0.into(),
    })
}

fn control_region(dimm: &Dimm, index: u16) -> Result<ControlRegion> {
    const MANUFACTURING_DATA_VALID: u8 = 1;

    Ok(ControlRegion {
        header: header::<ControlRegion>(kind::CONTROL_REGION, 0)?,
        index: index.into(),
        vendor: [0xcd, 0xab],
        device: [0; 2],
        revision: [1, 0],
        subsystem_vendor: [0; 2],
        subsystem_device: [0; 2],
        subsystem_revision: [0; 2],
        valid_fields: MANUFACTURING_DATA_VALID,
        manufacturing_location: 0xa,
        manufacturing_date: 2016_u16.to_be_bytes(),
        reserved: [0; 2],
        serial: (!dimm.handle).to_le_bytes(),
        format: dimm.format.into(),
        windows: 0.into(),
    })
}

fn flush_hints(bytes: &mut KVec<u8>, dimm: &Dimm) -> Result {
    const HINT: usize = size_of::<u64>();
    /// First of [`HINTS`] unaligned addresses that end at the top of the address space.
    const UNALIGNED: u64 = u64::MAX - HINTS as u64 * HINT as u64;

    let room = usize::from(HINTS) * HINT;
    push(
        bytes,
        &FlushHintsHeader {
            header: header::<FlushHintsHeader>(kind::FLUSH_HINTS, room)?,
            handle: dimm.handle.into(),
            count: HINTS.into(),
            reserved: [0; 6],
        },
    )?;
    let is_bad = i64::from(parameter!(module_parameters::bad_hint)) == i64::from(dimm.number);
    let bad = match parameter!(module_parameters::bad_hint_at) {
        _ if !is_bad => 0,
        0 => UNALIGNED,
        address => address,
    };
    for number in 0..HINTS {
        let first = if bad != 0 && number < parameter!(module_parameters::bad_hints) {
            bad
        } else {
            hint_page(dimm)
        };
        let address = first.wrapping_add(u64::from(number) * HINT as u64);
        push(bytes, &address.to_le_bytes())?;
    }
    Ok(())
}

fn capabilities() -> Result<Capabilities> {
    const MEMORY_CONTROLLER_FLUSHES: u32 = 1 << 1;

    Ok(Capabilities {
        header: header::<Capabilities>(kind::CAPABILITIES, 0)?,
        highest_bit: 1,
        reserved: [0; 3],
        bits: MEMORY_CONTROLLER_FLUSHES.into(),
        reserved2: 0.into(),
    })
}
