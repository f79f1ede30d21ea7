// SPDX-License-Identifier: GPL-2.0

use super::super::index::{
    clear,
    seal, //
};
use super::*;
use proptest::prelude::*;

const AREA: u32 = 128 << 10;

#[test]
fn places_in_an_area_of_128_kib() {
    for (format, slots) in [(LabelFormat::V1_1, 1020), (LabelFormat::V1_2, 510)] {
        let geometry = Geometry::new(AREA, format).unwrap();
        assert_eq!((geometry.index_size(), geometry.slots()), (256, slots));
        assert_eq!(geometry.label_offset(0), Some(512));
        assert_eq!(
            geometry.label_offset(slots - 1),
            Some(AREA - geometry.label_len())
        );
        assert_eq!(geometry.label_offset(slots), None);
    }
}

#[test]
fn an_area_holds_two_labels_at_least() {
    assert!(Geometry::new(512 + 255, LabelFormat::V1_1).is_err());
    assert_eq!(
        Geometry::new(512 + 256, LabelFormat::V1_1).unwrap().slots(),
        2
    );
    assert!(Geometry::new(512 + 256, LabelFormat::V1_2).is_err());
    assert_eq!(
        Geometry::new(512 + 512, LabelFormat::V1_2).unwrap().slots(),
        2
    );
    // The area is too small for large labels: if blank, it takes small ones.
    let layout = Layout::discover(768, &[0; 768]).unwrap();
    assert_eq!(layout.geometry().format(), LabelFormat::V1_1);
    assert!(Layout::discover(0, &[]).is_err());
}

/// Returns the two indexes of a fresh area.
fn fresh(format: LabelFormat) -> (Geometry, Vec<u8>) {
    let geometry = Geometry::new(AREA, format).unwrap();
    let mut bytes = vec![0; AREA as usize];
    for (copy, sequence) in IndexCopy::ALL
        .into_iter()
        .zip([Sequence::INITIAL_FIRST, Sequence::INITIAL_SECOND])
    {
        let start = geometry.index_offset(copy) as usize;
        let index = &mut bytes[start..start + geometry.index_size() as usize];
        clear(index, geometry.slots());
        seal(index, &geometry, copy, sequence, geometry.slots());
    }
    (geometry, bytes)
}

#[test]
fn fresh_indexes_have_the_sums_of_the_specification() {
    let sums = [
        (
            LabelFormat::V1_2,
            [0xe793_e3ed_1832_3c1c_u64, 0xe793_e7b2_1832_3c1b],
        ),
        (
            LabelFormat::V1_1,
            [0xdb63_4621_e731_3e0a, 0xdb63_49e6_e731_3e09],
        ),
    ];
    for (format, expected) in sums {
        let (geometry, bytes) = fresh(format);
        let found = IndexCopy::ALL.map(|copy| {
            let start = geometry.index_offset(copy) as usize + 64;
            u64::from_le_bytes(bytes[start..start + 8].try_into().unwrap())
        });
        assert_eq!(found, expected);
        let layout = Layout::discover(AREA, &bytes).unwrap();
        assert_eq!(layout.geometry().format(), format);
        assert_eq!(layout.current().unwrap().copy, IndexCopy::First);
    }
}

#[test]
fn sequence_numbers_go_round() {
    let numbers = [1, 2, 3].map(|field| Sequence::from_field(field).unwrap());
    assert_eq!(numbers.map(|number| number.successor().number()), [2, 3, 1]);
    assert_eq!(Sequence::from_field(4), None);
    assert_eq!(Sequence::from_field(7).unwrap().number(), 3);
}

#[test]
fn the_later_index_counts() {
    let index = |field| Index {
        sequence: Sequence::from_field(field).unwrap(),
        slots: 2,
        version: (1, 2),
    };
    for (first, second, expected) in [
        (1, 1, IndexCopy::Second),
        (1, 2, IndexCopy::Second),
        (2, 3, IndexCopy::Second),
        (3, 1, IndexCopy::Second),
        (2, 1, IndexCopy::First),
        (3, 2, IndexCopy::First),
        (1, 3, IndexCopy::First),
    ] {
        assert_eq!(Index::newer(&index(first), &index(second)), expected);
    }
}

/// Changes a field of the first index and corrects its checksum.
fn with_field(offset: usize, value: &[u8]) -> Result<Index, IndexError> {
    let (geometry, mut bytes) = fresh(LabelFormat::V1_2);
    bytes[offset..offset + value.len()].copy_from_slice(value);
    let sum = crate::fletcher::fletcher64_le_without(&bytes[..256], 64);
    bytes[64..72].copy_from_slice(&sum.to_le_bytes());
    inspect(&geometry, &bytes, IndexCopy::First)
}

#[test]
fn every_field_is_checked() {
    assert!(with_field(16, &[0]).is_ok());
    let refused = [
        (with_field(0, b"X"), IndexError::Signature),
        (
            with_field(60, &[2, 0]),
            IndexError::Version { found: (2, 2) },
        ),
        (
            with_field(19, &[2]),
            IndexError::LabelSizeCode {
                found: 2,
                expected: 1,
            },
        ),
        (
            with_field(62, &[1, 0]),
            IndexError::LabelSizeCode {
                found: 0,
                expected: 1,
            },
        ),
        (with_field(20, &[4]), IndexError::Sequence { found: 4 }),
        (
            with_field(24, &[1]),
            IndexError::Offset {
                field: IndexField::OwnOffset,
                found: 1,
                expected: 0,
            },
        ),
        (
            with_field(40, &[1]),
            IndexError::Offset {
                field: IndexField::OtherOffset,
                found: 0x101,
                expected: 0x100,
            },
        ),
        (
            with_field(48, &[1]),
            IndexError::Offset {
                field: IndexField::LabelsOffset,
                found: 0x201,
                expected: 0x200,
            },
        ),
        (
            with_field(32, &[71, 0]),
            IndexError::OwnSize {
                found: 71,
                most: 256,
            },
        ),
        (
            with_field(32, &[1, 1]),
            IndexError::OwnSize {
                found: 257,
                most: 256,
            },
        ),
        (
            with_field(56, &[0xff, 1]),
            IndexError::Slots {
                found: 511,
                most: 510,
            },
        ),
        (
            with_field(56, &[0xff; 4]),
            IndexError::Slots {
                found: u32::MAX,
                most: 510,
            },
        ),
    ];
    for (found, expected) in refused {
        assert_eq!(found, Err(expected));
    }
    let (geometry, mut bytes) = fresh(LabelFormat::V1_2);
    bytes[100] ^= 1;
    let error = inspect(&geometry, &bytes, IndexCopy::First).unwrap_err();
    assert!(matches!(error, IndexError::Checksum { .. }));
    // The other index is still valid.
    let layout = Layout::discover(AREA, &bytes).unwrap();
    assert_eq!(layout.current().unwrap().copy, IndexCopy::Second);
}

#[test]
fn errors_name_the_field_and_both_values() {
    let error = with_field(56, &[0xff, 1]).unwrap_err();
    assert_eq!(
        std::format!("{error}"),
        "nslot is 511, expected at most 510"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_an_area(
        bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        size in prop_oneof![0u32..4096, any::<u32>()],
    ) {
        if let Ok(layout) = Layout::discover(size, &bytes) {
            let area = LabelArea::new(&bytes, &layout);
            prop_assert!(area.available_slots() <= layout.geometry().slots());
            prop_assert!(area.labels().count() <= area.entries().count());
        }
    }

    #[test]
    fn geometry_stays_in_the_area(size in any::<u32>(), large in any::<bool>()) {
        let format = if large { LabelFormat::V1_2 } else { LabelFormat::V1_1 };
        if let Ok(geometry) = Geometry::new(size, format) {
            prop_assert!(geometry.slots() <= geometry.slots_max());
            prop_assert!(geometry.label_offset(geometry.slots() - 1).is_some());
            prop_assert!(geometry.label_offset(u32::MAX).is_none());
        }
    }
}
