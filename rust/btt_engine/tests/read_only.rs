// SPDX-License-Identifier: GPL-2.0

//! A read-only medium: a BTT is opened without a store, and shows what it would show otherwise.

#![cfg(not(any(loom, shuttle)))]

mod support;

use btt_engine::{
    Btt,
    IoError,
    MediaError,
    Postponed, //
};
use nd_format::btt::{
    MapEntry,
    MapState, //
};
use support::*;

/// Sectors whose last write was acknowledged and did not get into the map, and one that was written
/// before.
const INTERRUPTED: [u32; 4] = [600, 5, 130, 4];
const OTHER: u64 = 3;

/// Returns a medium after a power failure.
fn interrupted(setup: &Setup) -> Ram {
    let btt = setup.fresh(20 * MIB);
    write(&btt, OTHER, 1, 1, 0);
    for premap in INTERRUPTED {
        write(&btt, premap.into(), 1, 1, 0);
    }
    let before = INTERRUPTED.map(|premap| (map_offset(&btt, premap), entry(&btt, premap)));
    for premap in INTERRUPTED {
        write(&btt, premap.into(), 1, 2, 1);
    }
    for (offset, entry) in before {
        btt.media().put(offset, &entry.encode().to_le_bytes());
    }
    btt.media().clone()
}

fn assert_shown(btt: &Btt<Ram>) {
    for premap in INTERRUPTED {
        let lba = premap.into();
        assert_eq!(read(btt, lba, 1), pattern(btt, lba, 1, 2));
    }
    // Moved sectors beside others, in one request.
    let expected = [
        pattern(btt, OTHER, 1, 1),
        pattern(btt, 4, 2, 2),
        vec![0; 4096],
    ];
    assert_eq!(read(btt, OTHER, 4), expected.concat());
    assert_eq!(btt.check().unwrap().defects, 0);
}

#[test]
fn interrupted_writes_are_shown_and_finished_later() {
    let setup = Setup::default();
    let medium = interrupted(&setup);
    let before = (medium.bytes(), medium.stores());
    medium.set_read_only(true);
    for _ in 0..2 {
        let opened = setup.open(&medium).unwrap();
        let postponed = Postponed {
            info_blocks: 0,
            writes: 4,
        };
        assert_eq!(opened.postponed, Some(postponed));
        assert_eq!(opened.finished_writes, 0);
        let btt = opened.btt;
        assert!(btt.is_read_only());
        assert_shown(&btt);
        let refused = Err(IoError::ReadOnly { arena: 0 });
        assert_eq!(btt.write(9, 1, &mut Buffer::new(vec![0; 4096]), 0), refused);
        assert_eq!(btt.discard(9, 1), refused);
        btt.write_back().unwrap();
    }
    assert_eq!((medium.bytes(), medium.stores()), before);

    medium.set_read_only(false);
    let opened = setup.open(&medium).unwrap();
    assert_eq!((opened.finished_writes, opened.postponed), (4, None));
    let btt = opened.btt;
    assert_shown(&btt);
    write(&btt, 4, 2, 3, 0);
    assert_eq!(read(&btt, 4, 2), pattern(&btt, 4, 2, 3));
    assert_permutation(&setup, &medium);
}

#[test]
fn an_info_block_is_used_from_its_copy_and_restored_later() {
    let setup = Setup::default();
    let btt = setup.fresh(20 * MIB);
    write(&btt, 7, 1, 1, 0);
    btt.write_back().unwrap();
    let medium = btt.media().clone();
    // Only the first half of the block has become durable.
    medium.fill(4096 + 2048..8192, 0);
    let before = medium.bytes();
    medium.set_read_only(true);
    let opened = setup.open(&medium).unwrap();
    let postponed = Postponed {
        info_blocks: 1,
        writes: 0,
    };
    assert_eq!(opened.postponed, Some(postponed));
    assert!(opened.restored.is_none());
    assert!(opened.btt.is_read_only());
    assert_eq!(read(&opened.btt, 7, 1), pattern(&btt, 7, 1, 1));
    assert_eq!(medium.bytes(), before);
    medium.set_read_only(false);
    let opened = setup.open(&medium).unwrap();
    assert!(opened.restored.is_some() && opened.postponed.is_none());
    assert!(!opened.btt.is_read_only());
}

/// There is nothing to store when the BTT is opened. So it depends on the disk alone whether writes
/// arrive: the medium may become writable.
#[test]
fn a_clean_btt_refuses_nothing() {
    let setup = Setup::default();
    let medium = setup.fresh(20 * MIB).media().clone();
    medium.set_read_only(true);
    let before = medium.bytes();
    let opened = setup.open(&medium).unwrap();
    assert_eq!(opened.postponed, None);
    assert_eq!(medium.bytes(), before);
    assert!(!opened.btt.is_read_only());
    medium.set_read_only(false);
    write(&opened.btt, 0, 3, 1, 0);
    assert_eq!(read(&opened.btt, 0, 3), pattern(&opened.btt, 0, 3, 1));
}

#[test]
fn a_lost_sector_is_not_marked_meanwhile() {
    let setup = Setup::default();
    let btt = setup.fresh(20 * MIB);
    write(&btt, 9, 1, 1, 0);
    let before = entry(&btt, 9);
    let offset = block_offset(&btt, before.block);
    btt.media().poison(offset..offset + 512);
    for read_only in [true, false] {
        btt.media().set_read_only(read_only);
        let result = btt.read(9, 1, &mut Buffer::new(vec![0; 4096]), 0);
        let is_poison = matches!(result, Err(IoError::Media(MediaError::Poison { .. })));
        assert!(is_poison, "{result:?}");
        let state = match read_only {
            true => before.state,
            false => MapState::Error,
        };
        assert_eq!(entry(&btt, 9), MapEntry { state, ..before });
    }
}
