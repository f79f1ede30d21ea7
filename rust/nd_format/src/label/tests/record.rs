// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::prelude::*;
use std::format;

fn any_uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn any_class() -> impl Strategy<Value = ClaimClass> {
    prop_oneof![
        Just(ClaimClass::None),
        Just(ClaimClass::Btt1_1),
        Just(ClaimClass::Btt2_0),
        Just(ClaimClass::Pfn),
        Just(ClaimClass::Dax),
        any::<u128>().prop_map(|digits| ClaimClass::from_guid(Guid::new(digits))),
    ]
}

prop_compose! {
    fn any_label()(
        uuid in any_uuid(),
        name in proptest::collection::vec(1u8.., 0..64),
        flags in any::<u32>(),
        (nlabel, position) in any::<(u16, u16)>(),
        (cookie, lba_size) in any::<(u64, u64)>(),
        (start, len) in (0..u64::MAX / 2, 1..u64::MAX / 2),
        range in any::<u128>(),
        class in any_class(),
    ) -> Label {
        Label {
            uuid,
            name: Name::new(&name).unwrap(),
            flags: Flags::from_bits(flags),
            nlabel,
            position,
            cookie,
            lba_size,
            extent: extent(start, len),
            types: Some(Types { range: Guid::new(range), class }),
        }
    }
}

#[test]
fn classes_have_the_guids_of_the_specification() {
    let known = [
        (ClaimClass::Btt1_1, "8aed63a2-29a2-4c66-8b12-f05d15d3922a"),
        (ClaimClass::Btt2_0, "18633bfc-1735-4217-8ac9-17239282d3f8"),
        (ClaimClass::Pfn, "266400ba-fb9f-4677-bcb0-968f11d0d225"),
        (ClaimClass::Dax, "97a86d9c-3cdd-4eda-986f-5068b4f80088"),
        (ClaimClass::None, "00000000-0000-0000-0000-000000000000"),
    ];
    for (class, text) in known {
        assert_eq!(format!("{}", class.guid()), text);
        assert_eq!(ClaimClass::from_guid(class.guid()), class);
    }
}

#[test]
fn names_end_at_the_first_nul() {
    assert_eq!(Name::new(b"ab\0cd").unwrap().text(), b"ab");
    assert_eq!(Name::new(&[b'x'; 63]).unwrap().text(), [b'x'; 63]);
    assert_eq!(Name::new(&[b'x'; 64]), None);
    assert_eq!(Name::EMPTY.text(), b"");
}

#[test]
fn a_range_is_not_empty_and_does_not_wrap() {
    let mut label = [0; 128];
    label[104..112].copy_from_slice(&u64::MAX.to_le_bytes());
    let error = Label::decode(&label, LabelFormat::V1_1, 0).unwrap_err();
    assert_eq!(
        error,
        LabelError::Extent {
            dpa: u64::MAX,
            raw_size: 0
        }
    );
    label[112] = 1;
    assert!(Label::decode(&label, LabelFormat::V1_1, 0).is_err());
}

proptest! {
    #[test]
    fn large_labels_round_trip(label in any_label(), slot in any::<u32>()) {
        let mut bytes = [0xaa; 256];
        label.encode(&mut bytes, LabelFormat::V1_2, slot);
        prop_assert_eq!(Label::decode(&bytes, LabelFormat::V1_2, slot), Ok(label));
        prop_assert_eq!(Label::peek_uuid(&bytes), Some(label.uuid));
        let elsewhere = Label::decode(&bytes, LabelFormat::V1_2, !slot);
        prop_assert_eq!(elsewhere, Err(LabelError::Slot { found: slot, expected: !slot }));
    }

    #[test]
    fn small_labels_have_no_types(label in any_label(), slot in any::<u32>()) {
        let mut bytes = [0xaa; 128];
        label.encode(&mut bytes, LabelFormat::V1_1, slot);
        let expected = Label { types: None, ..label };
        prop_assert_eq!(Label::decode(&bytes, LabelFormat::V1_1, slot), Ok(expected));
    }

    #[test]
    fn a_flipped_bit_is_noticed(label in any_label(), bit in 0usize..256 * 8) {
        let mut bytes = [0; 256];
        label.encode(&mut bytes, LabelFormat::V1_2, 7);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Label::decode(&bytes, LabelFormat::V1_2, 7).is_err());
    }

    #[test]
    fn any_bytes_are_judged(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        slot in 0u32..3,
    ) {
        for format in [LabelFormat::V1_1, LabelFormat::V1_2] {
            if let Ok(label) = Label::decode(&bytes, format, slot) {
                prop_assert!(label.extent.end() > label.extent.start());
            }
        }
    }
}
