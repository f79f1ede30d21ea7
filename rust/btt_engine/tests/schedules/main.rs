// SPDX-License-Identifier: GPL-2.0

//! Shuttle runs schedules of many threads over the real engine, at random and by PCT, with power
//! failures in each of them.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test schedules`, or `make shuttle`.
//! `SCHEDULES` sets the number of schedules.
//!
//! Loom sees all interleavings of two or three requests. Shuttle sees some interleavings of many
//! requests, and what they leave on the medium. All atomics are sequentially consistent here: loom
//! covers weak memory.

#![cfg(shuttle)]

mod medium;

use btt_crash::trace::{
    Arena,
    SECTORS, //
};
use btt_engine::{
    weak,
    Btt,
    Defect,
    IoError,
    OpenParams, //
};
use medium::{
    Fault,
    Traced,
    Words, //
};
use nd_format::{
    btt::Version,
    uuid::Uuid, //
};
use shuttle::{
    rand::{
        thread_rng,
        Rng, //
    },
    scheduler::{
        PctScheduler,
        RandomScheduler, //
    },
    thread,
    Config,
    FailurePersistence,
    Runner, //
};
use std::{
    collections::BTreeSet,
    sync::{
        atomic::{
            AtomicU64,
            Ordering, //
        },
        Arc,
        Mutex, //
    },
};

const THREADS: u64 = 8;
const REQUESTS: u64 = 6;

/// Number of images that are judged before each fence.
const IMAGES: usize = 4;

/// A write or a discard of a sector: what it stores, and when. Nothing of it is known to be durable
/// before `ended`.
struct Change {
    sector: u64,
    word: u64,
    began: u64,
    ended: u64,
}

/// All changes so far.
#[derive(Clone)]
struct History(Arc<Mutex<Vec<Change>>>);

impl History {
    fn new() -> Self {
        let initial = (0..u64::from(SECTORS)).map(|sector| Change {
            sector,
            word: Arena::initial_word(sector as u32),
            began: 0,
            ended: 0,
        });
        Self(Arc::new(Mutex::new(initial.collect())))
    }

    /// Notes that words are about to be stored to sectors from `lba` on. Returns a number for
    /// [`Self::end`].
    fn begin(&self, lba: u64, words: &[u64], now: u64) -> usize {
        let mut changes = self.0.lock().unwrap();
        let first = changes.len();
        changes.extend((lba..).zip(words).map(|(sector, &word)| Change {
            sector,
            word,
            began: now,
            ended: u64::MAX,
        }));
        first
    }

    fn end(&self, first: usize, count: usize, now: u64) {
        let mut changes = self.0.lock().unwrap();
        for change in &mut changes[first..first + count] {
            change.ended = now;
        }
    }

    /// Returns the contents that each sector may have now: everything that was stored there, unless
    /// a change that began later has ended.
    fn allowed(&self) -> Vec<BTreeSet<u64>> {
        let changes = self.0.lock().unwrap();
        let mut allowed = vec![BTreeSet::new(); SECTORS as usize];
        for change in changes.iter() {
            let is_over = changes.iter().any(|later| {
                later.sector == change.sector
                    && later.ended != u64::MAX
                    && later.began > change.ended
            });
            if !is_over {
                allowed[change.sector as usize].insert(change.word);
            }
        }
        allowed
    }
}

/// Passes images that a power failure could leave now to the judge of the crash explorer.
fn judge(medium: &Traced, history: &History, images: &AtomicU64) {
    // Other threads run while the judge opens BTTs of its own, so all images are drawn before.
    let allowed = history.allowed();
    let drawn = [(); IMAGES].map(|()| medium.image(|limit| thread_rng().gen_range(0..limit)));
    let arena = Arena::default();
    for image in drawn {
        images.fetch_add(1, Ordering::Relaxed);
        let word = |offset| image.get(&offset).copied().unwrap_or_default();
        match arena.judge(word) {
            Ok(contents) => {
                for (sector, word) in contents.iter().enumerate() {
                    let allowed = &allowed[sector];
                    assert!(
                        allowed.contains(word),
                        "sector {sector} holds {word} after a power failure, expected one of {allowed:?}"
                    );
                }
            }
            Err(error) => panic!("after a power failure: {error}"),
        }
    }
}

/// Runs one schedule: threads with requests of all kinds.
fn requests(fault: Option<Fault>, images: &Arc<AtomicU64>) {
    let history = History::new();
    let (seen, counter) = (history.clone(), images.clone());
    let medium = Traced::new(fault, move |medium| judge(medium, &seen, &counter));
    let params = OpenParams {
        version: Version::V2_0,
        namespace_uuid: Uuid::NIL,
        groups: 3,
    };
    let opened = Btt::open(medium.clone(), &params).map_err(|error| error.to_string());
    let btt = Arc::new(opened.unwrap().btt);
    medium.arm();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (btt, history) = (btt.clone(), history.clone());
            thread::spawn(move || {
                for request in 0..REQUESTS {
                    one_request(
                        &btt,
                        &history,
                        thread as usize,
                        1000 * (thread + 1) + 10 * request,
                    );
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    judge(&medium, &history, images);
    let report = btt.check().unwrap();
    // Unreadable metadata count as a defect.
    assert!(
        report.defects == 0 || matches!(report.first, Some(Defect::Map(_))),
        "{report}"
    );
}

/// Returns `true` if a request was successful. It may fail only if the medium may.
fn outcome(btt: &Btt<Traced>, result: Result<(), IoError>) -> bool {
    match result {
        Ok(()) => true,
        Err(IoError::Media(_) | IoError::Interrupted { .. } | IoError::ReadOnly { .. })
            if btt.media().may_fail() =>
        {
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn one_request(btt: &Btt<Traced>, history: &History, cpu: usize, word: u64) {
    let count = thread_rng().gen_range(1..=3);
    let lba = thread_rng().gen_range(0..=u64::from(SECTORS) - count);
    let kind = thread_rng().gen_range(0..6);
    if kind == 0 {
        let mut sink = Words(Vec::new());
        outcome(btt, btt.read(lba, count, &mut sink, cpu));
        return;
    }
    let words: Vec<u64> = match kind {
        1 => vec![0; count as usize],
        _ => (word..word + count).collect(),
    };
    let number = history.begin(lba, &words, btt.media().step());
    let result = if kind == 1 {
        btt.discard(lba, count)
    } else {
        btt.write(lba, count, &mut Words(words.clone()), cpu)
    };
    // Recovery may carry out a request that failed.
    if outcome(btt, result) {
        history.end(number, words.len(), btt.media().step());
    }
}

/// Returns the number of schedules to run.
fn schedules(otherwise: usize) -> usize {
    let wanted = std::env::var("SCHEDULES").ok();
    wanted
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

fn config() -> Config {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::Print;
    config.max_steps = shuttle::MaxSteps::FailAfter(10_000_000);
    config
}

fn check(fault: Option<Fault>, pct: bool, count: usize) {
    let images = Arc::new(AtomicU64::new(0));
    let counter = images.clone();
    let run = move || requests(fault, &counter);
    if pct {
        Runner::new(PctScheduler::new_from_seed(0x5eed, 3, count), config()).run(run);
    } else {
        Runner::new(RandomScheduler::new_from_seed(0x5eed, count), config()).run(run);
    }
    println!(
        "{count} schedules, {} images",
        images.load(Ordering::Relaxed)
    );
}

#[test]
fn random_schedules() {
    check(None, false, schedules(2_000));
}

#[test]
fn pct_schedules() {
    check(None, true, schedules(2_000));
}

#[test]
fn random_schedules_of_a_medium_that_fails() {
    check(Some(Fault::Failing), false, schedules(2_000));
}

#[test]
fn pct_schedules_of_a_medium_that_fails() {
    check(Some(Fault::Failing), true, schedules(2_000));
}

#[test]
#[should_panic(expected = "after a power failure")]
fn mutant_gate_not_looked_at_with_the_map_locks() {
    weak::set(weak::Side::GateUnderLocks);
    check(Some(Fault::Failing), false, 2_000);
}

#[test]
#[should_panic(expected = "after a power failure")]
fn mutant_map_stored_after_a_failed_fence() {
    weak::set(weak::Side::Doubt);
    check(Some(Fault::Failing), false, 2_000);
}

#[test]
#[should_panic(expected = "after a power failure")]
fn mutant_every_other_fence() {
    check(Some(Fault::EveryOtherFence), false, 2_000);
}

#[test]
#[should_panic(expected = "after a power failure")]
fn mutant_no_flush_of_map_words() {
    check(Some(Fault::NoMapFlush), false, 2_000);
}
