// SPDX-License-Identifier: GPL-2.0

//! A run of the engine that ends where the engine needs an answer that its script does not have.
//!
//! The medium records what is done, in symbolic values, and answers questions from the script.
//! Where the answers end, the run leaves the engine by unwinding. [`watch`] reports locks and
//! shared words.

use crate::{
    access::{
        Access,
        Answer,
        Block,
        End,
        First,
        Kind,
        Question,
        Request,
        Result,
        Second,
        Value, //
    },
    encoding::Encoding,
    faults::Fault,
    layout::{
        Place,
        WORDS_OF_LINE, //
    },
    state::members, //
};
use btt_engine::{
    watch::{
        self,
        Event,
        Id, //
    },
    Btt,
    IoError,
    Media,
    MediaError,
    OpenParams,
    Sink,
    Source, //
};
use nd_format::uuid::Uuid;
use std::cell::{
    Cell,
    RefCell, //
};
use std::panic::{
    catch_unwind,
    resume_unwind,
    AssertUnwindSafe, //
};
use std::rc::Rc;

/// Number of shared words of an arena: its map locks, and its gate after them.
const WORDS_OF_ARENA: u32 = 257;

/// The value of a closed gate, as in the engine's `gate`.
const CLOSED: u64 = 1;

/// A map word that names no block, for the loads of the engine while it opens.
const NOWHERE: u32 = 0x3fff_fffe;

/// Payload of the unwinding that ends a run.
struct Enough;

/// The result of a run.
pub(crate) struct Run {
    /// All accesses.
    pub(crate) log: Vec<Access>,
    /// Number of accesses before the last answer was needed.
    pub(crate) seen: usize,
    pub(crate) end: End,
}

/// The input of a run.
pub(crate) struct Script {
    pub(crate) answers: Vec<Answer>,
    /// `true` if blocks can be bad.
    pub(crate) errors: bool,
    /// `true` if accesses can fail, so that gates can be closed.
    pub(crate) failures: bool,
    /// The part of the protocol that is left out.
    pub(crate) fault: Option<Fault>,
}

/// Returns `true` if the answers include a failure or a closed gate.
pub(crate) fn has_failed(answers: &[Answer]) -> bool {
    let failed = |answer: &Answer| {
        matches!(
            answer,
            Answer::Fails(_) | Answer::Unreadable | Answer::Gate(true)
        )
    };
    answers.iter().any(failed)
}

/// Runs a request of the engine as far as the answers go.
pub(crate) fn run(encoding: Encoding, request: &Request, script: Script) -> Run {
    let medium = Scripted::new(encoding, request, script);
    let shared = medium.0.clone();
    watch::start(move |event| shared.watch(event));
    let result = catch_unwind(AssertUnwindSafe(|| medium.clone().request(request)));
    watch::stop();
    let shared = medium.0;
    let wrong = shared.wrong.borrow_mut().take();
    let end = match (wrong, result, shared.asked.take()) {
        (Some(wrong), ..) => End::Return(Result::Failed(wrong)),
        (None, _, Some(question)) => End::Ask(question),
        (None, Ok(result), None) => End::Return(result),
        (None, Err(panic), None) => resume_unwind(panic),
    };
    Run {
        log: shared.log.take(),
        seen: shared.seen.get(),
        end,
    }
}

struct Shared {
    encoding: Encoding,
    /// Symbolic first half of the newest flog slot of each lane.
    lanes: Vec<Value>,
    /// Lanes of each group of each arena, one bit each.
    groups: Vec<u16>,
    script: Script,
    /// Number of fences so far.
    fences: Cell<usize>,
    /// `true` if a store of a map word has failed.
    map_failed: Cell<bool>,
    /// `true` if the fault makes the request end with an error, whatever the engine returns.
    given_up: Cell<bool>,
    /// Number of answers that were used.
    used: Cell<usize>,
    /// `true` if the BTT is open.
    running: Cell<bool>,
    log: RefCell<Vec<Access>>,
    /// Number of accesses before the last answer was used.
    seen: Cell<usize>,
    asked: Cell<Option<Question>>,
    /// Something that the engine did and must never do.
    wrong: RefCell<Option<String>>,
}

/// The medium that records and answers.
#[derive(Clone)]
struct Scripted(Rc<Shared>);

impl Scripted {
    fn new(encoding: Encoding, request: &Request, script: Script) -> Self {
        let layout = encoding.layout().clone();
        let mut lanes: Vec<Option<First>> = vec![None; layout.lanes()];
        for answer in &script.answers {
            if let Answer::Lane(lane, value) = answer {
                lanes[usize::from(*lane)] = First::of(*value);
            }
        }
        let mut groups = Vec::new();
        for arena in layout.arenas() {
            // Lanes that the request does not know get blocks that nothing else has.
            for lane in arena.lanes.clone() {
                if lanes[lane].is_none() {
                    let mut blocks = arena.blocks.clone().map(|block| block as Block);
                    let taken =
                        |block: &Block| lanes.iter().flatten().any(|lane| lane.old == *block);
                    lanes[lane] = Some(First {
                        sector: None,
                        old: blocks.find(|block| !taken(block)).unwrap_or_default(),
                        old_bad: false,
                    });
                }
            }
            let (count, wanted) = (arena.lanes.len(), usize::from(request.groups));
            let wanted = wanted.clamp(1, count);
            groups.extend((0..wanted).map(|group| {
                let share = count * group / wanted..count * (group + 1) / wanted;
                share
                    .map(|lane| 1 << (arena.lanes.start + lane))
                    .sum::<u16>()
            }));
        }
        Self(Rc::new(Shared {
            lanes: lanes.iter().flatten().map(|lane| lane.pack()).collect(),
            groups,
            encoding,
            script,
            fences: Cell::new(0),
            map_failed: Cell::new(false),
            given_up: Cell::new(false),
            used: Cell::new(0),
            running: Cell::new(false),
            log: RefCell::default(),
            seen: Cell::new(0),
            asked: Cell::new(None),
            wrong: RefCell::default(),
        }))
    }

    fn request(self, request: &Request) -> Result {
        let shared = self.0.clone();
        let layout = shared.encoding.layout();
        let params = OpenParams {
            version: layout.format().version,
            namespace_uuid: Uuid::NIL,
            groups: request.groups.into(),
        };
        let btt = match Btt::open(self, &params) {
            Ok(opened) => opened.btt,
            Err(error) => return Result::Failed(format!("not opened: {error}")),
        };
        shared.running.set(true);
        let lba = layout.lba(request.sector.into());
        let last = layout.lba(usize::from(request.sector + request.count - 1));
        let count = last + 1 - lba;
        let mut data = Data {
            index: 0,
            shared: shared.clone(),
        };
        let result = match request.kind {
            Kind::Write => btt.write(lba, count, &mut data, request.group.into()),
            Kind::TryWrite => btt.try_write(lba, count, &mut data, request.group.into()),
            Kind::Discard => btt.discard(lba, count),
            Kind::Read => btt.read(lba, count, &mut data, request.group.into()),
            Kind::Poison | Kind::PoisonMap => Ok(()),
        };
        let failed = has_failed(&shared.script.answers);
        match result {
            Ok(()) if shared.given_up.get() => Result::GivenUp,
            Ok(()) => Result::Done,
            Err(IoError::WouldBlock) => Result::Refused,
            Err(_) if failed => Result::GivenUp,
            Err(IoError::Lost { .. } | IoError::Media(MediaError::Poison { .. })) => Result::Lost,
            Err(error) => Result::Failed(format!("request failed: {error}")),
        }
    }
}

impl Shared {
    fn note(&self, access: Access) {
        let mut log = self.log.borrow_mut();
        if self.running.get() && self.asked.get().is_none() {
            log.push(access);
        }
    }

    /// Returns the next answer. Unwinds if there is none.
    fn ask(&self, question: Question) -> Answer {
        let used = self.used.get();
        let Some(&answer) = self.script.answers.get(used) else {
            self.asked.set(Some(question));
            resume_unwind(Box::new(Enough));
        };
        self.used.set(used + 1);
        self.seen.set(self.log.borrow().len());
        answer
    }

    /// Performs an access, unless it is the one that fails now.
    fn attempt(&self, access: Access) -> std::result::Result<(), MediaError> {
        let (used, seen) = (self.used.get(), self.seen.get());
        let number = self.log.borrow().len() - seen;
        if let Some(&Answer::Fails(fails)) = self.script.answers.get(used) {
            if usize::from(fails) == number && self.running.get() {
                self.used.set(used + 1);
                self.seen.set(seen + number);
                return Err(MediaError::Poison { offset: 0, len: 0 });
            }
        }
        self.note(access);
        Ok(())
    }

    /// Returns `true` if a map lock is held.
    fn has_map_lock(&self) -> bool {
        let log = self.log.borrow();
        let count = |is: fn(&Access) -> bool| log.iter().filter(|access| is(access)).count();
        let taken = count(|access| matches!(access, Access::Acquire(_)));
        taken > count(|access| matches!(access, Access::Release(_)))
    }

    /// Returns `true` if the run has this fault.
    fn has(&self, fault: Fault) -> bool {
        self.script.fault == Some(fault)
    }

    fn wrong(&self, what: String) {
        self.wrong.borrow_mut().get_or_insert(what);
    }

    /// Handles an event of the engine. Returns a value where the engine reads what a map lock
    /// remembers, or the gate.
    fn watch(&self, event: Event) -> Option<u64> {
        if !self.running.get() || self.asked.get().is_some() {
            return None;
        }
        match event {
            Event::Lock(Id(group)) => {
                let lanes = self.groups[group as usize];
                (0..lanes.count_ones()).for_each(|_| {
                    self.ask(Question::Lanes(lanes));
                });
            }
            Event::Unlock(Id(group)) => self.note(Access::Unlock(self.groups[group as usize])),
            Event::Acquire(Id(word)) => self.note(Access::Acquire(word as u16)),
            Event::Release(Id(word)) => self.note(Access::Release(word as u16)),
            Event::Recall(Id(word)) => {
                let sectors = match self.ask(Question::Line(word as u16)) {
                    Answer::Line(sectors) => sectors,
                    _ => 0,
                };
                self.note(Access::Recall(word as u16));
                let line = members(sectors).next().map(|sector| self.line_of(sector));
                return Some(line.map_or(0, |line| u64::from(line) + 1));
            }
            Event::Remember(Id(word), number) => {
                let layout = self.encoding.layout();
                let arena = &layout.arenas()[(word / WORDS_OF_ARENA) as usize];
                let sectors = arena.sectors.clone();
                let sectors =
                    sectors.filter(|&sector| u64::from(self.line_of(sector)) + 1 == number);
                let sectors = sectors.fold(0, |sectors, sector| sectors | 1 << sector);
                self.note(Access::Remember(word as u16, sectors));
            }
            Event::Load(Id(word)) if !self.is_of_table(word) => {
                if !self.script.failures || self.has(Fault::NoSecondLook) && self.has_map_lock() {
                    return None;
                }
                let arena = (word / WORDS_OF_ARENA) as u8;
                let closed = self.ask(Question::Gate(arena)) == Answer::Gate(true);
                return closed.then_some(CLOSED);
            }
            Event::Load(_) => {
                let looked = self.log.borrow().last() == Some(&Access::Look);
                if !looked {
                    self.note(Access::Look);
                }
            }
            Event::Store(Id(word), value) if !self.is_of_table(word) => {
                if self.has(Fault::NoClose) {
                    return None;
                }
                if self.script.failures && value == CLOSED {
                    self.note(Access::Close((word / WORDS_OF_ARENA) as u8));
                } else {
                    self.wrong("an arena became read-only".into());
                }
            }
            Event::Store(_, value) => {
                let arena = (value >> 32).checked_sub(1).map(|arena| arena as usize);
                let layout = self.encoding.layout();
                let arena = arena.and_then(|arena| layout.arenas().get(arena));
                let block = arena.and_then(|arena| arena.block(value as u32));
                self.note(Access::Publish(
                    block.map(|block| self.encoding.name(block)),
                ));
            }
        }
        None
    }

    /// Returns the line of the map of its arena that a sector's word is in.
    fn line_of(&self, sector: usize) -> u32 {
        let arena = self.encoding.layout().arena_of_sector(sector);
        arena.premap(sector) / WORDS_OF_LINE
    }

    fn is_of_table(&self, word: u32) -> bool {
        word >= WORDS_OF_ARENA * self.encoding.layout().arenas().len() as u32
    }

    fn block_at(&self, offset: u64) -> Option<Block> {
        let block = self.encoding.layout().block_at(offset)?;
        Some(self.encoding.name(block))
    }

    /// Returns a word of the flog as it is when the BTT is opened: the newest entry is in side 0,
    /// with sequence number 1.
    fn flog_word(&self, lane: usize, half: usize) -> u64 {
        let value = self.lanes[lane];
        let new = First::of(value).map(|first| match first.sector {
            None => first.old,
            // Any other block will do.
            Some(_) => self.other_block(lane, first.old),
        });
        match self.encoding.side(half) {
            Some((0, 0)) => self.encoding.first_half(lane, value),
            Some((0, _)) => self.encoding.second_half(Second { new, seq: 1 }.pack()),
            Some((_, 0)) => self.encoding.first_half(lane, value),
            Some((_, _)) => self.encoding.second_half(Second { new, seq: 3 }.pack()),
            None => 0,
        }
    }

    fn other_block(&self, lane: usize, block: Block) -> Block {
        let arena = self.encoding.layout().arena_of_lane(lane);
        let mut blocks = arena.blocks.clone().map(|block| block as Block);
        blocks.find(|&other| other != block).unwrap_or(block)
    }

    fn data_cell(&self, block: Block) -> u8 {
        let layout = self.encoding.layout();
        (layout.sectors() + layout.lanes() * 4) as u8 + block
    }

    fn cell(&self, place: Place) -> Option<u8> {
        let layout = self.encoding.layout();
        match place {
            Place::Map(sector) => Some(sector as u8),
            Place::Flog(lane, half) => {
                let (side, half) = self.encoding.side(half)?;
                Some((layout.sectors() + lane * 4 + side * 2 + half) as u8)
            }
            Place::Data(..) => None,
        }
    }
}

impl Media for Scripted {
    fn size(&self) -> u64 {
        self.0.encoding.layout().size()
    }

    fn load32(&self, offset: u64) -> std::result::Result<u32, MediaError> {
        let place = self.0.encoding.layout().place(offset);
        let (true, Some(Place::Map(sector))) = (self.0.running.get(), place) else {
            return Ok(NOWHERE | 3 << 30);
        };
        match self.0.ask(Question::Map(sector as u8)) {
            Answer::Map(value) => Ok(self.0.encoding.map_word(value)),
            _ => Err(MediaError::Poison { offset, len: 4 }),
        }
    }

    fn store32(&self, offset: u64, word: u32) -> std::result::Result<(), MediaError> {
        let encoding = &self.0.encoding;
        let place = encoding.layout().place(offset);
        let value = match place {
            Some(Place::Map(sector)) => encoding.map_value(sector, word),
            _ => None,
        };
        if self.0.map_failed.get() && self.0.has(Fault::MapStopsAtError) {
            return Err(MediaError::Poison { offset, len: 4 });
        }
        match (place.and_then(|place| self.0.cell(place)), value) {
            (Some(cell), Some(value)) => {
                let result = self.0.attempt(Access::Store(cell, value));
                self.0
                    .map_failed
                    .set(self.0.map_failed.get() || result.is_err());
                return result;
            }
            _ => self.0.wrong(format!("{word:#x} was stored at {offset:#x}")),
        }
        Ok(())
    }

    fn store64(&self, offset: u64, word: u64) -> std::result::Result<(), MediaError> {
        let encoding = &self.0.encoding;
        let place = encoding.layout().place(offset);
        let value = match place {
            Some(Place::Flog(lane, half)) => encoding.half_value(lane, half % 2, word),
            _ => None,
        };
        match (place.and_then(|place| self.0.cell(place)), value) {
            (Some(cell), Some(value)) => return self.0.attempt(Access::Store(cell, value)),
            _ => self.0.wrong(format!("{word:#x} was stored at {offset:#x}")),
        }
        Ok(())
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> std::result::Result<(), MediaError> {
        let layout = self.0.encoding.layout();
        if let Some(fixed) = layout.fixed(offset, bytes.len()) {
            bytes.copy_from_slice(fixed);
            return Ok(());
        }
        for (offset, bytes) in (offset..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            let word = match layout.place(offset) {
                Some(Place::Flog(lane, half)) => self.0.flog_word(lane, half),
                _ => 0,
            };
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> std::result::Result<(), MediaError> {
        let len = bytes.len() as u64;
        Err(MediaError::OutOfRange { offset, len })
    }

    fn zero(&self, offset: u64, len: u64) -> std::result::Result<(), MediaError> {
        Err(MediaError::OutOfRange { offset, len })
    }

    fn is_bad(&self, offset: u64, _len: u64) -> bool {
        match self.0.block_at(offset) {
            Some(block) if self.0.script.errors && self.0.running.get() => {
                self.0.ask(Question::Bad(block)) == Answer::Bad(true)
            }
            _ => false,
        }
    }

    fn clear(&self, offset: u64, len: u64) -> std::result::Result<(), MediaError> {
        let block = self.0.block_at(offset);
        let block = block.ok_or(MediaError::OutOfRange { offset, len })?;
        self.0.note(Access::Clear(block));
        Ok(())
    }

    fn flush(&self, offset: u64, len: u64) {
        let places = self.0.encoding.layout().places_in(offset, len);
        let cells = places.filter_map(|place| self.0.cell(place));
        let cells = cells.fold(0, |cells, cell| cells | 1 << cell);
        if cells != 0 {
            self.0.note(Access::Flush(cells));
        }
    }

    fn fence(&self) -> std::result::Result<(), MediaError> {
        if !self.0.running.get() {
            return Ok(());
        }
        let number = self.0.fences.replace(self.0.fences.get() + 1);
        let result = self.0.attempt(Access::Fence);
        if result.is_err() && number == 1 && self.0.has(Fault::MapAfterFailedFence) {
            // The engine closes the gate before it goes on, and then returns an error.
            self.0.note(Access::Close(0));
            self.0.given_up.set(true);
            return Ok(());
        }
        if self.0.has(Fault::FenceNeverFails) {
            return Ok(());
        }
        result.map_err(|_| MediaError::Flush)
    }
}

/// The data of a request. Only the sector they belong to matters.
struct Data {
    index: u8,
    shared: Rc<Shared>,
}

impl Source<Scripted> for Data {
    fn copy_to(
        &mut self,
        media: &Scripted,
        offset: u64,
        len: u32,
    ) -> std::result::Result<(), MediaError> {
        let block = media.0.block_at(offset);
        let len = len.into();
        let block = block.ok_or(MediaError::OutOfRange { offset, len })?;
        media.0.attempt(Access::Data(block, self.index))?;
        media.0.note(Access::Flush(1 << media.0.data_cell(block)));
        self.index += 1;
        Ok(())
    }
}

impl Sink<Scripted> for Data {
    fn copy_from(
        &mut self,
        media: &Scripted,
        offset: u64,
        len: u32,
    ) -> std::result::Result<(), MediaError> {
        let len = len.into();
        if media.is_bad(offset, len) {
            return Err(MediaError::Poison { offset, len });
        }
        let block = media.0.block_at(offset);
        let block = block.ok_or(MediaError::OutOfRange { offset, len })?;
        media.0.note(Access::Copy(block));
        Ok(())
    }

    fn fill_zero(&mut self, _len: u32) {
        self.shared.note(Access::Zeroes);
    }
}
