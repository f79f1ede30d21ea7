// SPDX-License-Identifier: GPL-2.0

//! Tests of interleave sets: the order of their members, and cookies.

extern crate std;

use super::sample::{
    self,
    MappingFields, //
};
use crate::{
    label::Cookies,
    nfit::{
        interleave::{
            InterleaveSet,
            Member,
            MAX_MEMBERS, //
        },
        *, //
    },
};
use proptest::prelude::*;
use std::{
    string::ToString,
    vec,
    vec::Vec, //
};

fn set_of(table: &Nfit<'_>, range: &SystemRange) -> (Cookies, Vec<usize>) {
    let members: Vec<Member> = table
        .mappings_of(range)
        .map(|mapping| {
            let index = mapping.control_region_index.get();
            Member::new(mapping, table.control_region(index).unwrap())
        })
        .collect();
    let set = InterleaveSet::new(&members).unwrap();
    let positions = (0..members.len())
        .map(|index| set.position(index).unwrap())
        .collect();
    (set.cookies(), positions)
}

#[test]
fn qemu_cookies() {
    let bytes = sample::qemu(2);
    let table = Nfit::from_structures(&bytes).unwrap();
    let sets: Vec<_> = table.ranges().map(|range| set_of(&table, range)).collect();
    let slot_0 = Cookies {
        v1_1: 0x0024_68ac_0012_3456,
        v1_2: 0x00ba_9012_0012_b4dc,
        alternate: 0x0024_68ac_0012_3456,
    };
    let slot_1 = Cookies {
        v1_1: 0x0024_68ae_0012_3457,
        v1_2: 0x00ba_901c_0012_b4dd,
        alternate: 0x0024_68ae_0012_3457,
    };
    assert_eq!(sets, [(slot_1, vec![0]), (slot_0, vec![0])]);
}

/// Returns a table with a set of DIMMs at the given offsets and with ascending serial numbers from
/// 1.
fn interleaved(offsets: &[u64]) -> Vec<u8> {
    let mut bytes = sample::range(1, sample::PERSISTENT, 0, 1 << 30);
    for (serial, &region_offset) in (1_u16..).zip(offsets) {
        bytes.extend(sample::mapping(&MappingFields {
            handle: u32::from(serial),
            range: 1,
            control_region: serial,
            size: 1 << 20,
            region_offset,
            flags: 0,
        }));
        bytes.extend(sample::control_region(serial, u32::from(serial)));
    }
    bytes
}

#[test]
fn members_are_ranked_by_offset() {
    let bytes = interleaved(&[0x300, 0x100, 0x1_0000, 0]);
    let table = Nfit::from_structures(&bytes).unwrap();
    let (cookies, positions) = set_of(&table, table.ranges().next().unwrap());
    assert_eq!(positions, [2, 1, 3, 0]);

    // Record by record, in the order of the specification: offset (two words), serial, zero.
    let v1_1 = [
        0, 0, 4, 0, 0x100, 0, 2, 0, 0x300, 0, 1, 0, 0x1_0000, 0, 3, 0,
    ];
    assert_eq!(cookies.v1_1, crate::fletcher::fletcher64(v1_1.into_iter()));
    // As bytes, 0x10000 is 00 00 01, so it comes before 0x100, 00 01.
    let alternate = [
        0, 0, 4, 0, 0x1_0000, 0, 3, 0, 0x100, 0, 2, 0, 0x300, 0, 1, 0,
    ];
    assert_eq!(
        cookies.alternate,
        crate::fletcher::fletcher64(alternate.into_iter())
    );
    assert_ne!(cookies.alternate, cookies.v1_1);
}

#[test]
fn set_size_is_limited() {
    let offsets: Vec<u64> = (0..33).collect();
    let bytes = interleaved(&offsets);
    let table = Nfit::from_structures(&bytes).unwrap();
    let members: Vec<Member> = table
        .mappings()
        .map(|mapping| Member::new(mapping, table.control_region(1).unwrap()))
        .collect();
    assert!(InterleaveSet::new(&members[..MAX_MEMBERS]).is_ok());
    assert_eq!(
        InterleaveSet::new(&members).unwrap_err().to_string(),
        "interleave set has 33 mappings, expected at most 32"
    );
}

proptest! {
    #[test]
    fn cookies_do_not_depend_on_the_order_of_the_table(
        offsets in prop::collection::btree_set(any::<u64>(), 1..8),
    ) {
        let ascending: Vec<u64> = offsets.into_iter().collect();
        let bytes = interleaved(&ascending);
        let table = Nfit::from_structures(&bytes).unwrap();
        let members: Vec<Member> = table
            .mappings()
            .map(|mapping| {
                let index = mapping.control_region_index.get();
                Member::new(mapping, table.control_region(index).unwrap())
            })
            .collect();
        let reversed: Vec<Member> = members.iter().rev().copied().collect();
        let forward = InterleaveSet::new(&members).unwrap();
        let backward = InterleaveSet::new(&reversed).unwrap();
        prop_assert_eq!(forward.cookies(), backward.cookies());
        for index in 0..members.len() {
            prop_assert_eq!(forward.position(index), Some(index));
            prop_assert_eq!(backward.position(index), Some(members.len() - 1 - index));
        }
    }
}
