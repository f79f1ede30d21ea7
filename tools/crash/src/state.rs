// SPDX-License-Identifier: GPL-2.0

//! A state: the medium, two threads somewhere in their requests, locks, and what each sector may read as.

use crate::{
    access::{
        Block,
        First,
        Map,
        Second,
        Value,
        TOKEN_LOST,
        TOKEN_ZERO, //
    },
    cell::Cell,
    image::Lost,
    layout::Layout,
    program::Node, //
};

/// Threads.
pub(crate) const THREADS: usize = 2;

/// The most sectors of a request.
pub(crate) const MOST_SECTORS: usize = 4;

/// Contents that a sector may have, one bit for each token.
pub(crate) type Tokens = u32;

/// Where things are among the cells of a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) sectors: usize,
    pub(crate) lanes: usize,
    pub(crate) blocks: usize,
}

impl Shape {
    pub(crate) fn of(layout: &Layout) -> Self {
        Self {
            sectors: layout.sectors(),
            lanes: layout.lanes(),
            blocks: layout.blocks(),
        }
    }

    /// Cell of a half of a side of a lane's flog group.
    pub(crate) fn flog(&self, lane: usize, side: usize, half: usize) -> usize {
        self.sectors + lane * 4 + side * 2 + half
    }

    /// Cell of the contents of a block.
    pub(crate) fn data(&self, block: Block) -> usize {
        self.sectors + self.lanes * 4 + usize::from(block)
    }

    /// Number of cells that are metadata; they come first.
    pub(crate) fn metadata(&self) -> usize {
        self.sectors + self.lanes * 4
    }
}

/// A thread in the middle of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Running {
    pub(crate) request: u8,
    pub(crate) node: Node,
    /// Accesses of the node that were done.
    pub(crate) done: u8,
    /// What is written to each sector.
    pub(crate) tokens: [u8; MOST_SECTORS],
    /// The block that the thread has published as being read.
    pub(crate) reading: Option<Block>,
    /// What a read may return.
    pub(crate) legal: Tokens,
    /// What sectors may no longer read as when a write or discard of them has returned.
    pub(crate) over: Tokens,
    /// What each sector may read as all the same: contents of requests that failed meanwhile.
    pub(crate) also: [Tokens; MOST_SECTORS],
    /// Sectors, one bit each, of which it is not known any more whether the request will have changed them.
    pub(crate) doubtful: u8,
    /// Sectors, one bit each, that could not have had the new contents before.
    pub(crate) adds: u8,
}

/// A state.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Map words, flog halves, contents of blocks.
    pub(crate) cells: Vec<Cell>,
    /// Blocks with media errors, one bit each.
    pub(crate) bad: u32,
    /// Metadata with media errors.
    pub(crate) lost: Lost,
    /// Arenas whose gates are closed, one bit each.
    pub(crate) closed: u8,
    /// Accesses that may still fail.
    pub(crate) failures: u8,
    /// What each sector may read as.
    pub(crate) allowed: Vec<Tokens>,
    pub(crate) threads: [Option<Running>; THREADS],
    /// Which thread has taken a lane.
    pub(crate) owners: Vec<Option<u8>>,
    /// Map locks that are taken, and by whom.
    pub(crate) locks: Vec<(u16, u8)>,
    /// Map locks that remember a line, in order, and its sectors, one bit each.
    pub(crate) lines: Vec<(u16, u32)>,
}

impl State {
    pub(crate) fn map(&self, sector: usize) -> Map {
        Map::of(self.cells[sector].visible())
    }

    /// The visible entry of a side of a lane, if it has one.
    pub(crate) fn entry(&self, shape: &Shape, lane: usize, side: usize) -> Option<(First, Second)> {
        let half = |half| self.cells[shape.flog(lane, side, half)].visible();
        Some((First::of(half(0))?, Second::of(half(1))?))
    }

    /// The sectors of the line that a map lock remembers.
    pub(crate) fn line(&self, lock: u16) -> u32 {
        let line = self.lines.iter().find(|(known, _)| *known == lock);
        line.map_or(0, |&(_, sectors)| sectors)
    }

    /// Has a map lock remember a line.
    pub(crate) fn remember(&mut self, lock: u16, sectors: u32) {
        self.lines.retain(|&(known, _)| known != lock);
        if sectors != 0 {
            self.lines.push((lock, sectors));
            self.lines.sort_unstable();
        }
    }

    /// Has map locks that nobody holds forget lines of which all words are durable: to flush them does nothing.
    pub(crate) fn forget_settled_lines(&mut self) {
        let (cells, locks) = (&self.cells, &self.locks);
        let is_held = |lock: u16| locks.iter().any(|&(held, _)| held == lock);
        let is_settled = |sector: usize| cells[sector].is_settled();
        self.lines
            .retain(|&(lock, sectors)| is_held(lock) || !members(sectors).all(is_settled));
    }

    /// What a sector reads as.
    pub(crate) fn visible_token(&self, shape: &Shape, sector: usize) -> Value {
        if self.lost.word(sector) {
            return TOKEN_LOST;
        }
        let map = self.map(sector);
        let bad = self.bad & 1 << map.block != 0;
        contents(map, bad, self.cells[shape.data(map.block)].visible())
    }

    /// Whether anybody is in the middle of a request.
    pub(crate) fn is_quiet(&self) -> bool {
        self.threads.iter().all(Option::is_none)
    }

    /// Appends what makes the state different from others.
    pub(crate) fn serialize(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.cells.iter().for_each(|cell| cell.serialize(bytes));
        bytes.extend(self.bad.to_le_bytes());
        self.allowed
            .iter()
            .for_each(|allowed| bytes.extend(allowed.to_le_bytes()));
        for thread in &self.threads {
            let Some(running) = thread else {
                bytes.push(0);
                continue;
            };
            bytes.push(1);
            bytes.push(running.request);
            bytes.extend(running.node.to_le_bytes());
            bytes.push(running.done);
            bytes.extend(running.tokens);
            bytes.push(running.reading.unwrap_or(Block::MAX));
            bytes.extend(running.legal.to_le_bytes());
            bytes.extend(running.over.to_le_bytes());
            for also in running.also {
                bytes.extend(also.to_le_bytes());
            }
            bytes.extend([running.doubtful, running.adds]);
        }
        bytes.extend(self.lost.bits().to_le_bytes());
        bytes.extend([self.closed, self.failures]);
        bytes.extend(self.owners.iter().map(|owner| owner.unwrap_or(u8::MAX)));
        bytes.push(self.locks.len() as u8);
        for (lock, owner) in &self.locks {
            bytes.extend(lock.to_le_bytes());
            bytes.push(*owner);
        }
        for (lock, sectors) in &self.lines {
            bytes.extend(lock.to_le_bytes());
            bytes.extend(sectors.to_le_bytes());
        }
    }
}

/// The numbers of the bits that are set.
pub(crate) fn members(bits: u32) -> impl Iterator<Item = usize> {
    (0..u32::BITS as usize).filter(move |&bit| bits & 1 << bit != 0)
}

/// What a sector reads as if its map word is `map`, and its block is bad, or holds `held`.
pub(crate) fn contents(map: Map, bad: bool, held: Value) -> Value {
    match map.flags {
        Map::ERROR => TOKEN_LOST,
        Map::ZERO => TOKEN_ZERO,
        _ if bad => TOKEN_LOST,
        _ => held,
    }
}
