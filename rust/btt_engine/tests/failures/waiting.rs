// SPDX-License-Identifier: GPL-2.0

//! A map that cannot follow the flog while other requests wait for its locks.

use super::{
    disk::{
        fresh,
        map_word,
        open,
        read,
        write,
        Allowed,
        Disk,
        SECTORS, //
    },
    medium::{
        Medium,
        Words,
        UNIT, //
    },
};
use btt_engine::IoError;
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        atomic::{
            AtomicU64,
            Ordering, //
        },
        mpsc,
        Barrier,
        Mutex, //
    },
    thread,
    time::Duration, //
};

/// Returns the unit of the map that holds the word of sector 127. The word of 128 is in the next
/// one.
fn unit(disk: &Disk) -> Range<u64> {
    let end = map_word(disk, 128);
    assert_eq!(end % UNIT, 0);
    end - UNIT..end
}

/// A writes 127 and 128 and has read their map words when the word of 127 is lost. B waits for the
/// word of 128 meanwhile.
///
/// Returns the medium, the result of B, and what 128 holds.
fn interrupted_batch(
    other: impl FnOnce(&Disk) -> Result<(), IoError> + Send,
    looks: bool,
) -> (Medium, Result<(), IoError>, u64) {
    let medium = Medium::new(&fresh(), &[]);
    let disk = open(&medium).unwrap().btt;
    let (go, told) = mpsc::channel();
    let result = thread::scope(|scope| {
        let disk = &disk;
        let waiting = scope.spawn(move || {
            told.recv().unwrap();
            other(disk)
        });
        let waiter = waiting.thread().id();
        let mut source = Words::interrupted(vec![1127, 1128], |number| {
            if number == 1 {
                go.send(()).unwrap();
                // A writer holds its lane group when it queries errors of its block.
                while looks && !disk.media().has_looked(waiter) {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(50));
                disk.media().poison(unit(disk));
            }
        });
        let failed = disk.write(127, 2, &mut source, 0);
        assert!(matches!(failed, Err(IoError::Interrupted { .. })));
        waiting.join().unwrap()
    });
    assert!(disk.is_read_only());
    (medium, result, read(&disk, 128).unwrap())
}

/// Judges what is left, with the error and without it.
fn judge(medium: &Medium, allowed: &Allowed) {
    let bad = medium.bad();
    for chosen in [0, usize::MAX] {
        let image = medium.image(|choices| chosen.min(choices - 1));
        allowed.judge_bad(&image, &bad).unwrap();
        allowed.judge(&image).unwrap();
    }
}

#[test]
fn a_writer_that_waited_for_an_interrupted_batch_is_refused() {
    let (medium, result, shown) = interrupted_batch(|disk| write(disk, 128, &[2128], 1), true);
    let mut allowed = Allowed::fresh();
    allowed.set(127, BTreeSet::from([127, 1127]));
    // Also before a power failure: the write was not acknowledged.
    allowed.set(128, BTreeSet::from([128, 1128]));
    judge(&medium, &allowed);
    assert_eq!(result, Err(IoError::ReadOnly { arena: 0 }));
    // Its map word could be stored, unlike the word of 127.
    assert_eq!(shown, 1128);
}

#[test]
fn a_discard_that_waited_for_an_interrupted_batch_is_refused() {
    let (medium, result, shown) = interrupted_batch(|disk| disk.discard(128, 1), false);
    let mut allowed = Allowed::fresh();
    allowed.set(127, BTreeSet::from([127, 1127]));
    let after = match result {
        Ok(()) => BTreeSet::from([0]),
        Err(_) => BTreeSet::from([128, 1128]),
    };
    allowed.set(128, after);
    judge(&medium, &allowed);
    assert_eq!(result, Err(IoError::ReadOnly { arena: 0 }));
    // Its map word could be stored, unlike the word of 127.
    assert_eq!(shown, 1128);
}

/// One of the random requests: what it stores where, and when.
struct Change {
    lba: u64,
    words: Vec<u64>,
    began: u64,
    /// When the request returned.
    ended: u64,
    carried_out: bool,
}

/// Returns the contents that sectors may have: everything that was stored there, unless a request
/// that began later was carried out.
fn allowed(changes: &[Change]) -> Allowed {
    let mut allowed = Allowed::fresh();
    for lba in SECTORS {
        let here = || {
            changes.iter().filter_map(move |change| {
                let index = lba.checked_sub(change.lba)? as usize;
                Some((change, *change.words.get(index)?))
            })
        };
        let is_over =
            |ended: u64| here().any(|(later, _)| later.carried_out && later.began > ended);
        let mut words: BTreeSet<u64> = here()
            .filter(|(change, _)| !is_over(change.ended))
            .map(|(_, word)| word)
            .collect();
        if !is_over(0) {
            words.insert(lba);
        }
        allowed.set(lba, words);
    }
    allowed
}

/// Runs four threads while a unit of the map is lost at some moment, for good. Returns `true` if a
/// write was left half done.
fn run(seed: u64) -> bool {
    let medium = Medium::new(&fresh(), &[]);
    let disk = open(&medium).unwrap().btt;
    medium.lose_after(seed as u32 * 7 % 1500, unit(&disk));
    let clock = AtomicU64::new(1);
    let changes = Mutex::new(Vec::new());
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (disk, clock, changes, start) = (&disk, &clock, &changes, &start);
            scope.spawn(move || {
                let mut random = seed * 4 + thread + 1;
                let mut below = |limit: u64| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (random >> 33) % limit
                };
                start.wait();
                for request in 0..20 {
                    let count = 1 + below(3);
                    let lba = SECTORS.start + below(SECTORS.end - SECTORS.start - count + 1);
                    let is_discard = below(5) == 0;
                    let words: Vec<u64> = (0..count)
                        .map(|sector| {
                            let word = 10_000 * (thread + 1) + 10 * request + sector;
                            if is_discard {
                                0
                            } else {
                                word
                            }
                        })
                        .collect();
                    let began = clock.fetch_add(1, Ordering::Relaxed);
                    let result = if is_discard {
                        disk.discard(lba, count)
                    } else {
                        write(disk, lba, &words, thread as usize)
                    };
                    let ended = clock.fetch_add(1, Ordering::Relaxed);
                    changes.lock().unwrap().push(Change {
                        lba,
                        words,
                        began,
                        ended,
                        carried_out: result.is_ok(),
                    });
                }
            });
        }
    });
    let allowed = allowed(&changes.into_inner().unwrap());
    allowed.check(&disk).unwrap();
    judge(&medium, &allowed);
    disk.is_read_only()
}

#[test]
fn a_unit_of_the_map_that_is_lost_under_writers() {
    let runs = 400;
    let interrupted = (0..runs).filter(|&seed| run(seed)).count();
    println!("{interrupted} of {runs} runs were interrupted");
    assert!(interrupted > runs as usize / 20, "{interrupted} of {runs}");
}
