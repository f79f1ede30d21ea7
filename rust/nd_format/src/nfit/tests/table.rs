// SPDX-License-Identifier: GPL-2.0

//! Tests of the walk over the structures of a table, and of its errors.

extern crate std;

use super::sample;
use crate::nfit::{
    interleave::{
        InterleaveSet,
        Member, //
    },
    *, //
};
use proptest::prelude::*;
use std::{
    string::{
        String,
        ToString, //
    },
    vec,
    vec::Vec, //
};

#[test]
fn layouts_have_the_sizes_of_the_specification() {
    assert_eq!(size_of::<TableHeader>(), 40);
    assert_eq!(size_of::<SystemRange>(), 56);
    assert_eq!(size_of::<Mapping>(), 48);
    assert_eq!(size_of::<InterleaveHeader>(), 16);
    assert_eq!(size_of::<ControlRegion>(), 32);
    assert_eq!(size_of::<DataWindow>(), 40);
    assert_eq!(size_of::<FlushHintsHeader>(), 16);
    assert_eq!(size_of::<Capabilities>(), 16);
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = sample::table(&sample::qemu(3));
    let lengths = [56, 48, 80].repeat(3);
    let ends: Vec<usize> = lengths
        .iter()
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect();

    for length in 0..bytes.len() {
        assert!(
            Nfit::from_table(&bytes[..length]).is_err(),
            "table cut at {length}"
        );
        let Some(body) = length.checked_sub(40) else {
            continue;
        };
        // The rest of a cut structure may look like padding, but only if it is all zeroes.
        let complete = ends.iter().rev().find(|&&end| end <= body).unwrap_or(&0);
        assert_eq!(
            Nfit::from_structures(&bytes[40..length]).is_ok(),
            bytes[40 + complete..length].iter().all(|&byte| byte == 0),
            "structures cut at {body}"
        );
    }
}

/// Returns the text of the error for `bytes`.
fn error(bytes: &[u8]) -> String {
    Nfit::from_structures(bytes).unwrap_err().to_string()
}

/// Returns the text of the one malformed structure in the table of `bytes`.
fn complaint(bytes: &[u8]) -> String {
    let table = Nfit::from_structures(bytes).unwrap();
    let mut malformed = table.malformed();
    let complaint = malformed.next().unwrap().to_string();
    assert!(malformed.next().is_none());
    complaint
}

#[test]
fn lengths_are_checked() {
    let zero_length = [sample::qemu(1), vec![0; 4], sample::qemu(1)].concat();
    assert_eq!(
        error(&zero_length),
        "structure at offset 0xb8 (type 0) has length 0, expected at least 4"
    );
    let past_end = [sample::qemu(1), vec![1, 0, 48, 0]].concat();
    assert_eq!(
        error(&past_end),
        "structure at offset 0xb8 (type 1) has length 48, expected at most the 4 bytes up to the end of the table"
    );
    assert_eq!(
        error(&[3, 0, 8]),
        "structure at offset 0x0 has 3 bytes up to the end of the table, expected a header of 4"
    );
    assert_eq!(
        complaint(&sample::structure(1, &[&[0; 40]])),
        "structure at offset 0x0 (type 1) has length 44, expected 48"
    );
    assert_eq!(
        error(&sample::structure(1, &[&[0; 9]])),
        "structure at offset 0x0 (type 1) has length 13, expected 48"
    );
    assert_eq!(
        error(&sample::structure(6, &[&[0; 3]])),
        "structure at offset 0x0 (type 6) has length 7, expected at least 16"
    );
    assert_eq!(
        complaint(&sample::structure(7, &[&[0; 8]])),
        "structure at offset 0x0 (type 7) has length 12, expected at least 16"
    );
    for (kind, length) in [(2, 15), (4, 31), (5, 39), (5, 41), (6, 15)] {
        let found = complaint(&sample::structure(kind, &[&vec![0; length - 4]]));
        assert!(
            found.contains(&std::format!("(type {kind}) has length {length},")),
            "{found}"
        );
    }
}

#[test]
fn location_cookie_goes_with_its_flag() {
    let plain = sample::range(1, sample::PERSISTENT, 0, 4096);
    let with_cookie = |flags| {
        let mut bytes = plain.clone();
        bytes[2..4].copy_from_slice(&64_u16.to_le_bytes());
        bytes[6] = flags;
        bytes.extend([0xcc; 8]);
        bytes
    };
    let flagged = with_cookie(7);
    assert_eq!(
        Nfit::from_structures(&flagged).unwrap().malformed().count(),
        0
    );
    assert_eq!(
        complaint(&with_cookie(3)),
        "structure at offset 0x0 (type 0) has length 64, expected 56"
    );
    let mut without_cookie = plain.clone();
    without_cookie[6] = 7;
    assert_eq!(
        complaint(&without_cookie),
        "structure at offset 0x0 (type 0) has length 56, expected 64"
    );
}

#[test]
fn counts_are_checked_against_the_structure() {
    let mut hints = sample::flush_hints(5, &[0x1000, 0x2000]);
    let table = Nfit::from_structures(&hints).unwrap();
    let addresses = table.flush_hints(DeviceHandle(5)).addresses;
    assert_eq!(
        addresses.iter().map(|a| a.get()).collect::<Vec<_>>(),
        [0x1000, 0x2000]
    );
    hints[8] = 3;
    assert_eq!(
        complaint(&hints),
        "structure at offset 0x0 (type 6) has length 32, expected at least 40"
    );

    let lines =
        |count: u32| sample::structure(2, &[&[1, 0, 0, 0], &count.to_le_bytes(), &[0; 4], &[0; 8]]);
    assert_eq!(
        Nfit::from_structures(&lines(2))
            .unwrap()
            .malformed()
            .count(),
        0
    );
    complaint(&lines(3));
    complaint(&lines(u32::MAX));
}

#[test]
fn padding_and_unknown_types_are_passed() {
    let bytes = [
        sample::structure(0x8001, &[&[1, 2]]),
        sample::qemu(1),
        vec![0; 9],
    ]
    .concat();
    let table = Nfit::from_structures(&bytes).unwrap();
    let mut structures = table.structures();
    assert!(
        matches!(structures.next(), Some(Structure::Unknown { kind: 0x8001, bytes }) if bytes.len() == 6)
    );
    assert_eq!(structures.count(), 3);
}

#[test]
fn static_table_header_is_checked() {
    let good = sample::table(&sample::qemu(1));
    let with = |offset: usize, bytes: &[u8]| {
        let mut table = good.clone();
        table[offset..offset + bytes.len()].copy_from_slice(bytes);
        Nfit::from_table(&table).map(drop).unwrap_err().to_string()
    };
    assert_eq!(
        with(0, b"S\0DT"),
        "table has signature \"S\\x00DT\", expected \"NFIT\""
    );
    assert_eq!(with(4, &[39, 0]), "table length is 39, expected 40 to 224");
    assert_eq!(
        with(4, &[225, 0]),
        "table length is 225, expected 40 to 224"
    );
    assert_eq!(
        Nfit::from_table(&good[..39])
            .map(drop)
            .unwrap_err()
            .to_string(),
        "table has 39 bytes, expected a header of 40"
    );
}

/// Uses all views that a table has.
fn use_all_views(bytes: &[u8]) {
    let Ok(table) = Nfit::from_structures(bytes) else {
        return;
    };
    for dimm in table.dimms() {
        match dimm {
            Ok(dimm) => {
                let _ = dimm
                    .control_region
                    .map(|region| DimmId::new(region).to_string());
                let _ = table.flush_hints(dimm.handle);
            }
            Err(error) => drop(error.to_string()),
        }
    }
    for malformed in table.malformed() {
        drop(malformed.to_string());
    }
    for range in table.ranges() {
        let _ = range.bounds();
        let _ = table.malformed_mapping_of(range);
        let members: Vec<Member> = table
            .mappings_of(range)
            .filter_map(|mapping| {
                let region = table.control_region(mapping.control_region_index.get())?;
                Some(Member::new(mapping, region))
            })
            .collect();
        if let Ok(set) = InterleaveSet::new(&members) {
            let _ = set.cookies();
            let mut positions: Vec<usize> = (0..members.len())
                .map(|i| set.position(i).unwrap())
                .collect();
            positions.sort_unstable();
            assert!(positions.into_iter().eq(0..members.len()));
        }
    }
    let _ = table.capabilities().map(Capabilities::persistence_domain);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        use_all_views(&bytes);
    }

    #[test]
    fn any_damage_to_a_table_is_survived(
        slots in 1_u16..4,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample::qemu(slots);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        use_all_views(&bytes);
    }
}
