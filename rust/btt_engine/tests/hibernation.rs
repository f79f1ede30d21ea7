// SPDX-License-Identifier: GPL-2.0

//! Hibernation, simulated with two engines over one medium. One is the engine in the hibernation
//! image. The other one is that of the machine that continues to run in order to write the image to
//! the same BTT, and of the one that reads the image at the next start.

#![cfg(not(any(loom, shuttle)))]

mod support;

use btt_engine::{
    Btt,
    CreateParams,
    IoError,
    OpenError, //
};
use nd_format::{
    btt::NFREE,
    uuid::Uuid, //
};
use std::{
    sync::atomic::{
        AtomicBool,
        Ordering, //
    },
    thread,
    time::Duration, //
};
use support::*;

/// Sectors of files, and the swap area behind them.
const FILES: u64 = 10;
const SWAP: u64 = 600;
const SWAP_SECTORS: u64 = 300;

fn setup() -> Setup {
    Setup::default()
}

/// Returns a BTT in use as it is in the image. Everything that its map lacks is on the medium.
fn image() -> Btt<Ram> {
    let btt = setup().fresh(20 * MIB);
    for generation in 0..3 {
        write(&btt, 0, FILES, generation, 0);
        write(&btt, 100, 300, generation, 1);
    }
    btt.freeze();
    btt
}

/// Writes the swap area, as the machine does that writes the image.
fn swap_out(medium: &Ram) {
    let btt = setup().open(medium).unwrap().btt;
    for generation in 10..13 {
        write(&btt, SWAP, SWAP_SECTORS, generation, generation.into());
    }
    btt.write_back().unwrap();
}

/// Continues with the image: writes files, then the swap area. Checks that each sector holds what
/// was written there.
fn go_on(btt: &Btt<Ram>) -> Result<(), String> {
    write(btt, 0, FILES, 20, 0);
    for generation in 21..24 {
        write(btt, SWAP, SWAP_SECTORS, generation, 1);
    }
    let sectors = [(0, FILES, 20), (100, 300, 2), (SWAP, SWAP_SECTORS, 23)];
    for (lba, count, generation) in sectors {
        if read(btt, lba, count) != pattern(btt, lba, count, generation) {
            return Err(format!("foreign contents in {count} sectors at {lba}"));
        }
    }
    match btt.check().unwrap() {
        report if report.defects == 0 => Ok(()),
        report => Err(report.to_string()),
    }
}

#[test]
fn a_machine_goes_on_after_its_image_was_written_to_the_same_btt() {
    let btt = image();
    swap_out(btt.media());
    assert_eq!(btt.resume(), Ok(0));
    assert!(!btt.is_read_only());
    go_on(&btt).unwrap();
    assert_permutation(&setup(), btt.media());
}

/// Without reading the lanes again the machine would write over sectors.
#[test]
fn lanes_of_before_would_write_over_sectors() {
    let btt = image();
    swap_out(btt.media());
    btt.thaw();
    assert!(go_on(&btt).is_err());
}

#[test]
fn an_image_that_is_not_written_changes_nothing() {
    let btt = image();
    btt.thaw();
    go_on(&btt).unwrap();
    btt.freeze();
    assert_eq!(btt.resume(), Ok(0));
    go_on(&btt).unwrap();
    assert_permutation(&setup(), btt.media());
}

/// The machine that wrote the image lost its power in the end: its last writes are only in the
/// flog.
#[test]
fn interrupted_writes_are_finished() {
    let btt = image();
    let medium = btt.media().clone();
    let other = setup().open(&medium).unwrap().btt;
    write(&other, SWAP, 1, 10, 0);
    medium.fail_stores(Some(map_offset(&other, SWAP as u32)));
    let result = other.write(SWAP, 1, &mut Buffer::new(pattern(&other, SWAP, 1, 11)), 0);
    assert!(matches!(result, Err(IoError::Interrupted { .. })));
    medium.fail_stores(None);
    assert_eq!(btt.resume(), Ok(1));
    assert_eq!(read(&btt, SWAP, 1), pattern(&btt, SWAP, 1, 11));
    go_on(&btt).unwrap();
    assert_permutation(&setup(), &medium);
}

/// The medium is read-only by then: interrupted writes are shown as finished, and nothing is
/// stored.
#[test]
fn interrupted_writes_are_shown_on_a_read_only_medium() {
    let btt = image();
    let medium = btt.media().clone();
    let other = setup().open(&medium).unwrap().btt;
    medium.fail_stores(Some(map_offset(&other, 5)));
    let result = other.write(5, 1, &mut Buffer::new(pattern(&other, 5, 1, 11)), 0);
    assert!(result.is_err());
    medium.fail_stores(None);
    medium.set_read_only(true);
    let before = medium.bytes();
    assert_eq!(btt.resume(), Ok(0));
    assert!(btt.is_read_only());
    assert_eq!(read(&btt, 5, 1), pattern(&btt, 5, 1, 11));
    assert_eq!(read(&btt, 4, 1), pattern(&btt, 4, 1, 2));
    assert_eq!(btt.check().unwrap().defects, 0);
    // Another machine finishes the write and continues, while this one sleeps once more.
    btt.freeze();
    assert_eq!(medium.bytes(), before);
    medium.set_read_only(false);
    let other = setup().open(&medium).unwrap().btt;
    write(&other, 5, 1, 12, 0);
    other.write_back().unwrap();
    assert_eq!(btt.resume(), Ok(0));
    assert_eq!(read(&btt, 5, 1), pattern(&btt, 5, 1, 12));
}

fn assert_refuses(btt: &Btt<Ram>) {
    let before = btt.media().bytes();
    let refused = Err(IoError::ReadOnly { arena: 0 });
    assert_eq!(btt.write(0, 1, &mut Buffer::new(vec![0; 4096]), 0), refused);
    assert_eq!(btt.discard(0, 1), refused);
    assert_eq!(btt.media().bytes(), before);
}

#[test]
fn another_btt_in_the_place_of_this_one_is_left_alone() {
    let btt = image();
    let params = CreateParams {
        version: setup().version,
        uuid: Uuid::from_bytes([0x43; 16]),
        parent_uuid: Uuid::NIL,
        lba_size: setup().lba_size(),
        lanes: NFREE,
    };
    btt_engine::create(btt.media(), &params).unwrap();
    assert_eq!(btt.resume(), Err(OpenError::Replaced));
    assert_refuses(&btt);
}

#[test]
fn a_medium_that_cannot_be_recovered_is_left_alone() {
    let btt = image();
    let (origin, geometry) = parts(&btt);
    let flog = origin + geometry.flog_offset();
    btt.media().poison(flog..flog + 512);
    assert!(matches!(btt.resume(), Err(OpenError::Media(_))));
    assert_refuses(&btt);
    assert_eq!(read(&btt, 3, 1), pattern(&btt, 3, 1, 2));
}

/// Requests that arrive while nothing may change wait, and use what is on the medium afterwards.
/// Requests that must not wait are refused.
#[test]
fn requests_wait_until_the_machine_goes_on() {
    let btt = image();
    let went_on = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            write(&btt, 0, FILES, 20, 0);
            assert!(went_on.load(Ordering::SeqCst));
        });
        let discarder = scope.spawn(|| {
            btt.discard(50, 1).unwrap();
            assert!(went_on.load(Ordering::SeqCst));
        });
        let refused = btt.try_write(9, 1, &mut Buffer::new(vec![0; 4096]), 1);
        assert_eq!(refused, Err(IoError::WouldBlock));
        assert_eq!(btt.try_discard(9, 1), Err(IoError::WouldBlock));
        // Reading changes nothing.
        assert_eq!(read(&btt, 0, 1), pattern(&btt, 0, 1, 2));
        thread::sleep(Duration::from_millis(50));
        let before = btt.media().bytes();
        swap_out(btt.media());
        assert_ne!(btt.media().bytes(), before);
        went_on.store(true, Ordering::SeqCst);
        assert_eq!(btt.resume(), Ok(0));
        writer.join().unwrap();
        discarder.join().unwrap();
    });
    assert_eq!(read(&btt, 0, FILES), pattern(&btt, 0, FILES, 20));
    assert_eq!(read(&btt, SWAP, 300), pattern(&btt, SWAP, 300, 12));
    go_on(&btt).unwrap();
    assert_permutation(&setup(), btt.media());
}

/// No request is under way when the image is made. What it was about to do would be done to a
/// medium that has changed meanwhile.
#[test]
fn requests_under_way_are_waited_for() {
    let btt = setup().fresh(20 * MIB);
    thread::scope(|scope| {
        for cpu in 0..2 {
            let btt = &btt;
            scope.spawn(move || {
                for round in 0..200u64 {
                    let lba = (round * 37 + cpu * 500) % 900;
                    write(btt, lba, 5, cpu as u8, cpu as usize);
                    if round % 7 == 0 {
                        btt.discard(lba, 3).unwrap();
                    }
                }
            });
        }
        for _ in 0..20 {
            btt.freeze();
            let stores = btt.media().stores();
            thread::sleep(Duration::from_millis(2));
            assert_eq!(btt.media().stores(), stores);
            if stores % 2 == 0 {
                btt.thaw();
            } else {
                btt.resume().unwrap();
            }
        }
    });
    assert_eq!(btt.check().unwrap().defects, 0);
    assert_permutation(&setup(), btt.media());
}
