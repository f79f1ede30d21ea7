// SPDX-License-Identifier: GPL-2.0

//! Tests of the flog codec.

extern crate std;

use super::*;
use proptest::prelude::*;
use std::string::ToString;

const BLANK: RawSlot = RawSlot {
    lba: 0,
    old_map: 0,
    new_map: 0,
    seq: 0,
};

fn slot(lba: u32, seq: u32) -> RawSlot {
    RawSlot {
        lba,
        old_map: lba + 100,
        new_map: lba + 200,
        seq,
    }
}

#[test]
fn exactly_the_legal_pairs_are_accepted() {
    // Among them are numbers that the C driver's sums accept, or that make them wrap around.
    let numbers = [0, 1, 2, 3, 4, 5, 6, 0x8000_0000, u32::MAX - 1, u32::MAX];
    for first in numbers {
        for second in numbers {
            let found = FlogPair::decode(slot(1, first), slot(2, second));
            let newest = match (first, second) {
                (1, 0) | (2, 1) | (3, 2) | (1, 3) => Some(Side::First),
                (1, 2) | (2, 3) | (3, 1) => Some(Side::Second),
                _ => None,
            };
            match newest {
                Some(side) => {
                    let pair = found.unwrap();
                    assert_eq!(pair.newest, side);
                    let lba = if side == Side::First { 1 } else { 2 };
                    assert_eq!(pair.entry.lba, lba);
                }
                None => assert_eq!(found, Err(FlogError::Sequence { first, second })),
            }
        }
    }
}

#[test]
#[ignore = "seconds if optimised, minutes if not"]
fn exactly_three_of_all_numbers_are_sequence_numbers() {
    let found = (0..=u32::MAX).filter_map(|number| {
        let seq = Seq::from_number(number)?;
        assert_eq!(seq.number(), number);
        Some(seq)
    });
    assert!(found.eq([Seq::One, Seq::Two, Seq::Three]));
}

#[test]
fn flags_of_block_numbers() {
    let decode = |old_map, new_map| {
        let newest = RawSlot {
            lba: 0,
            old_map,
            new_map,
            seq: 1,
        };
        let entry = FlogPair::decode(newest, BLANK).unwrap().entry;
        (entry.old, entry.old_bad, entry.new)
    };
    assert_eq!(decode(5, 6), (5, false, 6));
    assert_eq!(decode(0x4000_0005, 6), (5, true, 6));
    assert_eq!(decode(0x8000_0005, 0x8000_0006), (5, false, 6));
    assert_eq!(decode(0xc000_0005, 0xc000_0006), (5, false, 6));
}

#[test]
fn initial_entries() {
    let slot = FlogEntry::initial(3, 1000).encode();
    assert_eq!(slot.halves(), [3 | 1003 << 32, 1003 | 1 << 32]);
    let pair = FlogPair::decode(slot, BLANK).unwrap();
    assert_eq!(pair.entry, FlogEntry::initial(3, 1000));
}

fn detect(groups: &[[RawSlot; SLOTS]]) -> Result<FlogLayout, FlogError> {
    let mut detector = LayoutDetector::default();
    groups
        .iter()
        .try_for_each(|group| detector.inspect(group))?;
    Ok(detector.layout())
}

#[test]
fn layouts() {
    let fresh = [slot(1, 1), BLANK, BLANK, BLANK];
    let adjacent = [slot(1, 1), slot(2, 2), BLANK, BLANK];
    let legacy = [slot(1, 1), BLANK, slot(2, 2), BLANK];
    assert_eq!(detect(&[fresh, fresh]), Ok(FlogLayout::Adjacent));
    assert_eq!(detect(&[fresh, adjacent, fresh]), Ok(FlogLayout::Adjacent));
    assert_eq!(detect(&[fresh, legacy, legacy]), Ok(FlogLayout::Legacy));
    assert_eq!(detect(&[adjacent, legacy]), Err(FlogError::Mixed));
    assert_eq!(detect(&[legacy, fresh, adjacent]), Err(FlogError::Mixed));
}

#[test]
fn groups_that_nothing_leads_to() {
    let adjacent = [slot(1, 1), slot(2, 2), BLANK, BLANK];
    let erased = [BLANK; SLOTS];
    // At any position: taken for a new lane, such a group would make block 0 both free and mapped.
    for groups in [[erased, adjacent], [adjacent, erased], [erased, erased]] {
        assert_eq!(detect(&groups), Err(FlogError::Slots([false; SLOTS])));
    }
    let used = slot(1, 1);
    for group in [
        [used, used, used, BLANK],
        [used, BLANK, BLANK, used],
        [BLANK, used, BLANK, BLANK],
        [used, used, BLANK, used],
        [BLANK, used, used, BLANK],
    ] {
        assert_eq!(
            detect(&[group]),
            Err(FlogError::Slots(group.map(|slot| slot != BLANK)))
        );
    }
}

#[test]
fn messages_name_found_and_expected() {
    assert_eq!(
        FlogError::Slots([true, false, false, true]).to_string(),
        "used slots are 0 3, expected 0 and 1, or 0 and 2"
    );
    assert_eq!(
        FlogError::Slots([false; SLOTS]).to_string(),
        "used slots are none, expected 0 and 1, or 0 and 2"
    );
    assert_eq!(
        FlogError::Sequence {
            first: 4,
            second: 1
        }
        .to_string(),
        "seq pair is (4, 1), expected two of 1, 2, 3 in sequence or (1, 0)"
    );
}

fn entry() -> impl Strategy<Value = FlogEntry> {
    let block = 0u32..1 << 30;
    (any::<u32>(), block.clone(), any::<bool>(), block, 1u32..=3).prop_map(
        |(lba, old, old_bad, new, seq)| FlogEntry {
            lba,
            old,
            old_bad,
            new,
            seq: Seq::from_number(seq).unwrap(),
        },
    )
}

proptest! {
    #[test]
    fn entries_round_trip(entry in entry()) {
        let [first, second] = entry.encode().halves();
        let slot = RawSlot::from_halves(first, second);
        prop_assert_eq!(slot, entry.encode());
        let older = RawSlot { seq: entry.seq.next().next().number(), ..slot };
        let pair = FlogPair::decode(older, slot).unwrap();
        prop_assert_eq!(pair, FlogPair { newest: Side::Second, entry });
        let pair = FlogPair::decode(slot, older).unwrap();
        prop_assert_eq!(pair, FlogPair { newest: Side::First, entry });
    }
}
