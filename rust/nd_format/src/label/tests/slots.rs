// SPDX-License-Identifier: GPL-2.0

use super::super::slots::{
    mark,
    mark_all_free,
    Slots, //
};
use super::*;
use proptest::prelude::*;

#[test]
fn a_slot_without_a_bit_is_taken() {
    let slots = Slots::new(&[0xff], 12);
    assert_eq!(slots.free_count(), 8);
    assert!(!slots.is_free(8));
    assert_eq!(slots.taken().collect::<Vec<_>>(), [8, 9, 10, 11]);
}

proptest! {
    #[test]
    fn counts_agree(bits in proptest::collection::vec(any::<u8>(), 0..9), count in 0u32..80) {
        let slots = Slots::new(&bits, count);
        prop_assert_eq!(slots.free_count() as usize, slots.free().count());
        prop_assert_eq!(slots.free().count() + slots.taken().count(), count as usize);
    }

    #[test]
    fn fresh_bitmaps_end_with_the_slots(count in 0u32..64) {
        let mut bits = [0x5a; 9];
        mark_all_free(&mut bits, count);
        let free: Vec<_> = Slots::new(&bits, 72).free().collect();
        prop_assert_eq!(free, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn marking_changes_one_slot(
        mut bits in any::<[u8; 8]>(),
        slot in 0u32..80,
        free in any::<bool>(),
    ) {
        let before: Vec<bool> = (0..64).map(|slot| Slots::new(&bits, 64).is_free(slot)).collect();
        mark(&mut bits, slot, free);
        for (other, &was_free) in (0u32..).zip(&before) {
            let expected = if other == slot { free } else { was_free };
            prop_assert_eq!(Slots::new(&bits, 64).is_free(other), expected);
        }
    }
}
