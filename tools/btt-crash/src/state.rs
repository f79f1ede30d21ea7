// SPDX-License-Identifier: GPL-2.0

//! A state: the medium, two threads at some point of their requests, locks, and what each sector
//! may read as.

use crate::{
    access::{
        Block,
        First,
        Map,
        Node,
        Second,
        Value,
        TOKEN_LOST,
        TOKEN_ZERO, //
    },
    cell::Cell,
    image::Lost,
    layout::Layout, //
};

/// Number of threads.
pub(crate) const THREADS: usize = 2;

/// Maximum number of sectors of a request.
pub(crate) const MOST_SECTORS: usize = 4;

/// A set of contents, one bit for each token.
pub(crate) type Tokens = u32;

/// Positions among the cells of a state.
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

    /// Returns the cell of a half of a side of a lane's flog group.
    pub(crate) fn flog(&self, lane: usize, side: usize, half: usize) -> usize {
        self.sectors + lane * 4 + side * 2 + half
    }

    /// Returns the cell of the contents of a block.
    pub(crate) fn data(&self, block: Block) -> usize {
        self.sectors + self.lanes * 4 + usize::from(block)
    }

    /// Returns the number of cells that are metadata. They come first.
    pub(crate) fn metadata(&self) -> usize {
        self.sectors + self.lanes * 4
    }
}

/// A thread in the middle of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Running {
    pub(crate) request: u8,
    pub(crate) node: Node,
    /// Number of accesses of the node that were done.
    pub(crate) done: u8,
    /// Token that is written to each sector.
    pub(crate) tokens: [u8; MOST_SECTORS],
    /// The block that the thread has published as being read.
    pub(crate) reading: Option<Block>,
    /// Contents that a read may return.
    pub(crate) legal: Tokens,
    /// Contents that sectors may not have any more once this write or discard of them has returned.
    pub(crate) over: Tokens,
    /// Contents that each sector may have nevertheless: those of requests that failed meanwhile.
    pub(crate) also: [Tokens; MOST_SECTORS],
    /// Sectors, one bit each, of which it is unknown whether the request will have changed them.
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
    /// Number of accesses that may still fail.
    pub(crate) failures: u8,
    /// Contents that each sector may have.
    pub(crate) allowed: Vec<Tokens>,
    pub(crate) threads: [Option<Running>; THREADS],
    /// The thread that has taken each lane.
    pub(crate) owners: Vec<Option<u8>>,
    /// Map locks that are taken, and the threads that hold them.
    pub(crate) locks: Vec<(u16, u8)>,
    /// Map locks that remember a line, in order, with the line's sectors, one bit each.
    pub(crate) lines: Vec<(u16, u32)>,
}

impl State {
    pub(crate) fn map(&self, sector: usize) -> Map {
        Map::of(self.cells[sector].visible())
    }

    /// Returns the visible entry of a side of a lane, if it has one.
    pub(crate) fn entry(&self, shape: &Shape, lane: usize, side: usize) -> Option<(First, Second)> {
        let half = |half| self.cells[shape.flog(lane, side, half)].visible();
        Some((First::of(half(0))?, Second::of(half(1))?))
    }

    /// Returns the sectors of the line that a map lock remembers.
    pub(crate) fn line(&self, lock: u16) -> u32 {
        let line = self.lines.iter().find(|(known, _)| *known == lock);
        line.map_or(0, |&(_, sectors)| sectors)
    }

    /// Makes a map lock remember a line.
    pub(crate) fn remember(&mut self, lock: u16, sectors: u32) {
        self.lines.retain(|&(known, _)| known != lock);
        if sectors != 0 {
            self.lines.push((lock, sectors));
            self.lines.sort_unstable();
        }
    }

    /// Makes map locks that are not held forget lines of which all words are durable: flushing them
    /// does nothing.
    pub(crate) fn forget_durable_lines(&mut self) {
        let (cells, locks) = (&self.cells, &self.locks);
        let is_held = |lock: u16| locks.iter().any(|&(held, _)| held == lock);
        let is_durable = |sector: usize| cells[sector].is_durable();
        self.lines
            .retain(|&(lock, sectors)| is_held(lock) || !members(sectors).all(is_durable));
    }

    /// Returns the contents of a sector as seen now.
    pub(crate) fn visible_token(&self, shape: &Shape, sector: usize) -> Value {
        if self.lost.word(sector) {
            return TOKEN_LOST;
        }
        let map = self.map(sector);
        let bad = self.bad & 1 << map.block != 0;
        contents(map, bad, self.cells[shape.data(map.block)].visible())
    }

    /// Returns `true` if no thread is in the middle of a request.
    pub(crate) fn is_quiet(&self) -> bool {
        self.threads.iter().all(Option::is_none)
    }

    /// Appends everything that distinguishes the state from others.
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

/// Returns the numbers of the bits that are set.
pub(crate) fn members(bits: u32) -> impl Iterator<Item = usize> {
    (0..u32::BITS as usize).filter(move |&bit| bits & 1 << bit != 0)
}

/// Returns what a sector reads as if its map word is `map`, and its block is bad or holds `held`.
pub(crate) fn contents(map: Map, bad: bool, held: Value) -> Value {
    match map.flags {
        Map::ERROR => TOKEN_LOST,
        Map::ZERO => TOKEN_ZERO,
        _ if bad => TOKEN_LOST,
        _ => held,
    }
}
