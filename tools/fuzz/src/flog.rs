// SPDX-License-Identifier: GPL-2.0

//! Flog groups. A slot is the same after it was split into halves and put together. The newest
//! entry of a pair is encoded and decoded to itself, and is the older one after the next write. A
//! layout that the detector has found does not change.

use crate::input::Input;
use nd_format::btt::{
    flog::{
        RawSlot,
        Side,
        SLOTS, //
    },
    FlogEntry,
    FlogLayout,
    FlogPair,
    LayoutDetector, //
};

const NUMBERS_FLAGS: u32 = 0b11 << 30;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut detector = LayoutDetector::default();
    let mut sound = true;
    while !input.is_empty() {
        let group: [RawSlot; SLOTS] = std::array::from_fn(|_| slot(&mut input));
        let before = detector.layout();
        match detector.inspect(&group) {
            Ok(()) if sound => {
                // The layout of groups that agree does not change once one of them was written
                // twice.
                let now = detector.layout();
                assert!(before == now || before == FlogLayout::default());
            }
            Ok(()) => {}
            Err(error) => {
                sound = false;
                drop(error.to_string());
            }
        }
        for layout in [FlogLayout::Adjacent, FlogLayout::Legacy] {
            let used = layout.slots().map(|slot| group[slot]);
            match layout.newest(&group) {
                Ok(pair) => check_pair(used, &pair),
                Err(error) => drop(error.to_string()),
            }
        }
    }
}

fn slot(input: &mut Input<'_>) -> RawSlot {
    let halves = [input.u64(), input.u64()];
    let slot = RawSlot::from_halves(halves[0], halves[1]);
    assert_eq!(slot.halves(), halves);
    slot
}

fn check_pair(used: [RawSlot; 2], pair: &FlogPair) {
    let [first, second] = used;
    let (newest, older) = match pair.newest {
        Side::First => (first, second),
        Side::Second => (second, first),
    };
    let entry = pair.entry;
    let encoded = entry.encode();
    assert_eq!((encoded.lba, encoded.seq), (newest.lba, newest.seq));
    // Flags without a meaning are dropped.
    assert_eq!((encoded.old_map ^ newest.old_map) & !NUMBERS_FLAGS, 0);
    assert_eq!(encoded.new_map, newest.new_map & !NUMBERS_FLAGS);

    let with = |newest: RawSlot, older: RawSlot| match pair.newest {
        Side::First => FlogPair::decode(newest, older),
        Side::Second => FlogPair::decode(older, newest),
    };
    assert_eq!(with(encoded, older), Ok(*pair), "what was written is read");

    // The next write goes to the older slot. Its first half changes nothing, its second half
    // decides.
    let next = FlogEntry {
        lba: 1,
        old: 2,
        old_bad: !entry.old_bad,
        new: entry.old,
        seq: entry.seq.next(),
    };
    let raw = next.encode();
    let half = RawSlot {
        lba: raw.lba,
        old_map: raw.old_map,
        ..older
    };
    assert_eq!(with(newest, half), Ok(*pair), "half a write is none");
    let written = with(newest, raw).map(|pair| (pair.newest, pair.entry));
    assert_eq!(written, Ok((pair.newest.other(), next)));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let initial = FlogEntry::initial(3, 100).encode();
    let written = RawSlot {
        lba: 7,
        old_map: 9 | 1 << 30,
        new_map: 103,
        seq: 2,
    };
    let blank = RawSlot::default();
    [
        [initial, blank, blank, blank],
        [initial, written, blank, blank],
        [initial, blank, written, blank],
        [written, RawSlot { seq: 3, ..written }, blank, blank],
        [RawSlot { seq: 3, ..written }, initial, blank, blank],
    ]
    .into_iter()
    .map(|group| bytes_of(&group))
    .collect()
}

/// Returns the bytes of slots as they are on the medium.
pub(crate) fn bytes_of(slots: &[RawSlot]) -> Vec<u8> {
    slots
        .iter()
        .flat_map(|slot| slot.halves())
        .flat_map(u64::to_le_bytes)
        .collect()
}
