// SPDX-License-Identifier: GPL-2.0

//! A request whose stores and fences fail, and another one that waits for one of its locks.
//!
//! The medium asserts: once the map is behind the flog, or may be, the map words concerned do not
//! change any more, and no request but the one that failed stores to the flog. What is left is
//! opened again.

use super::{
    model,
    read,
    weak,
    write,
    Watched,
    Word,
    RUBBISH, //
};
use btt_engine::{
    Btt,
    IoError,
    MediaError, //
};
use loom::{
    sync::Arc,
    thread::{
        self,
        ThreadId, //
    },
};
use std::{
    ops::Range,
    sync::{
        atomic::{
            AtomicBool,
            Ordering, //
        },
        Mutex, //
    },
};

/// An access that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The map word of a sector has become bad since it was read.
    Map(u32),
    /// The store to the flog with this number, of those of the thread.
    Flog(usize),
    /// The fence of the thread with this number.
    Fence(usize),
}

/// Accesses of one thread that fail.
#[derive(Default)]
pub(super) struct Faults {
    armed: Mutex<Option<Armed>>,
    /// Set while nothing may be stored.
    still: AtomicBool,
}

struct Armed {
    thread: ThreadId,
    fault: Fault,
    /// Sectors of the thread's request.
    sectors: Range<u32>,
    stores: usize,
    fences: usize,
    /// `true` if the map may be behind the flog, except for sectors whose map words the thread goes
    /// on to store.
    in_doubt: bool,
}

impl Faults {
    /// Makes an access of this thread fail. Its next request is for these sectors.
    fn arm(&self, fault: Fault, sectors: Range<u32>) {
        *self.armed.lock().unwrap() = Some(Armed {
            thread: thread::current().id(),
            fault,
            sectors,
            stores: 0,
            fences: 0,
            in_doubt: false,
        });
    }

    fn with(
        &self,
        f: impl FnOnce(&mut Armed, bool) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        let mut armed = self.armed.lock().unwrap();
        match &mut *armed {
            Some(armed) => {
                let is_own = armed.thread == thread::current().id();
                f(armed, is_own)
            }
            None => Ok(()),
        }
    }

    /// Forbids stores until this is called with `false`.
    fn expect_still(&self, still: bool) {
        self.still.store(still, Ordering::Relaxed);
    }

    fn assert_not_still(&self) {
        let still = self.still.load(Ordering::Relaxed);
        assert!(!still, "a store to a frozen medium");
    }

    /// Called before a map word is stored.
    pub(super) fn store_map(&self, sector: u32) -> Result<(), MediaError> {
        self.assert_not_still();
        self.with(|armed, is_own| {
            if is_own && armed.fault == Fault::Map(sector) {
                armed.in_doubt = true;
                return Err(poison());
            }
            let goes_on = is_own && matches!(armed.fault, Fault::Map(_));
            let is_wrong = armed.in_doubt && armed.sectors.contains(&sector) && !goes_on;
            assert!(!is_wrong, "a map word in doubt is stored");
            Ok(())
        })
    }

    /// Called before half an entry is stored to the flog.
    pub(super) fn store_flog(&self, _: u64) -> Result<(), MediaError> {
        self.assert_not_still();
        self.with(|armed, is_own| {
            if is_own {
                armed.stores += 1;
                if armed.fault == Fault::Flog(armed.stores) {
                    // For one sector, the second half is the one that decides.
                    armed.in_doubt = armed.stores == 2;
                    return Err(poison());
                }
            }
            let is_other = !is_own && armed.sectors.len() == 1;
            assert!(
                !(armed.in_doubt && is_other),
                "a move is built on a map in doubt"
            );
            Ok(())
        })
    }

    pub(super) fn fence(&self) -> Result<(), MediaError> {
        self.with(|armed, is_own| {
            if is_own {
                armed.fences += 1;
                if armed.fault == Fault::Fence(armed.fences) {
                    armed.in_doubt = armed.fences == 2;
                    return Err(MediaError::Flush);
                }
            }
            Ok(())
        })
    }
}

fn poison() -> MediaError {
    MediaError::Poison { offset: 0, len: 4 }
}

/// The operation of the other thread.
type Other = fn(&Btt<Watched>) -> Result<(), IoError>;

/// One thread writes 10 to a sector, which fails, while another thread runs `other`. Checks the
/// results of both. The arena must still accept writes if `may_go_on` is set, and refuse them
/// otherwise.
fn one_sector(groups: usize, fault: Fault, other: Other, may_go_on: bool) {
    model(move || {
        let btt = Watched::new(2, 2).open(groups);
        let failing = thread::spawn({
            let btt = btt.clone();
            move || {
                btt.media().faults.arm(fault, 0..1);
                btt.write(0, 1, &mut Word(10), 0)
            }
        });
        let result = other(&btt);
        let failed = failing.join().unwrap();
        assert!(failed.is_err());
        assert!(matches!(failed, Err(IoError::Interrupted { .. })) != may_go_on);
        assert_eq!(btt.is_read_only(), !may_go_on);
        if may_go_on {
            assert_eq!(result, Ok(()));
        } else {
            assert!(matches!(result, Ok(()) | Err(IoError::ReadOnly { .. })));
        }
        let shown = read(&btt, 0, 0);
        assert_ne!(shown, 10);
        assert_eq!(btt.check().unwrap().defects, 0);
        let again = recovered(&btt);
        let word = read(&again, 0, 0);
        assert!(word == shown || word == 10 && !may_go_on, "{word}");
        assert_eq!(read(&again, 1, 0), 1);
    });
}

/// Opens what is left and checks that each block has one owner.
fn recovered(btt: &Arc<Btt<Watched>>) -> Arc<Btt<Watched>> {
    let again = btt.media().again().open(1);
    assert_eq!(again.check().unwrap().defects, 0);
    again
}

fn write_20(btt: &Btt<Watched>) -> Result<(), IoError> {
    btt.write(0, 1, &mut Word(20), 1)
}

fn discard(btt: &Btt<Watched>) -> Result<(), IoError> {
    btt.discard(0, 1)
}

fn check(btt: &Btt<Watched>) -> Result<(), IoError> {
    assert_eq!(btt.check().unwrap().defects, 0);
    Ok(())
}

const SECOND_FENCE: Fault = Fault::Fence(2);
const SECOND_HALF: Fault = Fault::Flog(2);

#[test]
fn a_writer_waits_for_a_map_lock_and_the_second_fence_fails() {
    one_sector(2, SECOND_FENCE, write_20, false);
}

#[test]
fn a_writer_waits_for_a_lane_group_and_the_second_fence_fails() {
    one_sector(1, SECOND_FENCE, write_20, false);
}

#[test]
fn a_discard_waits_and_the_second_fence_fails() {
    one_sector(1, SECOND_FENCE, discard, false);
}

#[test]
fn a_check_waits_and_the_second_fence_fails() {
    one_sector(1, SECOND_FENCE, check, false);
}

#[test]
fn a_writer_waits_for_a_map_lock_and_the_second_half_fails() {
    one_sector(2, SECOND_HALF, write_20, false);
}

#[test]
fn a_writer_waits_for_a_map_lock_and_the_map_fails() {
    one_sector(2, Fault::Map(0), write_20, false);
}

#[test]
fn a_discard_waits_and_the_map_fails() {
    one_sector(1, Fault::Map(0), discard, false);
}

#[test]
fn a_check_waits_and_the_map_fails() {
    one_sector(1, Fault::Map(0), check, false);
}

/// Locks are taken one after the other: a batch holds one of them while it waits for the next.
#[test]
fn a_batch_waits_for_a_writer_whose_second_fence_fails() {
    model(|| {
        let btt = Watched::new(18, 4).open(2);
        let failing = thread::spawn({
            let btt = btt.clone();
            move || {
                btt.media().faults.arm(SECOND_FENCE, 16..17);
                btt.write(16, 1, &mut Word(10), 0)
            }
        });
        let result = btt.write(15, 2, &mut Word(20), 1);
        assert!(matches!(
            failing.join().unwrap(),
            Err(IoError::Interrupted { .. })
        ));
        let expected = match result {
            Ok(()) => (20, 20),
            Err(IoError::ReadOnly { .. }) => (15, 16),
            Err(error) => panic!("{error}"),
        };
        assert_eq!((read(&btt, 15, 0), read(&btt, 16, 0)), expected);
        let again = recovered(&btt);
        assert_eq!((read(&again, 15, 0), read(&again, 16, 0)), (expected.0, 10));
    });
}

/// Nothing has happened by then: the other request is carried out.
#[test]
fn a_writer_waits_and_the_first_fence_fails() {
    one_sector(2, Fault::Fence(1), write_20, true);
    one_sector(1, Fault::Fence(1), write_20, true);
}

#[test]
fn a_writer_waits_and_the_first_half_fails() {
    one_sector(2, Fault::Flog(1), write_20, true);
}

/// A reader waits for the map lock of a lost sector, to mark it.
#[test]
fn an_error_mark_waits_and_the_second_fence_fails() {
    model(|| {
        let media = Watched::new(1, 1);
        *media.bad.lock().unwrap() = Some(0);
        let btt = media.open(1);
        let failing = thread::spawn({
            let btt = btt.clone();
            move || {
                btt.media().faults.arm(SECOND_FENCE, 0..1);
                btt.write(0, 1, &mut Word(10), 0)
            }
        });
        let read = btt.read(0, 1, &mut Word(RUBBISH), 0);
        assert!(read.is_err());
        assert!(matches!(
            failing.join().unwrap(),
            Err(IoError::Interrupted { .. })
        ));
        recovered(&btt);
    });
}

/// A batch of two sectors with different map locks: the map does not follow for the first one, and
/// another request waits for the second one.
fn a_batch_and(other: fn(&Btt<Watched>) -> Result<(), IoError>) {
    model(move || {
        let btt = Watched::new(18, 4).open(2);
        let failing = thread::spawn({
            let btt = btt.clone();
            move || {
                btt.media().faults.arm(Fault::Map(15), 15..17);
                btt.write(15, 2, &mut Word(10), 0)
            }
        });
        let result = other(&btt);
        assert!(matches!(
            failing.join().unwrap(),
            Err(IoError::Interrupted { .. })
        ));
        assert!(matches!(result, Ok(()) | Err(IoError::ReadOnly { .. })));
        // In either order the sector behind the one that failed has moved.
        assert_eq!(read(&btt, 16, 0), 10, "the map has not followed");
        assert_eq!(read(&btt, 15, 0), 15);
        assert_eq!(btt.check().unwrap().defects, 0);
        let again = recovered(&btt);
        assert_eq!((read(&again, 15, 0), read(&again, 16, 0)), (10, 10));
    });
}

fn write_16(btt: &Btt<Watched>) -> Result<(), IoError> {
    btt.write(16, 1, &mut Word(20), 1)
}

#[test]
fn a_writer_waits_for_a_batch_that_is_left_half_done() {
    a_batch_and(write_16);
}

#[test]
fn a_discard_waits_for_a_batch_that_is_left_half_done() {
    a_batch_and(|btt| btt.discard(16, 1));
}

/// Hibernation while another thread does something: the request finishes before, or waits until the
/// machine continues.
fn hibernation_and(groups: usize, other: Other) {
    model(move || {
        let btt = Watched::new(2, 2).open(groups);
        let busy = thread::spawn({
            let btt = btt.clone();
            move || other(&btt).unwrap()
        });
        btt.freeze();
        btt.media().faults.expect_still(true);
        thread::yield_now();
        btt.media().faults.expect_still(false);
        assert_eq!(btt.resume(), Ok(0));
        write(&btt, 1, 30, 0);
        busy.join().unwrap();
        assert!(matches!(read(&btt, 0, 0), 0 | 20));
        assert_eq!(read(&btt, 1, 0), 30);
        assert_eq!(btt.check().unwrap().defects, 0);
        assert_eq!(read(&recovered(&btt), 1, 0), 30);
    });
}

#[test]
fn hibernation_and_a_writer() {
    hibernation_and(1, write_20);
    hibernation_and(2, write_20);
}

#[test]
fn hibernation_and_a_discard() {
    hibernation_and(1, discard);
}

#[test]
#[should_panic(expected = "a map word in doubt is stored")]
fn mutant_gate_not_looked_at_with_the_map_locks() {
    weak::set(weak::Side::GateUnderLocks);
    a_batch_and(write_16);
}

#[test]
#[should_panic(expected = "a map word in doubt is stored")]
fn mutant_discard_that_does_not_look_at_the_gate() {
    weak::set(weak::Side::GateUnderLocks);
    a_batch_and(|btt| btt.discard(16, 1));
}

#[test]
#[should_panic(expected = "the map has not followed")]
fn mutant_map_stores_stop_at_the_first_error() {
    weak::set(weak::Side::Settling);
    a_batch_and(write_16);
}

#[test]
#[should_panic(expected = "a map word in doubt is stored")]
fn mutant_map_stored_after_a_failed_fence() {
    weak::set(weak::Side::Doubt);
    one_sector(2, SECOND_FENCE, write_20, false);
}

#[test]
#[should_panic(expected = "a move is built on a map in doubt")]
fn mutant_gate_not_looked_at_after_a_failed_fence() {
    weak::set(weak::Side::GateUnderLocks);
    one_sector(2, SECOND_FENCE, write_20, false);
}
