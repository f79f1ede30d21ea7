// SPDX-License-Identifier: GPL-2.0

//! What a request of the engine does, one access after the other, without the numbers that do not
//! matter.
//!
//! Words have small symbolic values: a block, a sector, a sequence number. Blocks are names, not
//! numbers: the engine treats them all alike, so states that differ only in the names of blocks are
//! equivalent.

use std::ops::Range;

/// The name of a block.
pub(crate) type Block = u8;

/// A word. Of metadata: a packed value, see [`Map`], [`First`] and [`Second`]. Of data: a token.
pub(crate) type Value = u16;

/// A half of a flog slot that was never written.
pub(crate) const BLANK: Value = 0xfffe;

/// A half of a flog slot that must not be used: its numbers are out of range.
pub(crate) const JUNK: Value = 0xffff;

/// Contents of a block that no sector has ever held.
pub(crate) const TOKEN_JUNK: Value = 0;
/// Contents of a discarded sector.
pub(crate) const TOKEN_ZERO: Value = 1;
/// Result of reading a sector that has an error.
pub(crate) const TOKEN_LOST: Value = 2;
/// Contents of a block of which half was written.
pub(crate) const TOKEN_TORN: Value = 3;
/// First of the tokens that stand for distinct contents.
pub(crate) const TOKEN_FIRST: Value = 4;

/// A map word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Map {
    /// The two flags: 0 initial, 1 error, 2 zero, 3 normal.
    pub(crate) flags: u8,
    pub(crate) block: Block,
}

impl Map {
    pub(crate) const INITIAL: u8 = 0;
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const ZERO: u8 = 2;

    pub(crate) fn pack(self) -> Value {
        Value::from(self.flags) << 8 | Value::from(self.block)
    }

    pub(crate) fn of(value: Value) -> Self {
        Self {
            flags: (value >> 8) as u8,
            block: value as u8,
        }
    }
}

/// The first half of a flog slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct First {
    /// The sector that was moved; `None` if none was.
    pub(crate) sector: Option<u8>,
    pub(crate) old: Block,
    pub(crate) old_bad: bool,
}

impl First {
    const NO_SECTOR: u8 = 0x3f;

    pub(crate) fn pack(self) -> Value {
        let sector = self.sector.unwrap_or(Self::NO_SECTOR);
        Value::from(self.old_bad) << 15 | Value::from(sector) << 8 | Value::from(self.old)
    }

    /// Unpacks the fields. Returns `None` for [`BLANK`] and [`JUNK`].
    pub(crate) fn of(value: Value) -> Option<Self> {
        if value == BLANK || value == JUNK {
            return None;
        }
        let sector = (value >> 8) as u8 & 0x7f;
        Some(Self {
            sector: (sector != Self::NO_SECTOR).then_some(sector),
            old: value as u8,
            old_bad: value >> 15 != 0,
        })
    }
}

/// The second half of a flog slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Second {
    /// The block that the sector moved to; `None` if it must not be used.
    pub(crate) new: Option<Block>,
    /// Sequence number, 1 to 3.
    pub(crate) seq: u8,
}

impl Second {
    const NO_BLOCK: Block = 0xff;

    pub(crate) fn pack(self) -> Value {
        Value::from(self.seq) << 8 | Value::from(self.new.unwrap_or(Self::NO_BLOCK))
    }

    /// Unpacks the fields. Returns `None` for [`BLANK`].
    pub(crate) fn of(value: Value) -> Option<Self> {
        let new = value as u8;
        (value != BLANK).then_some(Self {
            new: (new != Self::NO_BLOCK).then_some(new),
            seq: (value >> 8) as u8,
        })
    }
}

/// Returns the sequence number that follows another one.
pub(crate) fn next_seq(seq: u8) -> u8 {
    seq % 3 + 1
}

/// One step of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Access {
    /// Releases the lock of lanes, one bit each.
    Unlock(u16),
    /// Acquires a map lock.
    Acquire(u16),
    /// Releases a map lock.
    Release(u16),
    /// Reads which line a map lock remembers. The line is the answer to a question.
    Recall(u16),
    /// Makes a map lock remember the line of some sectors, one bit each.
    Remember(u16, u32),
    /// Reads the read tracking table.
    Look,
    /// Publishes the block that is being read, or that none is.
    Publish(Option<Block>),
    /// Stores the data of a sector of the request, given by its index.
    Data(Block, u8),
    /// Loads the data of a sector.
    Copy(Block),
    /// Reads a sector of zeroes.
    Zeroes,
    /// Clears the errors of a block.
    Clear(Block),
    /// Stores a word of metadata.
    Store(u8, Value),
    /// Flushes words of metadata and blocks, one bit each.
    Flush(u32),
    /// Waits until everything that was flushed is durable.
    Fence,
    /// Closes the gate of an arena until the BTT is opened again.
    Close(u8),
}

/// A way in which an access fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// Once: the same access may succeed the next time.
    Once,
    /// From now on: the line or the block cannot be read any more.
    Poison,
}

impl Failure {
    pub(crate) const ALL: [Self; 2] = [Self::Once, Self::Poison];
}

/// Something that a request must know before it can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Question {
    /// Takes the lock of lanes, one bit each, and reads the first halves of their newest flog
    /// slots.
    Lanes(u16),
    /// The map word of a sector.
    Map(u8),
    /// The presence of a media error in a block.
    Bad(Block),
    /// The line that a map lock remembers.
    Line(u16),
    /// The state of the gate of an arena.
    Gate(u8),
}

/// An answer. [`Question::Lanes`] has one answer for each lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Answer {
    /// First half of the newest flog slot of a lane.
    Lane(u8, Value),
    /// Map word.
    Map(Value),
    /// `true` if the block has a media error.
    Bad(bool),
    /// Sectors of a line of the map, one bit each; none if there is no such line, or none of the
    /// layout's sectors is in it.
    Line(u32),
    /// `true` if the gate is closed.
    Gate(bool),
    /// The map word cannot be read.
    Unreadable,
    /// Not the answer to a question: the access with this number since the last answer has failed.
    Fails(u8),
}

/// The result of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Result {
    /// Successfully.
    Done,
    /// The sector is lost.
    Lost,
    /// It would have had to wait, and has done nothing.
    Refused,
    /// With an error that an access that failed, or a closed gate, accounts for.
    GivenUp,
    /// With an error that nothing accounts for.
    Failed(String),
}

/// The kind of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Writes contents that were never used before.
    Write,
    /// The same without waiting, as for `REQ_NOWAIT`.
    TryWrite,
    /// Makes sectors read as zeroes. Write-zeroes does the same.
    Discard,
    /// Reads a sector.
    Read,
    /// Not a request: the block of a sector gets a media error.
    Poison,
    /// Not a request: the line of a sector's map word gets a media error.
    PoisonMap,
}

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// First sector.
    pub(crate) sector: u8,
    /// Number of sectors.
    pub(crate) count: u8,
    /// Number of lane groups of an arena.
    pub(crate) groups: u8,
    /// The lane group that the request takes.
    pub(crate) group: u8,
}

impl Request {
    pub(crate) fn sectors(&self) -> Range<usize> {
        self.sector.into()..usize::from(self.sector + self.count)
    }

    pub(crate) fn is_write(&self) -> bool {
        matches!(self.kind, Kind::Write | Kind::TryWrite)
    }

    /// Returns `true` if the request changes the contents of its sectors.
    pub(crate) fn changes(&self) -> bool {
        self.is_write() || self.kind == Kind::Discard
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            sector,
            count,
            groups,
            group,
        } = self;
        write!(f, "{kind:?} of sector {sector}")?;
        if *count > 1 {
            write!(f, " to {}", sector + count - 1)?;
        }
        if self.is_write() {
            write!(f, " with lane group {group} of {groups}")?;
        }
        Ok(())
    }
}

/// What ends the accesses that need no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// A question, whose answer decides how the request goes on.
    Ask(Question),
    /// The end of the request.
    Return(Result),
}

/// A point in a program: an index of [`crate::program::Programs`].
pub(crate) type Node = u32;
