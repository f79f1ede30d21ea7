// SPDX-License-Identifier: GPL-2.0

//! Tests of the arena arithmetic.

extern crate std;

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Sizes and offsets that the C driver writes.
#[test]
fn vectors() {
    // Arena bytes, external size; internal size, blocks, sectors, map, flog, info2, bytes of the
    // disk.
    let vectors = [
        (
            16 * MIB,
            512,
            512,
            0x7eca,
            0x7dca,
            0xfdb000,
            0xffb000,
            0xfff000,
            16487424,
        ),
        (
            16 * MIB,
            4096,
            4096,
            0xff5,
            0xef5,
            0xff7000,
            0xffb000,
            0xfff000,
            15683584,
        ),
        (
            32 * MIB - 4096,
            4096,
            4096,
            0x1ff0,
            0x1ef0,
            0x1ff2000,
            0x1ffa000,
            0x1ffe000,
            32440320,
        ),
        (
            64 * MIB,
            4096,
            4096,
            0x3fe9,
            0x3ee9,
            0x3feb000,
            0x3ffb000,
            0x3fff000,
            65966080,
        ),
        (
            64 * MIB,
            520,
            576,
            0x1c3c7,
            0x1c2c7,
            0x3f8a000,
            0x3ffb000,
            0x3fff000,
            59084288,
        ),
        (
            GIB, 512, 512, 0x1fc047, 0x1fbf47, 0x3f80b000, 0x3fffb000, 0x3ffff000, 1065258496,
        ),
        (
            GIB, 4096, 4096, 0x3fef9, 0x3fdf9, 0x3fefb000, 0x3fffb000, 0x3ffff000, 1071616000,
        ),
        (
            GIB - 4096,
            4104,
            4160,
            0x3ef3f,
            0x3ee3f,
            0x3fefe000,
            0x3fffa000,
            0x3fffe000,
            1055125504,
        ),
        (
            GIB - 4096,
            4224,
            4224,
            0x3e000,
            0x3df00,
            0x3ff02000,
            0x3fffa000,
            0x3fffe000,
            1039138816,
        ),
        (
            512 * GIB,
            512,
            512,
            0x3f80fdcc,
            0x3f80fccc,
            0x7f01fbb000,
            0x7fffffb000,
            0x7ffffff000,
            545493981184u64,
        ),
    ];
    for (size, external, internal, blocks, sectors, map, flog, info2, disk) in vectors {
        let lba_size = LbaSize::from_bytes(external).unwrap();
        let geometry = ArenaGeometry::new(size, lba_size).unwrap();
        assert_eq!(geometry.internal_lba_size(), internal);
        assert_eq!(geometry.internal_nlba(), blocks);
        assert_eq!(geometry.external_nlba(), sectors);
        assert_eq!(geometry.nfree(), NFREE);
        assert_eq!(geometry.data_offset(), INFO_SIZE);
        assert_eq!(geometry.map_offset(), map);
        assert_eq!(geometry.flog_offset(), flog);
        assert_eq!(geometry.info2_offset(), info2);
        assert_eq!(
            u64::from(geometry.external_nlba()) * u64::from(lba_size.sector()),
            disk
        );
    }
}

#[test]
fn too_small() {
    let size = ARENA_MIN - 1;
    for lba_size in LbaSize::ALL {
        assert_eq!(
            ArenaGeometry::new(size, lba_size),
            Err(GeometryError::TooSmall { size })
        );
    }
    assert_eq!(ArenaSpan::split(size).count(), 0);
}

#[test]
fn fewer_lanes() {
    let lba_size = LbaSize::from_bytes(512).unwrap();
    let whole = ArenaGeometry::new(ARENA_MIN, lba_size).unwrap();
    for (wanted, lanes) in [(0, 1), (1, 1), (3, 3), (NFREE, NFREE), (u32::MAX, NFREE)] {
        let geometry = whole.with_lanes(wanted);
        assert_eq!(geometry.nfree(), lanes);
        assert_eq!(geometry.external_nlba(), whole.external_nlba());
        assert_eq!(
            ArenaGeometry::from_media(&geometry.to_media(), ARENA_MIN),
            Ok(geometry)
        );
    }
    assert_eq!(whole.with_lanes(NFREE), whole);
}

#[test]
fn split_into_arenas() {
    let split = |raw_size| {
        ArenaSpan::split(raw_size)
            .map(|arena| (arena.offset, arena.next_offset()))
            .collect()
    };
    let arenas: Vec<_> = split(64 * MIB);
    assert_eq!(arenas, [(0, 0)]);
    let arenas: Vec<_> = split(ARENA_MAX);
    assert_eq!(arenas, [(0, 0)]);
    // If the rest is too small for an arena, the arena in front of it is the last one.
    let arenas: Vec<_> = split(ARENA_MAX + ARENA_MIN - 1);
    assert_eq!(arenas, [(0, 0)]);
    let arenas: Vec<_> = split(ARENA_MAX + ARENA_MIN);
    assert_eq!(arenas, [(0, ARENA_MAX), (ARENA_MAX, 0)]);
    let arenas: Vec<_> = split(2 * ARENA_MAX + 5);
    assert_eq!(arenas, [(0, ARENA_MAX), (ARENA_MAX, 0)]);
}

/// All sizes of arenas, which are rounded down to pages: 7 × 2^27.
#[test]
#[ignore = "a minute if optimised, an hour if not"]
fn all_new_arenas_pass_the_check_for_media() {
    for lba_size in LbaSize::ALL {
        for size in (ARENA_MIN..=ARENA_MAX).step_by(INFO_SIZE as usize) {
            let new = ArenaGeometry::new(size, lba_size).unwrap();
            assert!(new.end() == size && new.nfree() == NFREE);
            assert!(ArenaGeometry::from_media(&new.to_media(), size) == Ok(new));
        }
    }
}

fn lba_size() -> impl Strategy<Value = LbaSize> {
    proptest::sample::select(&LbaSize::ALL)
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![ARENA_MIN..256 * MIB, ARENA_MIN..=ARENA_MAX]
}

/// A value for one field of an otherwise valid layout.
fn damage() -> impl Strategy<Value = (usize, u64)> {
    (
        0usize..10,
        prop_oneof![any::<u64>(), any::<u32>().prop_map(u64::from), 0u64..8192],
    )
}

proptest! {
    #[test]
    fn new_arenas_pass_the_check_for_media(size in size(), lba_size in lba_size()) {
        let geometry = ArenaGeometry::new(size, lba_size).unwrap();
        prop_assert_eq!(ArenaGeometry::from_media(&geometry.to_media(), size), Ok(geometry));
        prop_assert!(geometry.end() <= size && size - geometry.end() < INFO_SIZE);
        let short = geometry.end() - 1;
        prop_assert!(ArenaGeometry::from_media(&geometry.to_media(), short).is_err());
    }

    #[test]
    fn what_passes_the_check_is_in_order(
        size in size(),
        lba_size in lba_size(),
        (field, value) in damage(),
    ) {
        let mut media = ArenaGeometry::new(size, lba_size).unwrap().to_media();
        let short = value as u32;
        match field {
            0 => media.external_lba_size = short,
            1 => media.external_nlba = short,
            2 => media.internal_lba_size = short,
            3 => media.internal_nlba = short,
            4 => media.nfree = short,
            5 => media.info_size = short,
            6 => media.data_offset = value,
            7 => media.map_offset = value,
            8 => media.flog_offset = value,
            _ => media.info2_offset = value,
        }
        if let Ok(geometry) = ArenaGeometry::from_media(&media, size) {
            prop_assert_eq!(geometry.to_media(), media);
            prop_assert!(geometry.data_offset() >= INFO_SIZE);
            prop_assert!(geometry.data_offset() + geometry.data_size() <= geometry.map_offset());
            prop_assert!(geometry.map_offset() + geometry.map_size() <= geometry.flog_offset());
            prop_assert!(geometry.flog_offset() + geometry.flog_size() <= geometry.info2_offset());
            prop_assert!(geometry.end() <= size);
            prop_assert!(geometry.internal_lba_size() >= geometry.lba_size().bytes());
        }
    }

    #[test]
    fn arenas_fill_the_space(raw_size in 0..20 * ARENA_MAX) {
        let mut end = 0;
        let mut last = false;
        for arena in ArenaSpan::split(raw_size) {
            prop_assert!(!last);
            prop_assert_eq!(arena.offset, end);
            prop_assert_eq!(ArenaSpan::at(arena.offset, raw_size), Some(arena));
            end += arena.size;
            last = arena.last;
        }
        prop_assert!(raw_size - end < ARENA_MIN);
        prop_assert_eq!(last, raw_size >= ARENA_MIN);
    }
}
