// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::free_space::{
    common_extent,
    FreeSpace,
    Mappings,
    NoSpace,
    ShareMismatch, //
};
use proptest::prelude::*;

const MAPPING_MIB: u64 = 126;

/// Addresses in MiB.
type Range = (u64, u64);

fn mib((start, len): Range) -> Extent {
    extent(start * MIB, len * MIB)
}

/// Calls `look` with the free space of a mapping in which `taken` are reserved.
fn with_free_space<T>(
    taken: &[Range],
    mapping: Range,
    align: u64,
    look: impl Fn(FreeSpace<'_>) -> T,
) -> T {
    let mappings = Mappings::new([mib(mapping)], align * MIB).unwrap();
    let mut taken: Vec<_> = taken.iter().copied().map(mib).collect();
    look(FreeSpace::new(mappings, &mut taken))
}

/// Returns the free bytes, in all and in one piece.
fn free(taken: &[Range], mapping: Range, align: u64) -> (u64, u64) {
    with_free_space(taken, mapping, align, |free_space| {
        (
            free_space.available_size(),
            free_space.max_available_extent(),
        )
    })
}

const WHOLE: Range = (0, MAPPING_MIB);

#[test]
fn a_region_of_126_mib() {
    assert_eq!(free(&[], WHOLE, 16), (117_440_512, 117_440_512));
}

#[test]
fn reservations_take_whole_units() {
    // Units 16..32 and 32..48 are taken.
    assert_eq!(free(&[(17, 1), (40, 4)], WHOLE, 16), (80 * MIB, 64 * MIB));
}

#[test]
fn a_reservation_at_an_odd_end_blocks_the_mapping() {
    assert_eq!(free(&[(112, 14)], WHOLE, 16), (0, 0));
    assert_eq!(free(&[(112, 14)], WHOLE, 1).0, 112 * MIB);
}

#[test]
fn reservations_outside_do_not_count() {
    let taken = [(0, 16), (200, 16)];
    assert_eq!(free(&taken, (32, 64), 16).0, 64 * MIB);
    let gaps: Vec<_> = with_free_space(&taken, (32, 64), 16, |free_space| {
        free_space.gaps().collect()
    });
    assert_eq!(gaps, [mib((32, 64))]);
}

#[test]
fn first_fit() {
    let at = |len| {
        with_free_space(&[(0, 16), (32, 16), (80, 16)], WHOLE, 16, |free_space| {
            let place = free_space.allocate(len * MIB);
            place.map(|extent| extent.start() / MIB)
        })
    };
    assert_eq!(at(16), Ok(16));
    assert_eq!(at(32), Ok(48));
    let len = 48 * MIB;
    let adjacent = None;
    assert_eq!(at(48), Err(NoSpace { len, adjacent }));
}

#[test]
fn growing_needs_a_gap_next_to_it() {
    let list = [(16, 16), (48, 16), (64, 16)];
    let grown = |index: Option<usize>, len| {
        with_free_space(&list, WHOLE, 16, |free_space| {
            let old = index.map(|index| mib(list[index]));
            let new = free_space.resize(old, len * MIB);
            new.map(|extent| extent.map(|extent| (extent.start() / MIB, extent.len() / MIB)))
        })
    };
    // The gap in front is tried first.
    assert_eq!(grown(Some(0), 32), Ok(Some((0, 32))));
    // Both neighbouring gaps together would suffice, but one has to.
    assert!(grown(Some(0), 48).is_err());
    // 32..48 is next to both of the first two.
    assert_eq!(grown(Some(1), 32), Ok(Some((32, 32))));
    assert_eq!(grown(Some(2), 48), Ok(Some((64, 48))));
    assert!(grown(Some(2), 64).is_err());
    assert_eq!(grown(None, 16), Ok(Some((0, 16))));
}

#[test]
fn shrinking_trims_the_end() {
    let resize = |len| {
        with_free_space(&[(16, 32)], WHOLE, 16, |free_space| {
            free_space.resize(Some(mib((16, 32))), len * MIB)
        })
    };
    assert_eq!(resize(16), Ok(Some(mib((16, 16)))));
    assert_eq!(resize(32), Ok(Some(mib((16, 32)))));
    assert_eq!(resize(0), Ok(None));
}

/// Half of the mapping of each DIMM is free, but nothing at the same offset on both.
#[test]
fn room_is_what_all_dimms_have() {
    let taken = [(0, 32), (32, 32)];
    assert_eq!(free(&taken, (0, 64), 16), (0, 0));
    // A range of one DIMM within that of another.
    assert_eq!(free(&[(0, 48), (16, 16)], (0, 64), 16).0, 16 * MIB);
    assert_eq!(free(&[(0, 32), (0, 32), (16, 32)], (0, 64), 16).0, 16 * MIB);
    // A namespace at 16..32, and labels of another set behind it on one DIMM and over it on
    // another.
    for other in [(32, 16), (24, 16)] {
        let grown = with_free_space(&[(16, 16), (16, 16), other], (0, 64), 16, |free_space| {
            free_space.resize(Some(mib((16, 16))), 48 * MIB)
        });
        assert!(grown.is_err());
    }
}

#[test]
fn labels_of_all_dimms_count() {
    let mut dimms = [Dimm::blank(4096), Dimm::blank(4096)];
    let [first, second] = &mut dimms;
    let one = core::slice::from_mut;
    write_labels_on(one(first), &fields(1), mib((16, 4)), None).unwrap();
    write_labels_on(one(first), &fields(2), mib((100, 4)), None).unwrap();
    write_labels_on(one(second), &fields(1), mib((40, 8)), None).unwrap();
    // This range begins in front of the mapping, as no namespace of the set does.
    write_labels_on(one(second), &fields(2), mib((30, 4)), None).unwrap();
    // The second mapping is the shorter one.
    let own = [mib((0, 64)), mib((32, 32))];
    let mappings = Mappings::new(own, MIB).unwrap();
    let mut taken: Vec<_> = dimms
        .iter()
        .zip(own)
        .flat_map(|(dimm, mapping)| mappings.reserved(dimm.area(), mapping))
        .collect();
    assert_eq!(taken, [mib((16, 4)), mib((8, 8)), mib((0, 2))]);
    let free_space = FreeSpace::new(mappings, &mut taken);
    let gaps: Vec<_> = free_space.gaps().collect();
    assert_eq!(gaps, [mib((2, 6)), mib((20, 12))]);
    assert_eq!(Mappings::new([], MIB), None);
}

#[test]
fn shares_have_one_offset() {
    let [first, second] = [mib((0, 64)), mib((64, 64))];
    let common = |shares: [Option<Range>; 2]| {
        let [one, two] = shares.map(|share| share.map(mib));
        common_extent([(first, one), (second, two)])
    };
    assert_eq!(common([Some((4, 2)), Some((68, 2))]), Ok(Some(mib((4, 2)))));
    assert_eq!(common([None, None]), Ok(None));
    for other in [Some((69, 2)), Some((68, 3)), Some((4, 2)), None] {
        let apart = ShareMismatch {
            member: 1,
            found: other.map(mib),
            expected: Some(mib((68, 2))),
        };
        assert_eq!(common([Some((4, 2)), other]), Err(apart));
    }
    assert!(common([None, Some((68, 2))]).is_err());
}

proptest! {
    /// Sequences of placing, resizing and dropping on DIMMs with other reservations never overlap,
    /// and what is reported as available can be allocated.
    #[test]
    fn allocations_stay_apart(
        others in proptest::collection::vec((0u64..64, 1u64..9), 0..3),
        steps in proptest::collection::vec((0u8..6, 0u64..9), 1..40),
    ) {
        let align = 4 * MIB;
        let mapping = extent(3 * MIB, 70 * MIB);
        let mappings = Mappings::new([mapping], align).unwrap();
        let others: Vec<_> = others.into_iter().map(mib).collect();
        let mut list: BTreeMap<u8, Extent> = BTreeMap::new();
        for (owner, units) in steps {
            let mut taken: Vec<_> = list.values().chain(&others).copied().collect();
            let free_space = FreeSpace::new(mappings, &mut taken);
            let largest = free_space.max_available_extent();
            let old = list.get(&owner).copied();
            let result = free_space.resize(old, units * align);
            if old.is_none() && units != 0 {
                let is_available = units * align <= largest;
                // Units that other reservations touch may count more than once.
                prop_assert!(result.is_ok() || !is_available);
                prop_assert!(is_available || result.is_err() || !others.is_empty());
            }
            let Ok(new) = result else { continue };
            list.remove(&owner);
            if let Some(new) = new {
                prop_assert_eq!(new.len(), units * align);
                prop_assert!(mapping.covers(&new));
                prop_assert!(list.values().chain(&others).all(|other| !other.overlaps(&new)));
                list.insert(owner, new);
            }
        }
    }

    #[test]
    fn any_numbers_are_endured(
        ranges in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..6),
        (start, len) in any::<(u64, u64)>(),
        align in any::<u64>(),
        size in any::<u64>(),
    ) {
        let extents = ranges.into_iter().filter_map(|(start, len)| Extent::new(start, len));
        let mut taken: Vec<_> = extents.collect();
        let old = taken.first().copied();
        let mappings = Extent::new(start, len).and_then(|mapping| Mappings::new([mapping], align));
        if let Some(mappings) = mappings {
            let free_space = FreeSpace::new(mappings, &mut taken);
            prop_assert!(free_space.max_available_extent() <= free_space.available_size());
            prop_assert!(free_space.available_size() <= len);
            for old in [None, old] {
                if let Ok(Some(extent)) = free_space.resize(old, size) {
                    prop_assert_eq!(extent.len(), size);
                }
            }
        }
    }
}
