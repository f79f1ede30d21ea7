// SPDX-License-Identifier: GPL-2.0

//! Firmware tables. The views of a table are the bytes of the table, in order and without a gap.
//! Each member of an interleave set has a position of its own.
//!
//! Input: structures, as the `_FIT` method returns them. The static table around them, and an
//! answer about health, are made of the same bytes.

use nd_format::nfit::{
    health::Shutdown,
    interleave::{
        InterleaveSet,
        Member, //
    },
    structures,
    DimmId,
    Error,
    Nfit,
    Structure, //
};
use std::{
    fmt::Write as _,
    hint::black_box, //
};
use zerocopy::IntoBytes as _;

pub(crate) fn run(bytes: &[u8]) {
    black_box(Shutdown::from_smart(bytes));
    if let Err(error) = Nfit::from_table(bytes) {
        drop(error.to_string());
    }
    let mut table = [0; 40];
    table[..4].copy_from_slice(b"NFIT");
    table[4..8].copy_from_slice(&(bytes.len() as u32 + 40).to_le_bytes());
    let table = [&table[..], bytes].concat();

    let walked = structures(bytes).collect::<Result<Vec<_>, _>>();
    match (Nfit::from_table(&table), &walked) {
        (Ok((_, nfit)), Ok(walked)) => {
            assert_eq!(nfit.structures().count(), walked.len());
            check_bytes(bytes, walked);
            check_malformed(&nfit, bytes, walked);
            look(&nfit);
        }
        (Err(found), Err(error)) => {
            assert!(found == *error || matches!(found, Error::WrongLength { .. }));
        }
        // A structure that is too short to say what it describes.
        (Err(Error::WrongLength { kind, found, .. }), Ok(_)) => {
            assert!(kind == 1 && found < 14 || kind == 6 && found < 8);
        }
        (found, _) => panic!("the walk and the table disagree: {found:?}"),
    }
}

/// Checks that the views show the bytes of the table.
fn check_bytes(bytes: &[u8], structures: &[Structure<'_>]) {
    let mut rest = bytes;
    for structure in structures {
        let (view, tail): (&[u8], &[u8]) = match structure {
            Structure::Range(range) => (range.as_bytes(), &[]),
            Structure::Mapping(mapping) => (mapping.as_bytes(), &[]),
            Structure::Interleave(interleave) => {
                (interleave.header.as_bytes(), interleave.lines.as_bytes())
            }
            Structure::Smbios(bytes) | Structure::Unknown { bytes, .. } => (bytes, &[]),
            Structure::ControlRegion(region) => (region.as_bytes(), &[]),
            Structure::DataWindow(window) => (window.as_bytes(), &[]),
            Structure::Malformed(malformed) => {
                drop(malformed.to_string());
                (&[], &[])
            }
            // The view of flush hints does not include their header.
            Structure::FlushHints(hints) => (&[], hints.addresses.as_bytes()),
            Structure::Capabilities(capabilities) => (capabilities.as_bytes(), &[]),
        };
        let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
        let (own, behind) = rest.split_at(length);
        let tail_at = if view.is_empty() { 16 } else { view.len() };
        assert!(own.starts_with(view));
        assert!(tail.is_empty() || own[tail_at..].starts_with(tail));
        rest = behind;
    }
    assert!(rest.iter().all(|&byte| byte == 0));
}

/// Checks that what a malformed structure may be a part of does not count as complete.
fn check_malformed(nfit: &Nfit<'_>, bytes: &[u8], structures: &[Structure<'_>]) {
    let is_malformed = |structure: &&Structure<'_>| matches!(structure, Structure::Malformed(_));
    assert_eq!(
        nfit.malformed().count(),
        structures.iter().filter(is_malformed).count()
    );
    let good = |handle| {
        let mut dimms = nfit.dimms().flatten();
        dimms.any(|dimm| dimm.handle.0 == handle)
    };
    let mut rest = bytes;
    for structure in structures {
        let (own, behind) = rest.split_at(usize::from(u16::from_le_bytes([rest[2], rest[3]])));
        rest = behind;
        if !is_malformed(&structure) {
            continue;
        }
        let kind = u16::from_le_bytes([own[0], own[1]]);
        if kind == 1 || kind == 6 {
            let handle = u32::from_le_bytes([own[4], own[5], own[6], own[7]]);
            assert!(!good(handle), "DIMM {handle:#x}");
        }
        if kind == 1 {
            let index = u16::from_le_bytes([own[12], own[13]]);
            let mut ranges = nfit
                .ranges()
                .filter(|range| index != 0 && range.index.get() == index);
            assert!(ranges.all(|range| nfit.malformed_mapping_of(range).is_some()));
        }
    }
}

fn look(nfit: &Nfit<'_>) {
    let mut text = String::new();
    for dimm in nfit.dimms() {
        match dimm {
            Ok(dimm) => {
                let hints = nfit.flush_hints(dimm.handle);
                assert!(hints.addresses.is_empty() || hints.device == dimm.handle);
                if let Some(region) = dimm.control_region {
                    let _ = write!(text, "{}", DimmId::new(region));
                }
            }
            Err(error) => {
                let _ = write!(text, "{error}");
            }
        }
    }
    for range in nfit.ranges() {
        let bounds = range.bounds();
        assert!(bounds.is_none_or(|(first, last)| first <= last));
        black_box((range.kind().guid(), range.proximity_domain()));
        let members: Vec<Member> = nfit
            .mappings_of(range)
            .filter_map(|mapping| {
                let region = nfit.control_region(mapping.control_region_index.get())?;
                Some(Member::new(mapping, region))
            })
            .collect();
        check_set(&members);
    }
    black_box(nfit.capabilities().map(|found| found.persistence_domain()));
}

fn check_set(members: &[Member]) {
    let Ok(set) = InterleaveSet::new(members) else {
        return;
    };
    set.cookies();
    let mut positions: Vec<_> = (0..members.len())
        .filter_map(|index| set.position(index))
        .collect();
    positions.sort_unstable();
    assert!(positions.iter().copied().eq(0..members.len()));
    assert_eq!(set.position(members.len()), None);
}

/// Returns a structure: type, length, fields.
fn structure(kind: u16, fields: &[u8]) -> Vec<u8> {
    let length = fields.len() as u16 + 4;
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), fields].concat()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let persistent: [u8; 16] = [
        0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40, 0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c,
        0xdb,
    ];
    let le = |number: u64, len: usize| number.to_le_bytes()[..len].to_vec();
    let range = structure(
        0,
        &[
            le(1, 2),
            le(3, 2),
            le(0, 8),
            persistent.to_vec(),
            le(1 << 32, 8),
            le(1 << 27, 8),
            le(0x8008, 8),
        ]
        .concat(),
    );
    let mapping = |handle: u64, offset: u64| {
        structure(
            1,
            &[
                le(handle, 4),
                le(0x17, 4),
                le(1, 2),
                le(handle, 2),
                le(1 << 26, 8),
                le(offset, 8),
                le(0, 8),
                le(0, 2),
                le(2, 2),
                le(0, 4),
            ]
            .concat(),
        )
    };
    let region = |index: u64| {
        structure(
            4,
            &[le(index, 2), vec![index as u8; 26], vec![0; 48]].concat(),
        )
    };
    let hints = structure(
        6,
        &[le(1, 4), le(2, 2), vec![0; 6], le(0x1000, 8), le(0x2000, 8)].concat(),
    );
    let interleave = structure(
        2,
        &[le(1, 2), le(0, 2), le(2, 4), le(256, 4), le(0, 4), le(2, 4)].concat(),
    );
    let window = structure(5, &[1; 36]);
    let capabilities = structure(7, &[1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    let overlong = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes[2] += 1;
        bytes
    };
    vec![
        [range.clone(), mapping(1, 0), region(1)].concat(),
        [
            range.clone(),
            mapping(1, 0),
            overlong(mapping(2, 0)),
            region(1),
            structure(6, &[3, 0, 0, 0]),
        ]
        .concat(),
        [
            range,
            mapping(1, 0),
            mapping(2, 1 << 26),
            region(1),
            region(2),
            hints,
            capabilities.clone(),
            vec![0; 8],
        ]
        .concat(),
        [
            interleave,
            window,
            structure(3, &[9; 12]),
            structure(99, &[]),
            capabilities,
        ]
        .concat(),
    ]
}
