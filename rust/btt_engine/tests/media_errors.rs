// SPDX-License-Identifier: GPL-2.0

//! Media that fail: what is lost is reported, and nothing else is lost.

#![cfg(not(loom))]

mod support;

use btt_engine::{
    Btt,
    IoError,
    MediaError, //
};
use nd_format::btt::{
    Info,
    MapEntry,
    MapState, //
};
use support::*;

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

/// Returns a BTT with `groups` lane groups on a medium whose errors cannot be cleared. The free
/// block of the first lane has an error. Its offset is returned as well.
fn with_bad_free_block(groups: usize) -> (Btt<Ram>, u64) {
    let setup = Setup {
        groups,
        ..Setup::default()
    };
    let btt = setup.fresh(20 * MIB);
    let (_, geometry) = parts(&btt);
    let bad = block_offset(&btt, geometry.external_nlba());
    btt.media().poison(bad..bad + 4096);
    btt.media().set_clearable(false);
    (btt, bad)
}

/// Gives all blocks errors.
fn lose_all_blocks(btt: &Btt<Ram>) {
    let (_, geometry) = parts(btt);
    let data = block_offset(btt, 0);
    btt.media().poison(data..data + geometry.data_size());
}

#[test]
fn a_free_block_that_cannot_be_cleared_is_not_used() {
    let (btt, bad) = with_bad_free_block(1);
    for generation in 0..3 {
        write(&btt, 0, 300, generation, 0);
    }
    assert_eq!(read(&btt, 0, 300), pattern(&btt, 0, 300, 2));
    assert!(btt.media().is_bad_at(bad));
    lose_all_blocks(&btt);
    let result = btt.write(0, 1, &mut Buffer::new(vec![0; 4096]), 0);
    assert_eq!(result, Err(IoError::NoFreeBlock { arena: 0 }));
}

#[test]
fn a_group_without_usable_lanes_does_not_fail_requests() {
    let (btt, _) = with_bad_free_block(256);
    for generation in 0..3 {
        write(&btt, 7, 2, generation, 0);
    }
    let data = pattern(&btt, 7, 2, 3);
    assert_eq!(btt.try_write(7, 2, &mut Buffer::new(data), 0), Ok(()));
    assert_eq!(read(&btt, 7, 2), pattern(&btt, 7, 2, 3));
    lose_all_blocks(&btt);
    for cpu in [0, 1] {
        let result = btt.write(0, 1, &mut Buffer::new(vec![0; 4096]), cpu);
        assert_eq!(result, Err(IoError::NoFreeBlock { arena: 0 }));
    }
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
    // A word that names the block that the lane is about to write.
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
    // The flog may not be durable, so the map does not name the new block either.
    assert_eq!(read(&btt, 1, 1), pattern(&btt, 1, 1, 1));
    assert_eq!(btt.check().unwrap().defects, 0);
    assert_permutation(&Setup::default(), btt.media());
    // On this medium the flog was durable.
    let btt = Setup::default().open(btt.media()).unwrap().btt;
    assert_eq!(read(&btt, 1, 1), pattern(&btt, 1, 1, 3));
}

/// The C driver continues in this case, with a lane whose free block the map still names.
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
    assert_eq!(read(&btt, 1, 1), pattern(&btt, 1, 1, 1));
    // The map has followed for the sector after it.
    assert_eq!(read(&btt, 2, 1), pattern(&btt, 2, 1, 2));
    assert_eq!(read(&btt, 3, 1), pattern(&btt, 3, 1, 1));

    let opened = setup.open(btt.media()).unwrap();
    assert_eq!(opened.finished_writes, 1);
    assert!(!opened.btt.is_read_only());
    assert_eq!(read(&opened.btt, 0, 3), pattern(&btt, 0, 3, 2));
    assert_eq!(read(&opened.btt, 3, 1), pattern(&btt, 3, 1, 1));
    assert_permutation(&setup, btt.media());
}

/// Half an entry in the flog, or one that cannot be stored: nothing has happened, and the lane is
/// not used any more.
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
        // The first half did no harm. After the second one it is unknown what is on the medium.
        let is_expected = match result {
            Err(IoError::Media(MediaError::Poison { .. })) => half == 0,
            Err(IoError::Interrupted { arena: 0, .. }) => half == 1,
            _ => false,
        };
        assert!(is_expected, "{result:?}");
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
