// SPDX-License-Identifier: GPL-2.0

//! A BTT in use: requests that must not wait, counters, and the check while writers run.

#![cfg(not(loom))]

mod support;

use btt_engine::{
    Btt,
    CheckError,
    Defect,
    IoError,
    Media,
    MediaError,
    Report,
    Source,
    Statistics, //
};
use nd_format::btt::{
    MapEntry,
    MapState, //
};
use std::{
    sync::atomic::{
        AtomicBool,
        AtomicU64,
        Ordering, //
    },
    thread,
};
use support::*;

/// A source that calls a function when the first sector is copied.
struct Interrupted<F> {
    data: Buffer,
    interruption: Option<F>,
}

impl<F: FnOnce()> Source<Ram> for Interrupted<F> {
    fn copy_to(&mut self, media: &Ram, offset: u64, len: u32) -> Result<(), MediaError> {
        if let Some(interruption) = self.interruption.take() {
            interruption();
        }
        self.data.copy_to(media, offset, len)
    }
}

fn source(btt: &Btt<Ram>, lba: u64, count: u64) -> Buffer {
    Buffer::new(pattern(btt, lba, count, 7))
}

/// Returns the offset of a map word of the first arena of version 1.1.
fn map_word(btt: &Btt<Ram>, premap: u32) -> u64 {
    let arena = btt.arenas().next().unwrap();
    4096 + arena.info.geometry.map_entry_offset(premap).unwrap()
}

fn name(btt: &Btt<Ram>, premap: u32, block: u32) {
    let entry = MapEntry {
        state: MapState::Normal,
        block,
    };
    btt.media()
        .put(map_word(btt, premap), &entry.encode().to_le_bytes());
}

#[test]
fn a_busy_lane_group_is_not_waited_for() {
    let setup = Setup {
        groups: 1,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    let mut outer = Interrupted {
        data: source(&btt, 0, 1),
        interruption: Some(|| {
            let stores = btt.media().stores();
            let refused = btt.try_write(9, 1, &mut source(&btt, 9, 1), 0);
            assert_eq!(refused, Err(IoError::WouldBlock));
            assert_eq!(btt.media().stores(), stores);
        }),
    };
    btt.write(0, 1, &mut outer, 0).unwrap();
    btt.try_write(9, 1, &mut source(&btt, 9, 1), 0).unwrap();
    assert_eq!(read(&btt, 9, 1), pattern(&btt, 9, 1, 7));
}

#[test]
fn a_locked_map_is_not_waited_for() {
    let btt = Setup::default().fresh(20 * MIB);
    let mut outer = Interrupted {
        data: source(&btt, 20, 4),
        interruption: Some(|| {
            let stores = btt.media().stores();
            for lba in [16, 20, 31] {
                let refused = btt.try_write(lba, 1, &mut source(&btt, lba, 1), 1);
                assert_eq!(refused, Err(IoError::WouldBlock));
                assert_eq!(btt.try_discard(lba, 1), Err(IoError::WouldBlock));
            }
            let refused = btt.try_write(12, 8, &mut source(&btt, 12, 8), 1);
            assert_eq!(refused, Err(IoError::WouldBlock));
            assert_eq!(btt.media().stores(), stores);
            // Another line of the map, part of which was locked for the previous request.
            btt.try_write(12, 4, &mut source(&btt, 12, 4), 1).unwrap();
        }),
    };
    btt.try_write(20, 4, &mut outer, 0).unwrap();
    assert_eq!(read(&btt, 12, 4), pattern(&btt, 12, 4, 7));
    assert_eq!(read(&btt, 20, 4), pattern(&btt, 20, 4, 7));
    assert_eq!(btt.check().unwrap().defects, 0);
}

/// Two writes are under way when media errors of the map become known: their flog entries are
/// durable, the map does not follow.
#[test]
fn of_the_writes_that_were_left_half_done_one_says_that_it_was_the_first() {
    let setup = Setup::default();
    let btt = setup.fresh(20 * MIB);
    let sectors = [0, 512];
    let [outer_word, inner_word] = sectors.map(|premap| map_word(&btt, premap));
    let error = |offset| MediaError::Poison { offset, len: 4 };
    let mut outer = Interrupted {
        data: source(&btt, 0, 1),
        interruption: Some(|| {
            let mut inner = Interrupted {
                data: source(&btt, 512, 1),
                interruption: Some(|| btt.media().poison(outer_word..inner_word + 512)),
            };
            let failed = btt.write(512, 1, &mut inner, 1);
            let first = IoError::Interrupted {
                arena: 0,
                error: error(inner_word),
            };
            assert_eq!(failed, Err(first));
            assert!(btt.is_read_only());
        }),
    };
    let failed = btt.write(0, 1, &mut outer, 0);
    assert_eq!(failed, Err(IoError::Media(error(outer_word))));
    let refused = btt.write(100, 1, &mut source(&btt, 100, 1), 0);
    assert_eq!(refused, Err(IoError::ReadOnly { arena: 0 }));

    // Clearing the errors zeroes the words, which is their former value.
    let len = inner_word + 512 - outer_word;
    btt.media().zero(outer_word, len).unwrap();
    let opened = setup.open(btt.media()).unwrap();
    assert_eq!(opened.finished_writes, 2);
    for lba in sectors.map(u64::from) {
        assert_eq!(read(&opened.btt, lba, 1), pattern(&btt, lba, 1, 7));
    }
    write(&opened.btt, 0, 1, 8, 0);
    assert_eq!(opened.btt.check().unwrap().defects, 0);
}

#[test]
fn a_request_longer_than_a_lane_group_is_carried_out_once_it_has_begun() {
    let btt = Setup::default().fresh(20 * MIB);
    btt.try_write(3, 300, &mut source(&btt, 3, 300), 0).unwrap();
    let mut sink = Buffer::new(vec![0; 300 * 4096]);
    btt.try_read(3, 300, &mut sink, 0).unwrap();
    assert_eq!(sink.bytes, pattern(&btt, 3, 300, 7));
    btt.try_discard(3, 300).unwrap();
    assert_eq!(read(&btt, 3, 300), vec![0; 300 * 4096]);
}

#[test]
fn a_free_block_with_errors_is_not_cleared_without_waiting() {
    let setup = Setup {
        groups: 1,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    let arena = btt.arenas().next().unwrap();
    let geometry = arena.info.geometry;
    let first = geometry.external_nlba();
    let offset = 4096 + geometry.block_offset(first).unwrap();
    btt.media().poison(offset..offset + 64);
    btt.try_write(0, 1, &mut source(&btt, 0, 1), 0).unwrap();
    assert!(btt.media().is_bad_at(offset));
    assert_eq!(read(&btt, 0, 1), pattern(&btt, 0, 1, 7));
    // This uses all lanes, including the one with the bad block.
    btt.write(0, 256, &mut source(&btt, 0, 256), 0).unwrap();
    assert!(!btt.media().is_bad_at(offset));
}

#[test]
fn counters() {
    let setup = Setup {
        groups: 2,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    assert_eq!(btt.statistics(), Statistics::default());
    write(&btt, 0, 1, 1, 0);
    write(&btt, 5, 128, 1, 1);
    write(&btt, 5, 129, 1, 1);
    let expected = Statistics {
        sectors: 258,
        batches: 4,
        fences: 8,
        reader_waits: 0,
    };
    assert_eq!(btt.statistics(), expected);
}

#[test]
fn a_check_finds_nothing_while_writers_run() {
    let setup = Setup {
        groups: 2,
        lba_size: 512,
        ..Setup::default()
    };
    let btt = setup.fresh(16 * MIB + 4096);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for cpu in 0..3 {
            let (btt, stop) = (&btt, &stop);
            scope.spawn(move || {
                let mut lba = cpu as u64 * 1000;
                while !stop.load(Ordering::Relaxed) {
                    lba = (lba * 7 + 13) % (btt.sector_count() - 40);
                    write(btt, lba, 1 + lba % 40, cpu as u8, cpu);
                }
            });
        }
        let reports = [(); 20].map(|()| btt.check());
        stop.store(true, Ordering::Relaxed);
        let expected = Report {
            arenas: 1,
            sectors: btt.sector_count(),
            lanes: 256,
            defects: 0,
            first: None,
        };
        assert_eq!(reports, [Ok(expected); 20]);
    });
}

#[test]
fn a_check_finds_defects() {
    let btt = Setup::default().fresh(16 * MIB + 4096);
    let arena = btt.arenas().next().unwrap();
    let geometry = arena.info.geometry;
    let sectors = geometry.external_nlba();
    let first = |btt: &Btt<Ram>| {
        let report = btt.check().unwrap();
        assert_eq!(report.defects, 1);
        report.first.unwrap()
    };

    name(&btt, 5, 8);
    let shared = Defect::SharedBlock {
        arena: 0,
        premap: 8,
        block: 8,
    };
    assert_eq!(first(&btt), shared);

    // A free block of a lane.
    name(&btt, 5, sectors + 3);
    assert!(matches!(first(&btt), Defect::SharedBlock { premap: 5, .. }));

    name(&btt, 5, geometry.internal_nlba());
    assert!(matches!(
        first(&btt),
        Defect::Map(IoError::BadMapEntry { premap: 5, .. })
    ));

    name(&btt, 5, 5);
    assert_eq!(btt.check().unwrap().defects, 0);

    // The flog of lane 2 says that another block is free.
    let group = 4096 + geometry.flog_group_offset(2).unwrap();
    btt.media().put(group + 4, &(sectors + 77).to_le_bytes());
    let flog = Defect::Flog {
        arena: 0,
        block: sectors + 2,
    };
    assert_eq!(first(&btt), flog);
    assert!(format!("{}", btt.check().unwrap()).starts_with("1 defects in 1 arenas"));
}

#[test]
fn a_check_can_be_interrupted() {
    let btt = Setup {
        lba_size: 512,
        ..Setup::default()
    }
    .fresh(64 * MIB);
    let answers = AtomicU64::new(0);

    let interrupted = btt.check_while(|| answers.fetch_add(1, Ordering::Relaxed) != 0);
    assert_eq!(interrupted, Err(CheckError::Interrupted));
    assert_eq!(answers.load(Ordering::Relaxed), 1);

    // The gate is open for writers and for the next check.
    write(&btt, 5, 1, 7, 0);
    assert_eq!(btt.check().unwrap().defects, 0);
}
