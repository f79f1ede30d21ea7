// SPDX-License-Identifier: GPL-2.0

extern crate std;

use super::{
    dsm::{
        BusFamily,
        DimmFamily,
        Functions, //
    },
    interleave::{
        Cookies,
        InterleaveSet,
        Member,
        MAX_MEMBERS, //
    },
    sample::MappingFields,
    *, //
};
use proptest::prelude::*;
use std::{
    format,
    string::{
        String,
        ToString, //
    },
    vec,
    vec::Vec, //
};

fn set_of(table: &Nfit<'_>, range: &SystemRange) -> (Cookies, Vec<usize>) {
    let members: Vec<Member> = table
        .mappings_of(range)
        .map(|mapping| {
            let index = mapping.control_region_index.get();
            Member::new(mapping, table.control_region(index).unwrap())
        })
        .collect();
    let set = InterleaveSet::new(&members).unwrap();
    let positions = (0..members.len())
        .map(|index| set.position(index).unwrap())
        .collect();
    (set.cookies(), positions)
}

#[test]
fn layouts_have_the_sizes_of_the_specification() {
    assert_eq!(size_of::<TableHeader>(), 40);
    assert_eq!(size_of::<SystemRange>(), 56);
    assert_eq!(size_of::<Mapping>(), 48);
    assert_eq!(size_of::<InterleaveHeader>(), 16);
    assert_eq!(size_of::<ControlRegion>(), 32);
    assert_eq!(size_of::<DataWindow>(), 40);
    assert_eq!(size_of::<FlushHintsHeader>(), 16);
    assert_eq!(size_of::<Capabilities>(), 16);
}

#[test]
fn qemu_table() {
    let bytes = sample::table(&sample::qemu(2));
    let (header, table) = Nfit::from_table(&bytes).unwrap();
    assert_eq!(header.revision, 1);

    let dimms: Vec<Dimm<'_>> = table.dimms().map(Result::unwrap).collect();
    assert_eq!(
        dimms.iter().map(|dimm| dimm.handle.0).collect::<Vec<_>>(),
        [1, 2]
    );
    let first = dimms[0];
    assert_eq!(first.physical_id, 0x17);
    assert!(first.flags.is_empty());
    assert!(first.backs_persistent_memory);
    let control_region = first.control_region.unwrap();
    assert_eq!(DimmId::new(control_region).to_string(), "8680-56341200");
    assert_eq!(u16::from_be_bytes(control_region.vendor), 0x8680);
    assert_eq!(u16::from_be_bytes(control_region.device), 0x0100);
    assert_eq!(u16::from_be_bytes(control_region.revision), 0x0100);
    assert_eq!(u32::from_be_bytes(control_region.serial), 0x5634_1200);
    assert_eq!(control_region.format.get(), 0x0301);
    assert_eq!(control_region.windows.get(), 0);
    assert!(table.flush_hints(first.handle).addresses.is_empty());
    assert!(table.capabilities().is_none());

    let ranges: Vec<&SystemRange> = table.ranges().collect();
    assert_eq!(
        ranges
            .iter()
            .map(|range| range.index.get())
            .collect::<Vec<_>>(),
        [4, 2]
    );
    let range = ranges[1];
    assert_eq!(range.kind(), RangeKind::Persistent);
    assert_eq!(range.proximity_domain(), Some(0));
    assert_eq!(range.bounds(), Some((0x1_0000_0000, 0x1_07df_ffff)));
    let mappings: Vec<&Mapping> = table.mappings_of(range).collect();
    assert_eq!(mappings.len(), 1);
    assert_eq!(mappings[0].device(), DeviceHandle(1));
    assert_eq!(mappings[0].size.get(), 132_120_576);
}

#[test]
fn qemu_cookies() {
    let bytes = sample::qemu(2);
    let table = Nfit::from_structures(&bytes).unwrap();
    let sets: Vec<_> = table.ranges().map(|range| set_of(&table, range)).collect();
    let slot_0 = Cookies {
        v1_1: 0x0024_68ac_0012_3456,
        v1_2: 0x00ba_9012_0012_b4dc,
        alternate: 0x0024_68ac_0012_3456,
    };
    let slot_1 = Cookies {
        v1_1: 0x0024_68ae_0012_3457,
        v1_2: 0x00ba_901c_0012_b4dd,
        alternate: 0x0024_68ae_0012_3457,
    };
    assert_eq!(sets, [(slot_1, vec![0]), (slot_0, vec![0])]);
}

/// A set of DIMMs at the given offsets, serial numbers ascending from 1.
fn interleaved(offsets: &[u64]) -> Vec<u8> {
    let mut bytes = sample::range(1, sample::PERSISTENT, 0, 1 << 30);
    for (serial, &region_offset) in (1_u16..).zip(offsets) {
        bytes.extend(sample::mapping(&MappingFields {
            handle: u32::from(serial),
            range: 1,
            control_region: serial,
            size: 1 << 20,
            region_offset,
            flags: 0,
        }));
        bytes.extend(sample::control_region(serial, u32::from(serial)));
    }
    bytes
}

#[test]
fn members_are_ranked_by_offset() {
    let bytes = interleaved(&[0x300, 0x100, 0x1_0000, 0]);
    let table = Nfit::from_structures(&bytes).unwrap();
    let (cookies, positions) = set_of(&table, table.ranges().next().unwrap());
    assert_eq!(positions, [2, 1, 3, 0]);

    // Record by record, in the order of the specification: offset (two words), serial, zero.
    let v1_1 = [
        0, 0, 4, 0, 0x100, 0, 2, 0, 0x300, 0, 1, 0, 0x1_0000, 0, 3, 0,
    ];
    assert_eq!(cookies.v1_1, crate::fletcher::fletcher64(v1_1.into_iter()));
    // As bytes, 0x10000 is 00 00 01, so it comes before 0x100, 00 01.
    let alternate = [
        0, 0, 4, 0, 0x1_0000, 0, 3, 0, 0x100, 0, 2, 0, 0x300, 0, 1, 0,
    ];
    assert_eq!(
        cookies.alternate,
        crate::fletcher::fletcher64(alternate.into_iter())
    );
    assert_ne!(cookies.alternate, cookies.v1_1);
}

#[test]
fn set_size_is_limited() {
    let offsets: Vec<u64> = (0..33).collect();
    let bytes = interleaved(&offsets);
    let table = Nfit::from_structures(&bytes).unwrap();
    let members: Vec<Member> = table
        .mappings()
        .map(|mapping| Member::new(mapping, table.control_region(1).unwrap()))
        .collect();
    assert!(InterleaveSet::new(&members[..MAX_MEMBERS]).is_ok());
    assert_eq!(
        InterleaveSet::new(&members).unwrap_err().to_string(),
        "interleave set has 33 mappings, expected at most 32"
    );
}

#[test]
fn id_has_manufacturing_data_if_valid() {
    let mut bytes = sample::control_region(1, 0x0403_0201);
    bytes[18] = 1;
    bytes[19] = 0xab;
    bytes[20..22].copy_from_slice(&[0x17, 0x46]);
    let table = Nfit::from_structures(&bytes).unwrap();
    assert_eq!(
        DimmId::new(table.control_region(1).unwrap()).to_string(),
        "8680-ab-1746-01020304"
    );
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = sample::table(&sample::qemu(3));
    let lengths = [56, 48, 80].repeat(3);
    let ends: Vec<usize> = lengths
        .iter()
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect();

    for length in 0..bytes.len() {
        assert!(
            Nfit::from_table(&bytes[..length]).is_err(),
            "table cut at {length}"
        );
        let Some(body) = length.checked_sub(40) else {
            continue;
        };
        // What is left of a cut structure may look like padding, but only if it is all zero.
        let complete = ends.iter().rev().find(|&&end| end <= body).unwrap_or(&0);
        assert_eq!(
            Nfit::from_structures(&bytes[40..length]).is_ok(),
            bytes[40 + complete..length].iter().all(|&byte| byte == 0),
            "structures cut at {body}"
        );
    }
}

/// The text of the error that `bytes` give.
fn error(bytes: &[u8]) -> String {
    Nfit::from_structures(bytes).unwrap_err().to_string()
}

#[test]
fn lengths_are_checked() {
    let zero_length = [sample::qemu(1), vec![0; 4], sample::qemu(1)].concat();
    assert_eq!(
        error(&zero_length),
        "structure at offset 0xb8 (type 0) has length 0, expected at least 4"
    );
    let past_end = [sample::qemu(1), vec![1, 0, 48, 0]].concat();
    assert_eq!(
        error(&past_end),
        "structure at offset 0xb8 (type 1) has length 48, expected at most the 4 bytes up to the end of the table"
    );
    assert_eq!(
        error(&[3, 0, 8]),
        "structure at offset 0x0 has 3 bytes up to the end of the table, expected a header of 4"
    );
    assert_eq!(
        error(&sample::structure(1, &[&[0; 40]])),
        "structure at offset 0x0 (type 1) has length 44, expected 48"
    );
    assert_eq!(
        error(&sample::structure(7, &[&[0; 8]])),
        "structure at offset 0x0 (type 7) has length 12, expected at least 16"
    );
    for (kind, length) in [(2, 15), (4, 31), (5, 39), (5, 41), (6, 15)] {
        assert!(
            Nfit::from_structures(&sample::structure(kind, &[&vec![0; length - 4]])).is_err(),
            "type {kind} of {length} bytes"
        );
    }
}

#[test]
fn location_cookie_goes_with_its_flag() {
    let plain = sample::range(1, sample::PERSISTENT, 0, 4096);
    let with_cookie = |flags| {
        let mut bytes = plain.clone();
        bytes[2..4].copy_from_slice(&64_u16.to_le_bytes());
        bytes[6] = flags;
        bytes.extend([0xcc; 8]);
        bytes
    };
    assert!(Nfit::from_structures(&with_cookie(7)).is_ok());
    assert_eq!(
        error(&with_cookie(3)),
        "structure at offset 0x0 (type 0) has length 64, expected 56"
    );
    let mut without_cookie = plain.clone();
    without_cookie[6] = 7;
    assert_eq!(
        error(&without_cookie),
        "structure at offset 0x0 (type 0) has length 56, expected 64"
    );
}

#[test]
fn counts_are_checked_against_the_structure() {
    let mut hints = sample::flush_hints(5, &[0x1000, 0x2000]);
    let table = Nfit::from_structures(&hints).unwrap();
    let addresses = table.flush_hints(DeviceHandle(5)).addresses;
    assert_eq!(
        addresses.iter().map(|a| a.get()).collect::<Vec<_>>(),
        [0x1000, 0x2000]
    );
    hints[8] = 3;
    assert_eq!(
        error(&hints),
        "structure at offset 0x0 (type 6) has length 32, expected at least 40"
    );

    let lines =
        |count: u32| sample::structure(2, &[&[1, 0, 0, 0], &count.to_le_bytes(), &[0; 4], &[0; 8]]);
    assert!(Nfit::from_structures(&lines(2)).is_ok());
    assert!(Nfit::from_structures(&lines(3)).is_err());
    assert!(Nfit::from_structures(&lines(u32::MAX)).is_err());
}

#[test]
fn padding_and_unknown_types_are_passed() {
    let bytes = [
        sample::structure(0x8001, &[&[1, 2]]),
        sample::qemu(1),
        vec![0; 9],
    ]
    .concat();
    let table = Nfit::from_structures(&bytes).unwrap();
    let mut structures = table.structures();
    assert!(
        matches!(structures.next(), Some(Structure::Unknown { kind: 0x8001, bytes }) if bytes.len() == 6)
    );
    assert_eq!(structures.count(), 3);
}

#[test]
fn static_table_header_is_checked() {
    let good = sample::table(&sample::qemu(1));
    let with = |offset: usize, bytes: &[u8]| {
        let mut table = good.clone();
        table[offset..offset + bytes.len()].copy_from_slice(bytes);
        Nfit::from_table(&table).map(drop).unwrap_err().to_string()
    };
    assert_eq!(
        with(0, b"S\0DT"),
        "table has signature \"S\\x00DT\", expected \"NFIT\""
    );
    assert_eq!(with(4, &[39, 0]), "table length is 39, expected 40 to 224");
    assert_eq!(
        with(4, &[225, 0]),
        "table length is 225, expected 40 to 224"
    );
    assert_eq!(
        Nfit::from_table(&good[..39])
            .map(drop)
            .unwrap_err()
            .to_string(),
        "table has 39 bytes, expected a header of 40"
    );
}

#[test]
fn persistence_domain() {
    use PersistenceDomain::{CpuCache, MemoryController};

    let domain = |highest_bit, bits| {
        let bytes = sample::capabilities(highest_bit, bits);
        let table = Nfit::from_structures(&bytes).unwrap();
        table.capabilities().unwrap().persistence_domain()
    };
    assert_eq!(domain(2, 0b001), Some(CpuCache));
    assert_eq!(domain(2, 0b011), Some(CpuCache));
    assert_eq!(domain(2, 0b010), Some(MemoryController));
    assert_eq!(domain(0, 0b010), None);
    assert_eq!(domain(31, 0), None);
    assert_eq!(domain(255, 1), Some(CpuCache));
}

#[test]
fn dimms_are_gathered_from_mappings() {
    let mapping = |handle, range, control_region, flags| {
        sample::mapping(&MappingFields {
            handle,
            range,
            control_region,
            size: 4096,
            region_offset: 0,
            flags,
        })
    };
    let bytes = [
        sample::range(1, sample::PERSISTENT, 0, 4096),
        sample::range(2, sample::VOLATILE, 4096, 4096),
        mapping(9, 1, 1, 0b1000),
        mapping(9, 2, 1, 0b0001),
        mapping(4, 0, 1, 0),
        mapping(7, 2, 1, 0),
        mapping(8, 3, 1, 0),
        sample::control_region(1, 1),
    ]
    .concat();
    let table = Nfit::from_structures(&bytes).unwrap();
    let dimms: Vec<Dimm<'_>> = table.dimms().map(Result::unwrap).collect();
    // 7 is mapped only into volatile memory, 8 only into a range that is not there.
    assert_eq!(
        dimms.iter().map(|dimm| dimm.handle.0).collect::<Vec<_>>(),
        [4, 9]
    );
    assert!(!dimms[0].backs_persistent_memory);
    assert!(dimms[1].flags.contains(MappingFlags::NOT_ARMED));
    assert_eq!(dimms[1].flags.to_string(), "save_fail not_armed ");
    assert_eq!(dimms[1].flags.failures(), dimms[1].flags);
}

#[test]
fn control_region_may_be_absent_but_not_missing() {
    let dimm = |control_region| {
        sample::mapping(&MappingFields {
            handle: 3,
            range: 0,
            control_region,
            size: 0,
            region_offset: 0,
            flags: 0,
        })
    };
    let absent = dimm(0);
    let table = Nfit::from_structures(&absent).unwrap();
    assert!(table
        .dimms()
        .next()
        .unwrap()
        .unwrap()
        .control_region
        .is_none());
    let missing = dimm(12);
    let table = Nfit::from_structures(&missing).unwrap();
    assert_eq!(
        table.dimms().next().unwrap().unwrap_err().to_string(),
        "DIMM 0x3 names control region 12, expected one that is in the table"
    );
}

#[test]
fn control_region_with_windows_is_the_better() {
    let mut with_windows = sample::control_region(2, 0xbeef);
    with_windows[30] = 1;
    let dimm = |control_region| {
        sample::mapping(&MappingFields {
            handle: 3,
            range: 0,
            control_region,
            size: 0,
            region_offset: 0,
            flags: 0,
        })
    };
    for order in [[1, 2], [2, 1]] {
        let bytes = [
            dimm(order[0]),
            dimm(order[1]),
            sample::control_region(1, 1),
            with_windows.clone(),
        ]
        .concat();
        let table = Nfit::from_structures(&bytes).unwrap();
        let found = table
            .dimms()
            .next()
            .unwrap()
            .unwrap()
            .control_region
            .unwrap();
        assert_eq!(found.index.get(), 2);
    }
}

#[test]
fn range_bounds() {
    let bounds = |base, length| {
        let bytes = sample::range(1, sample::PERSISTENT, base, length);
        let table = Nfit::from_structures(&bytes).unwrap();
        let range = table.ranges().next().unwrap();
        range.bounds()
    };
    assert_eq!(bounds(0x1000, 0x1000), Some((0x1000, 0x1fff)));
    assert_eq!(bounds(u64::MAX, 1), Some((u64::MAX, u64::MAX)));
    assert_eq!(bounds(u64::MAX, 2), None);
    assert_eq!(bounds(0x1000, 0), None);
}

#[test]
fn range_kinds() {
    for (text, kind) in [
        ("7305944f-fdda-44e3-b16c-3f22d252e5d0", RangeKind::Volatile),
        (
            "66f0d379-b4f3-4074-ac43-0d3318b78cdb",
            RangeKind::Persistent,
        ),
        ("92f701f6-13b4-405d-910b-299367e8234c", RangeKind::Control),
        (
            "91af0530-5d86-470e-a6b0-0a2db9408249",
            RangeKind::DataWindow,
        ),
        (
            "77ab535a-45fc-624b-5560-f7b281d1f96e",
            RangeKind::VolatileDisk,
        ),
        (
            "3d5abd30-4175-87ce-6d64-d2ade523c4bb",
            RangeKind::VolatileCd,
        ),
        (
            "5cea02c9-4d07-69d3-269f-4496fbe096f9",
            RangeKind::PersistentDisk,
        ),
        (
            "08018188-42cd-bb48-100f-5387d53ded3d",
            RangeKind::PersistentCd,
        ),
        ("08018188-42cd-bb48-100f-5387d53ded3e", RangeKind::Unknown),
    ] {
        let mut guid = *crate::uuid::Uuid::parse(text.as_bytes())
            .unwrap()
            .as_bytes();
        // From text order to the mixed order of a GUID.
        guid[..4].reverse();
        guid[4..6].reverse();
        guid[6..8].reverse();
        let bytes = sample::range(1, guid, 0, 4096);
        let table = Nfit::from_structures(&bytes).unwrap();
        assert_eq!(table.ranges().next().unwrap().kind(), kind, "{text}");
    }
}

#[test]
fn family_functions() {
    let masks: Vec<u64> = DimmFamily::ALL
        .iter()
        .map(|family| family.documented().mask())
        .collect();
    assert_eq!(masks, [0x7fff_fffe, 0x1c_3c76, 0x1fe, 0xffff_fffe, 0x1e]);
    assert_eq!(BusFamily::Nfit.documented().mask(), 0x3be);
    assert_eq!(BusFamily::COMMANDS.mask(), 0x1e);
    assert_eq!(dsm::LABEL_FUNCTIONS.mask(), 0x70);
    assert_eq!(dsm::LABEL_FUNCTIONS.to_string(), "0x70");
    assert_eq!(Functions::NONE.to_string(), "0x0");

    let hpe2 = DimmFamily::Hpe2;
    assert_eq!(
        hpe2.documented().without(hpe2.vendor_specific()).mask(),
        0xfe
    );
    assert_eq!(
        DimmFamily::Intel.commands(Functions::span(4, 12)).mask(),
        0x3f0
    );
    assert_eq!(
        DimmFamily::Microsoft.commands(Functions::span(4, 12)),
        Functions::NONE
    );
    assert_eq!(
        [10, 11, 30, 31].map(|function| DimmFamily::Intel.revision(function)),
        [1, 2, 2, 1]
    );
    assert_eq!(DimmFamily::HyperV.revision(11), 1);
    assert!(!Functions::span(0, 63).contains(64));
    assert_eq!(
        Functions::from_mask(0x8000_0000_0000_0011)
            .iter()
            .collect::<Vec<_>>(),
        [0, 4, 63]
    );
    for family in DimmFamily::ALL {
        assert!(!family.documented().contains(0), "{family:?}");
    }
    assert_eq!(
        format!("{}", DimmFamily::Intel.guid()),
        "4309ac30-0d11-11e4-9191-0800200c9a66"
    );
}

/// Looks at all that a table offers.
fn look_at_everything(bytes: &[u8]) {
    let Ok(table) = Nfit::from_structures(bytes) else {
        return;
    };
    for dimm in table.dimms() {
        match dimm {
            Ok(dimm) => {
                let _ = dimm
                    .control_region
                    .map(|region| DimmId::new(region).to_string());
                let _ = table.flush_hints(dimm.handle);
            }
            Err(error) => drop(error.to_string()),
        }
    }
    for range in table.ranges() {
        let _ = range.bounds();
        let members: Vec<Member> = table
            .mappings_of(range)
            .filter_map(|mapping| {
                let region = table.control_region(mapping.control_region_index.get())?;
                Some(Member::new(mapping, region))
            })
            .collect();
        if let Ok(set) = InterleaveSet::new(&members) {
            let _ = set.cookies();
            let mut positions: Vec<usize> = (0..members.len())
                .map(|i| set.position(i).unwrap())
                .collect();
            positions.sort_unstable();
            assert!(positions.into_iter().eq(0..members.len()));
        }
    }
    let _ = table.capabilities().map(Capabilities::persistence_domain);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        look_at_everything(&bytes);
    }

    #[test]
    fn any_damage_to_a_table_is_survived(
        slots in 1_u16..4,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample::qemu(slots);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        look_at_everything(&bytes);
    }

    #[test]
    fn cookies_do_not_depend_on_the_order_of_the_table(offsets in prop::collection::btree_set(any::<u64>(), 1..8)) {
        let ascending: Vec<u64> = offsets.into_iter().collect();
        let bytes = interleaved(&ascending);
        let table = Nfit::from_structures(&bytes).unwrap();
        let members: Vec<Member> = table
            .mappings()
            .map(|mapping| Member::new(mapping, table.control_region(mapping.control_region_index.get()).unwrap()))
            .collect();
        let reversed: Vec<Member> = members.iter().rev().copied().collect();
        let forward = InterleaveSet::new(&members).unwrap();
        let backward = InterleaveSet::new(&reversed).unwrap();
        prop_assert_eq!(forward.cookies(), backward.cookies());
        for index in 0..members.len() {
            prop_assert_eq!(forward.position(index), Some(index));
            prop_assert_eq!(backward.position(index), Some(members.len() - 1 - index));
        }
    }
}
