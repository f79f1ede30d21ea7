// SPDX-License-Identifier: GPL-2.0

//! The simulated medium: what is visible, what is durable, and what is on its way.
//!
//! The medium is a set of *cells*, each the unit of one store: an aligned word that becomes durable whole or not at all.
//! A store appends its value to the cell's pending values. A flush marks the pending values of a cell with the thread that
//! flushed it; a fence of that thread makes the last marked value, and with it the ones before, durable. Without any of
//! these a pending value may have become durable at any moment. So after a power failure a cell holds its durable
//! value or any of its pending ones, independently of all other cells: this is the *strict* medium, weaker than any real one.
//!
//! A data block has two cells, its first and its last word, which is enough to see that it is torn.

use crate::layout::{
    Layout,
    CELL_BLOCK_WORDS, //
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

    /// Forgets what makes no difference for any future power failure, so that equal states look equal.
    fn normalise(&mut self) {
        // A value is one of the possible ones no matter how often it is pending; but the last one is what is visible.
        while self
            .pending
            .first()
            .is_some_and(|first| first.value == self.durable)
        {
            self.pending.remove(0);
        }
    }

    fn candidates(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.durable).chain(self.pending.iter().map(|pending| pending.value))
    }
}

/// State of a medium.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Cells {
    cells: Vec<Cell>,
    /// Blocks with a media error, one bit each.
    bad: u64,
}

/// What a power failure leaves: a value for each cell.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Image {
    pub(crate) words: Vec<u64>,
    pub(crate) bad: u64,
}

impl Cells {
    /// A medium on which everything is durable.
    pub(crate) fn of(image: &Image) -> Self {
        let cells = image.words.iter().map(|&durable| Cell {
            durable,
            pending: Vec::new(),
        });
        Self {
            cells: cells.collect(),
            bad: image.bad,
        }
    }

    /// What is visible now.
    pub(crate) fn visible(&self) -> Image {
        Image {
            words: self.cells.iter().map(Cell::visible).collect(),
            bad: self.bad,
        }
    }

    pub(crate) fn set_bad(&mut self, block: u32) {
        self.bad |= 1 << block;
    }

    pub(crate) fn normalise(&mut self) {
        self.cells.iter_mut().for_each(Cell::normalise);
    }

    /// Makes a cell hold a value for good.
    pub(crate) fn settle(&mut self, cell: usize, value: u64) {
        self.cells[cell] = Cell {
            durable: value,
            pending: Vec::new(),
        };
    }

    /// One image that a power failure can leave now; `choice` picks a number below its argument.
    pub(crate) fn some_image(&self, mut choice: impl FnMut(usize) -> usize) -> Image {
        let words = self.cells.iter().map(|cell| {
            let chosen = choice(1 + cell.pending.len());
            cell.candidates().nth(chosen).unwrap_or(cell.durable)
        });
        Image {
            words: words.collect(),
            bad: self.bad,
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

/// What a store, flush or fence belongs to, for [`Fault`] and for traces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Data of a block.
    Data,
    /// A map word of a sector that the request is about.
    OwnMap,
    /// Another map word: the one that a lane's newest flog entry names.
    OtherMap,
    /// First half of a flog slot.
    FirstHalf,
    /// Second half of a flog slot.
    SecondHalf,
}

/// A part of the protocol that is left out, to see that it is missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The fence with this number in each request does nothing.
    NoFence(usize),
    /// Flushes of this kind do nothing while so many fences of the request were reached.
    NoFlush(Access, usize),
    /// The first half of a flog slot goes to the medium after the first fence, with the second one.
    LateFirstHalf,
}

/// What happened on the medium, as far as power failures are concerned.
pub(crate) trait Observer {
    /// Called before each fence, when most is pending.
    fn before_fence(&self, cells: &Cells);
}

struct Shared {
    layout: Layout,
    cells: RefCell<Cells>,
    thread: Slot<u8>,
    /// Sectors of the request in hand.
    own: RefCell<std::ops::Range<u64>>,
    fences: Slot<usize>,
    fault: Option<Fault>,
    /// Halves of flog slots held back by a fault.
    held_back: RefCell<Vec<(u64, u64)>>,
    observer: RefCell<Option<Rc<dyn Observer>>>,
    /// Accesses of the request so far.
    accesses: Slot<usize>,
    /// Accesses before the first look at the map, from when on the request holds a bucket.
    before_map: Slot<Option<usize>>,
    /// Called once, before the access with this number.
    interruption: RefCell<Option<(usize, Interruption)>>,
}

/// What another thread does in the middle of a request.
pub(crate) type Interruption = Box<dyn FnOnce()>;

/// A simulated medium. Clones are the same medium.
#[derive(Clone)]
pub(crate) struct Medium(Rc<Shared>);

impl Medium {
    pub(crate) fn new(layout: &Layout, cells: Cells, fault: Option<Fault>) -> Self {
        Self(Rc::new(Shared {
            layout: layout.clone(),
            cells: RefCell::new(cells),
            thread: Slot::new(0),
            own: RefCell::new(0..0),
            fences: Slot::new(0),
            fault,
            held_back: RefCell::new(Vec::new()),
            observer: RefCell::new(None),
            accesses: Slot::new(0),
            before_map: Slot::new(None),
            interruption: RefCell::new(None),
        }))
    }

    /// Begins a request of `thread` for `sectors`; `observer` sees it.
    pub(crate) fn begin(
        &self,
        thread: u8,
        sectors: std::ops::Range<u64>,
        observer: Option<Rc<dyn Observer>>,
    ) {
        self.0.thread.set(thread);
        *self.0.own.borrow_mut() = sectors;
        self.0.fences.set(0);
        *self.0.observer.borrow_mut() = observer;
        self.0.accesses.set(0);
        self.0.before_map.set(None);
    }

    /// Lets something happen before access number `access` of the request that was begun.
    pub(crate) fn interrupt(&self, access: usize, interruption: Interruption) {
        *self.0.interruption.borrow_mut() = Some((access, interruption));
    }

    /// Accesses of the request, all and those before its first look at the map.
    pub(crate) fn accesses(&self) -> (usize, usize) {
        let all = self.0.accesses.get();
        (all, self.0.before_map.get().unwrap_or(all))
    }

    /// Counts an access and lets the interruption happen if it is due.
    fn count_access(&self) {
        let number = self.0.accesses.get();
        let due = self
            .0
            .interruption
            .borrow_mut()
            .take_if(|(access, _)| *access == number);
        if let Some((_, interruption)) = due {
            let thread = self.0.thread.get();
            let own = self.0.own.borrow().clone();
            let fences = self.0.fences.get();
            let before_map = self.0.before_map.get();
            interruption();
            self.0.thread.set(thread);
            *self.0.own.borrow_mut() = own;
            self.0.fences.set(fences);
            self.0.before_map.set(before_map);
        }
        self.0.accesses.set(number + 1);
    }

    pub(crate) fn cells(&self) -> Cells {
        self.0.cells.borrow().clone()
    }

    /// Replaces the state, as if it had always been so.
    pub(crate) fn set_cells(&self, cells: Cells) {
        *self.0.cells.borrow_mut() = cells;
    }

    fn classify(&self, offset: u64) -> Option<Access> {
        let layout = &self.0.layout;
        if let Some(premap) = layout.map_premap(offset) {
            let own = self.0.own.borrow().contains(&u64::from(premap));
            return Some(if own {
                Access::OwnMap
            } else {
                Access::OtherMap
            });
        }
        if let Some(half) = layout.flog_half(offset) {
            return Some(if half == 0 {
                Access::FirstHalf
            } else {
                Access::SecondHalf
            });
        }
        layout.is_data(offset).then_some(Access::Data)
    }

    fn store(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.count_access();
        let Some(index) = self.0.layout.cell(offset) else {
            return Err(MediaError::OutOfRange { offset, len: 8 });
        };
        match (self.0.fault, self.classify(offset)) {
            (Some(Fault::LateFirstHalf), Some(Access::FirstHalf)) if self.0.fences.get() == 0 => {
                self.0.held_back.borrow_mut().push((offset, value));
                return Ok(());
            }
            (Some(Fault::LateFirstHalf), Some(Access::SecondHalf)) => {
                let held_back: Vec<_> = self.0.held_back.borrow_mut().drain(..).collect();
                for (offset, value) in held_back {
                    self.store_cell(offset, value);
                    self.flush_cells(offset, 8);
                }
            }
            _ => {}
        }
        self.0.cells.borrow_mut().cells[index].store(value);
        Ok(())
    }

    fn store_cell(&self, offset: u64, value: u64) {
        if let Some(index) = self.0.layout.cell(offset) {
            self.0.cells.borrow_mut().cells[index].store(value);
        }
    }

    fn flush_cells(&self, offset: u64, len: u64) {
        let thread = self.0.thread.get();
        for (offset, index) in self.0.layout.cells_in(offset, len) {
            let left_out = self.classify(offset).is_some_and(|access| {
                self.0.fault == Some(Fault::NoFlush(access, self.0.fences.get()))
            });
            if !left_out {
                self.0.cells.borrow_mut().cells[index].flush(thread);
            }
        }
    }

    fn visible(&self, offset: u64) -> u64 {
        let index = self.0.layout.cell(offset);
        index.map_or(0, |index| self.0.cells.borrow().cells[index].visible())
    }

    fn block_at(&self, offset: u64) -> Option<u32> {
        self.0.layout.block_at(offset)
    }

    fn is_bad_block(&self, block: u32) -> bool {
        self.0.cells.borrow().bad & (1 << block) != 0
    }
}

impl Media for Medium {
    fn size(&self) -> u64 {
        self.0.layout.size()
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        let number = self.0.accesses.get();
        self.count_access();
        self.0
            .before_map
            .set(self.0.before_map.get().or(Some(number)));
        Ok(self.visible(offset) as u32)
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
        for (word, bytes) in (offset..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&self.visible(word).to_le_bytes());
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
        self.block_at(offset)
            .is_some_and(|block| self.is_bad_block(block))
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        let block = self
            .block_at(offset)
            .ok_or(MediaError::OutOfRange { offset, len })?;
        for offset in self.0.layout.block_words(offset) {
            self.store_cell(offset, 0);
        }
        self.flush_cells(offset, len);
        self.0.cells.borrow_mut().bad &= !(1 << block);
        Ok(())
    }

    fn flush(&self, offset: u64, len: u64) {
        self.count_access();
        self.flush_cells(offset, len);
    }

    fn fence(&self) -> Result<(), MediaError> {
        self.count_access();
        let observer = self.0.observer.borrow().clone();
        if let Some(observer) = observer {
            observer.before_fence(&self.0.cells.borrow());
        }
        let number = self.0.fences.get();
        self.0.fences.set(number + 1);
        if self.0.fault != Some(Fault::NoFence(number)) {
            let thread = self.0.thread.get();
            self.0
                .cells
                .borrow_mut()
                .cells
                .iter_mut()
                .for_each(|cell| cell.fence(thread));
        }
        Ok(())
    }
}

/// The contents of some sectors: a word each, which fills the sector.
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
        for offset in media.0.layout.block_words(offset) {
            media.store(offset, value)?;
        }
        media.flush_cells(offset, len.into());
        Ok(())
    }
}

impl Sink<Medium> for Words {
    fn copy_from(&mut self, media: &Medium, offset: u64, len: u32) -> Result<(), MediaError> {
        if media.is_bad(offset, len.into()) {
            return Err(MediaError::Poison {
                offset,
                len: len.into(),
            });
        }
        let [first, last]: [u64; CELL_BLOCK_WORDS] = media
            .0
            .layout
            .block_words(offset)
            .map(|word| media.visible(word));
        self.torn |= first != last;
        self.words.push_back(first);
        Ok(())
    }

    fn fill_zero(&mut self, _len: u32) {
        self.words.push_back(0);
    }
}
