// SPDX-License-Identifier: GPL-2.0

//! A medium that tracks for all threads what is durable, and which stores are pending and by which
//! threads they were flushed.
//!
//! It is the strict medium of the crash explorer, with the explorer's arena: between two fences
//! each word becomes durable or not by itself. Shuttle may switch threads at each access.

use btt_crash::trace::Arena;
use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use shuttle::{
    rand::{
        thread_rng,
        Rng, //
    },
    sync::atomic::{
        AtomicU64,
        Ordering, //
    },
    thread, //
};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc,
        Mutex,
        MutexGuard, //
    },
};

const BLOCK: u64 = 512;

/// A defect of the medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Every fence with an even number does nothing, to show that this is noticed.
    EveryOtherFence,
    /// Map words are not flushed, to show that this is noticed.
    NoMapFlush,
    /// A store or a fence fails, or words of the map are lost for good. Which one and when is
    /// random.
    Failing,
}

/// An access that fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// A store, which may have been carried out.
    Store { carried_out: bool },
    /// A fence. Each of the words that the thread has flushed is durable or not, and does not count
    /// as flushed any more.
    Fence,
    /// The words of one of the two units of the map are lost.
    Loss { second: bool },
}

/// Number of stores and fences from which the one that fails is chosen.
const ACCESSES: usize = 400;

#[derive(Clone, Debug, Default)]
struct Cell {
    durable: u64,
    /// Pending values, each with the threads that have flushed the word since.
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
    /// The next failure, and the number of stores and fences until then.
    failure: Option<(usize, Failure)>,
    /// Words of the map that are lost.
    lost: Range<u64>,
}

impl State {
    /// Returns the failure of this access, if it fails.
    fn fails(&mut self, fits: impl Fn(Failure) -> bool) -> Option<Failure> {
        let (left, failure) = self.failure.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        // The failure waits for an access of its kind.
        let failure = *failure;
        if !fits(failure) {
            return None;
        }
        self.failure = None;
        Some(failure)
    }

    fn good(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        if self.lost.contains(&offset) {
            return Err(MediaError::Poison { offset, len });
        }
        Ok(())
    }
}

/// The medium. Clones share it.
#[derive(Clone)]
pub(crate) struct Traced(Arc<Inner>);

struct Inner {
    arena: Arena,
    state: Mutex<State>,
    fault: Option<Fault>,
    /// Called before each fence.
    before_fence: Box<dyn Fn(&Traced) + Send + Sync>,
    /// Touched at each access, so that shuttle may switch threads there.
    step: AtomicU64,
}

impl Traced {
    /// Returns a medium with a new arena.
    pub(crate) fn new(
        fault: Option<Fault>,
        before_fence: impl Fn(&Traced) + Send + Sync + 'static,
    ) -> Self {
        let arena = Arena::default();
        let cells = arena.words().into_iter().map(|(offset, durable)| {
            let pending = Vec::new();
            (offset, Cell { durable, pending })
        });
        let state = State {
            cells: cells.collect(),
            fences: 0,
            failure: None,
            lost: 0..0,
        };
        Self(Arc::new(Inner {
            arena,
            state: Mutex::new(state),
            fault,
            before_fence: Box::new(before_fence),
            step: AtomicU64::new(0),
        }))
    }

    /// Makes an access fail at some time from now on, if that is the fault.
    pub(crate) fn arm(&self) {
        if !self.may_fail() {
            return;
        }
        let mut random = thread_rng();
        let failure = match random.gen_range(0..4) {
            0 => Failure::Fence,
            1 => Failure::Store {
                carried_out: random.gen_range(0..2) == 0,
            },
            _ => Failure::Loss {
                second: random.gen_range(0..2) == 0,
            },
        };
        self.state().failure = Some((random.gen_range(0..ACCESSES), failure));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Returns `true` if requests may fail.
    pub(crate) fn may_fail(&self) -> bool {
        self.0.fault == Some(Fault::Failing)
    }

    /// Lets shuttle switch threads. Returns the time.
    pub(crate) fn step(&self) -> u64 {
        self.0.step.fetch_add(1, Ordering::SeqCst)
    }

    fn store(&self, offset: u64, len: u64, value: u64) -> Result<(), MediaError> {
        let mut state = self.state();
        let map = self.0.arena.map();
        let failure = state.fails(|failure| !matches!(failure, Failure::Fence));
        if let Some(Failure::Loss { second }) = failure {
            let middle = map.start + (map.end - map.start) / 2;
            state.lost = if second {
                middle..map.end
            } else {
                map.start..middle
            };
        }
        state.good(offset, len)?;
        let fails = matches!(failure, Some(Failure::Store { .. }));
        if !fails || matches!(failure, Some(Failure::Store { carried_out: true })) {
            let cell = state.cells.entry(offset).or_default();
            cell.pending.push((value, Vec::new()));
        }
        if fails {
            return Err(MediaError::Poison { offset, len });
        }
        Ok(())
    }

    /// Returns what a power failure leaves. `choose` picks what became durable of each word, a
    /// number below its argument.
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
}

/// Returns the offsets of the words of a block that are kept.
fn words_of(offset: u64) -> [u64; 2] {
    [offset, offset + BLOCK - 8]
}

impl Media for Traced {
    fn size(&self) -> u64 {
        self.0.arena.size()
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        self.step();
        let state = self.state();
        state.good(offset, 4)?;
        Ok(state.cells.get(&offset).map_or(0, Cell::visible) as u32)
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.step();
        self.store(offset, 4, value.into())
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.step();
        self.store(offset, 8, value)
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        if let Some(info) = self.0.arena.info(offset) {
            bytes.copy_from_slice(info);
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
        if self.0.fault == Some(Fault::NoMapFlush) && self.0.arena.map().contains(&offset) {
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
        let fails = state.fails(|failure| matches!(failure, Failure::Fence));
        for cell in state.cells.values_mut() {
            let reached = cell
                .pending
                .iter()
                .rposition(|(_, flushed_by)| flushed_by.contains(&thread));
            let is_made_durable = fails.is_none() || thread_rng().gen_range(0..2) == 0;
            if let (Some(reached), true) = (reached, is_made_durable) {
                cell.durable = cell.pending[reached].0;
                cell.pending.drain(..=reached);
            }
            for (_, flushed_by) in &mut cell.pending {
                flushed_by.retain(|&by| by != thread);
            }
        }
        match fails {
            Some(_) => Err(MediaError::Flush),
            None => Ok(()),
        }
    }
}

/// Contents of sectors, one word each.
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
