// SPDX-License-Identifier: GPL-2.0

//! A medium that keeps the trace of all threads: what is durable, and which stores are on their way, flushed by whom.
//!
//! It is the strict medium of the crash explorer, whose arena it holds: between two fences each word becomes durable or not by
//! itself. Each access is a point where shuttle may let another thread go on.

use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use crash::trace::Arena;
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
    arena: Arena,
    state: Mutex<State>,
    fault: Option<Fault>,
    /// Called before each fence.
    before_fence: Box<dyn Fn(&Traced) + Send + Sync>,
    /// What shuttle sees of an access.
    step: AtomicU64,
}

impl Traced {
    /// A new arena.
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
        };
        Self(Arc::new(Inner {
            arena,
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
}

/// The words of a block that are kept.
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
