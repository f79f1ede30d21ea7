// SPDX-License-Identifier: GPL-2.0

use super::*;
use core::slice::from_mut;
use nd_format::fletcher::fletcher64_le_without;
use proptest::prelude::*;

/// Two indexes and four large labels fit.
const AREA: usize = 512 + 4 * 256;

const MAPPING: Extent = match Extent::new(0, 64 * MIB) {
    Some(extent) => extent,
    None => unreachable!(),
};

fn pair() -> [Dimm; 2] {
    [Dimm::blank(AREA), Dimm::blank(AREA)]
}

/// Returns the namespaces that a driver finds on the media.
fn reread(dimms: &[Dimm]) -> Found {
    let dimms: Vec<_> = dimms
        .iter()
        .map(|dimm| Dimm::new(dimm.medium.clone()))
        .collect();
    namespaces_of(&dimms, MAPPING)
}

#[test]
fn the_first_label_initialises_the_area() {
    let mut dimm = Dimm::blank(AREA);
    assert_eq!(dimm.area().available_slots(), 3);
    write_labels_on(from_mut(&mut dimm), &fields(1), extent(0, MIB), None).unwrap();
    // The writes are both indexes, then twice a label and an index. The last of these is the first
    // index.
    let current = *dimm.layout.current().unwrap();
    assert_eq!(
        (current.copy, current.slots, current.version),
        (IndexCopy::First, 4, (1, 2))
    );
    let sequence = |copy| {
        inspect(dimm.layout.geometry(), &dimm.medium, copy)
            .unwrap()
            .sequence
            .number()
    };
    assert_eq!(IndexCopy::ALL.map(sequence), [1, 3]);
    let labels: Vec<_> = dimm.area().labels().collect();
    assert_eq!(labels.len(), 1);
    assert_eq!((labels[0].slot, labels[0].label.flags), (1, Flags::NONE));
    assert_eq!(dimm.area().available_slots(), 2);
    assert_eq!(dimm.cache, dimm.medium);
}

#[test]
fn nothing_is_removed_from_a_blank_area() {
    let mut dimm = Dimm::blank(AREA);
    dimm.writes_left = Some(0);
    delete_labels_on(from_mut(&mut dimm), uuid(1)).unwrap();
    assert_eq!(dimm.layout.current(), None);
}

#[test]
fn removing_what_is_not_there_writes_an_index() {
    let mut dimm = Dimm::blank(AREA);
    write_labels_on(from_mut(&mut dimm), &fields(1), extent(0, MIB), None).unwrap();
    let before = dimm.layout.current().unwrap().copy;
    delete_labels_on(from_mut(&mut dimm), uuid(2)).unwrap();
    assert_eq!(dimm.layout.current().unwrap().copy, before.other());
    assert_eq!(dimm.area().labels().count(), 1);
}

/// A DIMM that lost its indexes, but not its labels, is left alone. Restoring the indexes brings
/// the namespaces back.
#[test]
fn an_area_without_indexes_is_not_initialised_over_labels() {
    for torn in [false, true] {
        let mut dimms = pair();
        write_labels_on(&mut dimms, &fields(1), extent(0, MIB), None).unwrap();
        write_labels_on(&mut dimms, &fields(2), extent(MIB, MIB), None).unwrap();
        let [sound, mut lost] = dimms;
        let backup = lost.medium.clone();
        if torn {
            lost.medium[100] ^= 1;
            lost.medium[356] ^= 1;
        } else {
            lost.medium[..512].fill(0);
        }
        let mut dimms = [sound, Dimm::new(lost.medium)];
        let damage = dimms[1].layout.damage().copied().unwrap();
        match damage {
            AreaDamage::Index { error, .. } => {
                assert!(torn && matches!(error, IndexError::Checksum { .. }))
            }
            AreaDamage::Labels { format, .. } => assert!(!torn && format == LabelFormat::V1_2),
        }
        let missing = Err(Defect::Missing { member: 1 });
        let media = dimms.each_ref().map(|dimm| dimm.medium.clone());
        for change in [3, 1] {
            let place = extent(2 * MIB, MIB);
            let failure = write_labels_on(&mut dimms, &fields(change), place, None).unwrap_err();
            assert_eq!(failure.member, 1);
            assert_eq!(failure.cause, Cause::Area(UpdateError::Damaged(damage)));
        }
        assert_eq!(dimms[1].area().available_slots(), 0);
        assert_eq!(media, dimms.each_ref().map(|dimm| dimm.medium.clone()));
        let found = reread(&dimms);
        assert_eq!([found[&uuid(1)], found[&uuid(2)]], [missing; 2]);
        dimms[1].medium = backup;
        assert!(reread(&dimms).values().all(Result::is_ok));
    }
}

/// An initialisation that was interrupted in its first write begins anew.
#[test]
fn a_torn_index_without_labels_is_no_obstacle() {
    let mut dimm = Dimm::blank(AREA);
    write_labels_on(from_mut(&mut dimm), &fields(1), extent(0, MIB), None).unwrap();
    for words in 1..32 {
        let mut medium = vec![0xff; AREA];
        medium[..words * 8].copy_from_slice(&dimm.medium[..words * 8]);
        let mut torn = Dimm::new(medium);
        assert_eq!(torn.layout.damage(), None, "{words}");
        write_labels_on(from_mut(&mut torn), &fields(1), extent(0, MIB), None).unwrap();
    }
}

#[test]
fn one_slot_stays_free() {
    let mut dimm = Dimm::blank(AREA);
    for number in 1..4 {
        let place = extent(u64::from(number) * MIB, MIB);
        write_labels_on(from_mut(&mut dimm), &fields(number), place, None).unwrap();
    }
    assert_eq!(dimm.area().available_slots(), 0);
    let medium = dimm.medium.clone();
    let failure =
        write_labels_on(from_mut(&mut dimm), &fields(9), extent(9 * MIB, MIB), None).unwrap_err();
    assert_eq!(failure.cause, Cause::Area(UpdateError::NoFreeSlot));
    assert_eq!((failure.outcome, &dimm.medium), (Outcome::Old, &medium));
    // Existing namespaces can still be changed, renamed and removed.
    write_labels_on(from_mut(&mut dimm), &fields(1), extent(MIB, 2 * MIB), None).unwrap();
    write_labels_on(
        from_mut(&mut dimm),
        &fields(9),
        extent(MIB, 2 * MIB),
        Some(uuid(1)),
    )
    .unwrap();
    delete_labels_on(from_mut(&mut dimm), uuid(9)).unwrap();
    assert_eq!(dimm.area().available_slots(), 1);
}

#[test]
fn a_missing_extent_is_refused() {
    let mut dimm = Dimm::blank(AREA);
    let failure = write_labels(&mut [dimm.target(None)], &IDENTITY, &fields(1), None).unwrap_err();
    assert_eq!(
        (failure.cause, failure.outcome),
        (Cause::NoExtent, Outcome::Old)
    );
}

#[test]
fn a_cache_of_the_wrong_length_is_refused() {
    let mut dimm = Dimm::blank(AREA);
    let error = Store::new(&mut dimm.cache[1..], &mut dimm.layout).unwrap_err();
    let (found, expected) = (AREA - 1, AREA as u32);
    assert_eq!(error, UpdateError::Length { found, expected });
}

/// An update of a namespace of 4 MiB.
type Update = fn(&mut [Dimm]) -> Result<(), Failure<&'static str>>;

const UPDATES: [Update; 4] = [
    |dimms| write_labels_on(dimms, &fields(2), extent(8 * MIB, MIB), None),
    |dimms| write_labels_on(dimms, &fields(1), extent(0, 8 * MIB), None),
    |dimms| write_labels_on(dimms, &fields(2), extent(0, 4 * MIB), Some(uuid(1))),
    |dimms| delete_labels_on(dimms, uuid(1)),
];

/// Whichever write on whichever DIMM fails, memory and media agree, and the failure describes the
/// labels.
#[test]
fn failing_writes_are_undone() {
    let mut undone = 0;
    for (update, failing) in UPDATES
        .into_iter()
        .flat_map(|update| [(update, 0), (update, 1)])
    {
        for writes in 0.. {
            let mut dimms = pair();
            write_labels_on(&mut dimms, &fields(1), extent(0, 4 * MIB), None).unwrap();
            let old = reread(&dimms);
            dimms[failing].writes_left = Some(writes);
            let result = update(&mut dimms);
            let found = reread(&dimms);
            assert_eq!(found, namespaces_of(&dimms, MAPPING));
            let Err(failure) = result else {
                assert_ne!(found, old);
                break;
            };
            assert_eq!(failure.member, failing);
            match failure.outcome {
                Outcome::Old => {
                    assert_eq!(found, old);
                    undone += 1;
                }
                Outcome::Mixed => {
                    let mut states = found.values().map(|found| found.map(|found| found.state));
                    assert!(states.any(|state| matches!(
                        state,
                        Ok(State::RolledBack { .. }) | Err(Defect::Missing { .. })
                    )));
                    continue;
                }
                Outcome::New => {
                    let mut states = found.values().map(|found| found.unwrap().state);
                    assert!(states.all(|state| state == State::Clean));
                }
            }
            // Once the DIMM works again, the update succeeds.
            dimms[failing].writes_left = None;
            update(&mut dimms).unwrap();
            assert!(reread(&dimms)
                .values()
                .all(|found| found.unwrap().state == State::Clean));
            assert!(dimms.iter().all(|dimm| dimm.area().free_count() >= 2));
        }
    }
    assert!(undone >= 12, "{undone} failures were undone");
}

proptest! {
    /// With a right checksum, an index with any header is either refused or harmless.
    #[test]
    fn a_forged_index_is_harmless(
        field in 0usize..32,
        value in any::<u16>(),
        labels in proptest::collection::vec(any::<u8>(), 1024),
    ) {
        let mut dimm = Dimm::blank(2048);
        dimm.medium[512..1536].copy_from_slice(&labels);
        write_labels_on(from_mut(&mut dimm), &fields(1), extent(0, MIB), None).unwrap();
        let mut bytes = dimm.medium.clone();
        for start in [0, 256] {
            let position = start + 16 + field * 2;
            bytes[position..position + 2].copy_from_slice(&value.to_le_bytes());
            let sum = fletcher64_le_without(&bytes[start..start + 256], 64);
            bytes[start + 64..start + 72].copy_from_slice(&sum.to_le_bytes());
        }
        let mut dimm = Dimm::new(bytes);
        let seen = namespaces_of(core::slice::from_ref(&dimm), extent(0, 64 * MIB));
        prop_assert!(seen.len() <= 7);
        // An update succeeds or returns an error.
        let _ = write_labels_on(from_mut(&mut dimm), &fields(2), extent(MIB, MIB), None);
        let _ = delete_labels_on(from_mut(&mut dimm), uuid(2));
    }
}
