// SPDX-License-Identifier: GPL-2.0

use super::*;

#[test]
fn labels_reserve_and_damaged_ones_too() {
    let mut dimm = Dimm::blank(4096);
    for number in [1, 2] {
        let place = extent(u64::from(number) * MIB, MIB);
        write_labels_on(
            core::slice::from_mut(&mut dimm),
            &fields(number),
            place,
            None,
        )
        .unwrap();
    }
    let both = [extent(MIB, MIB), extent(2 * MIB, MIB)];
    let found: Vec<_> = reservations(dimm.area()).collect();
    assert_eq!(found, both);
    let slot = dimm.area().labels_of(uuid(1)).next().unwrap().slot;
    let place = dimm.layout.geometry().label_offset(slot).unwrap() as usize;
    // Flip a bit of the name.
    dimm.cache[place + 20] ^= 1;
    assert_eq!(dimm.area().labels().count(), 1);
    let found: Vec<_> = reservations(dimm.area()).collect();
    assert_eq!(found, both);
    // Make the size 0: the label names no range any more.
    dimm.cache[place + 112..place + 120].fill(0);
    let found: Vec<_> = reservations(dimm.area()).collect();
    assert_eq!(found, both[1..]);
}
