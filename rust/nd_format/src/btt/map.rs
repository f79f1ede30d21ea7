// SPDX-License-Identifier: GPL-2.0

//! Map entries: the block that holds a sector.
//!
//! ```text
//!   31 30 29                              0
//!  +--+--+---------------------------------+
//!  | Z| E|      postmap block number       |   little endian, at map + 4 × premap block number
//!  +--+--+---------------------------------+
//!
//!   Z E
//!   0 0   initial: the block with the number of the sector; the number in the entry does not count
//!   0 1   error:   the sector is lost until it is written again
//!   1 0   zero:    the sector reads as zeroes
//!   1 1   normal
//! ```
//!
//! An entry owns its block in every state, even in those in which a read does not access the block.
//! (UEFI, "BTT Map Entry".)

/// Bit 31: with bit 30 clear, the sector reads as zeroes.
const ZERO: u32 = 1 << 31;

/// Bit 30: with bit 31 clear, the sector is lost.
const ERROR: u32 = 1 << 30;

/// Bits of the block number.
const BLOCK: u32 = ERROR - 1;

/// State of a sector, from the two flags of its map entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MapState {
    /// Never written: the sector is the block of the same number, with whatever that holds.
    Initial,
    /// A media error destroyed the sector.
    Error,
    /// The sector reads as zeroes.
    Zero,
    /// The sector is in the block.
    Normal,
}

/// A map entry, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MapEntry {
    /// State of the sector.
    pub state: MapState,
    /// The block that belongs to the sector, below 2^30.
    pub block: u32,
}

impl MapEntry {
    /// Decodes `word`, the map entry of sector `premap`.
    #[inline]
    pub fn decode(word: u32, premap: u32) -> Self {
        let block = word & BLOCK;
        let (state, block) = match (word & ZERO != 0, word & ERROR != 0) {
            (false, false) => (MapState::Initial, premap),
            (false, true) => (MapState::Error, block),
            (true, false) => (MapState::Zero, block),
            (true, true) => (MapState::Normal, block),
        };
        Self { state, block }
    }

    /// Encodes the entry. The initial state has no block number of its own and is all zeroes.
    #[inline]
    pub fn encode(self) -> u32 {
        let block = self.block & BLOCK;
        match self.state {
            MapState::Initial => 0,
            MapState::Error => block | ERROR,
            MapState::Zero => block | ZERO,
            MapState::Normal => block | ZERO | ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn states() {
        let decode = |word| MapEntry::decode(word, 7);
        let entry = |state, block| MapEntry { state, block };
        assert_eq!(decode(0), entry(MapState::Initial, 7));
        assert_eq!(decode(0x0000_0123), entry(MapState::Initial, 7));
        assert_eq!(decode(0x4000_0123), entry(MapState::Error, 0x123));
        assert_eq!(decode(0x8000_0123), entry(MapState::Zero, 0x123));
        assert_eq!(decode(0xc000_0123), entry(MapState::Normal, 0x123));
        assert_eq!(decode(0xffff_ffff), entry(MapState::Normal, 0x3fff_ffff));
    }

    /// All 2^32 words: `cargo test --release -- --ignored`.
    #[test]
    #[ignore = "seconds if optimised, minutes if not"]
    fn each_of_all_words_round_trips() {
        for word in 0..=u32::MAX {
            let entry = MapEntry::decode(word, 7);
            let kept = match entry.state {
                MapState::Initial => 0,
                _ => word,
            };
            assert!(entry.block <= BLOCK && entry.encode() == kept);
            assert!(MapEntry::decode(kept, 7) == entry);
        }
    }

    proptest! {
        #[test]
        fn every_word_round_trips(word: u32, premap in 0u32..1 << 30) {
            let entry = MapEntry::decode(word, premap);
            let initial = entry.state == MapState::Initial;
            prop_assert_eq!(entry.encode(), if initial { 0 } else { word });
            prop_assert_eq!(MapEntry::decode(entry.encode(), premap), entry);
        }
    }
}
