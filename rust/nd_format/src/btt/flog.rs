// SPDX-License-Identifier: GPL-2.0

//! The flog: free list and log in one.
//!
//! Each lane has a group of four slots, of which two are used in turn and two are padding:
//!
//! ```text
//!   group of a lane, 64 bytes                        slot, 16 bytes, little endian
//!  +--------+--------+--------+--------+            +----------+----------+----------+----------+
//!  | slot 0 | slot 1 | slot 2 | slot 3 |            | lba      | old_map  | new_map  | seq      |
//!  +--------+--------+--------+--------+            +----------+----------+----------+----------+
//!    used     used                         adjacent   \_ first half _____/  \_ second half ____/
//!    used              used                legacy
//! ```
//!
//! The newest slot records that sector `lba` moved from block `old_map` to block `new_map`;
//! `old_map` is the lane's free block. Each half is stored as one 8-byte word. The second half has
//! the sequence number, so storing it makes the slot the newest one. Sequence numbers go 1, 2, 3,
//! 1, …; 0 is a slot never written. (UEFI, "BTT Flog".) Linux before 4.15 used the first and the
//! third slot; such media keep that layout.

use core::fmt;

/// Size of a slot in bytes.
pub const SLOT_SIZE: u64 = 16;

/// Number of slots in a group.
pub const SLOTS: usize = 4;

/// Size of half a slot in bytes. A half is stored atomically.
pub const HALF_SIZE: u64 = 8;

/// Flag bits that other implementations set in block numbers.
const FLAGS: u32 = 0b11 << 30;

/// Flag: the old block has a media error. If both flags are set, neither counts.
const ERROR: u32 = 0b01 << 30;

/// A sequence number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Seq {
    /// 1.
    One,
    /// 2.
    Two,
    /// 3.
    Three,
}

impl Seq {
    /// Decodes a sequence number; `None` for 0 and for numbers above 3.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            3 => Some(Self::Three),
            _ => None,
        }
    }

    /// Returns the number on media.
    #[inline]
    pub fn number(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// Returns the next sequence number.
    #[inline]
    pub fn next(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::Three,
            Self::Three => Self::One,
        }
    }
}

/// The fields of a slot as they are on media.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RawSlot {
    /// Sector that was written.
    pub lba: u32,
    /// Block that held the sector before, with flags.
    pub old_map: u32,
    /// Block that holds the sector now, with flags.
    pub new_map: u32,
    /// Sequence number.
    pub seq: u32,
}

impl RawSlot {
    /// Creates a slot from its two halves. Each half is a 64-bit word that is little endian on
    /// media and already in native byte order here.
    pub fn from_halves(first: u64, second: u64) -> Self {
        // CAST: Halves of a 64-bit word.
        Self {
            lba: first as u32,
            old_map: (first >> 32) as u32,
            new_map: second as u32,
            seq: (second >> 32) as u32,
        }
    }

    /// Returns the two halves as 64-bit words in native byte order.
    #[inline]
    pub fn halves(self) -> [u64; 2] {
        let half = |low, high| u64::from(low) | u64::from(high) << 32;
        [half(self.lba, self.old_map), half(self.new_map, self.seq)]
    }

    /// Returns `true` if the slot is all zeroes: an unused slot, or the second slot of a lane that
    /// was written only when the arena was created.
    pub fn is_blank(self) -> bool {
        self == Self::default()
    }
}

/// The newest entry of a lane, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlogEntry {
    /// Sector that was written.
    pub lba: u32,
    /// Block that held the sector before: the lane's free block.
    pub old: u32,
    /// `true` if the old block has a media error and must be cleared before it is used.
    pub old_bad: bool,
    /// Block that holds the sector now. Equal to `old` in a lane that was never used.
    pub new: u32,
    /// Sequence number.
    pub seq: Seq,
}

impl FlogEntry {
    /// Returns the entry of `lane` in a new arena with `external_nlba` sectors.
    pub fn initial(lane: u32, external_nlba: u32) -> Self {
        let block = external_nlba.saturating_add(lane);
        Self {
            lba: lane,
            old: block,
            old_bad: false,
            new: block,
            seq: Seq::One,
        }
    }

    /// Encodes the entry.
    #[inline]
    pub fn encode(self) -> RawSlot {
        RawSlot {
            lba: self.lba,
            old_map: self.old & !FLAGS | if self.old_bad { ERROR } else { 0 },
            new_map: self.new & !FLAGS,
            seq: self.seq.number(),
        }
    }

    fn decode(slot: RawSlot, seq: Seq) -> Self {
        Self {
            lba: slot.lba,
            old: slot.old_map & !FLAGS,
            old_bad: slot.old_map & FLAGS == ERROR,
            new: slot.new_map & !FLAGS,
            seq,
        }
    }
}

/// One of the two used slots of a group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Slot 0.
    First,
    /// Slot 1, or 2 in the legacy layout.
    Second,
}

impl Side {
    /// Returns the other slot.
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// The newer one of the two used slots of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlogPair {
    /// Position of the slot.
    pub newest: Side,
    /// The decoded entry.
    pub entry: FlogEntry,
}

impl FlogPair {
    /// Decodes the newer one of the two used slots of a lane.
    ///
    /// Two consecutive sequence numbers are valid, and so are 1 in the first slot and 0 in the
    /// second, as in a new arena. No history of writes leads to another pair. Another pair is
    /// therefore damage, and no guess about it would be safe.
    pub fn decode(first: RawSlot, second: RawSlot) -> Result<Self, FlogError> {
        let error = FlogError::Sequence {
            first: first.seq,
            second: second.seq,
        };
        let newest_is_first = |seq| Self {
            newest: Side::First,
            entry: FlogEntry::decode(first, seq),
        };
        let newest_is_second = |seq| Self {
            newest: Side::Second,
            entry: FlogEntry::decode(second, seq),
        };
        match (Seq::from_number(first.seq), Seq::from_number(second.seq)) {
            (Some(a), Some(b)) if a.next() == b => Ok(newest_is_second(b)),
            (Some(a), Some(b)) if b.next() == a => Ok(newest_is_first(a)),
            (Some(Seq::One), None) if second.seq == 0 => Ok(newest_is_first(Seq::One)),
            _ => Err(error),
        }
    }
}

/// The slots of a group that are used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum FlogLayout {
    /// Slots 0 and 1: UEFI, Linux since 4.15, and all new arenas.
    #[default]
    Adjacent,
    /// Slots 0 and 2: Linux before 4.15.
    Legacy,
}

impl FlogLayout {
    /// Returns the indexes of the used slots.
    pub fn slots(self) -> [usize; 2] {
        [self.slot(Side::First), self.slot(Side::Second)]
    }

    /// Returns the index of one of the used slots.
    pub fn slot(self, side: Side) -> usize {
        match (side, self) {
            (Side::First, _) => 0,
            (Side::Second, Self::Adjacent) => 1,
            (Side::Second, Self::Legacy) => 2,
        }
    }

    /// Decodes the newer slot of a group.
    pub fn newest(self, group: &[RawSlot; SLOTS]) -> Result<FlogPair, FlogError> {
        let [first, second] = match self {
            Self::Adjacent => [group[0], group[1]],
            Self::Legacy => [group[0], group[2]],
        };
        FlogPair::decode(first, second)
    }
}

/// Detects the flog layout of an arena from all its groups, inspected in any order.
///
/// Creating an arena writes the first slot of every group. A group whose second used slot is
/// written as well reveals the layout of the arena, and all such groups must agree. If there is
/// none, the arena was never written; either layout fits, and the current one is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayoutDetector {
    detected: Option<FlogLayout>,
}

impl LayoutDetector {
    /// Inspects the group of one lane.
    pub fn inspect(&mut self, group: &[RawSlot; SLOTS]) -> Result<(), FlogError> {
        let [first, second, third, fourth] = group.map(|slot| !slot.is_blank());
        let layout = match (first, second, third, fourth) {
            (true, false, false, false) => return Ok(()),
            (true, true, false, false) => FlogLayout::Adjacent,
            (true, false, true, false) => FlogLayout::Legacy,
            _ => return Err(FlogError::Slots([first, second, third, fourth])),
        };
        match self.detected.replace(layout) {
            Some(detected) if detected != layout => Err(FlogError::Mixed),
            _ => Ok(()),
        }
    }

    /// Returns the layout of the inspected groups.
    pub fn layout(self) -> FlogLayout {
        self.detected.unwrap_or_default()
    }
}

/// Defect of a flog group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlogError {
    /// The slots in use are neither 0 and 1 nor 0 and 2.
    Slots([bool; SLOTS]),
    /// This group uses other slots than the groups before it.
    Mixed,
    /// The sequence numbers are not a valid pair.
    Sequence {
        /// Number in the first used slot.
        first: u32,
        /// Number in the second used slot.
        second: u32,
    },
}

impl fmt::Display for FlogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slots(used) => {
                f.write_str("used slots are")?;
                for (slot, _) in used.iter().enumerate().filter(|(_, used)| **used) {
                    write!(f, " {slot}")?;
                }
                if !used.contains(&true) {
                    f.write_str(" none")?;
                }
                f.write_str(", expected 0 and 1, or 0 and 2")
            }
            Self::Mixed => f.write_str("used slots are not the same in all groups"),
            Self::Sequence { first, second } => write!(
                f,
                "seq pair is ({first}, {second}), expected two of 1, 2, 3 in sequence or (1, 0)"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
