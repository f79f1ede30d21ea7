// SPDX-License-Identifier: GPL-2.0

use super::super::dpa::{
    reservations,
    Overlap,
    Reservation,
    Reserved, //
};
use super::*;

fn reservation(owner: u8, start: u64, len: u64) -> Reservation {
    Reservation {
        owner: uuid(owner),
        extent: extent(start * MIB, len * MIB),
    }
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
