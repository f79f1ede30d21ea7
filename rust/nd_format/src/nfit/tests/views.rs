// SPDX-License-Identifier: GPL-2.0

//! Tests of the views of a table: ranges, DIMMs and capabilities.

extern crate std;

use super::sample::{
    self,
    MappingFields, //
};
use crate::{
    nfit::{
        structures::steps,
        *, //
    },
    uuid::Guid, //
};
use std::{
    string::ToString,
    vec::Vec, //
};

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
    // 7 is mapped only into volatile memory, 8 only into a range that does not exist.
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
fn dimms_of_a_crafted_table_are_seen_through_in_time() {
    const EACH: u16 = 100;

    // The last range decides whether a handle is a DIMM, and the last control region describes it.
    // All DIMMs are different at first, then all are the same.
    let handles: [fn(u16) -> u32; 2] = [u32::from, |_| 1];
    for handle in handles {
        let ranges = (1..=EACH).map(|index| sample::range(index, sample::PERSISTENT, 0, 4096));
        let mappings = (1..=EACH).map(|number| {
            sample::mapping(&MappingFields {
                handle: handle(number),
                range: EACH,
                control_region: EACH,
                size: 4096,
                region_offset: 0,
                flags: 0,
            })
        });
        let control_regions = (1..=EACH).map(|index| sample::control_region(index, index.into()));
        let bytes: Vec<u8> = ranges
            .chain(mappings)
            .chain(control_regions)
            .flatten()
            .collect();
        let table = Nfit::from_structures(&bytes).unwrap();
        let before = steps::so_far();
        assert!(table.dimms().all(|dimm| dimm.is_ok()));
        let steps = steps::so_far() - before;
        let structures = 3 * u64::from(EACH);
        assert!(steps <= 4 * structures * structures, "{steps} steps");
    }
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

/// Returns a table of two DIMMs with a range each. `structures(n)` are the structures of number n.
fn two_dimms(structures: impl Fn(u16) -> Vec<Vec<u8>>) -> Vec<u8> {
    (1..=2).flat_map(structures).flatten().collect()
}

fn plain_dimm(number: u16) -> Vec<Vec<u8>> {
    let mapping = sample::mapping(&MappingFields {
        handle: number.into(),
        range: number,
        control_region: number,
        size: 4096,
        region_offset: 0,
        flags: 0,
    });
    std::vec![
        sample::range(number, sample::PERSISTENT, u64::from(number) << 12, 4096),
        mapping,
        sample::control_region(number, number.into()),
        sample::flush_hints(number.into(), &[0x1000]),
        sample::capabilities(1, 1),
    ]
}

/// Returns a structure cut to `length` bytes, or with zeroes at its end.
fn resized(mut structure: Vec<u8>, length: u16) -> Vec<u8> {
    structure.resize(length.into(), 0);
    structure[2..4].copy_from_slice(&length.to_le_bytes());
    structure
}

#[test]
fn a_malformed_structure_costs_what_it_is_about() {
    // Structure of DIMM 1 and its length; whether its range, its DIMM and its mapping remain.
    let cases = [
        (0, 57, false, true, true),
        (1, 49, true, false, false),
        (2, 31, true, false, true),
        (3, 23, true, false, true),
        (4, 15, true, true, true),
    ];
    for (spoilt, length, has_range, has_dimm, is_complete) in cases {
        let bytes = two_dimms(|number| {
            let mut structures = plain_dimm(number);
            if number == 1 {
                structures[spoilt] = resized(structures[spoilt].clone(), length);
            }
            structures
        });
        let table = Nfit::from_structures(&bytes).unwrap();
        assert_eq!(table.malformed().count(), 1, "{spoilt}");

        let ranges = table.ranges().collect::<Vec<_>>();
        assert_eq!(ranges.len(), 1 + usize::from(has_range), "{spoilt}");
        for range in ranges {
            let is_good = range.index.get() == 2 || is_complete;
            assert_eq!(
                table.malformed_mapping_of(range).is_none(),
                is_good,
                "{spoilt}"
            );
        }
        let dimms = table
            .dimms()
            .filter_map(Result::ok)
            .map(|dimm| dimm.handle.0);
        let dimms = dimms.collect::<Vec<_>>();
        // A DIMM without its range is not a DIMM.
        let expected: &[u32] = if has_dimm && has_range { &[1, 2] } else { &[2] };
        assert_eq!(dimms, expected, "{spoilt}");
    }
}

#[test]
fn a_dimm_with_a_mapping_that_cannot_be_read_is_refused() {
    // The malformed mapping may say that the DIMM is not armed.
    let good = plain_dimm(1);
    let bytes = [good.concat(), resized(good[1].clone(), 49)].concat();
    let table = Nfit::from_structures(&bytes).unwrap();
    let error = table.dimms().next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        std::format!(
            "DIMM 0x1 has a structure at offset {:#x} that cannot be read, expected one of a legal length",
            good.concat().len()
        )
    );
}

#[test]
fn a_range_of_index_0_has_no_mapping_that_could_be_malformed() {
    let unmapped = sample::mapping(&MappingFields {
        handle: 1,
        range: 0,
        control_region: 0,
        size: 0,
        region_offset: 0,
        flags: 0,
    });
    let range = sample::range(0, sample::PERSISTENT, 0x1000, 0x1000);
    let bytes = [range, resized(unmapped, 49)].concat();
    let table = Nfit::from_structures(&bytes).unwrap();
    let range = table.ranges().next().unwrap();
    assert!(table.malformed_mapping_of(range).is_none());
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
    for (digits, kind) in [
        (0x7305944f_fdda_44e3_b16c_3f22d252e5d0, RangeKind::Volatile),
        (
            0x66f0d379_b4f3_4074_ac43_0d3318b78cdb,
            RangeKind::Persistent,
        ),
        (0x92f701f6_13b4_405d_910b_299367e8234c, RangeKind::Control),
        (
            0x91af0530_5d86_470e_a6b0_0a2db9408249,
            RangeKind::DataWindow,
        ),
        (
            0x77ab535a_45fc_624b_5560_f7b281d1f96e,
            RangeKind::VolatileDisk,
        ),
        (
            0x3d5abd30_4175_87ce_6d64_d2ade523c4bb,
            RangeKind::VolatileCd,
        ),
        (
            0x5cea02c9_4d07_69d3_269f_4496fbe096f9,
            RangeKind::PersistentDisk,
        ),
        (
            0x08018188_42cd_bb48_100f_5387d53ded3d,
            RangeKind::PersistentCd,
        ),
        (0x08018188_42cd_bb48_100f_5387d53ded3e, RangeKind::Unknown),
    ] {
        let bytes = sample::range(1, Guid::new(digits), 0, 4096);
        let table = Nfit::from_structures(&bytes).unwrap();
        assert_eq!(table.ranges().next().unwrap().kind(), kind, "{digits:x}");
    }
}
