// SPDX-License-Identifier: GPL-2.0

//! A medium that knows which stores are durable, and whose stores and fences fail on demand.
//!
//! Between two fences each word becomes durable or not by itself. A fence that fails may have made
//! durable everything, nothing or a part of what its thread had flushed. The rest does not count as
//! flushed any more: a host that could not write back its page cache treats the pages as clean. A
//! store that fails may have been carried out.

use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use rand::{
    rngs::SmallRng,
    RngExt,
    SeedableRng, //
};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc,
        Mutex,
        MutexGuard, //
    },
    thread::{
        self,
        ThreadId, //
    },
    time::Duration,
};

/// Size of the medium in bytes: enough for more than 4096 sectors of 4096 bytes, some of which
/// share a map lock.
pub(crate) const SIZE: u64 = 18 << 20;

/// Number of bytes that are lost to one media error.
pub(crate) const UNIT: u64 = 512;

/// The effect of an access that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Nothing.
    Nothing,
    /// Everything that was requested.
    Everything,
    /// Of a fence: every other word is durable. Of a store: nothing, and the words around it have a
    /// media error from now on.
    Damage,
}

impl Outcome {
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Everything, Self::Damage];
}

/// The accesses that fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Number of the first store or fence that fails, counted from when the fault was set.
    pub(crate) first: usize,
    /// `true` if all later ones fail as well.
    pub(crate) stays: bool,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    durable: u64,
    /// Pending values, each with the threads that have flushed the word since.
    pending: Vec<(u64, Vec<ThreadId>)>,
}

impl Cell {
    fn visible(&self) -> u64 {
        self.pending
            .last()
            .map_or(self.durable, |(value, _)| *value)
    }
}

/// Words of the medium that are not zero, by offset.
pub(crate) type Image = BTreeMap<u64, u64>;

#[derive(Default)]
struct State {
    cells: BTreeMap<u64, Cell>,
    bad: Vec<Range<u64>>,
    fault: Option<Fault>,
    /// Number of stores and fences since the fault was set.
    accesses: usize,
    /// Threads that have queried media errors.
    looks: Vec<ThreadId>,
    chance: Option<Chance>,
}

/// Random events.
struct Chance {
    random: SmallRng,
    /// Number of accesses until this range is lost.
    left: u32,
    lost: Range<u64>,
}

/// The medium. Clones share it.
#[derive(Clone)]
pub(crate) struct Medium(Arc<Mutex<State>>);

impl Medium {
    /// Returns a medium that holds these words and has errors in these ranges.
    pub(crate) fn new(image: &Image, bad: &[Range<u64>]) -> Self {
        let cell = |&durable: &u64| Cell {
            durable,
            pending: Vec::new(),
        };
        Self(Arc::new(Mutex::new(State {
            cells: image.iter().map(|(&at, word)| (at, cell(word))).collect(),
            bad: bad.to_vec(),
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Makes accesses fail from now on, or succeed again. Returns the number of stores and fences
    /// since the previous call.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) -> usize {
        let mut state = self.state();
        state.fault = fault;
        std::mem::take(&mut state.accesses)
    }

    /// Makes threads wait briefly before some accesses, and loses a range after this number of
    /// accesses.
    pub(crate) fn lose_after(&self, accesses: u32, lost: Range<u64>) {
        self.state().chance = Some(Chance {
            random: SmallRng::seed_from_u64(accesses.into()),
            left: accesses,
            lost,
        });
    }

    /// Loses a range.
    pub(crate) fn poison(&self, range: Range<u64>) {
        self.state().bad.push(range);
    }

    pub(crate) fn bad(&self) -> Vec<Range<u64>> {
        self.state().bad.clone()
    }

    /// Returns `true` if a thread has queried media errors.
    pub(crate) fn has_looked(&self, thread: ThreadId) -> bool {
        self.state().looks.contains(&thread)
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

    /// Returns, for each word that is not durable, the number of values that it may have after a
    /// power failure.
    pub(crate) fn choices(&self) -> Vec<usize> {
        let state = self.state();
        let choices = state.cells.values().map(|cell| cell.pending.len() + 1);
        choices.filter(|&choices| choices > 1).collect()
    }

    fn turn(&self) {
        let mut state = self.state();
        let State { chance, bad, .. } = &mut *state;
        let Some(Chance { random, left, lost }) = chance else {
            return;
        };
        if *left == 0 && bad.is_empty() {
            bad.push(lost.clone());
        }
        *left = left.saturating_sub(1);
        let waits = random.random_ratio(1, 16);
        drop(state);
        if waits {
            // On an idle machine a yield returns at once, and on a busy one it waits far too long.
            thread::sleep(Duration::from_micros(20));
        }
    }

    /// Stores words, and flushes them if `flushed` is set.
    fn store(
        &self,
        offset: u64,
        len: u64,
        words: impl Iterator<Item = (u64, u64)>,
        flushed: bool,
    ) -> Result<(), MediaError> {
        self.turn();
        let mut state = self.state();
        state.good(offset, len)?;
        let failure = state.failure();
        if matches!(failure, None | Some(Outcome::Everything)) {
            let flushed_by = match failure {
                None if flushed => vec![thread::current().id()],
                _ => Vec::new(),
            };
            for (offset, word) in words {
                let cell = state.cells.entry(offset).or_default();
                cell.pending.push((word, flushed_by.clone()));
            }
        }
        if failure == Some(Outcome::Damage) {
            let start = offset - offset % UNIT;
            state.bad.push(start..(offset + len).next_multiple_of(UNIT));
        }
        match failure {
            Some(_) => Err(MediaError::Poison { offset, len }),
            None => Ok(()),
        }
    }
}

impl State {
    fn is_bad(&self, offset: u64, len: u64) -> bool {
        let mut bad = self.bad.iter();
        bad.any(|bad| bad.start < offset + len && offset < bad.end)
    }

    fn good(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        assert!(offset + len <= SIZE, "{len} bytes at {offset:#x}");
        if self.is_bad(offset, len) {
            return Err(MediaError::Poison { offset, len });
        }
        Ok(())
    }

    fn visible(&self, offset: u64) -> u64 {
        self.cells.get(&offset).map_or(0, Cell::visible)
    }

    /// Counts an access. Returns what happens in it if it fails.
    fn failure(&mut self) -> Option<Outcome> {
        let number = self.accesses;
        self.accesses += 1;
        let fault = self.fault?;
        let fails = number == fault.first || fault.stays && number > fault.first;
        fails.then_some(fault.outcome)
    }
}

impl Media for Medium {
    fn size(&self) -> u64 {
        SIZE
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        self.turn();
        let state = self.state();
        state.good(offset, 4)?;
        Ok(state.visible(offset) as u32)
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.store(offset, 4, [(offset, value.into())].into_iter(), false)
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.store(offset, 8, [(offset, value)].into_iter(), false)
    }

    fn store64_flushed(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.store(offset, 8, [(offset, value)].into_iter(), true)
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        let state = self.state();
        state.good(offset, bytes.len() as u64)?;
        for (offset, bytes) in (offset..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&state.visible(offset).to_le_bytes());
        }
        Ok(())
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let words = bytes.chunks_exact(8).map(|bytes| {
            let bytes = bytes.try_into().unwrap();
            u64::from_le_bytes(bytes)
        });
        let words = (offset..).step_by(8).zip(words);
        self.heal(offset, bytes.len() as u64)?;
        self.store(offset, bytes.len() as u64, words, true)
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.heal(offset, len)?;
        let cells: Vec<u64> = {
            let state = self.state();
            let cells = state.cells.range(offset..offset + len);
            cells.map(|(&offset, _)| offset).collect()
        };
        let words = cells.into_iter().map(|offset| (offset, 0));
        self.store(offset, len, words, true)
    }

    fn is_bad(&self, offset: u64, len: u64) -> bool {
        let mut state = self.state();
        let thread = thread::current().id();
        if !state.looks.contains(&thread) {
            state.looks.push(thread);
        }
        state.is_bad(offset, len)
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.zero(offset, len)
    }

    fn flush(&self, offset: u64, len: u64) {
        let thread = thread::current().id();
        let mut state = self.state();
        for (_, cell) in state.cells.range_mut(offset..offset + len) {
            if let Some((_, flushed_by)) = cell.pending.last_mut() {
                flushed_by.push(thread);
            }
        }
    }

    fn fence(&self) -> Result<(), MediaError> {
        self.turn();
        let thread = thread::current().id();
        let mut state = self.state();
        let failure = state.failure();
        for (number, cell) in state.cells.values_mut().enumerate() {
            let is_made_durable = match failure {
                None | Some(Outcome::Everything) => true,
                Some(Outcome::Nothing) => false,
                Some(Outcome::Damage) => number % 2 == 0,
            };
            let mut pending = cell.pending.iter();
            let reached = pending.rposition(|(_, flushed_by)| flushed_by.contains(&thread));
            if let (Some(reached), true) = (reached, is_made_durable) {
                cell.durable = cell.pending[reached].0;
                cell.pending.drain(..=reached);
            }
            for (_, flushed_by) in &mut cell.pending {
                flushed_by.retain(|&by| by != thread);
            }
        }
        match failure {
            Some(_) => Err(MediaError::Flush),
            None => Ok(()),
        }
    }
}

impl Medium {
    /// Clears the errors that are within a range.
    fn heal(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        let mut state = self.state();
        state
            .bad
            .retain(|bad| !(offset <= bad.start && bad.end <= offset + len));
        state.good(offset, len)
    }
}

/// Contents of sectors, one word each: the first and the last word of the block.
pub(crate) struct Words<'a> {
    words: Vec<u64>,
    position: usize,
    /// Called before each sector is copied, with its number.
    before: Box<dyn FnMut(usize) + 'a>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(words: Vec<u64>) -> Self {
        Self::interrupted(words, |_| {})
    }

    pub(crate) fn interrupted(words: Vec<u64>, before: impl FnMut(usize) + 'a) -> Self {
        Self {
            words,
            position: 0,
            before: Box::new(before),
        }
    }

    pub(crate) fn words(self) -> Vec<u64> {
        self.words
    }
}

fn words_of(offset: u64, len: u32) -> [u64; 2] {
    [offset, offset + u64::from(len) - 8]
}

impl Source<Medium> for Words<'_> {
    fn copy_to(&mut self, media: &Medium, offset: u64, len: u32) -> Result<(), MediaError> {
        (self.before)(self.position);
        let word = self.words[self.position];
        self.position += 1;
        for offset in words_of(offset, len) {
            media.store64_flushed(offset, word)?;
        }
        Ok(())
    }
}

impl Sink<Medium> for Words<'_> {
    fn copy_from(&mut self, media: &Medium, offset: u64, len: u32) -> Result<(), MediaError> {
        media.turn();
        let state = media.state();
        state.good(offset, len.into())?;
        let [first, last] = words_of(offset, len).map(|offset| state.visible(offset));
        assert_eq!(first, last, "a torn sector");
        self.words.push(first);
        Ok(())
    }

    fn fill_zero(&mut self, _: u32) {
        self.words.push(0);
    }
}
