// SPDX-License-Identifier: GPL-2.0

//! Loom explores the interleavings of readers and writers of the real engine, and the effects of
//! weak memory.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test interleavings`
//!
//! Loom's reductions are sound for the accesses that it sees: map, data, the read tracking table,
//! locks. Preemptions are not bounded.

#![cfg(loom)]

mod failures;

use btt_engine::{
    weak,
    Btt,
    Media,
    MediaError,
    OpenParams,
    Sink,
    Source, //
};
use failures::Faults;
use loom::{
    sync::{
        atomic::{
            AtomicU32,
            AtomicU64,
            Ordering::Relaxed, //
        },
        Arc,
    },
    thread, //
};
use nd_format::{
    btt::{
        geometry::MediaGeometry,
        ArenaGeometry,
        FlogEntry,
        Info,
        Version,
        ARENA_MIN, //
    },
    uuid::Uuid, //
};
use std::{
    collections::HashMap,
    sync::Mutex, //
};

const BLOCK: u64 = 512;

/// Contents of blocks that belong to no sector at first.
const RUBBISH: u64 = 99;

/// A medium whose map and data loom watches. The flog is accessed only by the owner of a lane,
/// whose lock loom watches.
struct Watched {
    // On the heap: the stacks of loom's threads are small.
    info: Vec<u8>,
    geometry: ArenaGeometry,
    map: Vec<AtomicU32>,
    /// Touched before each access to a map word, see [`Watched::map_word`].
    accesses: Vec<AtomicU32>,
    /// The first and the last word of each block.
    data: Vec<[AtomicU64; 2]>,
    flog: Mutex<HashMap<u64, u64>>,
    bad: Mutex<Option<u32>>,
    faults: Faults,
}

impl Watched {
    /// An arena whose sectors hold their own numbers.
    fn new(sectors: u32, lanes: u32) -> Self {
        let blocks = sectors + lanes;
        let map_offset = 4096 + u64::from(blocks) * BLOCK;
        let flog_offset = (map_offset + u64::from(sectors) * 4).next_multiple_of(64);
        let media = MediaGeometry {
            external_lba_size: BLOCK as u32,
            external_nlba: sectors,
            internal_lba_size: BLOCK as u32,
            internal_nlba: blocks,
            nfree: lanes,
            info_size: 4096,
            data_offset: 4096,
            map_offset,
            flog_offset,
            info2_offset: flog_offset + u64::from(lanes) * 64,
        };
        let geometry = ArenaGeometry::from_media(&media, ARENA_MIN).unwrap();
        let mut info = [0; 4096];
        Info {
            uuid: Uuid::NIL,
            parent_uuid: Uuid::NIL,
            error: false,
            version: Version::V2_0,
            geometry,
            next_offset: 0,
        }
        .encode(&mut info);
        let flog = (0..lanes).flat_map(|lane| {
            let [first, second] = FlogEntry::initial(lane, sectors).encode().halves();
            let group = geometry.flog_group_offset(lane).unwrap();
            [(group, first), (group + 8, second)]
        });
        let word = |block: u32| {
            if block < sectors {
                u64::from(block)
            } else {
                RUBBISH
            }
        };
        Self {
            info: info.to_vec(),
            geometry,
            map: (0..sectors).map(|_| AtomicU32::new(0)).collect(),
            accesses: (0..sectors).map(|_| AtomicU32::new(0)).collect(),
            data: (0..blocks)
                .map(|block| [AtomicU64::new(word(block)), AtomicU64::new(word(block))])
                .collect(),
            flog: Mutex::new(flog.collect()),
            bad: Mutex::new(None),
            faults: Faults::default(),
        }
    }

    /// Returns the same medium as the only remaining thread sees it.
    fn again(&self) -> Self {
        let word = |word: &AtomicU32| AtomicU32::new(word.load(Relaxed));
        let block = |block: &[AtomicU64; 2]| {
            block
                .each_ref()
                .map(|word| AtomicU64::new(word.load(Relaxed)))
        };
        Self {
            info: self.info.clone(),
            geometry: self.geometry,
            map: self.map.iter().map(word).collect(),
            accesses: self.map.iter().map(|_| AtomicU32::new(0)).collect(),
            data: self.data.iter().map(block).collect(),
            flog: Mutex::new(self.flog.lock().unwrap().clone()),
            bad: Mutex::new(*self.bad.lock().unwrap()),
            faults: Faults::default(),
        }
    }

    fn open(self, groups: usize) -> Arc<Btt<Self>> {
        let params = OpenParams {
            version: Version::V2_0,
            namespace_uuid: Uuid::NIL,
            groups,
        };
        Arc::new(
            Btt::open(self, &params)
                .map_err(|error| error.to_string())
                .unwrap()
                .btt,
        )
    }

    /// Returns a map word that is about to be accessed.
    ///
    /// Loom compares a store with the last access only. A load by the same thread hides a load of
    /// another thread before it, and then the store is not tried before that load. An access that
    /// is both a load and a store hides nothing. As it is relaxed, it orders nothing.
    fn map_word(&self, offset: u64) -> &AtomicU32 {
        let sector = self.sector(offset) as usize;
        self.accesses[sector].fetch_add(1, Relaxed);
        &self.map[sector]
    }

    /// Returns the sector of a map word.
    fn sector(&self, offset: u64) -> u32 {
        ((offset - self.geometry.map_offset()) / 4) as u32
    }

    fn block(&self, offset: u64) -> &[AtomicU64; 2] {
        &self.data[self.block_number(offset) as usize]
    }

    fn block_number(&self, offset: u64) -> u32 {
        ((offset - self.geometry.data_offset()) / BLOCK) as u32
    }
}

impl Media for Watched {
    fn size(&self) -> u64 {
        ARENA_MIN
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        Ok(self.map_word(offset).load(Relaxed))
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        // Before the access, so that other threads may run in between.
        let word = self.map_word(offset);
        self.faults.store_map(self.sector(offset))?;
        word.store(value, Relaxed);
        Ok(())
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.faults.store_flog(offset)?;
        self.flog.lock().unwrap().insert(offset, value);
        Ok(())
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        if offset == 0 {
            bytes.copy_from_slice(&self.info);
            return Ok(());
        }
        let flog = self.flog.lock().unwrap();
        for (offset, bytes) in (offset..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            let word = flog.get(&offset).copied().unwrap_or_default();
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), MediaError> {
        unreachable!("nothing is made or restored here")
    }

    fn zero(&self, _: u64, _: u64) -> Result<(), MediaError> {
        unreachable!("nothing is made here")
    }

    fn is_bad(&self, offset: u64, _: u64) -> bool {
        *self.bad.lock().unwrap() == Some(self.block_number(offset))
    }

    fn clear(&self, offset: u64, _: u64) -> Result<(), MediaError> {
        self.bad.lock().unwrap().take();
        self.block(offset)
            .iter()
            .for_each(|word| word.store(RUBBISH, Relaxed));
        Ok(())
    }

    fn flush(&self, _: u64, _: u64) {}

    fn fence(&self) -> Result<(), MediaError> {
        // A fence orders stores as others see them, and does no more.
        loom::sync::atomic::fence(loom::sync::atomic::Ordering::Release);
        self.faults.fence()
    }
}

/// One sector of data.
struct Word(u64);

impl Source<Watched> for Word {
    fn copy_to(&mut self, media: &Watched, offset: u64, _: u32) -> Result<(), MediaError> {
        media
            .block(offset)
            .iter()
            .for_each(|word| word.store(self.0, Relaxed));
        Ok(())
    }
}

impl Sink<Watched> for Word {
    fn copy_from(&mut self, media: &Watched, offset: u64, len: u32) -> Result<(), MediaError> {
        if media.is_bad(offset, len.into()) {
            let len = len.into();
            return Err(MediaError::Poison { offset, len });
        }
        let [first, last] = media
            .block(offset)
            .each_ref()
            .map(|word| word.load(Relaxed));
        assert_eq!(first, last, "a torn sector");
        self.0 = first;
        Ok(())
    }

    fn fill_zero(&mut self, _: u32) {
        self.0 = 0;
    }
}

fn write(btt: &Btt<Watched>, lba: u64, word: u64, cpu: usize) {
    btt.write(lba, 1, &mut Word(word), cpu).unwrap();
}

fn read(btt: &Btt<Watched>, lba: u64, cpu: usize) -> u64 {
    let mut word = Word(RUBBISH);
    btt.read(lba, 1, &mut word, cpu).unwrap();
    word.0
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = executions.clone();
    let run = move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        run();
    };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.max_branches = 10_000;
    builder.check(run);
    println!(
        "{} interleavings",
        executions.load(std::sync::atomic::Ordering::Relaxed)
    );
}

/// The block that a write frees is written by the next one, while a reader may have found it in the
/// map.
fn a_reader_and_two_writes() {
    model(|| {
        let btt = Watched::new(1, 1).open(1);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || {
                write(&btt, 0, 10, 0);
                write(&btt, 0, 20, 0);
            }
        });
        assert!(matches!(read(&btt, 0, 0), 0 | 10 | 20));
        writer.join().unwrap();
        assert_eq!(read(&btt, 0, 0), 20);
    });
}

#[test]
fn a_block_is_not_reused_while_it_is_read() {
    a_reader_and_two_writes();
}

#[test]
#[should_panic(expected = "a torn sector")]
fn mutant_weak_barrier_of_the_writer() {
    weak::set(weak::Side::Writer);
    a_reader_and_two_writes();
}

#[test]
#[should_panic(expected = "a torn sector")]
fn mutant_weak_barrier_of_the_reader() {
    weak::set(weak::Side::Reader);
    a_reader_and_two_writes();
}

/// Batches over the same neighbouring sectors, whose map words have two locks.
#[test]
fn batches_do_not_deadlock() {
    model(|| {
        let btt = Watched::new(18, 4).open(2);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || btt.write(15, 2, &mut Word(10), 0).unwrap()
        });
        btt.write(15, 2, &mut Word(20), 1).unwrap();
        writer.join().unwrap();
        for lba in [15, 16] {
            assert!(matches!(read(&btt, lba, 0), 10 | 20));
        }
        assert_eq!((read(&btt, 14, 0), read(&btt, 17, 0)), (14, 17));
    });
}

/// Two writers of one sector, with lanes of their own: each leaves its block to the other.
#[test]
fn two_writers_of_a_sector_do_not_share_a_block() {
    model(|| {
        let btt = Watched::new(2, 2).open(2);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || write(&btt, 0, 10, 0)
        });
        write(&btt, 0, 20, 1);
        writer.join().unwrap();
        assert!(matches!(read(&btt, 0, 0), 10 | 20));
        assert_eq!(read(&btt, 1, 0), 1);
        // If both lanes had come to hold the same block, both sectors would be in it.
        write(&btt, 0, 30, 0);
        write(&btt, 1, 40, 1);
        assert_eq!((read(&btt, 0, 0), read(&btt, 1, 0)), (30, 40));
    });
}

/// Two writers, one lane.
#[test]
fn a_lane_has_one_owner() {
    model(|| {
        let btt = Watched::new(2, 1).open(1);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || write(&btt, 0, 10, 0)
        });
        write(&btt, 1, 20, 1);
        writer.join().unwrap();
        assert_eq!((read(&btt, 0, 0), read(&btt, 1, 0)), (10, 20));
    });
}

/// A discard and a write of one sector: the result is one or the other, and no block is lost.
#[test]
fn a_discard_does_not_undo_a_write() {
    model(|| {
        let btt = Watched::new(1, 1).open(1);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || write(&btt, 0, 10, 0)
        });
        btt.discard(0, 1).unwrap();
        writer.join().unwrap();
        assert!(matches!(read(&btt, 0, 0), 0 | 10));
        write(&btt, 0, 20, 0);
        assert_eq!(read(&btt, 0, 0), 20);
    });
}

/// A reader finds a media error while the sector is written: the mark must not undo the write.
#[test]
fn an_error_mark_does_not_undo_a_write() {
    model(|| {
        let media = Watched::new(1, 1);
        *media.bad.lock().unwrap() = Some(0);
        let btt = media.open(1);
        let reader = thread::spawn({
            let btt = btt.clone();
            move || {
                let mut word = Word(RUBBISH);
                if btt.read(0, 1, &mut word, 0).is_ok() {
                    assert_eq!(word.0, 10);
                }
            }
        });
        write(&btt, 0, 10, 0);
        reader.join().unwrap();
        assert_eq!(read(&btt, 0, 0), 10);
        write(&btt, 0, 20, 0);
        assert_eq!(read(&btt, 0, 0), 20);
    });
}

/// Two writers meet a free block with a media error. Only its owner clears it, and it is not
/// cleared once it is in use.
#[test]
fn clearing_a_block_does_not_undo_a_write() {
    model(|| {
        let media = Watched::new(2, 2);
        *media.bad.lock().unwrap() = Some(2);
        let btt = media.open(2);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || {
                write(&btt, 0, 10, 0);
                write(&btt, 0, 20, 0);
            }
        });
        write(&btt, 1, 30, 0);
        writer.join().unwrap();
        assert_eq!((read(&btt, 0, 0), read(&btt, 1, 0)), (20, 30));
    });
}

/// A reader marks a block as lost while a writer clears that block and uses it again.
#[test]
fn an_error_mark_does_not_meet_new_data_in_the_same_block() {
    model(|| {
        let media = Watched::new(1, 1);
        *media.bad.lock().unwrap() = Some(0);
        let btt = media.open(1);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || {
                write(&btt, 0, 10, 0);
                // This clears block 0 and moves the sector back there.
                write(&btt, 0, 20, 0);
            }
        });
        let mut word = Word(RUBBISH);
        if btt.read(0, 1, &mut word, 0).is_ok() {
            assert!(matches!(word.0, 10 | 20));
        }
        writer.join().unwrap();
        assert_eq!(read(&btt, 0, 0), 20);
    });
}

/// The check of an arena while its sectors move: it sees each move completely or not at all.
fn a_check_and_two_writes() {
    model(|| {
        let btt = Watched::new(2, 1).open(1);
        let writer = thread::spawn({
            let btt = btt.clone();
            move || {
                write(&btt, 0, 10, 0);
                write(&btt, 1, 20, 0);
            }
        });
        let report = btt.check().unwrap();
        assert_eq!(report.defects, 0, "{report}");
        writer.join().unwrap();
        assert_eq!((read(&btt, 0, 0), read(&btt, 1, 0)), (10, 20));
    });
}

#[test]
fn a_check_finds_no_defects_under_writers() {
    a_check_and_two_writes();
}

#[test]
#[should_panic(expected = "1 defects")]
fn mutant_writers_that_do_not_look_at_the_gate() {
    weak::set(weak::Side::Gate);
    a_check_and_two_writes();
}
