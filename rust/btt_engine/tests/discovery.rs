// SPDX-License-Identifier: GPL-2.0

//! Discovery: BTTs are found, damaged ones are restored or refused, and nothing is changed where
//! they are refused.

#![cfg(not(loom))]

mod support;

use btt_engine::{
    probe,
    Absence,
    Btt,
    IoError,
    Media as _,
    OpenError,
    OpenParams,
    Opened, //
};
use nd_format::{
    btt::{
        info::checksum,
        ArenaGeometry,
        FlogError,
        FlogLayout,
        Info,
        InfoError,
        LbaSize,
        Version,
        ARENA_MIN, //
    },
    uuid::Uuid, //
};
use support::*;

const SIZE: u64 = 20 * MIB;

/// Returns a BTT with one written sector, and its geometry.
fn written() -> (Setup, Ram, ArenaGeometry) {
    let setup = Setup::default();
    let btt = setup.fresh(SIZE);
    write(&btt, 7, 1, 1, 0);
    let geometry = btt.arenas().next().unwrap().info.geometry;
    (setup, btt.media().clone(), geometry)
}

fn copy_offset(geometry: &ArenaGeometry) -> u64 {
    4096 + geometry.info2_offset()
}

/// Checks that opening and probing refuse for the same reason and change nothing. Returns the
/// reason.
fn refused(setup: &Setup, media: &Ram) -> OpenError {
    let before = media.bytes();
    let stores = media.stores();
    let error = setup.open(media).err().expect("refused");
    assert_eq!(probe(media, &setup.params()), Err(error));
    assert!(media.bytes() == before);
    assert_eq!(media.stores(), stores);
    error
}

/// Checks that opening restores the first info block, and that probing alone does not.
fn restored(setup: &Setup, media: &Ram) {
    let stores = media.stores();
    assert_eq!(probe(media, &setup.params()).unwrap().uuid, UUID);
    assert_eq!(media.stores(), stores);
    let opened = setup.open(media).unwrap();
    let restored = opened.restored.unwrap();
    assert_eq!((restored.arena, restored.offset), (0, 4096));
    assert_eq!(read(&opened.btt, 7, 1), pattern(&opened.btt, 7, 1, 1));
    let again = setup.open(media).unwrap();
    assert!(again.restored.is_none());
}

#[test]
fn the_probe_tells_what_is_there() {
    let (setup, media, geometry) = written();
    let detected = probe(&media, &setup.params()).unwrap();
    assert_eq!(detected.uuid, UUID);
    assert_eq!(detected.lba_size.bytes(), 4096);
    assert_eq!(detected.arenas, 1);
    assert_eq!(detected.sectors, u64::from(geometry.external_nlba()));
}

#[test]
fn each_version_is_looked_for_in_its_own_place() {
    for (made, other) in [
        (Version::V1_1, Version::V2_0),
        (Version::V2_0, Version::V1_1),
    ] {
        let setup = |version| Setup {
            version,
            ..Setup::default()
        };
        let media = Ram::new(SIZE);
        setup(made).create(&media);
        assert!(setup(made).open(&media).is_ok());
        let error = refused(&setup(other), &media);
        assert!(matches!(error, OpenError::NotFound(_)), "{error}");
    }
}

#[test]
fn too_small() {
    let setup = Setup::default();
    let media = Ram::new(16 * MIB);
    assert_eq!(
        refused(&setup, &media),
        OpenError::TooSmall {
            size: 16 * MIB - 4096
        }
    );
    assert_eq!(
        refused(&setup, &Ram::new(0)),
        OpenError::TooSmall { size: 0 }
    );
    let media = Ram::new(16 * MIB + 4096);
    setup.create(&media);
    assert!(setup.open(&media).is_ok());
}

#[test]
fn an_empty_namespace_may_be_used() {
    let error = refused(&Setup::default(), &Ram::new(SIZE));
    assert_eq!(
        error,
        OpenError::NotFound(Absence::NoInfo(InfoError::Signature))
    );
    assert!(error.permits_creation());
}

#[test]
fn an_unreadable_info_block_is_restored() {
    let (setup, media, _) = written();
    media.poison(4096..4096 + 512);
    restored(&setup, &media);
}

#[test]
fn a_damaged_info_block_is_restored() {
    for (offset, len) in [
        (0, 16),
        (0, 512),
        (16, 16),
        (100, 1),
        (4088, 8),
        (512, 3584),
    ] {
        let (setup, media, _) = written();
        media.fill(4096 + offset..4096 + offset + len, 0xff);
        restored(&setup, &media);
    }
}

#[test]
fn a_zeroed_info_block_was_given_up() {
    let (setup, media, _) = written();
    // ndctl destroys a namespace in this way.
    media.fill(0..8192, 0);
    let error = refused(&setup, &media);
    assert_eq!(error, OpenError::NotFound(Absence::Erased));
    assert!(error.permits_creation());
}

#[test]
fn a_foreign_block_with_all_else_intact_is_refused_for_creation() {
    let (setup, media, geometry) = written();
    media.fill(4096..8192, 0x77);
    let error = refused(&setup, &media);
    let copy = copy_offset(&geometry);
    assert_eq!(
        error,
        OpenError::NotFound(Absence::Overwritten { offset: 4096, copy })
    );
    assert!(!error.permits_creation());
    // A good copy is enough to require a decision, whatever is in the flog.
    let flog = 4096 + geometry.flog_offset();
    media.fill(flog..flog + 64, 0x77);
    assert_eq!(refused(&setup, &media), error);
    // Zeroes, in contrast, mean that the BTT was given up on purpose.
    media.fill(4096..8192, 0);
    let error = refused(&setup, &media);
    assert_eq!(error, OpenError::NotFound(Absence::Erased));
    assert!(error.permits_creation());
}

#[test]
fn without_any_readable_info_block_there_is_no_guess() {
    let (setup, media, geometry) = written();
    media.poison(4096..8192);
    let copy = copy_offset(&geometry);
    media.poison(copy..copy + 64);
    let error = refused(&setup, &media);
    assert!(matches!(
        error,
        OpenError::NotFound(Absence::CopyUnreadable(_))
    ));
    assert!(!error.permits_creation());
}

#[test]
fn the_btt_of_another_namespace_is_none() {
    let (setup, media, _) = written();
    let arena = setup.open(&media).unwrap().btt.arenas().next().unwrap();
    let parent_uuid = Uuid::from_bytes([3; 16]);
    let info = Info {
        parent_uuid,
        ..arena.info
    };
    let mut block = [0; 4096];
    info.encode(&mut block);
    media.put(4096, &block);
    let error = refused(&setup, &media);
    let expected = InfoError::ParentUuid {
        found: parent_uuid,
        expected: Uuid::NIL,
    };
    assert_eq!(error, OpenError::NotFound(Absence::NoInfo(expected)));
}

/// Corrects the checksum of a block.
fn seal(block: &mut [u8; 4096]) {
    let sum = checksum(block);
    block[4088..].copy_from_slice(&sum.to_le_bytes());
}

/// Changes bytes of the info block at `offset` and corrects its checksum.
fn forge(media: &Ram, offset: u64, at: usize, bytes: &[u8]) {
    let mut block: [u8; 4096] = media.get(offset);
    block[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut block);
    media.put(offset, &block);
}

/// Returns the first `size` bytes of a medium, as a namespace of that size has them.
fn beginning(media: &Ram, size: u64) -> Ram {
    let part = Ram::new(size);
    part.put(0, &media.bytes()[..size as usize]);
    part
}

/// Checks that the arena is damaged, that no BTT may be created over it, and that the message
/// contains `words`.
fn expect_bad_arena(error: OpenError, arena: u32, words: &str) {
    assert!(!error.permits_creation(), "{error}");
    assert!(
        matches!(error, OpenError::BadArena { arena: found, .. } if found == arena),
        "{error}"
    );
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_btt_that_is_larger_than_its_namespace_is_damaged() {
    for version in [Version::V1_1, Version::V2_0] {
        let setup = Setup {
            version,
            ..Setup::default()
        };
        let btt = setup.fresh(24 * MIB);
        write(&btt, 7, 1, 1, 0);
        let media = btt.media().clone();
        let page = 4096;
        for size in [
            24 * MIB - page,
            20 * MIB,
            16 * MIB + page,
            16 * MIB,
            16 * MIB - page,
            MIB,
        ] {
            let error = refused(&setup, &beginning(&media, size));
            expect_bad_arena(error, 0, "info2off is 0x");
            assert!(error.to_string().contains("expected at most 0x"), "{error}");
        }
        // With the old size the data are back.
        let larger = Ram::new(25 * MIB);
        larger.put(0, &media.bytes());
        for media in [media, larger] {
            let opened = setup.open(&media).unwrap();
            assert_eq!(read(&opened.btt, 7, 1), pattern(&opened.btt, 7, 1, 1));
        }
    }
}

#[test]
fn a_field_that_does_not_fit_is_damage() {
    let fields: [(usize, &[u8], &str); 12] = [
        (52, &[2, 0, 0, 0], "version is 2.0, expected 1.1"),
        (56, &[1, 2, 0, 0], "external_lbasize is 513"),
        (60, &[0; 4], "internal_nlba is"),
        (64, &[0, 2, 0, 0], "internal_lbasize is 512"),
        (68, &[0; 4], "internal_nlba is 0"),
        (72, &[0; 4], "nfree is 0"),
        (76, &[0; 4], "infosize is 0"),
        (80, &[0, 16, 0, 0, 0, 0, 0, 0], "nextoff is 0x1000"),
        (88, &[0; 8], "dataoff is 0x0"),
        (96, &[0; 8], "mapoff is 0x0"),
        (104, &[1], "logoff is"),
        (112, &[0xff; 8], "info2off is 0xffffffffffffffff"),
    ];
    for (at, bytes, words) in fields {
        let (setup, media, _) = written();
        forge(&media, 4096, at, bytes);
        // The copy is good: which of the two is meant cannot be known.
        expect_bad_arena(refused(&setup, &media), 0, words);
    }
}

#[test]
fn a_smaller_namespace_over_the_btt_of_another_may_be_used() {
    let (setup, media, _) = written();
    forge(&media, 4096, 32, &[3; 16]);
    for size in [18 * MIB, 16 * MIB + 4096] {
        let media = beginning(&media, size);
        let error = refused(&setup, &media);
        assert!(
            matches!(
                error,
                OpenError::NotFound(Absence::NoInfo(InfoError::ParentUuid { .. }))
            ),
            "{error}"
        );
        assert!(error.permits_creation());
        setup.create(&media);
        assert!(setup.open(&media).is_ok());
    }
}

#[test]
fn damage_whose_copy_is_not_where_the_size_says_is_left_alone() {
    // The namespace became smaller or larger, and then the first info block was lost.
    let (setup, media, _) = written();
    for size in [18 * MIB, 22 * MIB] {
        let media = || {
            let resized = Ram::new(size);
            let bytes = media.bytes();
            resized.put(0, &bytes[..bytes.len().min(size as usize)]);
            resized
        };
        let torn = media();
        torn.fill(5000..5008, 0xff);
        let error = refused(&setup, &torn);
        assert!(!error.permits_creation(), "{error}");
        let unreadable = media();
        unreadable.poison(4096..4608);
        let error = refused(&setup, &unreadable);
        assert!(!error.permits_creation(), "{error}");
        // A block of zeroes was given up, and one without a signature is no info block.
        for byte in [0, 0x77] {
            let none = media();
            none.fill(4096..8192, byte);
            let error = refused(&setup, &none);
            assert!(error.permits_creation(), "{error}");
        }
    }
}

#[test]
fn an_info_block_that_was_never_good_may_not_be_written_over_unread() {
    // As in the C driver: the medium may have held a BTT, or not.
    let setup = Setup::default();
    let media = Ram::new(SIZE);
    media.poison(4096..4608);
    assert!(!refused(&setup, &media).permits_creation());
    media.write_bytes(4096, &[0; 4096]).unwrap();
    assert!(refused(&setup, &media).permits_creation());
}

#[test]
fn a_damaged_flog_does_not_make_a_good_copy_none() {
    let damages: [fn(&Ram); 2] = [
        |media| media.poison(4096..4608),
        |media| media.fill(4096..4608, 0xff),
    ];
    for damage in damages {
        let (setup, media, geometry) = written();
        damage(&media);
        let group = 4096 + geometry.flog_group_offset(9).unwrap();
        media.fill(group..group + 64, 0x77);
        let error = refused(&setup, &media);
        assert!(
            matches!(error, OpenError::BadFlog { lane: 9, .. }),
            "{error}"
        );
        media.poison(group..group + 64);
        let error = refused(&setup, &media);
        assert!(matches!(error, OpenError::Media(_)), "{error}");
    }
}

#[test]
fn the_own_btt_of_another_version_is_not_written_over() {
    let namespace_uuid = Uuid::from_bytes([3; 16]);
    for (made, other) in [
        (Version::V1_1, Version::V2_0),
        (Version::V2_0, Version::V1_1),
    ] {
        for (parent, permits) in [(namespace_uuid, false), (Uuid::from_bytes([4; 16]), true)] {
            let setup = Setup {
                version: made,
                ..Setup::default()
            };
            let media = Ram::new(SIZE);
            setup.create(&media);
            forge(&media, made.initial_offset(), 32, parent.as_bytes());
            let params = OpenParams {
                version: other,
                namespace_uuid,
                groups: 1,
            };
            let error = probe(&media, &params).unwrap_err();
            assert!(matches!(error, OpenError::NotFound(_)), "{error}");
            assert_eq!(error.permits_creation(), permits, "{error}");
        }
    }
}

/// Returns a BTT with two arenas of 16 MiB. No driver creates such small ones, but they are valid.
fn two_arenas() -> (Setup, Ram, ArenaGeometry) {
    let setup = Setup {
        version: Version::V2_0,
        ..Setup::default()
    };
    let parts = [(); 2].map(|()| {
        let part = Ram::new(ARENA_MIN);
        setup.create(&part);
        part
    });
    let media = Ram::new(2 * ARENA_MIN);
    media.put(0, &parts[0].bytes());
    media.put(ARENA_MIN, &parts[1].bytes());
    let geometry = ArenaGeometry::new(ARENA_MIN, setup.lba_size()).unwrap();
    let info = Info {
        uuid: UUID,
        parent_uuid: Uuid::NIL,
        error: false,
        version: Version::V2_0,
        geometry,
        next_offset: ARENA_MIN,
    };
    let mut block = [0; 4096];
    info.encode(&mut block);
    media.put(0, &block);
    media.put(geometry.info2_offset(), &block);
    (setup, media, geometry)
}

#[test]
fn sectors_go_on_in_the_next_arena() {
    let (setup, media, geometry) = two_arenas();
    let border = u64::from(geometry.external_nlba());
    let btt = setup.open(&media).unwrap().btt;
    assert_eq!(btt.sector_count(), 2 * border);
    write(&btt, border - 5, 10, 1, 0);
    write(&btt, 2 * border - 1, 1, 2, 0);
    assert_eq!(read(&btt, border - 5, 10), pattern(&btt, border - 5, 10, 1));
    btt.discard(border - 1, 2).unwrap();
    let btt = setup.open(&media).unwrap().btt;
    assert_eq!(read(&btt, border - 1, 2), [0; 8192]);
    assert_eq!(
        read(&btt, 2 * border - 1, 1),
        pattern(&btt, 2 * border - 1, 1, 2)
    );
    let arenas: Vec<_> = btt
        .arenas()
        .map(|arena| (arena.offset, arena.first_sector, arena.size()))
        .collect();
    assert_eq!(arenas, [(0, 0, ARENA_MIN), (ARENA_MIN, border, ARENA_MIN)]);
}

#[test]
fn a_later_arena_is_restored_whatever_is_in_its_info_block() {
    for byte in [0, 0x77] {
        let (setup, media, _) = two_arenas();
        media.fill(ARENA_MIN..ARENA_MIN + 4096, byte);
        let opened = setup.open(&media).unwrap();
        let restored = opened.restored.unwrap();
        assert_eq!((restored.arena, restored.offset), (1, ARENA_MIN));
        assert!(setup.open(&media).unwrap().restored.is_none());
    }
}

#[test]
fn a_later_arena_that_does_not_fit_is_not_written_over() {
    // The block is whole and has a good copy, so its contents are intentional.
    let fields: [(usize, &[u8], &str); 4] = [
        (32, &[3; 16], "parent_uuid is"),
        (52, &[1, 0, 1, 0], "version is 1.1, expected 2.0"),
        (72, &[0; 4], "nfree is 0"),
        (112, &[0, 0, 0, 2], "info2off is 0x2000000"),
    ];
    for (at, bytes, words) in fields {
        let (setup, media, _) = two_arenas();
        forge(&media, ARENA_MIN, at, bytes);
        expect_bad_arena(refused(&setup, &media), 1, words);
    }
}

#[test]
fn arenas_behind_the_end_of_the_namespace_are_damage() {
    let (setup, media, _) = two_arenas();
    for size in [2 * ARENA_MIN - 4096, ARENA_MIN] {
        let error = refused(&setup, &beginning(&media, size));
        expect_bad_arena(error, 0, "nextoff is 0x1000000");
    }
}

#[test]
fn a_later_arena_without_info_blocks_refuses_the_btt() {
    let (setup, media, geometry) = two_arenas();
    media.fill(ARENA_MIN..ARENA_MIN + 4096, 0);
    media.fill(ARENA_MIN + geometry.info2_offset()..2 * ARENA_MIN, 0);
    let error = refused(&setup, &media);
    let expected = OpenError::BadArena {
        arena: 1,
        error: InfoError::Signature,
    };
    assert_eq!(error, expected);
    assert!(!error.permits_creation());
}

#[test]
fn arenas_of_different_btts_are_refused() {
    let (setup, media, geometry) = two_arenas();
    let found = Uuid::from_bytes([5; 16]);
    let info = Info {
        uuid: found,
        parent_uuid: Uuid::NIL,
        error: false,
        version: Version::V2_0,
        geometry,
        next_offset: 0,
    };
    let mut block = [0; 4096];
    info.encode(&mut block);
    media.put(ARENA_MIN, &block);
    let expected = OpenError::ForeignArena {
        arena: 1,
        found,
        expected: UUID,
    };
    assert_eq!(refused(&setup, &media), expected);

    let lba_size = LbaSize::from_bytes(512).unwrap();
    let geometry = ArenaGeometry::new(ARENA_MIN, lba_size).unwrap();
    let setup_512 = Setup {
        lba_size: 512,
        ..setup
    };
    let part = Ram::new(ARENA_MIN);
    setup_512.create(&part);
    media.put(ARENA_MIN, &part.bytes());
    let expected = OpenError::MixedLbaSize {
        arena: 1,
        found: geometry.lba_size(),
        expected: setup.lba_size(),
    };
    assert_eq!(refused(&setup, &media), expected);
}

/// Returns the bytes of a slot.
fn slot(fields: [u32; 4]) -> Vec<u8> {
    fields.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[test]
fn damaged_flogs_are_refused() {
    let (setup, media, geometry) = written();
    let group = |lane| 4096 + geometry.flog_group_offset(lane).unwrap();
    let good = media.bytes();
    let blocks = geometry.internal_nlba();
    let check = |lane, bytes: &[u8], expected| {
        media.put(0, &good);
        media.put(group(lane), bytes);
        assert_eq!(refused(&setup, &media), expected);
    };
    let bad_flog = |lane, error| OpenError::BadFlog {
        arena: 0,
        lane,
        error,
    };
    check(9, &[0; 64], bad_flog(9, FlogError::Slots([false; 4])));
    check(3, &[1; 64], bad_flog(3, FlogError::Slots([true; 4])));
    let sequence = |first, second| bad_flog(4, FlogError::Sequence { first, second });
    let pair = |first, second| [slot([1, 2, 3, first]), slot([1, 2, 3, second])].concat();
    check(4, &pair(4, 1), sequence(4, 1));
    check(4, &pair(2, 0), sequence(2, 0));
    check(4, &pair(2, 2), sequence(2, 2));
    // The first lane was used by the write above, which determines the layout.
    check(
        5,
        &[slot([1, 2, 3, 1]), vec![0; 16], slot([1, 2, 3, 2])].concat(),
        bad_flog(5, FlogError::Mixed),
    );
    let range = |field, found, limit| OpenError::FlogRange {
        arena: 0,
        lane: 6,
        field,
        found,
        limit,
    };
    check(
        6,
        &slot([1, blocks, 3, 1]),
        range("old_map", blocks, blocks),
    );
    check(
        6,
        &slot([1, 2, blocks, 1]),
        range("new_map", blocks, blocks),
    );
    let sectors = geometry.external_nlba();
    check(6, &slot([sectors, 2, 3, 1]), range("lba", sectors, sectors));
    let first_block = sectors + 6;
    check(
        6,
        &slot([sectors, first_block, first_block, 1]),
        range("lba", sectors, sectors),
    );
    let shared = OpenError::SharedFreeBlock {
        arena: 0,
        block: sectors + 8,
    };
    check(6, &slot([6, sectors + 8, sectors + 8, 1]), shared);
    media.put(0, &good);
    media.poison(group(17)..group(17) + 8);
    assert!(matches!(refused(&setup, &media), OpenError::Media(_)));
}

#[test]
fn the_legacy_layout_is_kept() {
    let setup = Setup {
        groups: 256,
        ..Setup::default()
    };
    let btt = setup.fresh(SIZE);
    let geometry = btt.arenas().next().unwrap().info.geometry;
    write(&btt, 7, 1, 1, 3);
    let media = btt.media().clone();
    // Move the second slot of the lane that was used.
    let group = 4096 + geometry.flog_group_offset(3).unwrap();
    let second: [u8; 16] = media.get(group + 16);
    assert_ne!(second, [0; 16]);
    media.put(group + 32, &second);
    media.fill(group + 16..group + 32, 0);
    let btt = setup.open(&media).unwrap().btt;
    assert_eq!(btt.arenas().next().unwrap().flog_layout, FlogLayout::Legacy);
    for generation in 2..9 {
        write(&btt, 0, 300, generation, generation.into());
    }
    let btt = setup.open(&media).unwrap().btt;
    assert_eq!(btt.arenas().next().unwrap().flog_layout, FlogLayout::Legacy);
    assert_eq!(read(&btt, 0, 300), pattern(&btt, 0, 300, 8));
    for lane in 0..geometry.nfree() {
        let group = 4096 + geometry.flog_group_offset(lane).unwrap();
        assert_eq!(media.get(group + 16), [0; 16], "padding of lane {lane}");
    }
}

#[test]
fn fewer_free_blocks_than_cpus_are_enough() {
    // Only three blocks are free; the others become sectors.
    let (setup, media, geometry) = written();
    let mut block: [u8; 4096] = media.get(4096);
    let put = |block: &mut [u8; 4096], offset: usize, value: u32| {
        block[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(&mut block, 60, geometry.internal_nlba() - 3);
    put(&mut block, 72, 3);
    let sum = checksum(&block);
    block[4088..].copy_from_slice(&sum.to_le_bytes());
    let info = Info::decode(
        &block,
        &nd_format::btt::info::Place {
            version: Version::V1_1,
            namespace_uuid: Uuid::NIL,
            available: SIZE - 4096,
        },
    )
    .unwrap();
    media.put(4096, &block);
    let sectors = info.geometry.external_nlba();
    for lane in 0..3 {
        let group = 4096 + info.geometry.flog_group_offset(lane).unwrap();
        media.fill(group..group + 64, 0);
        media.put(group, &slot([lane, sectors + lane, sectors + lane, 1]));
    }
    media.fill(
        4096 + geometry.map_offset()..4096 + geometry.map_offset() + geometry.map_size(),
        0,
    );
    let btt = Btt::open(
        media,
        &Setup {
            groups: 16,
            ..setup
        }
        .params(),
    )
    .unwrap()
    .btt;
    for cpu in 0..16 {
        write(&btt, 0, 20, cpu as u8, cpu);
    }
    assert_eq!(read(&btt, 0, 20), pattern(&btt, 0, 20, 15));
}

#[test]
fn an_interrupted_write_is_finished() {
    let (setup, media, geometry) = written();
    // The map word is as it was before the write.
    let map = 4096 + geometry.map_entry_offset(7).unwrap();
    let word: [u8; 4] = media.get(map);
    media.put(map, &[0; 4]);
    let opened = setup.open(&media).unwrap();
    assert_eq!(opened.finished_writes, 1);
    assert_eq!(media.get(map), word);
    assert_eq!(read(&opened.btt, 7, 1), pattern(&opened.btt, 7, 1, 1));
    assert_eq!(setup.open(&media).unwrap().finished_writes, 0);
}

#[test]
fn a_map_word_that_recovery_cannot_read_makes_the_arena_read_only() {
    let (setup, media, geometry) = written();
    write(&setup.open(&media).unwrap().btt, 1000, 1, 1, 1);
    let map = |premap| 4096 + geometry.map_entry_offset(premap).unwrap();
    // The write was interrupted, so the word names the block that the lane owns now.
    media.put(map(7), &[0; 4]);
    media.poison(map(0)..map(0) + 512);
    let stores = media.stores();
    let Opened {
        btt,
        lost_word,
        finished_writes,
        ..
    } = setup.open(&media).unwrap();
    let lost_word = lost_word.unwrap();
    assert_eq!((lost_word.arena, lost_word.premap), (0, 7));
    assert_eq!(finished_writes, 0);
    assert!(btt.is_read_only());
    let mut buffer = Buffer::new(vec![0; 4096]);
    assert!(matches!(
        btt.read(7, 1, &mut buffer, 0),
        Err(IoError::Media(_))
    ));
    assert_eq!(read(&btt, 1000, 1), pattern(&btt, 1000, 1, 1));
    for premap in [7, 1000] {
        let refused = btt.write(premap, 1, &mut Buffer::new(vec![0; 4096]), 0);
        assert_eq!(refused, Err(IoError::ReadOnly { arena: 0 }));
    }
    assert_eq!(media.stores(), stores);
    media.forget_poison();
    let opened = setup.open(&media).unwrap();
    assert!(opened.lost_word.is_none() && !opened.btt.is_read_only());
    assert_eq!(opened.finished_writes, 1);
    assert_eq!(read(&opened.btt, 7, 1), pattern(&opened.btt, 7, 1, 1));
}

#[test]
fn map_words_that_recovery_does_not_need_may_be_lost() {
    let (setup, media, geometry) = written();
    let map = 4096 + geometry.map_entry_offset(128).unwrap();
    media.poison(map..map + 512);
    let opened = setup.open(&media).unwrap();
    assert!(opened.lost_word.is_none() && !opened.btt.is_read_only());
}
