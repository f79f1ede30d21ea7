// SPDX-License-Identifier: GPL-2.0

//! A medium that keeps the trace of all threads: what is durable, and which stores are on their way, flushed by whom.
//!
//! It is the strict medium of the crash explorer: between two fences each word becomes durable or not by itself. Each access is a
//! point where shuttle may let another thread go on.

use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use nd_format::{
    btt::{
        flog::{
            RawSlot,
            SLOTS, //
        },
        geometry::MediaGeometry,
        ArenaGeometry,
        FlogEntry,
        FlogLayout,
        Info,
        MapEntry,
        MapState,
        Version,
        ARENA_MIN, //
    },
    uuid::Uuid, //
};
use shuttle::{
    sync::atomic::{
        AtomicU64,
        Ordering, //
    },
    thread, //
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        Mutex,
        MutexGuard, //
    },
};

const BLOCK: u64 = 512;

/// A part of the protocol that is left out, to see that it is missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Every fence with an even number does nothing.
    EveryOtherFence,
    /// Map words are not flushed.
    NoMapFlush,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    durable: u64,
    /// Values on their way, each with the threads that have flushed the word since.
    pending: Vec<(u64, Vec<thread::ThreadId>)>,
}

impl Cell {
    fn visible(&self) -> u64 {
        self.pending
            .last()
            .map_or(self.durable, |(value, _)| *value)
    }
}

/// Words of the medium after a power failure.
pub(crate) type Image = BTreeMap<u64, u64>;

#[derive(Default)]
struct State {
    cells: BTreeMap<u64, Cell>,
    fences: usize,
}

/// The medium. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Traced(Arc<Inner>);

struct Inner {
    geometry: ArenaGeometry,
    info: [u8; 4096],
    state: Mutex<State>,
    fault: Option<Fault>,
    /// Called before each fence.
    before_fence: Box<dyn Fn(&Traced) + Send + Sync>,
    /// What shuttle sees of an access.
    step: AtomicU64,
}

impl Traced {
    /// An arena whose sectors hold their own numbers.
    pub(crate) fn new(
        sectors: u32,
        lanes: u32,
        fault: Option<Fault>,
        before_fence: impl Fn(&Traced) + Send + Sync + 'static,
    ) -> Self {
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
        let mut state = State::default();
        for block in 0..blocks {
            let word = if block < sectors { block.into() } else { 99 };
            for offset in words_of(geometry.block_offset(block).unwrap()) {
                state.cells.entry(offset).or_default().durable = word;
            }
        }
        for lane in 0..lanes {
            let group = geometry.flog_group_offset(lane).unwrap();
            let halves = FlogEntry::initial(lane, sectors).encode().halves();
            for (offset, half) in (group..).step_by(8).zip(halves) {
                state.cells.entry(offset).or_default().durable = half;
            }
        }
        Self(Arc::new(Inner {
            geometry,
            info,
            state: Mutex::new(state),
            fault,
            before_fence: Box::new(before_fence),
            step: AtomicU64::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Lets another thread go on, and tells the time.
    pub(crate) fn step(&self) -> u64 {
        self.0.step.fetch_add(1, Ordering::SeqCst)
    }

    fn store(&self, offset: u64, value: u64) {
        let mut state = self.state();
        let cell = state.cells.entry(offset).or_default();
        cell.pending.push((value, Vec::new()));
    }

    /// What a power failure leaves if `choose` picks, below its argument, what became durable of each word.
    pub(crate) fn image(&self, mut choose: impl FnMut(usize) -> usize) -> Image {
        let state = self.state();
        let cells = state.cells.iter().map(|(&offset, cell)| {
            let value = match choose(cell.pending.len() + 1) {
                0 => cell.durable,
                chosen => cell.pending[chosen - 1].0,
            };
            (offset, value)
        });
        cells.collect()
    }

    /// What each sector reads as after the recovery of an image by the rule of the format, which is written here once more.
    ///
    /// # Errors
    ///
    /// What is wrong with the image.
    pub(crate) fn recover(&self, image: &Image) -> Result<Vec<u64>, String> {
        let geometry = &self.0.geometry;
        let word = |offset: u64| image.get(&offset).copied().unwrap_or_default();
        let map_offset = |sector| geometry.map_entry_offset(sector).unwrap();
        let sectors = geometry.external_nlba();
        let mut map: Vec<MapEntry> = (0..sectors)
            .map(|sector| MapEntry::decode(word(map_offset(sector)) as u32, sector))
            .collect();
        let mut blocks = Vec::new();
        for lane in 0..geometry.nfree() {
            let group = geometry.flog_group_offset(lane).unwrap();
            let half = |index: usize| word(group + 8 * index as u64);
            let slots: [RawSlot; SLOTS] = std::array::from_fn(|slot| {
                RawSlot::from_halves(half(2 * slot), half(2 * slot + 1))
            });
            let pair = FlogLayout::Adjacent.newest(&slots);
            let entry = pair.map_err(|error| format!("lane {lane}: {error}"))?.entry;
            blocks.push(entry.old);
            let mapped = &mut map[entry.lba as usize];
            if entry.old != entry.new && mapped.block == entry.old {
                *mapped = MapEntry {
                    state: MapState::Normal,
                    block: entry.new,
                };
            }
        }
        blocks.extend(map.iter().map(|entry| entry.block));
        blocks.sort_unstable();
        if !blocks.iter().copied().eq(0..geometry.internal_nlba()) {
            return Err(format!("blocks mapped and free are {blocks:?}"));
        }
        let contents = map.iter().enumerate().map(|(sector, entry)| {
            if entry.state == MapState::Zero {
                return Ok(0);
            }
            let [first, last] = words_of(geometry.block_offset(entry.block).unwrap()).map(word);
            if first != last {
                return Err(format!("sector {sector} is torn: {first}, {last}"));
            }
            Ok(first)
        });
        contents.collect()
    }
}

/// The words of a block that are kept.
fn words_of(offset: u64) -> [u64; 2] {
    [offset, offset + BLOCK - 8]
}

impl Media for Traced {
    fn size(&self) -> u64 {
        ARENA_MIN
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        self.step();
        let state = self.state();
        Ok(state.cells.get(&offset).map_or(0, Cell::visible) as u32)
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.step();
        self.store(offset, value.into());
        Ok(())
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.step();
        self.store(offset, value);
        Ok(())
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        if offset == 0 {
            bytes.copy_from_slice(&self.0.info);
            return Ok(());
        }
        let state = self.state();
        for (offset, bytes) in (offset..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            let word = state.cells.get(&offset).map_or(0, Cell::visible);
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

    fn is_bad(&self, _: u64, _: u64) -> bool {
        false
    }

    fn clear(&self, _: u64, _: u64) -> Result<(), MediaError> {
        unreachable!("nothing is bad here")
    }

    fn flush(&self, offset: u64, len: u64) {
        self.step();
        let map = self.0.geometry.map_offset()..self.0.geometry.flog_offset();
        if self.0.fault == Some(Fault::NoMapFlush) && map.contains(&offset) {
            return;
        }
        let thread = thread::current().id();
        let mut state = self.state();
        for cell in state.cells.range_mut(offset..offset + len) {
            if let Some((_, flushed_by)) = cell.1.pending.last_mut() {
                flushed_by.push(thread);
            }
        }
    }

    fn fence(&self) -> Result<(), MediaError> {
        self.step();
        (self.0.before_fence)(self);
        let thread = thread::current().id();
        let mut state = self.state();
        state.fences += 1;
        if self.0.fault == Some(Fault::EveryOtherFence) && state.fences % 2 == 0 {
            return Ok(());
        }
        for cell in state.cells.values_mut() {
            let reached = cell
                .pending
                .iter()
                .rposition(|(_, flushed_by)| flushed_by.contains(&thread));
            if let Some(reached) = reached {
                cell.durable = cell.pending[reached].0;
                cell.pending.drain(..=reached);
            }
        }
        Ok(())
    }
}

/// Contents of sectors, a word each.
pub(crate) struct Words(pub(crate) Vec<u64>);

impl Source<Traced> for Words {
    fn copy_to(&mut self, media: &Traced, offset: u64, len: u32) -> Result<(), MediaError> {
        let word = self.0.remove(0);
        for offset in words_of(offset) {
            media.store64(offset, word)?;
        }
        media.flush(offset, len.into());
        Ok(())
    }
}

impl Sink<Traced> for Words {
    fn copy_from(&mut self, media: &Traced, offset: u64, _: u32) -> Result<(), MediaError> {
        let words = words_of(offset).map(|offset| {
            media.step();
            media.state().cells.get(&offset).map_or(0, Cell::visible)
        });
        assert_eq!(words[0], words[1], "a torn read");
        self.0.push(words[0]);
        Ok(())
    }

    fn fill_zero(&mut self, _: u32) {
        self.0.push(0);
    }
}
