// SPDX-License-Identifier: GPL-2.0

//! Sectors hold what was written to them.

#![cfg(not(loom))]

mod support;

use btt_engine::IoError;
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
use std::sync::atomic::{
    AtomicBool,
    Ordering, //
};
use support::*;

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
    // One sector more than a group has lanes.
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
    // The same for a sector that was never written: its block becomes explicit.
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

/// Returns a BTT of 10,000 sectors of 512 bytes with more lanes than any driver creates.
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
