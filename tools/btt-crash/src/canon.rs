// SPDX-License-Identifier: GPL-2.0

//! Canonical form: one state for all states that no future can distinguish.
//!
//! Names of blocks, contents and threads do not matter, nor do those of sectors and lanes where all
//! are alike. What can be seen only if the protocol is broken does not matter either: the contents
//! of free blocks and the older flog slots. They become values that are noticed when they are used.
//!
//! An entry of the flog is *over* when its map word can no longer read as the old block: recovery
//! will do nothing. Its lane then forgets the entry, and with it the flush of the map word that the
//! lane's next write would do. One flush less only adds to what power failures can leave, so what
//! holds for these states holds for the real ones. A map lock forgets a line of which all words are
//! durable. One plan does without both reductions and must come to the same verdict.

use crate::{
    access::{
        next_seq,
        Block,
        First,
        Map,
        Second,
        Value,
        BLANK,
        JUNK,
        TOKEN_FIRST,
        TOKEN_JUNK, //
    },
    cell::Cell,
    image::Lost,
    layout::Layout,
    program::{
        Names,
        Programs, //
    },
    state::{
        Running,
        Shape,
        State,
        Tokens,
        THREADS, //
    },
};

/// Brings states into canonical form.
pub(crate) struct Canon {
    layout: Layout,
    shape: Shape,
    /// `true` if sectors and lanes are alike: each has a map lock or a group of its own, and all
    /// requests are of one sector.
    symmetric: bool,
    /// `true` if entries that are over are kept, with everything that depends on them.
    keep_entries: bool,
    /// `true` if accesses may fail.
    failures: bool,
}

impl Canon {
    pub(crate) fn new(
        layout: &Layout,
        symmetric: bool,
        keep_entries: bool,
        failures: bool,
    ) -> Self {
        Self {
            layout: layout.clone(),
            shape: Shape::of(layout),
            symmetric,
            keep_entries,
            failures,
        }
    }

    pub(crate) fn normalise(&self, state: &mut State, programs: &mut Programs) {
        if !self.keep_entries {
            state.forget_durable_lines();
        }
        for lane in 0..self.shape.lanes {
            if state.owners[lane].is_none() && self.is_durable(state, lane) {
                self.turn(state, lane);
                self.forget_older_side(state, lane);
                if !self.keep_entries {
                    self.forget_entry_that_is_over(state, lane);
                }
            }
        }
        self.order_threads(state, |running| {
            (
                programs.kind(running.request),
                programs.progress(running.node),
                running.done,
            )
        });
        self.rename(state, programs);
        self.forget_free_blocks(state, programs);
        if self.failures {
            // Failed writes leave many of these without a fence.
            self.forget_dead_tokens(state);
        }
        self.order_threads(state, |running| {
            (running.request, running.node, running.done)
        });
        self.name_tokens(state);
    }

    /// Returns `true` if no half of a lane's flog is pending. The first half of the older slot may
    /// be: a failed write has left it.
    fn is_durable(&self, state: &State, lane: usize) -> bool {
        let Some((newest, _)) = self.newest(state, lane) else {
            return false;
        };
        let mut halves = [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter();
        halves.all(|(side, half)| {
            let cell = &state.cells[self.shape.flog(lane, side, half)];
            cell.is_durable() || (side, half) == (1 - newest, 0)
        })
    }

    /// Makes the newest entry of a lane the one of side 0, with sequence number 1. Returns `false`
    /// if that is not possible.
    pub(crate) fn turn(&self, state: &mut State, lane: usize) -> bool {
        let cell = |side, half| self.shape.flog(lane, side, half);
        let Some((newest, seq)) = self.newest(state, lane) else {
            return false;
        };
        let turns = match seq {
            1 => 0,
            2 => 2,
            _ => 1,
        };
        if newest == 1 {
            for half in 0..2 {
                state.cells.swap(cell(0, half), cell(1, half));
            }
        }
        for side in 0..2 {
            let turned = &mut state.cells[cell(side, 1)];
            if turns != 0 && turned.candidates().any(|value| value == BLANK) {
                return false;
            }
            turned.rename(|value| match Second::of(value) {
                Some(second) => Second {
                    seq: (0..turns).fold(second.seq, |seq, _| next_seq(seq)),
                    ..second
                }
                .pack(),
                None => value,
            });
        }
        true
    }

    /// Returns the side of a lane that has the newest visible entry, and its sequence number.
    pub(crate) fn newest(&self, state: &State, lane: usize) -> Option<(usize, u8)> {
        let seq = |side| {
            let entry = state.entry(&self.shape, lane, side);
            entry.map(|(_, second)| second.seq)
        };
        match (seq(0), seq(1)) {
            (Some(first), Some(second)) if second == next_seq(first) => Some((1, second)),
            (Some(first), _) => Some((0, first)),
            (None, second) => Some((1, second?)),
        }
    }

    fn forget_older_side(&self, state: &mut State, lane: usize) {
        let [first, second] = [0, 1].map(|half| self.shape.flog(lane, 1, half));
        if state.cells[first].visible() != BLANK || state.cells[second].visible() != BLANK {
            state.cells[first] = Cell::new(JUNK);
        }
        if let Some(older) = Second::of(state.cells[second].visible()) {
            state.cells[second] = Cell::new(Second { new: None, ..older }.pack());
        }
    }

    fn forget_entry_that_is_over(&self, state: &mut State, lane: usize) {
        let Some((first, second)) = state.entry(&self.shape, lane, 0) else {
            return;
        };
        let Some(sector) = first.sector else {
            return;
        };
        let map = &state.cells[usize::from(sector)];
        let is_lost = state.lost.word(sector.into());
        let names_old = |value| Map::of(value).block == first.old;
        if !is_lost && !map.candidates().any(names_old) {
            let [half, other] = [0, 1].map(|half| self.shape.flog(lane, 0, half));
            state.cells[half] = Cell::new(
                First {
                    sector: None,
                    ..first
                }
                .pack(),
            );
            state.cells[other] = Cell::new(
                Second {
                    new: Some(first.old),
                    ..second
                }
                .pack(),
            );
        }
    }

    /// Orders sectors and lanes by their properties, independently of their names. Returns the new
    /// name of each.
    fn order(&self, state: &mut State, programs: &Programs) -> (Vec<u8>, Vec<u8>) {
        let shape = &self.shape;
        let mut sectors: Vec<u8> = (0..shape.sectors as u8).collect();
        let mut lanes: Vec<u8> = (0..shape.lanes as u8).collect();
        if !self.symmetric {
            return (sectors, lanes);
        }
        let entry_of = |lane: u8| state.entry(shape, lane.into(), 0);
        let of_thread = |thread: usize| state.threads[thread].as_ref();
        sectors.sort_by_cached_key(|&sector| {
            let under_way: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let running = of_thread(thread)?;
                    let ours = programs.sector(running.request) == sector;
                    ours.then(|| (programs.progress(running.node), running.done))
                })
                .collect();
            let named = lanes.iter().filter(|&&lane| {
                entry_of(lane).is_some_and(|(first, _)| first.sector == Some(sector))
            });
            let cell = &state.cells[usize::from(sector)];
            let flags: Vec<_> = cell.candidates().map(|value| value >> 8).collect();
            let lock = state
                .locks
                .iter()
                .find(|(lock, _)| *lock == sector.into())
                .map(|(_, owner)| *owner);
            let allowed = state.allowed[usize::from(sector)].count_ones();
            let line = state.line(sector.into()) != 0;
            let lost = state.lost.word(sector.into());
            (under_way, named.count(), flags, lock, line, lost, allowed)
        });
        let place = |sector: u8| sectors.iter().position(|&other| other == sector);
        lanes.sort_by_cached_key(|&lane| {
            let sector = entry_of(lane).and_then(|(first, _)| place(first.sector?));
            let halves = (0..4).map(|half| {
                let cell = &state.cells[shape.flog(lane.into(), half / 2, half % 2)];
                cell.candidates().count()
            });
            let halves: Vec<_> = halves.collect();
            let lost = state.lost.flog(lane.into());
            (state.owners[usize::from(lane)], sector, halves, lost)
        });
        let inverse = |order: &[u8]| {
            let mut names = vec![0; order.len()];
            (0..)
                .zip(order)
                .for_each(|(name, &old)| names[usize::from(old)] = name);
            names
        };
        (inverse(&sectors), inverse(&lanes))
    }

    /// Names each block after the sector or lane that owns it.
    fn name_blocks(&self, state: &State, sectors: &[u8], lanes: &[u8]) -> Vec<Block> {
        let mut names = vec![Block::MAX; self.shape.blocks];
        for arena in self.layout.arenas() {
            let start = arena.blocks.start;
            let mut taken = vec![false; arena.blocks.len()];
            let mut name = |block: Block, name: usize| {
                let named = &mut names[usize::from(block)];
                if *named == Block::MAX && !taken[name] {
                    taken[name] = true;
                    *named = (start + name) as Block;
                }
            };
            let old = |names: &[u8], name: usize| {
                let old = names.iter().position(|&known| usize::from(known) == name);
                old.unwrap_or(name)
            };
            for (index, sector) in arena.sectors.clone().enumerate() {
                name(state.map(old(sectors, sector)).block, index);
            }
            for (index, lane) in arena.lanes.clone().enumerate() {
                if let Some((first, _)) = state.entry(&self.shape, old(lanes, lane), 0) {
                    name(first.old, arena.sectors.len() + index);
                }
            }
            for block in arena.blocks.clone() {
                if names[block] == Block::MAX {
                    let free = taken.iter().position(|taken| !taken).unwrap_or_default();
                    taken[free] = true;
                    names[block] = (start + free) as Block;
                }
            }
        }
        names
    }

    /// Gives canonical names to sectors, lanes and blocks.
    fn rename(&self, state: &mut State, programs: &mut Programs) {
        let (sectors, lanes) = self.order(state, programs);
        let blocks = self.name_blocks(state, &sectors, &lanes);
        let is_same = |names: &[u8]| (0..).zip(names).all(|(old, &name): (u8, _)| old == name);
        let moved = !is_same(&sectors) || !is_same(&lanes);
        if !moved && is_same(&blocks) {
            return;
        }
        let names = Names {
            blocks,
            sectors,
            lanes,
            moved,
        };
        let shape = &self.shape;
        let before = state.cells.clone();
        for (sector, &name) in names.sectors.iter().enumerate() {
            let cell = &mut state.cells[usize::from(name)];
            *cell = before[sector];
            cell.rename(|value| names.map(Map::of(value)).pack());
        }
        for (lane, &name) in names.lanes.iter().enumerate() {
            for (side, half) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let cell = &mut state.cells[shape.flog(name.into(), side, half)];
                *cell = before[shape.flog(lane, side, half)];
                cell.rename(|value| match half {
                    0 => First::of(value).map_or(value, |first| names.first(first).pack()),
                    _ => Second::of(value).map_or(value, |second| {
                        Second {
                            new: second.new.map(|block| names.block(block)),
                            ..second
                        }
                        .pack()
                    }),
                });
            }
        }
        let bad = state.bad;
        state.bad = 0;
        for block in 0..shape.blocks as Block {
            let name = names.block(block);
            state.cells[shape.data(name)] = before[shape.data(block)];
            state.bad |= (bad >> block & 1) << name;
        }
        for running in state.threads.iter_mut().flatten() {
            running.node = programs.rename(running.node, &names);
            running.reading = running.reading.map(|block| names.block(block));
        }
        if moved {
            let allowed = state.allowed.clone();
            for (sector, &name) in names.sectors.iter().enumerate() {
                state.allowed[usize::from(name)] = allowed[sector];
            }
            let owners = state.owners.clone();
            for (lane, &name) in names.lanes.iter().enumerate() {
                state.owners[usize::from(name)] = owners[lane];
            }
            let lost = std::mem::take(&mut state.lost);
            state.lost = renamed(lost, &names);
            for running in state.threads.iter_mut().flatten() {
                running.request = programs.renamed_request(running.request, &names);
            }
            for (lock, _) in &mut state.locks {
                *lock = names.sectors[usize::from(*lock)].into();
            }
            state.locks.sort_unstable();
            for (lock, sectors) in &mut state.lines {
                *lock = names.sectors[usize::from(*lock)].into();
                *sectors = names.line(*sectors);
            }
            state.lines.sort_unstable();
        }
    }

    /// Forgets the contents of blocks that cannot be read before they are written again.
    fn forget_free_blocks(&self, state: &mut State, programs: &Programs) {
        let mut used: u32 = 0;
        let lost = state.lost;
        let readable = || (0..self.shape.sectors).filter(|&sector| !lost.word(sector));
        for sector in readable() {
            for value in state.cells[sector].candidates() {
                used |= 1 << Map::of(value).block;
            }
        }
        for lane in 0..self.shape.lanes {
            for side in 0..2 {
                for value in state.cells[self.shape.flog(lane, side, 1)].candidates() {
                    let new = Second::of(value).and_then(|second| second.new);
                    used |= new.map_or(0, |new| 1 << new);
                }
            }
            // An entry that moves nothing names the free block twice.
            if let (None, Some((first, second))) =
                (state.owners[lane], state.entry(&self.shape, lane, 0))
            {
                let named = readable().any(|sector| {
                    let mut words = state.cells[sector].candidates();
                    words.any(|value| Map::of(value).block == first.old)
                });
                let is_durable = self.is_durable(state, lane);
                let moves_nothing = first.sector.is_none() && second.new == Some(first.old);
                if is_durable && moves_nothing && !named {
                    used &= !(1 << first.old);
                }
            }
        }
        for running in state.threads.iter().flatten() {
            for (_, first) in programs.lanes(running.node) {
                used |= 1 << first.old;
            }
            used |= running.reading.map_or(0, |block| 1 << block);
        }
        for block in (0..self.shape.blocks as Block).filter(|block| used & 1 << block == 0) {
            state.cells[self.shape.data(block)] = Cell::new(TOKEN_JUNK);
        }
    }

    /// Replaces contents that no sector may have any more by rubbish.
    fn forget_dead_tokens(&self, state: &mut State) {
        let mut alive: Tokens = (1 << TOKEN_FIRST) - 1;
        state.allowed.iter().for_each(|&allowed| alive |= allowed);
        let named = alive;
        for running in state.threads.iter_mut().flatten() {
            // Contents that are over already stay so.
            running.over &= named;
            alive |= running.legal;
            running.also.iter().for_each(|&also| alive |= also);
            let tokens = running.tokens.iter();
            tokens.for_each(|&token| alive |= 1 << token);
        }
        for cell in &mut state.cells[self.shape.metadata()..] {
            cell.rename(|token| match alive & 1 << token {
                0 => TOKEN_JUNK,
                _ => token,
            });
        }
    }

    /// Names contents in the order in which they are found.
    fn name_tokens(&self, state: &mut State) {
        let mut names = [0; 32];
        let mut next = TOKEN_FIRST;
        let mut name = |token: Value| -> Value {
            if token < TOKEN_FIRST {
                return token;
            }
            let name = &mut names[usize::from(token)];
            if *name == 0 {
                *name = next;
                next += 1;
            }
            *name
        };
        for cell in &mut state.cells[self.shape.metadata()..] {
            // The order within a set must not depend on the old names: from the durable value on,
            // they were found in order.
            cell.rename(&mut name);
        }
        for running in state.threads.iter_mut().flatten() {
            for token in &mut running.tokens {
                *token = name(Value::from(*token)) as u8;
            }
        }
        let mut mask = |tokens: Tokens| -> Tokens {
            (0..32)
                .filter(|token| tokens & 1 << token != 0)
                .map(|token| 1 << name(token))
                .sum()
        };
        for allowed in &mut state.allowed {
            *allowed = mask(*allowed);
        }
        for running in state.threads.iter_mut().flatten() {
            running.legal = mask(running.legal);
            running.over = mask(running.over);
            for also in &mut running.also {
                *also = mask(*also);
            }
        }
    }

    fn order_threads<R: Ord>(&self, state: &mut State, rank: impl Fn(&Running) -> R) {
        let rank = |thread: usize| state.threads[thread].as_ref().map(&rank);
        if rank(0) <= rank(1) {
            return;
        }
        state.threads.swap(0, 1);
        state.cells.iter_mut().for_each(Cell::exchange_threads);
        let owners = state.owners.iter_mut().flatten();
        owners.for_each(|owner| *owner = 1 - *owner);
        for (_, owner) in &mut state.locks {
            *owner = 1 - *owner;
        }
    }
}

/// Returns the same lost metadata under other names.
fn renamed(lost: Lost, names: &Names) -> Lost {
    let mut renamed = Lost::default();
    for (sector, &name) in names.sectors.iter().enumerate() {
        if lost.word(sector) {
            renamed.lose_word(name.into());
        }
    }
    for (lane, &name) in names.lanes.iter().enumerate() {
        if lost.flog(lane) {
            renamed.lose_flog(name.into());
        }
    }
    renamed
}
