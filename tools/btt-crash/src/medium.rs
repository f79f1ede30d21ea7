// SPDX-License-Identifier: GPL-2.0

//! A simulated medium for a whole run of the engine: what is visible, what is durable, and what is
//! pending.
//!
//! The medium is a set of *cells*, each the unit of one store: an aligned word that becomes durable
//! whole or not at all. A store appends its value to the cell's pending values. A flush marks the
//! last pending value of a cell with the thread that flushed it. A fence of that thread makes the
//! last value that it marked durable, and forgets the ones before. Without any of these, a pending
//! value may have become durable at any moment. After a power failure a cell therefore holds its
//! durable value or any of its pending values, independently of all other cells. This is the
//! *strict* medium, weaker than any real one.
//!
//! An access can be made to fail ([`Medium::fail_at`]). A fence that fails forgets the marks of its
//! thread and makes nothing durable.

use crate::{
    access::Failure,
    image::{
        Image,
        Lost, //
    },
    layout::{
        Layout,
        Place,
        BLOCK_WORDS, //
    },
};
use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use std::cell::{
    Cell as Slot,
    RefCell, //
};
use std::rc::Rc;

/// A value that was stored and may not be durable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Pending {
    value: u64,
    /// Threads that have flushed the cell since, one bit each.
    flushed_by: u8,
}

/// The unit of one store.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Cell {
    durable: u64,
    pending: Vec<Pending>,
}

impl Cell {
    fn visible(&self) -> u64 {
        self.pending
            .last()
            .map_or(self.durable, |pending| pending.value)
    }

    fn store(&mut self, value: u64) {
        self.pending.push(Pending {
            value,
            flushed_by: 0,
        });
    }

    fn flush(&mut self, thread: u8) {
        if let Some(last) = self.pending.last_mut() {
            last.flushed_by |= 1 << thread;
        }
    }

    fn fence(&mut self, thread: u8) {
        let reached = self
            .pending
            .iter()
            .rposition(|pending| pending.flushed_by & (1 << thread) != 0);
        if let Some(reached) = reached {
            self.durable = self.pending[reached].value;
            self.pending.drain(..=reached);
        }
    }

    fn forget_flushes(&mut self, thread: u8) {
        for pending in &mut self.pending {
            pending.flushed_by &= !(1 << thread);
        }
    }

    fn candidates(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.durable).chain(self.pending.iter().map(|pending| pending.value))
    }
}

/// The state of a medium.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    cells: Vec<Cell>,
    /// Blocks with a media error, one bit each.
    bad: u64,
    /// Metadata with a media error.
    lost: Lost,
}

impl Cells {
    /// Returns a medium on which everything is durable.
    pub(crate) fn of(image: &Image) -> Self {
        let cells = image.words.iter().map(|&durable| Cell {
            durable,
            pending: Vec::new(),
        });
        Self {
            cells: cells.collect(),
            bad: image.bad,
            lost: image.lost,
        }
    }

    /// Returns what is visible now.
    pub(crate) fn visible(&self) -> Image {
        Image {
            words: self.cells.iter().map(Cell::visible).collect(),
            bad: self.bad,
            lost: self.lost,
        }
    }

    /// Returns the metadata with a media error.
    pub(crate) fn lost(&self) -> Lost {
        self.lost
    }

    /// Returns the values that a power failure can leave of a cell now.
    pub(crate) fn candidates(&self, cell: usize) -> impl Iterator<Item = u64> + '_ {
        self.cells[cell].candidates()
    }

    /// Returns one image that a power failure can leave now. `choice` picks a number below its
    /// argument.
    pub(crate) fn some_image(&self, mut choice: impl FnMut(usize) -> usize) -> Image {
        let words = self.cells.iter().map(|cell| {
            let chosen = choice(1 + cell.pending.len());
            cell.candidates().nth(chosen).unwrap_or(cell.durable)
        });
        Image {
            words: words.collect(),
            bad: self.bad,
            lost: self.lost,
        }
    }

    /// Calls `check` with every image that a power failure can leave now.
    pub(crate) fn each_image<E>(
        &self,
        mut check: impl FnMut(&Image) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut image = Image {
            words: self.cells.iter().map(|cell| cell.durable).collect(),
            bad: self.bad,
            lost: self.lost,
        };
        let mut open: Vec<(usize, Vec<u64>)> = Vec::new();
        for (index, cell) in self.cells.iter().enumerate() {
            let mut values: Vec<u64> = cell.candidates().collect();
            values.sort_unstable();
            values.dedup();
            if values.len() > 1 {
                open.push((index, values));
            }
        }
        choose(&open, &mut image, &mut check)
    }
}

fn choose<E>(
    open: &[(usize, Vec<u64>)],
    image: &mut Image,
    check: &mut impl FnMut(&Image) -> Result<(), E>,
) -> Result<(), E> {
    let Some(((index, values), rest)) = open.split_first() else {
        return check(image);
    };
    for &value in values {
        image.words[*index] = value;
        choose(rest, image, check)?;
    }
    Ok(())
}

/// Sees what a power failure can leave.
pub(crate) trait Observer {
    /// Called before each fence, when most is pending.
    fn before_fence(&self, cells: &Cells);
}

struct Shared {
    layout: Layout,
    cells: RefCell<Cells>,
    thread: Slot<u8>,
    observer: RefCell<Option<Rc<dyn Observer>>>,
    ignores_flushes_of_map: Slot<bool>,
    /// Number of accesses before the one that is to fail, and how that one fails.
    trouble: Slot<Option<(u32, Failure)>>,
    /// The access that has failed.
    failed: Slot<Option<Failed>>,
}

/// An access that has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failed {
    /// A load or a store of a word of metadata.
    Word(Place),
    /// A store of data, or the clearing of a block.
    Block,
    Fence,
}

/// A simulated medium. Clones share it.
#[derive(Clone)]
pub(crate) struct Medium(Rc<Shared>);

impl Medium {
    pub(crate) fn new(layout: &Layout, image: &Image) -> Self {
        Self(Rc::new(Shared {
            layout: layout.clone(),
            cells: RefCell::new(Cells::of(image)),
            thread: Slot::new(0),
            observer: RefCell::new(None),
            ignores_flushes_of_map: Slot::new(false),
            trouble: Slot::new(None),
            failed: Slot::new(None),
        }))
    }

    /// Returns the metadata with a media error.
    pub(crate) fn lost(&self) -> Lost {
        self.0.cells.borrow().lost
    }

    /// Begins a request of `thread`, seen by `observer`.
    pub(crate) fn begin(&self, thread: u8, observer: Option<Rc<dyn Observer>>) {
        self.0.thread.set(thread);
        *self.0.observer.borrow_mut() = observer;
    }

    /// Returns what a power failure can leave now.
    pub(crate) fn cells(&self) -> Cells {
        self.0.cells.borrow().clone()
    }

    /// Stores the word of a cell.
    pub(crate) fn store_cell(&self, cell: usize, value: u64) {
        self.0.cells.borrow_mut().cells[cell].store(value);
    }

    /// Makes flushes of map words do nothing, or work again.
    pub(crate) fn ignore_flushes_of_map(&self, ignore: bool) {
        self.0.ignores_flushes_of_map.set(ignore);
    }

    /// Gives a block a media error.
    pub(crate) fn set_bad(&self, block: usize) {
        self.0.cells.borrow_mut().bad |= 1 << block;
    }

    /// Makes one access fail, after `count` others. Loads of map words, stores, clearing of blocks
    /// and fences count.
    pub(crate) fn fail_at(&self, count: u32, failure: Failure) {
        self.0.trouble.set(Some((count, failure)));
        self.0.failed.set(None);
    }

    /// Lets all accesses succeed again. Returns the one that has failed.
    pub(crate) fn stop_failing(&self) -> Option<Failed> {
        self.0.trouble.set(None);
        self.0.failed.take()
    }

    /// Gives metadata a media error: the line of a map word, or a flog group.
    pub(crate) fn lose(&self, place: Place) {
        let lost = &mut self.0.cells.borrow_mut().lost;
        match place {
            Place::Map(sector) => {
                let line = self.0.layout.line_of(sector);
                line.for_each(|sector| lost.lose_word(sector));
            }
            Place::Flog(lane, _) => lost.lose_flog(lane),
            Place::Data(..) => {}
        }
    }

    /// Counts an access. Returns how it fails if it is the one that is to fail.
    fn trouble(&self, what: Failed) -> Option<Failure> {
        let (count, failure) = self.0.trouble.get()?;
        let now = count == 0;
        let rest = (!now).then(|| (count - 1, failure));
        self.0.trouble.set(rest);
        if now {
            self.0.failed.set(Some(what));
        }
        now.then_some(failure)
    }

    fn is_lost(&self, place: Place) -> bool {
        let lost = self.0.cells.borrow().lost;
        match place {
            Place::Map(sector) => lost.word(sector),
            Place::Flog(lane, _) => lost.flog(lane),
            Place::Data(..) => false,
        }
    }

    /// Accesses a word of metadata. Fails if the word is lost, or if this access is the one that is
    /// to fail.
    fn attempt(&self, place: Place) -> Result<(), MediaError> {
        let failure = self.trouble(Failed::Word(place));
        if failure == Some(Failure::Poison) {
            self.lose(place);
        }
        if failure.is_some() || self.is_lost(place) {
            return Err(MediaError::Poison {
                offset: self.0.layout.offset(place),
                len: self.0.layout.word_len(place) as u64,
            });
        }
        Ok(())
    }

    fn store(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        let place = self.0.layout.place(offset);
        let place = place.ok_or(MediaError::OutOfRange { offset, len: 8 })?;
        self.attempt(place)?;
        let cell = self.0.layout.cell(place);
        self.0.cells.borrow_mut().cells[cell].store(value);
        Ok(())
    }

    /// Stores the kept words of a block.
    fn store_block(&self, offset: u64, len: u64, value: u64) -> Result<(), MediaError> {
        let block = self.0.layout.block_at(offset);
        let block = block.ok_or(MediaError::OutOfRange { offset, len })?;
        let failure = self.trouble(Failed::Block);
        if failure == Some(Failure::Poison) {
            self.set_bad(block);
        }
        let words = if failure.is_some() { 1 } else { BLOCK_WORDS };
        for word in 0..words {
            let cell = self.0.layout.cell(Place::Data(block, word));
            self.0.cells.borrow_mut().cells[cell].store(value);
        }
        if failure.is_some() {
            return Err(MediaError::Poison { offset, len });
        }
        self.flush(offset, len);
        Ok(())
    }

    fn visible(&self, place: Place) -> u64 {
        self.0.cells.borrow().cells[self.0.layout.cell(place)].visible()
    }
}

impl Media for Medium {
    fn size(&self) -> u64 {
        self.0.layout.size()
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        let Some(place) = self.0.layout.place(offset) else {
            return Ok(0);
        };
        self.attempt(place)?;
        Ok(self.visible(place) as u32)
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.store(offset, value.into())
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.store(offset, value)
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        if let Some(fixed) = self.0.layout.fixed(offset, bytes.len()) {
            bytes.copy_from_slice(fixed);
            return Ok(());
        }
        for (offset, bytes) in (offset..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            let place = self.0.layout.place(offset);
            if place.is_some_and(|place| self.is_lost(place)) {
                return Err(MediaError::Poison { offset, len: 8 });
            }
            let word = place.map_or(0, |place| self.visible(place));
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let len = bytes.len() as u64;
        Err(MediaError::OutOfRange { offset, len })
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        Err(MediaError::OutOfRange { offset, len })
    }

    fn is_bad(&self, offset: u64, _len: u64) -> bool {
        let block = self.0.layout.block_at(offset);
        block.is_some_and(|block| self.0.cells.borrow().bad & (1 << block) != 0)
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.store_block(offset, len, 0)?;
        if let Some(block) = self.0.layout.block_at(offset) {
            self.0.cells.borrow_mut().bad &= !(1 << block);
        }
        Ok(())
    }

    fn flush(&self, offset: u64, len: u64) {
        let thread = self.0.thread.get();
        for place in self.0.layout.places_in(offset, len) {
            if self.0.ignores_flushes_of_map.get() && matches!(place, Place::Map(_)) {
                continue;
            }
            let cell = self.0.layout.cell(place);
            self.0.cells.borrow_mut().cells[cell].flush(thread);
        }
    }

    fn fence(&self) -> Result<(), MediaError> {
        let observer = self.0.observer.borrow().clone();
        if let Some(observer) = observer {
            observer.before_fence(&self.0.cells.borrow());
        }
        let thread = self.0.thread.get();
        let cells = &mut self.0.cells.borrow_mut().cells;
        if self.trouble(Failed::Fence).is_some() {
            cells
                .iter_mut()
                .for_each(|cell| cell.forget_flushes(thread));
            return Err(MediaError::Flush);
        }
        cells.iter_mut().for_each(|cell| cell.fence(thread));
        Ok(())
    }
}

/// The contents of sectors: one word each, which fills the sector.
pub(crate) struct Words {
    words: std::collections::VecDeque<u64>,
    pub(crate) torn: bool,
}

impl Words {
    pub(crate) fn new(words: impl IntoIterator<Item = u64>) -> Self {
        Self {
            words: words.into_iter().collect(),
            torn: false,
        }
    }

    pub(crate) fn into_words(self) -> Vec<u64> {
        self.words.into()
    }
}

impl Source<Medium> for Words {
    fn copy_to(&mut self, media: &Medium, offset: u64, len: u32) -> Result<(), MediaError> {
        let value = self.words.pop_front().unwrap_or_default();
        media.store_block(offset, len.into(), value)
    }
}

impl Sink<Medium> for Words {
    fn copy_from(&mut self, media: &Medium, offset: u64, len: u32) -> Result<(), MediaError> {
        let len = len.into();
        if media.is_bad(offset, len) {
            return Err(MediaError::Poison { offset, len });
        }
        let block = media.0.layout.block_at(offset);
        let block = block.ok_or(MediaError::OutOfRange { offset, len })?;
        let [first, last] = [0, 1].map(|word| media.visible(Place::Data(block, word)));
        self.torn |= first != last;
        self.words.push_back(first);
        Ok(())
    }

    fn fill_zero(&mut self, _len: u32) {
        self.words.push_back(0);
    }
}
