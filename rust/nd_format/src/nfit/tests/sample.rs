// SPDX-License-Identifier: GPL-2.0

//! Tables for tests, built from bytes.

extern crate std;

use crate::uuid::Guid;
use std::{
    vec,
    vec::Vec, //
};

pub(super) const PERSISTENT: Guid = Guid::new(0x66f0d379_b4f3_4074_ac43_0d3318b78cdb);

pub(super) const VOLATILE: Guid = Guid::new(0x7305944f_fdda_44e3_b16c_3f22d252e5d0);

/// Returns a structure: type, length, fields.
pub(super) fn structure(kind: u16, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    let length = u16::try_from(body.len() + 4).unwrap();
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), &body].concat()
}

pub(super) fn range(index: u16, guid: Guid, base: u64, length: u64) -> Vec<u8> {
    structure(
        0,
        &[
            &index.to_le_bytes(),
            &3_u16.to_le_bytes(),
            &[0; 4],
            &0_u32.to_le_bytes(),
            guid.as_bytes(),
            &base.to_le_bytes(),
            &length.to_le_bytes(),
            &0x8008_u64.to_le_bytes(),
        ],
    )
}

/// The fields of a mapping that tests set.
pub(super) struct MappingFields {
    pub(super) handle: u32,
    pub(super) range: u16,
    pub(super) control_region: u16,
    pub(super) size: u64,
    pub(super) region_offset: u64,
    pub(super) flags: u16,
}

pub(super) fn mapping(fields: &MappingFields) -> Vec<u8> {
    structure(
        1,
        &[
            &fields.handle.to_le_bytes(),
            &0x17_u16.to_le_bytes(),
            &0_u16.to_le_bytes(),
            &fields.range.to_le_bytes(),
            &fields.control_region.to_le_bytes(),
            &fields.size.to_le_bytes(),
            &fields.region_offset.to_le_bytes(),
            &0_u64.to_le_bytes(),
            &0_u16.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &fields.flags.to_le_bytes(),
            &[0; 2],
        ],
    )
}

/// Returns a control region of 80 bytes, as QEMU creates it.
pub(super) fn control_region(index: u16, serial: u32) -> Vec<u8> {
    structure(
        4,
        &[
            &index.to_le_bytes(),
            &0x8086_u16.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &[0; 6],
            &[0; 6],
            &serial.to_le_bytes(),
            &0x0301_u16.to_le_bytes(),
            &0_u16.to_le_bytes(),
            &[0; 48],
        ],
    )
}

pub(super) fn flush_hints(handle: u32, addresses: &[u64]) -> Vec<u8> {
    let count = u16::try_from(addresses.len()).unwrap();
    let addresses: Vec<u8> = addresses
        .iter()
        .flat_map(|address| address.to_le_bytes())
        .collect();
    structure(
        6,
        &[
            &handle.to_le_bytes(),
            &count.to_le_bytes(),
            &[0; 6],
            &addresses,
        ],
    )
}

pub(super) fn capabilities(highest_bit: u8, bits: u32) -> Vec<u8> {
    structure(7, &[&[highest_bit, 0, 0, 0], &bits.to_le_bytes(), &[0; 4]])
}

/// Returns the structures that QEMU creates for its slots `0..slots`, each of 126 MiB. The last
/// slot comes first, as with QEMU.
pub(super) fn qemu(slots: u16) -> Vec<u8> {
    const SIZE: u64 = 126 << 20;

    (0..slots)
        .rev()
        .flat_map(|slot| {
            let range_index = 2 * (slot + 1);
            let base = 0x1_0000_0000 + u64::from(slot) * SIZE;
            [
                range(range_index, PERSISTENT, base, SIZE),
                mapping(&MappingFields {
                    handle: u32::from(slot) + 1,
                    range: range_index,
                    control_region: range_index + 1,
                    size: SIZE,
                    region_offset: 0,
                    flags: 0,
                }),
                control_region(range_index + 1, 0x12_3456 + u32::from(slot)),
            ]
        })
        .collect::<Vec<_>>()
        .concat()
}

/// Returns the static table around `body`.
pub(super) fn table(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 40).unwrap();
    let mut table = vec![0; 40];
    table[..4].copy_from_slice(b"NFIT");
    table[4..8].copy_from_slice(&length.to_le_bytes());
    table[8] = 1;
    table.extend_from_slice(body);
    table
}
