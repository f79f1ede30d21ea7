// SPDX-License-Identifier: GPL-2.0

//! What can happen next in a state.
//!
//! An idle thread may begin any request. A thread in the middle of a request does its next access,
//! unless it waits for a lock or a reader.
//!
//! # Steps that need not be interleaved
//!
//! Unless the plan wants all interleavings, a step is taken at once, before anything else, if it
//! meets two conditions: it neither sees nor is seen by what the other thread may do in the
//! meantime, and it does not reduce the possible images. Such steps are stores and flushes of the
//! thread's own flog slots and free blocks, flushes and loads of map words whose lock it holds,
//! what such a lock remembers, and the release of locks. Everything that the other thread could do
//! before such a step it can do after it as well, with the same result. Stores of map words are not
//! among them, as another thread may flush the word without its lock. Nor are fences.

use crate::{
    access::{
        Access,
        Answer,
        End,
        Failure,
        First,
        Kind,
        Question,
        Request,
        Result as Ended,
        Second,
        Value,
        TOKEN_FIRST,
        TOKEN_JUNK,
        TOKEN_LOST,
        TOKEN_TORN,
        TOKEN_ZERO, //
    },
    canon::Canon,
    cell::Cell,
    faults::Fault,
    layout::{
        Layout,
        WORDS_OF_LINE, //
    },
    program::Programs,
    state::{
        contents,
        Running,
        Shape,
        State,
        Tokens,
        MOST_SECTORS,
        THREADS, //
    },
};

/// Words of the engine for each arena. The first ones are the map locks.
const WORDS_OF_ARENA: u16 = 257;

/// Number of the first step in which a request begins.
const BEGINS: usize = THREADS;

/// Number of the step in which the next access of thread 0 fails once. The steps of the other
/// thread, and those of lasting failures, follow it.
const FAILS: usize = 0x4000;

/// The next step of a thread.
#[derive(Clone, Debug)]
enum Next {
    Access(Access),
    Ask(Question),
    Return(Ended),
}

/// Performs the steps.
pub(crate) struct Machine {
    pub(crate) layout: Layout,
    pub(crate) shape: Shape,
    pub(crate) requests: Vec<Request>,
    pub(crate) programs: Programs,
    pub(crate) canon: Canon,
    pub(crate) fault: Option<Fault>,
    /// `true` if all interleavings are explored, including those that make no difference.
    pub(crate) all: bool,
    /// Number of threads that take part.
    pub(crate) threads: usize,
}

/// The result of a step.
pub(crate) struct Stepped {
    pub(crate) state: State,
    /// The violation, if there is one already.
    pub(crate) wrong: Option<String>,
}

impl Machine {
    /// Performs all steps and calls `take` with their numbers and results.
    pub(crate) fn steps(&mut self, state: &State, mut take: impl FnMut(&mut Self, usize, Stepped)) {
        if !self.all {
            let mut eager = (0..THREADS).filter(|&thread| self.is_eager(state, thread));
            if let Some(thread) = eager.next() {
                self.step(state, thread, &mut take);
                return;
            }
        }
        for thread in 0..THREADS {
            if state.threads[thread].is_some() && self.is_enabled(state, thread) {
                self.step(state, thread, &mut take);
            }
        }
        let idle = (0..self.threads).find(|&thread| state.threads[thread].is_none());
        if let Some(thread) = idle {
            for request in 0..self.requests.len() {
                if let Some(stepped) = self.begin(state, thread, request) {
                    take(self, BEGINS + request, stepped);
                }
            }
        }
    }

    /// Performs the next step of a thread: successful, and failed in each way.
    fn step(
        &mut self,
        state: &State,
        thread: usize,
        take: &mut impl FnMut(&mut Self, usize, Stepped),
    ) {
        let stepped = self.go_on(state, thread);
        take(self, thread, stepped);
        for (number, failure) in Failure::ALL.into_iter().enumerate() {
            if self.may_fail(state, thread, failure) {
                let mut state = state.clone();
                state.failures -= 1;
                let stepped = self.fail(state, thread, failure);
                take(self, FAILS + number * THREADS + thread, stepped);
            }
        }
    }

    /// Returns `true` if the next access of a thread can fail in this way.
    fn may_fail(&self, state: &State, thread: usize, failure: Failure) -> bool {
        let lasts = failure == Failure::Poison;
        state.failures > 0
            && match self.next(state, thread) {
                Some(Next::Access(Access::Store(cell, _))) => !self.is_lost(state, cell),
                Some(Next::Access(Access::Data(..))) => !lasts || self.programs.has_errors(),
                Some(Next::Access(Access::Fence)) => !lasts,
                Some(Next::Ask(Question::Map(sector))) => !state.lost.word(sector.into()),
                _ => false,
            }
    }

    /// Makes the next access of a thread fail.
    fn fail(&mut self, mut state: State, thread: usize, failure: Failure) -> Stepped {
        let (next, Some(mut running)) = (self.next(&state, thread), state.threads[thread]) else {
            return Stepped { state, wrong: None };
        };
        let request = self.requests[usize::from(running.request)];
        let lasts = failure == Failure::Poison;
        let mut answer = Answer::Fails(running.done);
        match next {
            Some(Next::Access(Access::Store(cell, _))) => {
                if lasts {
                    self.lose(&mut state, cell);
                }
                if request.sectors().contains(&cell.into()) {
                    running.doubtful |= 1 << (cell - request.sector);
                }
            }
            Some(Next::Access(Access::Data(block, _))) => {
                state.cells[self.shape.data(block)].store(TOKEN_TORN);
                state.bad |= u32::from(lasts) << block;
            }
            Some(Next::Access(Access::Fence)) => {
                for cell in &mut state.cells {
                    cell.forget_flushes(thread);
                }
                running.doubtful = u8::MAX;
            }
            Some(Next::Ask(Question::Map(sector))) => {
                if lasts {
                    self.lose(&mut state, sector);
                }
                answer = Answer::Unreadable;
            }
            _ => {}
        }
        running.node = self.programs.answer(running.node, [answer]);
        running.done = 0;
        state.threads[thread] = Some(running);
        self.canon.normalise(&mut state, &mut self.programs);
        Stepped { state, wrong: None }
    }

    /// Gives the line of a word of metadata a media error.
    fn lose(&self, state: &mut State, cell: u8) {
        let cell = usize::from(cell);
        if let Some(half) = cell.checked_sub(self.shape.sectors) {
            let lane = half / 4;
            state.lost.lose_flog(lane);
            // Its contents do not matter any more.
            let cells = self.shape.flog(lane, 0, 0)..self.shape.flog(lane + 1, 0, 0);
            state.cells[cells].iter_mut().for_each(Cell::make_durable);
            return;
        }
        for sector in self.layout.line_of(cell) {
            state.lost.lose_word(sector);
            state.cells[sector].make_durable();
            state.allowed[sector] = 1 << TOKEN_LOST;
            for running in state.threads.iter_mut().flatten() {
                let request = &self.requests[usize::from(running.request)];
                if request.kind == Kind::Read && request.sectors().contains(&sector) {
                    running.legal |= 1 << TOKEN_LOST;
                }
            }
        }
    }

    fn is_lost(&self, state: &State, cell: u8) -> bool {
        match usize::from(cell).checked_sub(self.shape.sectors) {
            None => state.lost.word(cell.into()),
            Some(half) => half / 4 < self.shape.lanes && state.lost.flog(half / 4),
        }
    }

    /// Returns `true` if a request begins in a step.
    pub(crate) fn begins(&self, step: usize) -> bool {
        (BEGINS..FAILS).contains(&step)
    }

    /// Describes a step.
    pub(crate) fn describe(&self, state: &State, step: usize) -> String {
        if let Some(number) = step.checked_sub(FAILS) {
            let what = self.describe(state, number % THREADS);
            let how = Failure::ALL[number / THREADS % Failure::ALL.len()];
            return format!("{what} FAILS ({how:?})");
        }
        match step.checked_sub(BEGINS) {
            Some(request) => {
                let thread = state.threads.iter().position(Option::is_none);
                let thread = thread.unwrap_or_default();
                format!("thread {thread} begins: {}", self.requests[request])
            }
            None => {
                let what = match self.next(state, step) {
                    Some(Next::Access(access)) => format!("{access:?}"),
                    Some(Next::Ask(question)) => format!("{question:?}?"),
                    Some(Next::Return(ended)) => format!("returns: {ended:?}"),
                    None => "nothing".into(),
                };
                format!("thread {step}: {what}")
            }
        }
    }

    /// Returns `true` if each thread waits or is about to fence. A power failure then leaves every
    /// image that one before any of the threads' steps could leave.
    pub(crate) fn is_full(&self, state: &State) -> bool {
        (0..THREADS).all(|thread| match self.next(state, thread) {
            None | Some(Next::Access(Access::Fence)) => true,
            Some(_) => !self.is_enabled(state, thread),
        })
    }

    fn next(&self, state: &State, thread: usize) -> Option<Next> {
        let running = state.threads[thread].as_ref()?;
        let stretch = self.programs.at(running.node);
        Some(match stretch.accesses.get(usize::from(running.done)) {
            Some(&access) => Next::Access(access),
            None => match &stretch.end {
                End::Ask(question) => Next::Ask(*question),
                End::Return(result) => Next::Return(result.clone()),
            },
        })
    }

    fn is_enabled(&self, state: &State, thread: usize) -> bool {
        let me = thread as u8;
        match self.next(state, thread) {
            Some(Next::Ask(Question::Lanes(lanes))) => {
                self.fault == Some(Fault::NoLaneLocks)
                    || (0..self.shape.lanes)
                        .all(|lane| lanes & 1 << lane == 0 || state.owners[lane].is_none())
            }
            Some(Next::Access(Access::Acquire(lock))) => !state
                .locks
                .iter()
                .any(|&(taken, owner)| taken == lock && owner != me),
            Some(Next::Access(Access::Look)) => {
                let others = state.threads.iter().enumerate();
                let mut read = others
                    .filter(|(other, _)| *other != thread)
                    .filter_map(|(_, other)| other.as_ref()?.reading);
                let node = state.threads[thread].map_or(0, |running| running.node);
                !read.any(|block| {
                    self.programs
                        .lanes(node)
                        .any(|(_, first)| first.old == block)
                })
            }
            _ => true,
        }
    }

    fn is_eager(&self, state: &State, thread: usize) -> bool {
        let Some(running) = state.threads[thread] else {
            return false;
        };
        let request = &self.requests[usize::from(running.request)];
        let holds = |lock: u16| state.locks.contains(&(lock, thread as u8));
        let is_locked = |sector: usize| holds(self.lock_of(sector));
        match self.next(state, thread) {
            Some(Next::Access(access)) => match access {
                Access::Unlock(_) | Access::Release(_) | Access::Data(..) => true,
                Access::Recall(lock) | Access::Remember(lock, _) => holds(lock),
                Access::Store(cell, _) => usize::from(cell) >= self.shape.sectors,
                Access::Flush(cells) => (0..self.shape.sectors)
                    .filter(|sector| cells & 1 << sector != 0)
                    .all(is_locked),
                _ => false,
            },
            Some(Next::Ask(Question::Map(sector))) => {
                // Readers see when a line becomes unreadable.
                let is_read =
                    state.threads.iter().flatten().any(|running| {
                        self.requests[usize::from(running.request)].kind == Kind::Read
                    });
                !(is_read && state.failures > 0) && is_locked(sector.into())
            }
            Some(Next::Ask(Question::Bad(_))) => request.is_write(),
            // The gate stays as it is if nothing fails any more.
            Some(Next::Ask(Question::Gate(arena))) => {
                let failed = |running: &Running| self.programs.has_failed(running.node);
                let others = state.threads.iter().enumerate();
                let mut others = others.filter(|(other, _)| *other != thread);
                state.closed & 1 << arena != 0
                    || state.failures == 0
                        && state.lost.is_empty()
                        && !others.any(|(_, other)| other.as_ref().is_some_and(failed))
            }
            Some(Next::Ask(Question::Line(lock))) => holds(lock),
            Some(Next::Return(_)) => true,
            Some(Next::Ask(Question::Lanes(_))) | None => false,
        }
    }

    fn lock_of(&self, sector: usize) -> u16 {
        let arenas = self.layout.arenas();
        let index = arenas
            .iter()
            .position(|arena| arena.sectors.contains(&sector))
            .unwrap_or_default();
        let line = arenas[index].premap(sector) / WORDS_OF_LINE;
        index as u16 * WORDS_OF_ARENA + (line % 256) as u16
    }

    /// Begins a request and performs its first step. Returns `None` if that is not possible now. If
    /// the flog of a lane is lost, no further requests are explored.
    fn begin(&mut self, state: &State, thread: usize, number: usize) -> Option<Stepped> {
        let request = self.requests[number];
        if state.lost.any_flog() {
            return None;
        }
        let mut state = state.clone();
        if request.kind == Kind::Poison {
            // Only in states in which it is clear what is lost.
            let block = state.map(request.sector.into()).block;
            if !state.is_quiet() || state.bad & 1 << block != 0 {
                return None;
            }
            state.bad |= 1 << block;
            let sector = usize::from(request.sector);
            let token = 1 << state.visible_token(&self.shape, sector);
            let doubts = state.allowed[sector] & !(1 << self.contents_of(&state, sector));
            state.allowed[sector] = match doubts {
                0 => token,
                // The contents that a failed request may have left can be lost as well.
                doubts => token | doubts | 1 << TOKEN_LOST,
            };
            self.canon.normalise(&mut state, &mut self.programs);
            return Some(Stepped { state, wrong: None });
        }
        if request.kind == Kind::PoisonMap {
            if !state.is_quiet() || state.failures == 0 || state.lost.word(request.sector.into()) {
                return None;
            }
            state.failures -= 1;
            self.lose(&mut state, request.sector);
            self.canon.normalise(&mut state, &mut self.programs);
            return Some(Stepped { state, wrong: None });
        }
        let mut running = Running {
            request: number as u8,
            node: self.programs.start(number as u8),
            done: 0,
            tokens: [0; MOST_SECTORS],
            reading: None,
            legal: 0,
            over: 0,
            also: [0; MOST_SECTORS],
            doubtful: 0,
            adds: 0,
        };
        let mut fresh = fresh_tokens(&self.shape, &state);
        for (index, sector) in request.sectors().enumerate() {
            let token = match request.kind {
                Kind::Write | Kind::TryWrite => fresh.next()?,
                Kind::Discard => TOKEN_ZERO,
                Kind::Read | Kind::Poison | Kind::PoisonMap => {
                    running.legal |= state.allowed[sector];
                    continue;
                }
            };
            running.tokens[index] = token as u8;
            if self.programs.has_failures() && state.allowed[sector] & 1 << token == 0 {
                running.adds |= 1 << index;
            }
            running.over |= state.allowed[sector] & !self.under_way(&state, sector) & FRESH;
            self.allow(&mut state, sector, token);
        }
        state.threads[thread] = Some(running);
        self.is_enabled(&state, thread)
            .then(|| self.go_on(&state, thread))
    }

    /// Returns what a sector would read as without media errors.
    fn contents_of(&self, state: &State, sector: usize) -> Value {
        let map = state.map(sector);
        let held = state.cells[self.shape.data(map.block)].visible();
        contents(map, false, held)
    }

    /// Allows a sector to have other contents, also for a read that is under way.
    fn allow(&self, state: &mut State, sector: usize, token: Value) {
        state.allowed[sector] |= 1 << token;
        for running in state.threads.iter_mut().flatten() {
            let request = &self.requests[usize::from(running.request)];
            if request.kind == Kind::Read && request.sectors().contains(&sector) {
                running.legal |= 1 << token;
            }
        }
    }

    /// Returns the contents that requests under way give to a sector.
    fn under_way(&self, state: &State, sector: usize) -> Tokens {
        let running = state.threads.iter().flatten();
        running.fold(0, |tokens, running| {
            let request = &self.requests[usize::from(running.request)];
            let is_ours = request.changes() && request.sectors().contains(&sector);
            match is_ours.then(|| running.tokens[sector - usize::from(request.sector)]) {
                Some(token) => tokens | 1 << token,
                None => tokens,
            }
        })
    }

    /// Performs the next step of a thread.
    fn go_on(&mut self, state: &State, thread: usize) -> Stepped {
        let mut state = state.clone();
        let mut wrong = None;
        match self.next(&state, thread) {
            Some(Next::Access(Access::Store(cell, _))) if self.is_lost(&state, cell) => {
                return self.fail(state, thread, Failure::Once);
            }
            Some(Next::Ask(Question::Map(sector))) if state.lost.word(sector.into()) => {
                return self.fail(state, thread, Failure::Once);
            }
            Some(Next::Access(access)) => {
                wrong = self.access(&mut state, thread, access).err();
                if let Some(running) = &mut state.threads[thread] {
                    running.done += 1;
                }
            }
            Some(Next::Ask(question)) => {
                let answers = self.answers(&mut state, thread, question);
                let answers = answers.unwrap_or_else(|what| {
                    wrong = Some(what);
                    Vec::new()
                });
                if let (Some(running), None) = (&mut state.threads[thread], &wrong) {
                    running.node = self.programs.answer(running.node, answers);
                    running.done = 0;
                }
            }
            Some(Next::Return(ended)) => wrong = self.end(&mut state, thread, &ended).err(),
            None => {}
        }
        if wrong.is_none() {
            self.canon.normalise(&mut state, &mut self.programs);
        }
        Stepped { state, wrong }
    }

    fn access(&self, state: &mut State, thread: usize, access: Access) -> Result<(), String> {
        let me = thread as u8;
        let Some(running) = state.threads[thread] else {
            return Ok(());
        };
        let request = self.requests[usize::from(running.request)];
        // The words of a discard are not durable before its fence.
        let is_of_discard = |cell: u8| {
            self.programs.has_failures()
                && request.kind == Kind::Discard
                && request.sectors().contains(&usize::from(cell))
        };
        match access {
            Access::Unlock(lanes) => {
                for lane in (0..self.shape.lanes).filter(|lane| lanes & 1 << lane != 0) {
                    state.owners[lane] = None;
                }
            }
            Access::Acquire(lock) => {
                state.locks.push((lock, me));
                state.locks.sort_unstable();
            }
            Access::Release(lock) => state.locks.retain(|&taken| taken != (lock, me)),
            Access::Look | Access::Recall(_) => {}
            Access::Remember(lock, sectors) => state.remember(lock, sectors),
            Access::Publish(block) => {
                if let Some(running) = &mut state.threads[thread] {
                    running.reading = block;
                }
            }
            Access::Data(block, index) => {
                let cell = &mut state.cells[self.shape.data(block)];
                cell.store(TOKEN_TORN);
                cell.store(running.tokens[usize::from(index)].into());
            }
            Access::Clear(block) => {
                state.bad &= !(1 << block);
                let cell = &mut state.cells[self.shape.data(block)];
                cell.store(TOKEN_JUNK);
                cell.flush(thread);
            }
            Access::Copy(block) => {
                let token = state.cells[self.shape.data(block)].visible();
                check_legal(running.legal, token)?;
            }
            Access::Zeroes => check_legal(running.legal, TOKEN_ZERO)?,
            Access::Store(cell, value) => {
                state.cells[usize::from(cell)].store(value);
                if let (Some(running), true) = (&mut state.threads[thread], is_of_discard(cell)) {
                    running.doubtful |= 1 << (cell - request.sector);
                }
            }
            Access::Flush(cells) => {
                for (index, cell) in state.cells.iter_mut().enumerate() {
                    if cells & 1 << index != 0 {
                        cell.flush(thread);
                    }
                }
            }
            Access::Fence => {
                state.cells.iter_mut().for_each(|cell| cell.fence(thread));
                if let (Some(running), Kind::Discard) = (&mut state.threads[thread], request.kind) {
                    // What the discard has stored is durable.
                    running.doubtful = 0;
                    running.adds = 0;
                }
            }
            Access::Close(arena) => state.closed |= 1 << arena,
        }
        Ok(())
    }

    fn answers(
        &self,
        state: &mut State,
        thread: usize,
        question: Question,
    ) -> Result<Vec<Answer>, String> {
        let lanes = match question {
            Question::Map(sector) => {
                let word = state.cells[usize::from(sector)].visible();
                self.overrule(state, thread, sector.into());
                return Ok(vec![Answer::Map(word)]);
            }
            Question::Bad(block) => return Ok(vec![Answer::Bad(state.bad & 1 << block != 0)]),
            Question::Gate(arena) => {
                return Ok(vec![Answer::Gate(state.closed & 1 << arena != 0)]);
            }
            Question::Line(lock) => return Ok(vec![Answer::Line(state.line(lock))]),
            Question::Lanes(lanes) => lanes,
        };
        let mut answers = Vec::new();
        for lane in (0..self.shape.lanes).filter(|lane| lanes & 1 << lane != 0) {
            let mut side = 0;
            if self.is_closed(state, lane) {
                // The lane will not be used, whatever is in it.
                side = self.canon.newest(state, lane).map_or(0, |(side, _)| side);
            } else if state.owners[lane].is_none() && !self.canon.turn(state, lane) {
                return Err(format!(
                    "lane {lane} is taken with an entry that is not durable"
                ));
            }
            state.owners[lane].get_or_insert(thread as u8);
            let first = state.cells[self.shape.flog(lane, side, 0)].visible();
            let second = Second::of(state.cells[self.shape.flog(lane, side, 1)].visible());
            let (Some(first), Some(_)) = (First::of(first), second) else {
                return Err(format!("lane {lane} has no newest entry"));
            };
            answers.push(Answer::Lane(lane as u8, first.pack()));
        }
        Ok(answers)
    }

    /// Notes that a request has loaded the map word of a sector. If the request changes the sector,
    /// requests that failed before do not come after it.
    fn overrule(&self, state: &mut State, thread: usize, sector: usize) {
        if let Some(running) = &mut state.threads[thread] {
            let request = &self.requests[usize::from(running.request)];
            if request.changes() && request.sectors().contains(&sector) {
                running.also[sector - usize::from(request.sector)] = 0;
            }
        }
    }

    fn is_closed(&self, state: &State, lane: usize) -> bool {
        let mut arenas = self.layout.arenas().iter();
        let arena = arenas.position(|arena| arena.lanes.contains(&lane));
        arena.is_some_and(|arena| state.closed & 1 << arena != 0)
    }

    /// Ends a request with an error: each of its sectors has its old or its new contents.
    ///
    /// Which of the two may turn out later: if the store of the sector's map word or a fence has
    /// failed, or if a discard has stored the word and had no fence. Otherwise the sector stays as
    /// it is now.
    fn give_up(
        &self,
        state: &mut State,
        thread: usize,
        request: &Request,
        running: &Running,
    ) -> Result<(), String> {
        for cell in &mut state.cells {
            cell.forget_flushes(thread);
        }
        if request.kind == Kind::Read {
            return Ok(());
        }
        for (index, sector) in request.sectors().enumerate() {
            let own = 1 << running.tokens[index];
            let visible = state.visible_token(&self.shape, sector);
            check_legal(state.allowed[sector], visible)
                .map_err(|what| format!("after a request that failed, sector {sector}: {what}"))?;
            let under_way = self.under_way(state, sector);
            // A discard is not followed by a fence then.
            let is_doubtful = running.doubtful & 1 << index != 0;
            if is_doubtful || under_way & 1 << visible != 0 {
                self.keep_also(state, sector, own);
            } else if own == 1 << visible && own & FRESH != 0 {
                self.restrict(state, sector, own | under_way | running.also[index]);
            } else if own != 1 << visible && running.adds & 1 << index != 0 {
                state.allowed[sector] &= !own | under_way | running.also[index];
            }
        }
        Ok(())
    }

    /// Allows the contents of a failed request to replace those of a request that is still under
    /// way.
    fn keep_also(&self, state: &mut State, sector: usize, own: Tokens) {
        for running in state.threads.iter_mut().flatten() {
            let request = &self.requests[usize::from(running.request)];
            if request.changes() && request.sectors().contains(&sector) {
                running.also[sector - usize::from(request.sector)] |= own;
            }
        }
    }

    /// Restricts a sector to these contents from now on.
    fn restrict(&self, state: &mut State, sector: usize, tokens: Tokens) {
        state.allowed[sector] = tokens;
        for running in state.threads.iter_mut().flatten() {
            let request = &self.requests[usize::from(running.request)];
            if request.changes() && request.sectors().contains(&sector) {
                running.also[sector - usize::from(request.sector)] &= tokens;
            }
        }
    }

    /// Ends a request and checks what it promised.
    fn end(&self, state: &mut State, thread: usize, ended: &Ended) -> Result<(), String> {
        let Some(running) = state.threads[thread].take() else {
            return Ok(());
        };
        let request = self.requests[usize::from(running.request)];
        match (ended, request.kind) {
            (Ended::Done, _) => {}
            (Ended::Lost, Kind::Read) => check_legal(running.legal, TOKEN_LOST)?,
            (Ended::Lost, _) => return Err("a request failed with a media error".into()),
            // What it was to write was allowed when it began. It must not be seen any more.
            (Ended::Refused, Kind::TryWrite) => {
                for (sector, token) in request.sectors().zip(running.tokens) {
                    state.allowed[sector] &= !(1 << token);
                }
                return Ok(());
            }
            (Ended::GivenUp, _) => return self.give_up(state, thread, &request, &running),
            (Ended::Refused, _) => return Err("a request that may wait was refused".into()),
            (Ended::Failed(what), _) => return Err(what.clone()),
        }
        for cell in &mut state.cells {
            cell.forget_flushes(thread);
        }
        if request.kind == Kind::Read {
            return Ok(());
        }
        for (index, sector) in request.sectors().enumerate() {
            let token = state.visible_token(&self.shape, sector);
            check_legal(state.allowed[sector] & !running.over, token)
                .map_err(|what| format!("at the end of a request, sector {sector}: {what}"))?;
            let under_way = self.under_way(state, sector);
            if (under_way | running.also[index]) & 1 << token == 0 {
                self.restrict(state, sector, 1 << token | under_way | running.also[index]);
            } else {
                // The other thread's request came later, but may still be lost. Then the sector is
                // as this request has left it, or as one before it that was under way at the same
                // time. The same holds for a request that has failed meanwhile.
                state.allowed[sector] &= !running.over;
            }
        }
        Ok(())
    }
}

/// Tokens that stand for distinct contents.
const FRESH: Tokens = !((1 << TOKEN_FIRST) - 1);

pub(crate) fn check_legal(legal: Tokens, token: Value) -> Result<(), String> {
    if legal & 1 << token == 0 {
        return Err(format!(
            "it reads as {}, expected one of {}",
            token_name(token),
            token_names(legal)
        ));
    }
    Ok(())
}

/// Describes contents.
pub(crate) fn token_name(token: Value) -> String {
    match token {
        TOKEN_JUNK => "rubbish".into(),
        TOKEN_ZERO => "zeroes".into(),
        TOKEN_LOST => "an error".into(),
        TOKEN_TORN => "torn".into(),
        token => format!("contents {}", token - TOKEN_FIRST),
    }
}

/// Describes a set of contents.
pub(crate) fn token_names(tokens: Tokens) -> String {
    let names = (0..32).filter(|token| tokens & 1 << token != 0);
    names.map(token_name).collect::<Vec<_>>().join(" or ")
}

/// Returns the tokens that are not in use in a state.
fn fresh_tokens(shape: &Shape, state: &State) -> impl Iterator<Item = Value> {
    let mut used: Tokens = (1 << TOKEN_FIRST) - 1;
    state.allowed.iter().for_each(|&allowed| used |= allowed);
    for cell in &state.cells[shape.metadata()..] {
        cell.candidates().for_each(|token| used |= 1 << token);
    }
    for running in state.threads.iter().flatten() {
        used |= running.legal | running.over;
        running.also.iter().for_each(|&also| used |= also);
        running.tokens.iter().for_each(|&token| used |= 1 << token);
    }
    (0..32).filter(move |token| used & 1 << token == 0)
}
