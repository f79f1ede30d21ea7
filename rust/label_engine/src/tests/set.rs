// SPDX-License-Identifier: GPL-2.0

use super::*;
use nd_format::label::index::{
    clear,
    seal, //
};
use proptest::prelude::*;

const AREA: usize = 512 + 8 * 256;

const MAPPING: Extent = match Extent::new(16 * MIB, 64 * MIB) {
    Some(extent) => extent,
    None => unreachable!(),
};

/// Returns two DIMMs with namespaces 1 and 2.
fn pair() -> [Dimm; 2] {
    let mut dimms = [Dimm::blank(AREA), Dimm::blank(AREA)];
    write_labels_on(&mut dimms, &fields(1), extent(16 * MIB, 4 * MIB), None).unwrap();
    write_labels_on(&mut dimms, &fields(2), extent(24 * MIB, 8 * MIB), None).unwrap();
    dimms
}

/// Changes the label of a namespace on one DIMM in place.
fn edit(dimm: &mut Dimm, uuid: Uuid, change: impl Fn(&mut Label)) {
    let stored = dimm.area().labels_of(uuid).next().unwrap();
    let mut label = stored.label;
    change(&mut label);
    overwrite(dimm, stored.slot, &label);
}

fn overwrite(dimm: &mut Dimm, slot: u32, label: &Label) {
    let geometry = *dimm.layout.geometry();
    let start = geometry.label_offset(slot).unwrap() as usize;
    label.encode(&mut dimm.cache[start..], geometry.format(), slot);
}

/// Damages namespace 1 on the DIMM `member`. Namespace 2 must be found, and namespace 1 refused
/// because of `expected`.
fn refused(member: usize, change: impl Fn(&mut Label), expected: Defect) {
    let mut dimms = pair();
    edit(&mut dimms[member], uuid(1), change);
    let found = namespaces_of(&dimms, MAPPING);
    assert_eq!(found[&uuid(1)], Err(expected));
    assert!(found[&uuid(2)].is_ok());
}

#[test]
fn a_set_of_two() {
    let found = namespaces_of(&pair(), MAPPING);
    assert_eq!(found.len(), 2);
    let namespace = found[&uuid(2)].unwrap();
    assert_eq!((namespace.size, namespace.offset), (16 * MIB, 16 * MIB));
    assert_eq!(
        (namespace.class, namespace.lba_size),
        (ClaimClass::Btt2_0, 512)
    );
    assert_eq!(namespace.state, State::Clean);
}

#[test]
fn a_defective_namespace_is_refused_alone() {
    refused(
        1,
        |label| label.nlabel = 3,
        Defect::LabelCount {
            member: 1,
            found: 3,
            expected: 2,
        },
    );
    refused(
        1,
        |label| label.position = 2,
        Defect::Position {
            member: 1,
            found: 2,
            ways: 2,
        },
    );
    refused(
        1,
        |label| label.position = 0,
        Defect::SamePosition {
            member: 1,
            position: 0,
        },
    );
    refused(
        0,
        |label| label.types.as_mut().unwrap().range = Guid::NIL,
        Defect::RangeType {
            member: 0,
            found: Guid::NIL,
            expected: PMEM,
        },
    );
    refused(
        1,
        |label| label.extent = extent(79 * MIB, 4 * MIB),
        Defect::Outside {
            member: 1,
            found: extent(79 * MIB, 4 * MIB),
            mapping: MAPPING,
        },
    );
    refused(
        1,
        |label| label.extent = extent(16 * MIB, 2 * MIB),
        Defect::Size {
            member: 1,
            found: 2 * MIB,
            expected: 4 * MIB,
        },
    );
    refused(
        1,
        |label| label.uuid = uuid(9),
        Defect::Missing { member: 1 },
    );
    refused(1, |label| label.cookie = 7, Defect::Missing { member: 1 });
}

#[test]
fn labels_of_another_set_are_skipped() {
    let mut dimms = pair();
    for dimm in &mut dimms {
        edit(dimm, uuid(1), |label| label.cookie = 7);
        edit(dimm, uuid(2), |label| label.extent = extent(100 * MIB, MIB));
    }
    assert!(namespaces_of(&dimms, MAPPING).is_empty());
}

#[test]
fn the_alternate_cookie_is_good() {
    let mut dimms = pair();
    edit(&mut dimms[0], uuid(1), |label| {
        label.cookie = IDENTITY.cookies.alternate
    });
    edit(&mut dimms[1], uuid(2), |label| {
        label.cookie = IDENTITY.cookies.alternate
    });
    let found = namespaces_of(&dimms, MAPPING);
    assert!(found.len() == 2 && found.values().all(Result::is_ok));
    edit(&mut dimms[0], uuid(1), |label| {
        label.cookie = IDENTITY.cookies.v1_1
    });
    assert_eq!(
        namespaces_of(&dimms, MAPPING)[&uuid(1)],
        Err(Defect::Missing { member: 0 })
    );
}

#[test]
fn a_set_without_a_cookie_has_no_namespaces() {
    let mut dimms = pair();
    for dimm in &mut dimms {
        edit(dimm, uuid(1), |label| label.cookie = 0);
    }
    let members = dimms.each_ref().map(|dimm| SetMember {
        area: dimm.area(),
        mapping: MAPPING,
    });
    let cookies = Cookies {
        v1_2: 0,
        ..IDENTITY.cookies
    };
    let identity = SetIdentity {
        cookies,
        ..IDENTITY
    };
    let found: Vec<_> = Set::new(&members, identity).namespaces().collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].unwrap_err().defect, Defect::NoCookie);
}

#[test]
fn positions_may_be_in_any_order() {
    let mut dimms = pair();
    edit(&mut dimms[0], uuid(1), |label| label.position = 1);
    edit(&mut dimms[1], uuid(1), |label| {
        label.position = 0;
        label.name = Name::new(b"first").unwrap();
    });
    let namespace = namespaces_of(&dimms, MAPPING)[&uuid(1)].unwrap();
    assert_eq!(
        (namespace.name.text(), namespace.state),
        (&b"first"[..], State::Clean)
    );
}

#[test]
fn two_labels_of_one_namespace_on_a_dimm() {
    let mut dimms = pair();
    edit(&mut dimms[1], uuid(2), |label| label.uuid = uuid(1));
    let found = namespaces_of(&dimms, MAPPING);
    assert!(matches!(
        found[&uuid(1)],
        Err(Defect::Duplicate { member: 1, .. })
    ));
    assert_eq!(found[&uuid(2)], Err(Defect::Missing { member: 1 }));
}

#[test]
fn an_update_that_reached_one_dimm_does_not_count() {
    let mut dimms = pair();
    edit(&mut dimms[0], uuid(1), |label| {
        label.flags = Flags::UPDATING;
        label.extent = extent(16 * MIB, 8 * MIB);
    });
    let namespace = namespaces_of(&dimms, MAPPING)[&uuid(1)].unwrap();
    assert_eq!(namespace.state, State::RolledBack { replaces: None });
    assert_eq!(namespace.size, 8 * MIB);
    let members = dimms.each_ref().map(|dimm| SetMember {
        area: dimm.area(),
        mapping: MAPPING,
    });
    let set = Set::new(&members, IDENTITY);
    assert_eq!(set.extent(&namespace, 0), Some(extent(16 * MIB, 4 * MIB)));
    assert_eq!(set.extent(&namespace, 1), Some(extent(16 * MIB, 4 * MIB)));
}

/// The remaining labels do not show whether it was a removal or a loss.
#[test]
fn a_removal_that_reached_one_dimm_is_refused() {
    let mut dimms = pair();
    delete_labels_on(&mut dimms[..1], uuid(2)).unwrap();
    let found = namespaces_of(&dimms, MAPPING);
    assert_eq!(found[&uuid(2)], Err(Defect::Missing { member: 0 }));
    assert!(found[&uuid(1)].is_ok());
}

/// Kernels before 5.2 leave the flag "updating" in all labels.
#[test]
fn labels_of_old_kernels() {
    let mut dimms = pair();
    for dimm in &mut dimms {
        edit(dimm, uuid(1), |label| label.flags = Flags::UPDATING);
    }
    let namespace = namespaces_of(&dimms, MAPPING)[&uuid(1)].unwrap();
    assert_eq!(namespace.state, State::Clean);
    // Without an update, a difference is not one between old and new labels.
    edit(&mut dimms[1], uuid(1), |label| {
        label.extent = extent(16 * MIB, 3 * MIB)
    });
    assert_eq!(
        namespaces_of(&dimms, MAPPING)[&uuid(1)],
        Err(Defect::Size {
            member: 1,
            found: 3 * MIB,
            expected: 4 * MIB
        })
    );
    edit(&mut dimms[1], uuid(1), |label| {
        label.extent = extent(16 * MIB, 4 * MIB);
        label.uuid = uuid(3);
    });
    let found = namespaces_of(&dimms, MAPPING);
    assert_eq!(found[&uuid(1)], Err(Defect::Missing { member: 1 }));
    assert_eq!(found[&uuid(3)], Err(Defect::Missing { member: 0 }));
    assert!(found[&uuid(2)].is_ok());
}

/// A refused namespace comes with the place of its label and the bytes that it reserves.
#[test]
fn what_is_refused_tells_what_there_is() {
    let mut dimms = pair();
    delete_labels_on(&mut dimms[1..], uuid(2)).unwrap();
    let members = dimms.each_ref().map(|dimm| SetMember {
        area: dimm.area(),
        mapping: MAPPING,
    });
    let set = Set::new(&members, IDENTITY);
    let refused = set.namespaces().find_map(Result::err).unwrap();
    assert_eq!(refused.defect, Defect::Missing { member: 1 });
    let (place, label) = refused.label.unwrap();
    assert_eq!((place.member, label.name.text()), (0, &b"name"[..]));
    assert_eq!(refused.reserved, 8 * MIB);
    assert!(set.is_named(uuid(2)) && !set.is_named(uuid(3)));
}

/// A flipped bit in a label of version 1.2 is reported as damage, and the other namespace is found.
#[test]
fn a_damaged_label_is_refused_alone() {
    for alone in [false, true] {
        let mut dimms = pair();
        let dimms = if alone {
            &mut dimms[1..]
        } else {
            &mut dimms[..]
        };
        for dimm in dimms.iter_mut() {
            for number in [1, 2] {
                let count = if alone { 1 } else { 2 };
                edit(dimm, uuid(number), |label| {
                    label.nlabel = count;
                    label.position %= count;
                });
            }
        }
        let member = dimms.len() - 1;
        let dimm = &mut dimms[member];
        let slot = dimm.area().labels_of(uuid(1)).next().unwrap().slot;
        let place = dimm.layout.geometry().label_offset(slot).unwrap() as usize;
        dimm.cache[place + 20] ^= 1;
        let found = namespaces_of(dimms, MAPPING);
        assert!(found[&uuid(2)].is_ok());
        assert!(
            matches!(
                found[&uuid(1)],
                Err(Defect::Damaged { member: found, slot: at, error: LabelError::Checksum { .. } })
                    if (found, at) == (member, slot)
            ),
            "{:?}",
            found[&uuid(1)]
        );
        // The administrator can give it up.
        delete_labels_on(dimms, uuid(1)).unwrap();
        let found = namespaces_of(dimms, MAPPING);
        assert!(found.len() == 1 && found[&uuid(2)].is_ok());
        assert_eq!(dimms[member].area().slots().taken().count(), 1);
    }
}

/// Two labels of the same addresses: both namespaces are refused, others are not.
#[test]
fn overlapping_namespaces_are_refused_alone() {
    let mut dimms = pair();
    write_labels_on(&mut dimms, &fields(3), extent(40 * MIB, MIB), None).unwrap();
    edit(&mut dimms[1], uuid(2), |label| {
        label.extent = extent(19 * MIB, 8 * MIB)
    });
    let found = namespaces_of(&dimms, MAPPING);
    let overlap = |found, other, taken| {
        Err(Defect::Overlap {
            member: 1,
            found,
            other: uuid(other),
            taken,
        })
    };
    let (first, second) = (extent(16 * MIB, 4 * MIB), extent(19 * MIB, 8 * MIB));
    assert_eq!(found[&uuid(1)], overlap(first, 2, second));
    assert_eq!(found[&uuid(2)], overlap(second, 1, first));
    assert!(found[&uuid(3)].is_ok());
}

/// Labels of another set that have the UUID of a namespace of this one are left alone.
#[test]
fn labels_of_another_set_stay() {
    let mut dimms = pair();
    write_labels_on(&mut dimms[..1], &fields(3), extent(40 * MIB, MIB), None).unwrap();
    edit(&mut dimms[0], uuid(3), |label| {
        label.uuid = uuid(1);
        label.cookie = 7;
    });
    let foreign = |dimms: &[Dimm]| {
        let labels = dimms[0].area().labels();
        labels.filter(|stored| stored.label.cookie == 7).count()
    };
    let place = extent(16 * MIB, 8 * MIB);
    write_labels_on(&mut dimms, &fields(1), place, None).unwrap();
    assert_eq!(foreign(&dimms), 1);
    write_labels_on(&mut dimms, &fields(4), place, Some(uuid(1))).unwrap();
    assert_eq!(foreign(&dimms), 1);
    write_labels_on(&mut dimms, &fields(1), place, Some(uuid(4))).unwrap();
    delete_labels_on(&mut dimms, uuid(1)).unwrap();
    assert_eq!(foreign(&dimms), 1);
    assert_eq!(dimms[0].area().labels().count(), 2);
}

/// `ndctl init-labels -f` on one DIMM writes fresh indexes. The labels stay where they were.
#[test]
fn a_dimm_that_was_initialised_alone_is_no_removal() {
    let mut dimms = pair();
    let geometry = *dimms[0].layout.geometry();
    for (copy, sequence) in IndexCopy::ALL
        .into_iter()
        .zip([Sequence::INITIAL_FIRST, Sequence::INITIAL_SECOND])
    {
        let start = geometry.index_offset(copy) as usize;
        let bytes = &mut dimms[0].medium[start..][..geometry.index_size() as usize];
        clear(bytes, geometry.slots());
        seal(bytes, &geometry, copy, sequence, geometry.slots());
    }
    let [initialised, other] = dimms;
    let dimms = [Dimm::new(initialised.medium), other];
    assert_eq!(dimms[0].area().labels().count(), 0);
    let found = namespaces_of(&dimms, MAPPING);
    let missing = Err(Defect::Missing { member: 0 });
    assert_eq!([found[&uuid(1)], found[&uuid(2)]], [missing; 2]);
}

#[test]
fn what_is_rolled_back_must_be_free() {
    let mut dimms = pair();
    edit(&mut dimms[0], uuid(1), |label| {
        label.flags = Flags::UPDATING;
        label.extent = extent(16 * MIB, 2 * MIB);
    });
    let place = extent(18 * MIB, 8 * MIB);
    edit(&mut dimms[0], uuid(2), |label| label.extent = place);
    let found = namespaces_of(&dimms, MAPPING);
    let expected = Defect::Overlap {
        member: 0,
        found: extent(16 * MIB, 4 * MIB),
        other: uuid(2),
        taken: place,
    };
    assert_eq!(found[&uuid(1)], Err(expected));
    assert!(found[&uuid(2)].is_ok());
}

#[test]
fn labels_that_no_update_leaves() {
    let mut dimms = [(); 3].map(|()| Dimm::blank(AREA));
    write_labels_on(&mut dimms, &fields(1), extent(16 * MIB, 4 * MIB), None).unwrap();
    for (dimm, name) in dimms.iter_mut().zip([b"a", b"b", b"c"]) {
        edit(dimm, uuid(1), |label| label.name = Name::new(name).unwrap());
    }
    // No update is in progress: the name is the one that Linux takes.
    assert_eq!(
        namespaces_of(&dimms, MAPPING)[&uuid(1)]
            .unwrap()
            .name
            .text(),
        b"a"
    );
    edit(&mut dimms[0], uuid(1), |label| {
        label.flags = Flags::UPDATING
    });
    assert_eq!(
        namespaces_of(&dimms, MAPPING)[&uuid(1)],
        Err(Defect::Disagree { member: 1 })
    );
}

/// Returns two DIMMs with namespace 1, whose share starts at 16 MiB of the first DIMM and, as if
/// labels of another set were in the way, `apart` bytes later on the second.
fn apart(apart: u64) -> [Dimm; 2] {
    let mut dimms = [Dimm::blank(AREA), Dimm::blank(AREA)];
    let starts = [16 * MIB, 16 * MIB + apart];
    let mut targets: Vec<_> = dimms
        .iter_mut()
        .zip(starts)
        .map(|(dimm, start)| dimm.target(Some(extent(start, 4 * MIB))))
        .collect();
    write_labels(&mut targets, &IDENTITY, &fields(1), None).unwrap();
    dimms
}

/// Writes a label on one DIMM, as the first pass of an update does.
fn update_on(dimm: &mut Dimm, old: Uuid, change: impl Fn(&mut Label)) {
    let mut label = dimm.area().labels_of(old).next().unwrap().label;
    label.flags = Flags::UPDATING;
    change(&mut label);
    let mut store = Store::new(&mut dimm.cache, &mut dimm.layout).unwrap();
    let mut update = store.write_label(&label, Some(old), &IDENTITY).unwrap();
    while let Some(write) = update.write() {
        dimm.medium[write.offset as usize..][..write.bytes.len()].copy_from_slice(write.bytes);
        update.confirm();
    }
}

/// Returns the reason of a refusal.
fn defect_of(found: Result<LabelledNamespace, Defect>) -> Defect {
    found.unwrap_err()
}

/// Linux creates such namespaces, and takes the address from the first DIMM.
#[test]
fn shares_at_different_offsets() {
    let mut dimms = apart(2 * MIB);
    let namespace = namespaces_of(&dimms, MAPPING)[&uuid(1)].unwrap();
    assert_eq!((namespace.offset, namespace.size), (0, 8 * MIB));
    assert_eq!(namespace.state, State::Clean);
    // The labels are complete, so nothing has to be inferred.
    edit(&mut dimms[1], uuid(1), |label| {
        label.flags = Flags::UPDATING
    });
    assert_eq!(
        namespaces_of(&dimms, MAPPING)[&uuid(1)],
        Ok(namespace),
        "with a flag that was left"
    );
}

#[test]
fn a_new_uuid_of_shares_at_different_offsets() {
    let mut dimms = apart(2 * MIB);
    update_on(&mut dimms[0], uuid(1), |label| label.uuid = uuid(3));
    let found = namespaces_of(&dimms, MAPPING);
    assert_eq!(defect_of(found[&uuid(1)]), Defect::Missing { member: 0 });
    assert_eq!(defect_of(found[&uuid(3)]), Defect::Missing { member: 1 });
}

#[test]
fn a_new_size_of_shares_at_different_offsets() {
    // With 2 MiB the new share looks like one that has grown to the front, except for the old
    // label, which is still in its slot.
    for more in [MIB, 2 * MIB, 3 * MIB] {
        let mut dimms = apart(2 * MIB);
        update_on(&mut dimms[0], uuid(1), |label| {
            label.extent = extent(16 * MIB, 4 * MIB + more)
        });
        let offset = Defect::Offset {
            member: 0,
            found: 0,
            expected: 2 * MIB,
        };
        assert_eq!(
            defect_of(namespaces_of(&dimms, MAPPING)[&uuid(1)]),
            offset,
            "{more:#x} more"
        );
    }
}

#[test]
fn a_removal_of_shares_at_different_offsets() {
    for member in 0..2 {
        let mut dimms = apart(2 * MIB);
        delete_labels_on(&mut dimms[member..][..1], uuid(1)).unwrap();
        assert_eq!(
            defect_of(namespaces_of(&dimms, MAPPING)[&uuid(1)]),
            Defect::Missing { member }
        );
    }
}

/// Three DIMMs: the shares on the first two are at one offset, that on the third is not.
#[test]
fn a_third_share_at_another_offset() {
    let three = || {
        let mut dimms = [(); 3].map(|()| Dimm::blank(AREA));
        write_labels_on(&mut dimms, &fields(1), extent(16 * MIB, 4 * MIB), None).unwrap();
        edit(&mut dimms[2], uuid(1), |label| {
            label.extent = extent(18 * MIB, 4 * MIB)
        });
        dimms
    };
    let mut dimms = three();
    update_on(&mut dimms[0], uuid(1), |label| label.uuid = uuid(3));
    let found = namespaces_of(&dimms, MAPPING);
    assert_eq!(defect_of(found[&uuid(1)]), Defect::Missing { member: 0 });
    assert_eq!(defect_of(found[&uuid(3)]), Defect::Missing { member: 1 });

    let mut dimms = three();
    update_on(&mut dimms[0], uuid(1), |label| {
        label.name = Name::new(b"new").unwrap()
    });
    assert!(matches!(
        defect_of(namespaces_of(&dimms, MAPPING)[&uuid(1)]),
        Defect::Offset { .. }
    ));

    // A creation that reached the last two.
    let mut dimms = three();
    for dimm in &mut dimms[1..] {
        edit(dimm, uuid(1), |label| label.flags = Flags::UPDATING);
    }
    delete_labels_on(&mut dimms[..1], uuid(1)).unwrap();
    assert_eq!(
        defect_of(namespaces_of(&dimms, MAPPING)[&uuid(1)]),
        Defect::Missing { member: 0 }
    );
}

/// A namespace that grew to the front and shrank again: its labels from then may still be in free
/// slots.
#[test]
fn labels_of_a_former_offset_prove_nothing() {
    let mut dimms = pair();
    for start in [16, 14, 16] {
        let place = extent((8 + start) * MIB, 8 * MIB);
        write_labels_on(&mut dimms, &fields(2), place, None).unwrap();
    }
    update_on(&mut dimms[0], uuid(2), |label| {
        label.extent = extent(24 * MIB, 9 * MIB)
    });
    let namespace = namespaces_of(&dimms, MAPPING)[&uuid(2)].unwrap();
    assert_eq!(namespace.state, State::RolledBack { replaces: None });
    assert_eq!(namespace.offset, 16 * MIB);
}

/// The rest of an interrupted creation, and the rest of a namespace.
#[test]
fn an_interrupted_creation_beside_damage() {
    let mut dimms = pair();
    write_labels_on(&mut dimms[..1], &fields(3), extent(40 * MIB, 4 * MIB), None).unwrap();
    edit(&mut dimms[0], uuid(3), |label| {
        label.flags = Flags::UPDATING;
        label.nlabel = 2;
    });
    assert_eq!(
        namespaces_of(&dimms, MAPPING)[&uuid(3)],
        Err(Defect::Missing { member: 1 })
    );
    edit(&mut dimms[0], uuid(1), |label| label.cookie = 7);
    let found = namespaces_of(&dimms, MAPPING);
    assert_eq!(defect_of(found[&uuid(1)]), Defect::Missing { member: 0 });
    assert_eq!(defect_of(found[&uuid(3)]), Defect::Missing { member: 1 });
    assert!(found[&uuid(2)].is_ok());
}

/// Number of labels in a full area.
const FULL: u16 = 126;

/// Returns two DIMMs full of labels: the first DIMM has the first labels of namespaces, and the
/// second as many labels of other UUIDs that look like new UUIDs for these namespaces. `forge`
/// changes the latter.
fn full_of_halves(forge: impl Fn(u16, &mut Label)) -> [Dimm; 2] {
    const AREA: usize = 512 + FULL as usize * 256;
    const SHARE: u64 = 4096;

    let mut dimms = [Dimm::blank(AREA), Dimm::blank(AREA)];
    write_labels_on(&mut dimms, &fields(1), extent(16 * MIB, SHARE), None).unwrap();
    for (member, dimm) in dimms.iter_mut().enumerate() {
        let template = dimm.area().labels().next().unwrap().label;
        for number in 0..FULL {
            let [low, high] = number.to_le_bytes();
            let mut label = template;
            label.uuid = Uuid::from_bytes([
                low,
                high,
                member as u8,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
            ]);
            label.extent = extent(16 * MIB + u64::from(number) * SHARE, SHARE);
            if member == 1 {
                label.flags = Flags::UPDATING;
                forge(number, &mut label);
            }
            overwrite(dimm, number.into(), &label);
        }
        let geometry = *dimm.layout.geometry();
        for copy in [IndexCopy::First, IndexCopy::Second] {
            // No slot is free in the bitmap. The checksum has been checked before.
            let index = geometry.index_offset(copy) as usize;
            dimm.cache[index + 72..index + 72 + usize::from(FULL).div_ceil(8)].fill(0);
        }
        assert_eq!(dimm.area().labels().count(), FULL.into());
    }
    dimms
}

/// The work grows with the square of the number of labels. A search of all pairs for each took four
/// seconds here, and would take a quarter of an hour for the 510 labels of a usual area.
#[test]
fn crafted_areas_are_seen_through_in_time() {
    let renamed = namespaces_of(&full_of_halves(|_, _| ()), MAPPING);
    assert_eq!(renamed.len(), usize::from(FULL));
    assert!(renamed
        .values()
        .all(|found| found.is_ok_and(|namespace| namespace.state.replaces().is_some())));

    let strangers = full_of_halves(|_, label| label.name = Name::new(b"other").unwrap());
    let refused = namespaces_of(&strangers, MAPPING);
    assert_eq!(refused.len(), 2 * usize::from(FULL));
    assert!(refused.values().all(Result::is_err));
}

#[test]
fn linux_numbers_namespaces_by_the_first_byte() {
    assert!(linux_sort_key(0x1_0000_0000) < linux_sort_key(0x0100_0000));
    assert!(linux_sort_key(0x100) < linux_sort_key(1));
}

proptest! {
    /// Valid labels with any contents describe namespaces or are refused, and no UUID is returned
    /// twice.
    #[test]
    fn forged_labels_are_endured(
        labels in proptest::collection::vec(
            (0u8..3, 0usize..2, 0u64..90, 1u64..20, any::<bool>(), 0u16..4, 0u16..4, 0u64..3),
            0..12,
        ),
    ) {
        let mut dimms = [Dimm::blank(AREA), Dimm::blank(AREA)];
        for dimm in &mut dimms {
            for number in 10..16 {
                let place = extent(u64::from(number) * MIB, MIB);
                let dimm = core::slice::from_mut(dimm);
                write_labels_on(dimm, &fields(number), place, None).unwrap();
            }
        }
        for (index, label) in labels.into_iter().enumerate() {
            let (id, member, start, len, updating, nlabel, position, cookie) = label;
            let slots: Vec<_> = dimms[member].area().slots().taken().collect();
            let template = dimms[member].area().labels().next().unwrap().label;
            let label = Label {
                uuid: uuid(id),
                extent: extent(start * MIB, len * MIB),
                flags: if updating { Flags::UPDATING } else { Flags::NONE },
                nlabel,
                position,
                cookie: [IDENTITY.cookies.v1_2, IDENTITY.cookies.alternate, 0][cookie as usize],
                ..template
            };
            overwrite(&mut dimms[member], slots[index % slots.len()], &label);
        }
        let members = dimms.each_ref().map(|dimm| SetMember { area: dimm.area(), mapping: MAPPING });
        let set = Set::new(&members, IDENTITY);
        let mut seen = std::collections::BTreeSet::new();
        for found in set.namespaces() {
            let uuid = found.map_or_else(|refused| refused.uuid, |namespace| namespace.uuid);
            prop_assert!(seen.insert(uuid), "{} comes twice", uuid);
            if let Ok(namespace) = found {
                for member in 0..2 {
                    let extent = set.extent(&namespace, member).unwrap();
                    prop_assert!(MAPPING.covers(&extent));
                    prop_assert_eq!(extent.len() * 2, namespace.size);
                }
            }
        }
    }
}
