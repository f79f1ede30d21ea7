// SPDX-License-Identifier: GPL-2.0

//! Sectors are what was written to them.

#![cfg(not(loom))]

mod support;

use btt_engine::{
    Btt,
    IoError,
    MediaError, //
};
use nd_format::{
    btt::{
        geometry::MediaGeometry,
        ArenaGeometry,
        Info,
        LbaSize,
        MapEntry,
        MapState,
        Version, //
    },
    uuid::Uuid, //
};
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    },
};
use support::*;

/// Offsets of the parts of the only arena on the medium.
fn parts(btt: &Btt<Ram>) -> (u64, ArenaGeometry) {
    let arena = btt.arenas().next().unwrap();
    (btt.detected().version.initial_offset(), arena.info.geometry)
}

fn map_offset(btt: &Btt<Ram>, premap: u32) -> u64 {
    let (origin, geometry) = parts(btt);
    origin + geometry.map_entry_offset(premap).unwrap()
}

fn block_offset(btt: &Btt<Ram>, block: u32) -> u64 {
    let (origin, geometry) = parts(btt);
    origin + geometry.block_offset(block).unwrap()
}

fn entry(btt: &Btt<Ram>, premap: u32) -> MapEntry {
    MapEntry::decode(btt.media().word(map_offset(btt, premap)), premap)
}

/// Opens the medium again and checks that every block is mapped or free, once.
fn assert_permutation(setup: &Setup, media: &Ram) {
    let btt = setup.open(media).unwrap().btt;
    for arena in btt.arenas() {
        let start = setup.version.initial_offset() + arena.offset;
        let geometry = arena.info.geometry;
        let word = |premap| media.word(start + geometry.map_entry_offset(premap).unwrap());
        let mut blocks: BTreeSet<u32> = (0..geometry.external_nlba())
            .map(|premap| MapEntry::decode(word(premap), premap).block)
            .collect();
        for lane in 0..geometry.nfree() {
            let group = start + geometry.flog_group_offset(lane).unwrap();
            let slot = |slot: usize| (0..4).map(move |field| group + slot as u64 * 16 + field * 4);
            let group = [0, 1, 2, 3].map(|number| {
                let fields: Vec<u32> = slot(number).map(|offset| media.word(offset)).collect();
                nd_format::btt::flog::RawSlot {
                    lba: fields[0],
                    old_map: fields[1],
                    new_map: fields[2],
                    seq: fields[3],
                }
            });
            blocks.insert(arena.flog_layout.newest(&group).unwrap().entry.old);
        }
        assert_eq!(blocks.len(), geometry.internal_nlba() as usize);
        assert_eq!(blocks.last(), Some(&(geometry.internal_nlba() - 1)));
    }
}

#[test]
fn what_is_written_is_read() {
    for version in [Version::V1_1, Version::V2_0] {
        for lba_size in LbaSize::ALL {
            let setup = Setup {
                version,
                lba_size: lba_size.bytes(),
                groups: 3,
            };
            let btt = setup.fresh(16 * MIB + version.initial_offset());
            let last = btt.sector_count() - 1;
            for (cpu, (lba, count)) in [(0, 1), (5, 100), (50, 300), (last, 1), (7, 1)]
                .into_iter()
                .enumerate()
            {
                write(&btt, lba, count, cpu as u8, cpu);
                assert_eq!(read(&btt, lba, count), pattern(&btt, lba, count, cpu as u8));
            }
            let media = btt.media().clone();
            drop(btt);
            let btt = setup.open(&media).unwrap().btt;
            assert_eq!(read(&btt, 0, 1), pattern(&btt, 0, 1, 0));
            assert_eq!(read(&btt, 5, 2), pattern(&btt, 5, 2, 1));
            assert_eq!(read(&btt, 7, 1), pattern(&btt, 7, 1, 4));
            assert_eq!(read(&btt, 50, 300), pattern(&btt, 50, 300, 2));
            assert_eq!(read(&btt, last, 1), pattern(&btt, last, 1, 3));
            assert_permutation(&setup, &media);
        }
    }
}

#[test]
fn two_fences_a_request() {
    let btt = Setup {
        groups: 2,
        ..Setup::default()
    }
    .fresh(20 * MIB);
    for count in [1, 2, 31, 128] {
        let before = btt.media().fences();
        write(&btt, 10, count, 1, 0);
        assert_eq!(btt.media().fences() - before, 2);
    }
    // One more than a group has lanes.
    let before = btt.media().fences();
    write(&btt, 10, 129, 1, 0);
    assert_eq!(btt.media().fences() - before, 4);
    let before = btt.media().fences();
    btt.discard(0, 1000).unwrap();
    assert_eq!(btt.media().fences() - before, 1);
}

#[test]
fn a_new_sector_reads_as_the_medium_was() {
    let media = Ram::new(20 * MIB);
    media.fill(0..20 * MIB, 0x5a);
    let setup = Setup::default();
    setup.create(&media);
    let btt = setup.open(&media).unwrap().btt;
    assert_eq!(read(&btt, 3, 1), [0x5a; 4096]);
}

#[test]
fn discarded_sectors_read_as_zeroes_and_keep_their_blocks() {
    let setup = Setup {
        lba_size: 512,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    write(&btt, 0, 64, 1, 0);
    let block = entry(&btt, 17).block;
    btt.discard(3, 40).unwrap();
    assert_eq!(read(&btt, 0, 3), pattern(&btt, 0, 3, 1));
    assert_eq!(read(&btt, 3, 40), [0; 40 * 512]);
    assert_eq!(read(&btt, 43, 21), pattern(&btt, 43, 21, 1));
    let zero = MapEntry {
        state: MapState::Zero,
        block,
    };
    assert_eq!(entry(&btt, 17), zero);
    // A sector that was never written, too: its block becomes explicit.
    btt.discard(1000, 1).unwrap();
    let zero = MapEntry {
        state: MapState::Zero,
        block: 1000,
    };
    assert_eq!(entry(&btt, 1000), zero);
    write(&btt, 17, 1, 2, 1);
    assert_eq!(read(&btt, 16, 3), {
        let mut bytes = vec![0; 512];
        bytes.extend(pattern(&btt, 17, 1, 2));
        bytes.extend([0; 512]);
        bytes
    });
    assert_permutation(&setup, btt.media());
}

#[test]
fn out_of_range_requests_change_nothing() {
    let btt = Setup::default().fresh(20 * MIB);
    let sectors = btt.sector_count();
    let before = btt.media().bytes();
    for (lba, count) in [
        (sectors, 1),
        (sectors - 1, 2),
        (u64::MAX, 1),
        (1, u64::MAX),
        (0, sectors + 1),
    ] {
        let error = Err(IoError::OutOfRange {
            lba,
            count,
            sectors,
        });
        assert_eq!(btt.read(lba, count, &mut Buffer::new(vec![]), 0), error);
        assert_eq!(btt.write(lba, count, &mut Buffer::new(vec![]), 0), error);
        assert_eq!(btt.discard(lba, count), error);
    }
    assert!(btt.media().bytes() == before);
    assert_eq!(btt.write(sectors, 0, &mut Buffer::new(vec![]), 0), Ok(()));
}

#[test]
fn a_sector_lost_to_a_media_error_is_marked_and_healed_by_a_write() {
    let setup = Setup::default();
    let btt = setup.fresh(20 * MIB);
    write(&btt, 9, 1, 1, 0);
    let block = entry(&btt, 9).block;
    let offset = block_offset(&btt, block);
    btt.media().poison(offset + 512..offset + 1024);
    let mut sink = Buffer::new(vec![0; 4096]);
    let first = btt.read(9, 1, &mut sink, 0);
    assert!(matches!(
        first,
        Err(IoError::Media(MediaError::Poison { .. }))
    ));
    let error = MapEntry {
        state: MapState::Error,
        block,
    };
    assert_eq!(entry(&btt, 9), error);
    let mut sink = Buffer::new(vec![0; 4096]);
    assert_eq!(btt.read(9, 1, &mut sink, 0), Err(IoError::Lost { lba: 9 }));
    write(&btt, 9, 1, 2, 0);
    assert_eq!(read(&btt, 9, 1), pattern(&btt, 9, 1, 2));
    // The bad block is free now, and the flog says that it is bad. It is cleared before it is used.
    let media = btt.media().clone();
    let btt = setup.open(&media).unwrap().btt;
    for generation in 3..6 {
        write(&btt, 0, 256, generation, 0);
        write(&btt, 0, 256, generation, 1);
    }
    assert_eq!(read(&btt, 0, 256), pattern(&btt, 0, 256, 5));
    assert_permutation(&setup, &media);
}

#[test]
fn a_free_block_that_cannot_be_cleared_is_not_used() {
    let setup = Setup {
        groups: 1,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    let (_, geometry) = parts(&btt);
    let bad = block_offset(&btt, geometry.external_nlba());
    btt.media().poison(bad..bad + 4096);
    btt.media().set_clearable(false);
    for generation in 0..3 {
        write(&btt, 0, 300, generation, 0);
    }
    assert_eq!(read(&btt, 0, 300), pattern(&btt, 0, 300, 2));
    assert!(btt.media().is_bad_at(bad));
    // All of them.
    let data = block_offset(&btt, 0);
    btt.media().poison(data..data + geometry.data_size());
    let result = btt.write(0, 1, &mut Buffer::new(vec![0; 4096]), 0);
    assert_eq!(result, Err(IoError::NoFreeBlock { arena: 0 }));
}

#[test]
fn a_group_without_usable_lanes_does_not_fail_requests() {
    let setup = Setup {
        groups: 256,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    let (_, geometry) = parts(&btt);
    let bad = block_offset(&btt, geometry.external_nlba());
    btt.media().poison(bad..bad + 4096);
    btt.media().set_clearable(false);
    for generation in 0..3 {
        write(&btt, 7, 2, generation, 0);
    }
    let data = pattern(&btt, 7, 2, 3);
    assert_eq!(btt.try_write(7, 2, &mut Buffer::new(data), 0), Ok(()));
    assert_eq!(read(&btt, 7, 2), pattern(&btt, 7, 2, 3));
    let data = block_offset(&btt, 0);
    btt.media().poison(data..data + geometry.data_size());
    for cpu in [0, 1] {
        let result = btt.write(0, 1, &mut Buffer::new(vec![0; 4096]), cpu);
        assert_eq!(result, Err(IoError::NoFreeBlock { arena: 0 }));
    }
}

/// A BTT of 10,000 sectors of 512 bytes with more lanes than anybody makes.
fn with_lanes(lanes: u32) -> Ram {
    const SECTORS: u32 = 10_000;
    const START: u64 = 4096;
    const MAP: u64 = 12 * MIB;
    const FLOG: u64 = 13 * MIB;
    const INFO2: u64 = 16 * MIB;
    let media = Ram::new(START + INFO2 + 4096);
    let geometry = MediaGeometry {
        external_lba_size: 512,
        external_nlba: SECTORS,
        internal_lba_size: 512,
        internal_nlba: SECTORS + lanes,
        nfree: lanes,
        info_size: 4096,
        data_offset: 4096,
        map_offset: MAP,
        flog_offset: FLOG,
        info2_offset: INFO2,
    };
    let info = Info {
        uuid: UUID,
        parent_uuid: Uuid::NIL,
        error: false,
        version: Version::V1_1,
        geometry: ArenaGeometry::from_media(&geometry, INFO2 + 4096).unwrap(),
        next_offset: 0,
    };
    let mut block = [0; 4096];
    info.encode(&mut block);
    media.put(START, &block);
    media.put(START + INFO2, &block);
    for lane in 0..lanes {
        let free = SECTORS + lane;
        let slot = [lane, free, free, 1].map(u32::to_le_bytes);
        let group = info.geometry.flog_group_offset(lane).unwrap();
        media.put(START + group, slot.as_flattened());
    }
    media
}

#[test]
fn a_batch_has_no_more_sectors_than_map_locks_can_remember() {
    let setup = Setup {
        lba_size: 512,
        groups: 1,
        ..Setup::default()
    };
    let media = with_lanes(8192);
    let btt = setup.open(&media).unwrap().btt;
    let before = media.fences();
    write(&btt, 5, 8000, 1, 0);
    assert_eq!(media.fences() - before, 4);
    assert_eq!(read(&btt, 5, 8000), pattern(&btt, 5, 8000, 1));
}

#[test]
fn a_bad_map_word_fails_the_request_and_changes_no_metadata() {
    let btt = Setup::default().fresh(20 * MIB);
    write(&btt, 100, 1, 1, 0);
    let (origin, geometry) = parts(&btt);
    for word in [
        0xc000_0000 | geometry.internal_nlba(),
        0xffff_ffff,
        0x8000_0000 | geometry.internal_nlba(),
    ] {
        btt.media().put(map_offset(&btt, 100), &word.to_le_bytes());
        let block = word & 0x3fff_ffff;
        let error = IoError::BadMapEntry {
            arena: 0,
            premap: 100,
            block,
            blocks: geometry.internal_nlba(),
        };
        assert_eq!(
            btt.read(100, 1, &mut Buffer::new(vec![0; 4096]), 0),
            Err(error)
        );
        assert_eq!(
            btt.write(100, 1, &mut Buffer::new(vec![0; 4096]), 0),
            Err(error)
        );
        assert_eq!(btt.discard(100, 1), Err(error));
        assert_eq!(btt.media().word(map_offset(&btt, 100)), word);
    }
    // A word that names the very block that the lane is about to write.
    let btt = Setup {
        groups: 256,
        ..Setup::default()
    }
    .fresh(20 * MIB);
    let free = geometry.external_nlba();
    btt.media()
        .put(map_offset(&btt, 100), &(0xc000_0000 | free).to_le_bytes());
    let flog = origin + geometry.flog_offset();
    let newest = btt.media().long(flog + 8);
    assert!(btt
        .write(100, 1, &mut Buffer::new(vec![0; 4096]), 0)
        .is_err());
    assert_eq!(btt.media().long(flog + 8), newest);
    assert_eq!(btt.media().word(flog + 16 + 12), 0);
}

#[test]
fn a_poisoned_map_word_fails_the_request_only() {
    let btt = Setup::default().fresh(20 * MIB);
    let bad = map_offset(&btt, 512);
    btt.media().poison(bad..bad + 512);
    assert!(btt
        .read(512, 1, &mut Buffer::new(vec![0; 4096]), 0)
        .is_err());
    assert!(btt
        .write(512, 1, &mut Buffer::new(vec![0; 4096]), 0)
        .is_err());
    assert!(btt.discard(512, 1).is_err());
    assert!(!btt.is_read_only());
    write(&btt, 100, 1, 1, 0);
}

#[test]
fn a_failed_first_fence_changes_nothing_and_a_failed_second_one_ends_writing() {
    let btt = Setup::default().fresh(20 * MIB);
    write(&btt, 1, 1, 1, 0);
    btt.media().fail_fence(0);
    let result = btt.write(1, 1, &mut Buffer::new(pattern(&btt, 1, 1, 2)), 0);
    assert_eq!(result, Err(IoError::Media(MediaError::Flush)));
    assert!(!btt.is_read_only());
    assert_eq!(read(&btt, 1, 1), pattern(&btt, 1, 1, 1));
    btt.media().fail_fence(1);
    let result = btt.write(1, 1, &mut Buffer::new(pattern(&btt, 1, 1, 3)), 0);
    let interrupted = IoError::Interrupted {
        arena: 0,
        error: MediaError::Flush,
    };
    assert_eq!(result, Err(interrupted));
    assert!(btt.is_read_only());
    assert_eq!(
        btt.write(1, 1, &mut Buffer::new(vec![0; 4096]), 0),
        Err(IoError::ReadOnly { arena: 0 })
    );
    assert_eq!(read(&btt, 1, 1), pattern(&btt, 1, 1, 3));
    assert_permutation(&Setup::default(), btt.media());
}

/// The C driver goes on in this case, with a lane whose free block the map still names.
#[test]
fn a_map_that_cannot_follow_the_flog_ends_writing_until_recovery() {
    let setup = Setup::default();
    let btt = setup.fresh(20 * MIB);
    write(&btt, 0, 4, 1, 0);
    btt.media().fail_stores(Some(map_offset(&btt, 1)));
    let result = btt.write(0, 3, &mut Buffer::new(pattern(&btt, 0, 3, 2)), 0);
    let interrupted = IoError::Interrupted {
        arena: 0,
        error: MediaError::Poison {
            offset: map_offset(&btt, 1),
            len: 4,
        },
    };
    assert_eq!(result, Err(interrupted));
    assert!(btt.is_read_only());
    assert!(btt.arenas().next().unwrap().read_only);
    btt.media().fail_stores(None);
    let refused = btt.write(3, 1, &mut Buffer::new(vec![0; 4096]), 0);
    assert_eq!(refused, Err(IoError::ReadOnly { arena: 0 }));
    assert_eq!(btt.discard(3, 1), Err(IoError::ReadOnly { arena: 0 }));
    // Reads go on; each sector is old or new.
    assert_eq!(read(&btt, 0, 1), pattern(&btt, 0, 1, 2));
    assert_eq!(read(&btt, 1, 3), pattern(&btt, 1, 3, 1));

    let opened = setup.open(btt.media()).unwrap();
    assert_eq!(opened.finished_writes, 2);
    assert!(!opened.btt.is_read_only());
    assert_eq!(read(&opened.btt, 0, 3), pattern(&btt, 0, 3, 2));
    assert_eq!(read(&opened.btt, 3, 1), pattern(&btt, 3, 1, 1));
    assert_permutation(&setup, btt.media());
}

/// Half an entry in the flog, or one that cannot be stored: nothing has happened, and the lane is not trusted any more.
#[test]
fn a_flog_that_cannot_be_stored_leaves_the_old_contents() {
    for half in 0..2 {
        let setup = Setup::default();
        let btt = setup.fresh(20 * MIB);
        write(&btt, 0, 1, 1, 0);
        let (origin, geometry) = parts(&btt);
        // The lane that comes next was never used: its second slot is the older one.
        let group = origin + geometry.flog_group_offset(1).unwrap();
        btt.media().fail_stores(Some(group + 16 + half * 8));
        let result = btt.write(0, 1, &mut Buffer::new(pattern(&btt, 0, 1, 2)), 0);
        // The first half did no harm; after the second one nobody can tell what is on the medium.
        let told = match result {
            Err(IoError::Media(MediaError::Poison { .. })) => half == 0,
            Err(IoError::Interrupted { arena: 0, .. }) => half == 1,
            _ => false,
        };
        assert!(told, "{result:?}");
        assert_eq!(btt.is_read_only(), half == 1);
        assert_eq!(read(&btt, 0, 1), pattern(&btt, 0, 1, 1));
        btt.media().fail_stores(None);
        if half == 0 {
            write(&btt, 0, 1, 3, 0);
            assert_eq!(read(&btt, 0, 1), pattern(&btt, 0, 1, 3));
        }
        assert_permutation(&setup, btt.media());
    }
}

#[test]
fn the_error_flag_of_an_info_block_makes_the_arena_read_only() {
    let setup = Setup::default();
    let btt = setup.fresh(20 * MIB);
    write(&btt, 1, 1, 1, 0);
    let media = btt.media().clone();
    let arena = btt.arenas().next().unwrap();
    let mut block = [0; 4096];
    Info {
        error: true,
        ..arena.info
    }
    .encode(&mut block);
    media.put(4096, &block);
    let btt = setup.open(&media).unwrap().btt;
    assert!(btt.is_read_only());
    let error = Err(IoError::ReadOnly { arena: 0 });
    assert_eq!(btt.write(1, 1, &mut Buffer::new(vec![0; 4096]), 0), error);
    assert_eq!(btt.discard(1, 1), error);
    assert_eq!(read(&btt, 1, 1), pattern(&btt, 1, 1, 1));
}

#[test]
fn threads_see_whole_sectors() {
    const SECTORS: u64 = 8;
    let setup = Setup {
        lba_size: 512,
        groups: 3,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    let stop = AtomicBool::new(false);
    let random = |seed: &mut u64| {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    };
    std::thread::scope(|scope| {
        let (btt, stop) = (&btt, &stop);
        let writers: Vec<_> = (0..4u64)
            .map(|writer| {
                scope.spawn(move || {
                    let mut seed = writer + 1;
                    for generation in 0..2000u64 {
                        let lba = random(&mut seed) % SECTORS;
                        let count = 1 + random(&mut seed) % (SECTORS - lba);
                        if generation % 50 == 0 {
                            btt.discard(lba, count).unwrap();
                        } else {
                            let byte = random(&mut seed) as u8;
                            let bytes = vec![byte; (count * 512) as usize];
                            btt.write(lba, count, &mut Buffer::new(bytes), writer as usize)
                                .unwrap();
                        }
                    }
                })
            })
            .collect();
        for reader in 0..2 {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for lba in 0..SECTORS {
                        let mut sink = Buffer::new(vec![0; 512]);
                        btt.read(lba, 1, &mut sink, reader).unwrap();
                        assert!(
                            sink.bytes.iter().all(|byte| *byte == sink.bytes[0]),
                            "torn sector {lba}"
                        );
                    }
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_permutation(&setup, btt.media());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn like_an_array_of_sectors(
        operations in proptest::collection::vec((0u8..10, 0u64..60, 1u64..20, 0usize..4), 1..60),
        lba_size in proptest::sample::select(&LbaSize::ALL),
    ) {
        let setup = Setup { lba_size: lba_size.bytes(), ..Setup::default() };
        let mut btt = setup.fresh(16 * MIB + 4096);
        let size = lba_size.sector() as usize;
        let mut sectors = read(&btt, 0, 80);
        for (generation, (kind, lba, count, cpu)) in operations.into_iter().enumerate() {
            let range = lba as usize * size..(lba + count) as usize * size;
            match kind {
                0 => {
                    btt.discard(lba, count).unwrap();
                    sectors[range].fill(0);
                }
                1 => {
                    let media = btt.media().clone();
                    btt = setup.open(&media).unwrap().btt;
                }
                _ => {
                    write(&btt, lba, count, generation as u8, cpu);
                    sectors[range].copy_from_slice(&pattern(&btt, lba, count, generation as u8));
                }
            }
            prop_assert!(read(&btt, 0, 80) == sectors);
        }
        assert_permutation(&setup, btt.media());
    }
}
