// SPDX-License-Identifier: GPL-2.0

//! A bounded exploration, and proof that the explorer detects errors.

use label_crash::{
    explore::{
        explore,
        explore_faults,
        explore_per_dimm,
        Count,
        OtherLabel,
        Setup, //
    },
    history::{
        histories,
        Operation, //
    },
    loss::{
        explore_losses,
        Losses,
        Writer, //
    },
    recorder::Recorded,
    world::Placement, //
};

const LARGE: Setup = Setup {
    dimms: 2,
    area: Setup::LARGE_LABELS,
    fill: 0,
    others: &[],
    placement: Placement::CommonOffset,
};

const SMALL: Setup = Setup {
    area: Setup::SMALL_LABELS,
    ..LARGE
};

fn explore_all(setup: &Setup, depth: usize) -> Count {
    let mut count = Count::default();
    for history in (1..=depth).flat_map(histories) {
        match explore(setup, &history, None) {
            Ok(explored) => count.add(&explored),
            Err(violation) => panic!("{violation:?}"),
        }
    }
    assert!(count.old > 0 && count.new > 0 && count.second_cuts > 0);
    count
}

#[test]
fn one_dimm() {
    explore_all(&Setup { dimms: 1, ..LARGE }, 2);
    explore_all(&Setup { dimms: 1, ..SMALL }, 3);
}

#[test]
fn two_dimms() {
    let count = explore_all(&LARGE, 2);
    assert!(count.cuts > 1000, "only {} power failures", count.cuts);
    explore_all(&SMALL, 2);
}

#[test]
fn an_area_full_of_old_bytes() {
    explore_all(
        &Setup {
            fill: 0xff,
            ..LARGE
        },
        2,
    );
}

/// A label of another set on the first unit of the second DIMM.
const IN_FRONT: &[OtherLabel] = &[OtherLabel {
    member: 1,
    first: 0,
    units: 1,
}];

#[test]
fn a_dimm_that_was_used_before() {
    for setup in [SMALL, LARGE] {
        let others = IN_FRONT;
        explore_all(&Setup { others, ..setup }, 2);
    }
}

/// Half of each DIMM is free, but no unit at the same offset on both.
#[test]
fn no_offset_is_free_on_both() {
    let others = &[
        OtherLabel {
            member: 0,
            first: 0,
            units: 32,
        },
        OtherLabel {
            member: 1,
            first: 32,
            units: 32,
        },
    ];
    let setup = Setup { others, ..LARGE };
    for history in (1..=2).flat_map(histories) {
        let count = explore(&setup, &history, None).unwrap();
        assert_eq!(count.new, 0, "{history:?}");
    }
}

/// Namespaces as the C driver places them, and a power failure in one of their updates.
#[test]
fn shares_at_different_offsets_are_left_alone() {
    let mut count = Count::default();
    for setup in [SMALL, LARGE] {
        let setup = Setup {
            others: IN_FRONT,
            placement: Placement::PerDimm,
            ..setup
        };
        for last in Operation::ALL {
            match explore_per_dimm(&setup, &[Operation::Create, last]) {
                Ok(explored) => count.add(&explored),
                Err(violation) => panic!("{violation:?}"),
            }
        }
    }
    assert!(count.old > 0 && count.new > 0 && count.cuts > count.old + count.new);
}

#[test]
fn failing_writes() {
    let mut count = Count::default();
    let changes = [
        Operation::Grow,
        Operation::Rename,
        Operation::Describe,
        Operation::Remove,
    ];
    let small = histories(2).into_iter().map(|history| (SMALL, history));
    let large =
        changes.map(|change| (LARGE, vec![Operation::Create, change, Operation::Neighbour]));
    for (setup, history) in small.chain(large) {
        match explore_faults(&setup, &history) {
            Ok(explored) => count.add(&explored),
            Err(violation) => panic!("{violation:?}"),
        }
    }
    assert!(count.faults > 1000, "only {} writes failed", count.faults);
}

/// Loses labels of both versions, by this code and by kernels before 5.2.
fn lose_all(dimms: usize, depth: usize, bits: &[u8]) -> Losses {
    let mut losses = Losses::default();
    for setup in [SMALL, LARGE] {
        let setup = Setup { dimms, ..setup };
        for writer in [Writer::Ours, Writer::OldKernel] {
            for history in (1..=depth).flat_map(histories) {
                match explore_losses(&setup, &history, writer, bits) {
                    Ok(explored) => losses.add(&explored),
                    Err(violation) => panic!("{violation:?}"),
                }
            }
        }
    }
    assert!(losses.noticed > 0 && losses.changes > 0);
    losses
}

#[test]
fn labels_that_get_lost() {
    lose_all(1, 2, &[0, 7]);
    lose_all(2, 2, &[1]);
    lose_all(3, 1, &[3]);
}

/// Writes every index before the label that it names.
fn index_first(mut log: Vec<Recorded>) -> Vec<Recorded> {
    let last = log.len();
    if last >= 2 {
        log.swap(last - 2, last - 1);
    }
    log
}

/// Clears the flag "updating" in the labels of version 1.1, which have no checksum.
fn no_flag(mut log: Vec<Recorded>) -> Vec<Recorded> {
    for write in log.iter_mut().filter(|write| write.bytes.len() == 128) {
        write.bytes[80] = 0;
    }
    log
}

/// Writes only the labels of the second pass.
fn one_pass(mut log: Vec<Recorded>) -> Vec<Recorded> {
    log.split_off(log.len() / 2)
}

#[test]
fn mutants_are_caught() {
    let grown = [Operation::Create, Operation::Grow];
    assert!(explore(&LARGE, &grown, Some(index_first)).is_err());
    assert!(explore(&SMALL, &grown, Some(no_flag)).is_err());
    assert!(explore(&LARGE, &grown, Some(one_pass)).is_err());
    assert!(explore(
        &LARGE,
        &[Operation::Create, Operation::Rename],
        Some(one_pass)
    )
    .is_err());
    assert!(explore(&LARGE, &grown, None).is_ok());
    let alone = Setup {
        others: IN_FRONT,
        placement: Placement::PerDimm,
        ..LARGE
    };
    for last in [Operation::Grow, Operation::Rename, Operation::Remove] {
        assert!(explore(&alone, &[Operation::Create, last], None).is_err());
    }
}
