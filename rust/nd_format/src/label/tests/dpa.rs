// SPDX-License-Identifier: GPL-2.0

use super::super::dpa::{
    available_size,
    max_available_extent,
    reservations,
    NoSpace,
    Overlap,
    Reservation,
    Reserved, //
};
use super::*;
use proptest::prelude::*;

fn reservation(owner: u8, start: u64, len: u64) -> Reservation {
    Reservation {
        owner: uuid(owner),
        extent: extent(start * MIB, len * MIB),
    }
}

fn reserved(list: &[Reservation]) -> Reserved<'_> {
    Reserved::new(list).unwrap()
}

const MAPPING_MIB: u64 = 126;

fn mapping() -> Extent {
    extent(0, MAPPING_MIB * MIB)
}

#[test]
fn a_region_of_126_mib() {
    let none = reserved(&[]);
    assert_eq!(none.available(mapping(), 16 * MIB), 117_440_512);
    assert_eq!(none.largest_gap(mapping(), 16 * MIB), 117_440_512);
    assert_eq!(available_size([Some(117_440_512)]), 117_440_512);
    assert_eq!(max_available_extent([Some(117_440_512)]), 117_440_512);
}

#[test]
fn a_disabled_dimm() {
    assert_eq!(available_size([Some(MIB), None]), 0);
    assert_eq!(max_available_extent([Some(MIB), None]), 2 * MIB);
    assert_eq!(max_available_extent([Some(3), Some(0), Some(2)]), 6);
    assert_eq!(max_available_extent([None, None]), 0);
}

#[test]
fn overlaps_are_found() {
    let mut list = [reservation(1, 20, 10), reservation(2, 0, 21)];
    let error = Reserved::sort(&mut list).unwrap_err();
    assert_eq!(
        error,
        Overlap {
            lower: reservation(2, 0, 21),
            upper: reservation(1, 20, 10)
        }
    );
    let mut list = [reservation(1, 20, 10), reservation(2, 0, 20)];
    assert_eq!(
        Reserved::sort(&mut list).unwrap().of(uuid(1)),
        Some(extent(20 * MIB, 10 * MIB))
    );
}

#[test]
fn reservations_take_whole_units() {
    let list = [reservation(1, 17, 1), reservation(2, 40, 4)];
    // Units 16..32 and 32..48 are taken.
    assert_eq!(reserved(&list).available(mapping(), 16 * MIB), 80 * MIB);
    assert_eq!(reserved(&list).largest_gap(mapping(), 16 * MIB), 64 * MIB);
}

#[test]
fn a_reservation_at_an_odd_end_blocks_the_mapping() {
    let list = [reservation(1, 112, 14)];
    assert_eq!(reserved(&list).available(mapping(), 16 * MIB), 0);
    assert_eq!(reserved(&list).largest_gap(mapping(), 16 * MIB), 0);
    assert_eq!(reserved(&list).available(mapping(), MIB), 112 * MIB);
}

#[test]
fn reservations_outside_do_not_count() {
    let list = [reservation(1, 0, 16), reservation(2, 200, 16)];
    let mapping = extent(32 * MIB, 64 * MIB);
    assert_eq!(reserved(&list).available(mapping, 16 * MIB), 64 * MIB);
    assert_eq!(reserved(&list).gaps(mapping).collect::<Vec<_>>(), [mapping]);
}

#[test]
fn first_fit() {
    let list = [
        reservation(1, 0, 16),
        reservation(2, 32, 16),
        reservation(3, 80, 16),
    ];
    let list = reserved(&list);
    let at = |len| {
        list.place(mapping(), 16 * MIB, len * MIB)
            .map(|extent| extent.start() / MIB)
    };
    assert_eq!(at(16), Ok(16));
    assert_eq!(at(32), Ok(48));
    assert_eq!(
        at(48),
        Err(NoSpace {
            len: 48 * MIB,
            adjacent: None
        })
    );
}

#[test]
fn growing_needs_a_gap_next_to_it() {
    let list = [
        reservation(1, 16, 16),
        reservation(2, 48, 16),
        reservation(3, 64, 16),
    ];
    let list = reserved(&list);
    let grown = |owner, len| {
        let extent = list.resize(uuid(owner), mapping(), 16 * MIB, len * MIB);
        extent.map(|extent| extent.map(|extent| (extent.start() / MIB, extent.len() / MIB)))
    };
    // The gap in front is tried first.
    assert_eq!(grown(1, 32), Ok(Some((0, 32))));
    // Both neighbouring gaps together would do, but one has to.
    assert!(grown(1, 48).is_err());
    // 32..48 is next to both 1 and 2.
    assert_eq!(grown(2, 32), Ok(Some((32, 32))));
    assert_eq!(grown(3, 48), Ok(Some((64, 48))));
    assert!(grown(3, 64).is_err());
    assert_eq!(grown(4, 16), Ok(Some((0, 16))));
}

#[test]
fn shrinking_trims_the_end() {
    let list = [reservation(1, 16, 32)];
    let list = reserved(&list);
    let resize = |len| list.resize(uuid(1), mapping(), 16 * MIB, len * MIB);
    assert_eq!(resize(16), Ok(Some(extent(16 * MIB, 16 * MIB))));
    assert_eq!(resize(32), Ok(Some(extent(16 * MIB, 32 * MIB))));
    assert_eq!(resize(0), Ok(None));
}

#[test]
fn labels_reserve() {
    let mut dimm = Dimm::blank(4096);
    publish_on(
        core::slice::from_mut(&mut dimm),
        &contents(1),
        extent(MIB, MIB),
        None,
    )
    .unwrap();
    let found: Vec<_> = reservations(dimm.area()).collect();
    assert_eq!(found, [reservation(1, 1, 1)]);
}

proptest! {
    /// Sequences of placing, resizing and dropping never overlap, and what is called available can be had.
    #[test]
    fn allocations_stay_apart(steps in proptest::collection::vec((0u8..6, 0u64..9), 1..40)) {
        let align = 4 * MIB;
        let mapping = extent(3 * MIB, 70 * MIB);
        let mut list: Vec<Reservation> = Vec::new();
        for (owner, units) in steps {
            let map = Reserved::sort(&mut list).unwrap();
            let largest = map.largest_gap(mapping, align);
            let old = map.of(uuid(owner));
            let result = map.resize(uuid(owner), mapping, align, units * align);
            if old.is_none() && units != 0 {
                prop_assert_eq!(result.is_ok(), units * align <= largest);
            }
            if let Ok(new) = result {
                list.retain(|reservation| reservation.owner != uuid(owner));
                if let Some(new) = new {
                    prop_assert_eq!(new.len(), units * align);
                    prop_assert!(mapping.covers(&new));
                    list.push(Reservation { owner: uuid(owner), extent: new });
                }
            }
        }
        let map = Reserved::sort(&mut list);
        prop_assert!(map.is_ok());
    }

    #[test]
    fn any_numbers_are_endured(
        ranges in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..6),
        (start, len) in any::<(u64, u64)>(),
        align in any::<u64>(),
        size in any::<u64>(),
    ) {
        let mut list: Vec<_> = ranges
            .into_iter()
            .filter_map(|(start, len)| Some(Reservation { owner: uuid(1), extent: Extent::new(start, len)? }))
            .collect();
        if let (Ok(map), Some(mapping)) = (Reserved::sort(&mut list), Extent::new(start, len)) {
            prop_assert!(map.largest_gap(mapping, align) <= map.available(mapping, align));
            prop_assert!(map.available(mapping, align) <= mapping.len());
            if let Ok(Some(extent)) = map.resize(uuid(1), mapping, align, size) {
                prop_assert_eq!(extent.len(), size);
            }
        }
    }
}
