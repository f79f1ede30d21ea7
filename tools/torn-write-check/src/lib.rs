// SPDX-License-Identifier: GPL-2.0

//! Sectors that identify themselves, for tests that cut the power.
//!
//! The writer runs in the guest and stamps sectors. It acknowledges each sector in a file of the
//! host and continues when the host has written the acknowledgement. After the power cut, the
//! reader in the guest records the generation of each sector, and the host compares.
//!
//! A stamped sector is full of cells:
//!
//! ```text
//!  0                     6          8                          16
//!  ├── number of sector ─┼─ cell ───┼── generation ────────────┤   all little-endian
//! ```
//!
//! Generation 0 is a sector that was never stamped, or that was zeroed; it reads as zeroes. A torn
//! sector has cells of two generations, or other data. An acknowledgement is the number of a sector
//! and its generation, 8 bytes each. [`ZEROED`] is set in it if the sector was zeroed.
//!
//! Generations count up, in each boot from an [`epoch`](successor) on, so that an old stamp never
//! looks new after the sector was zeroed.

use std::fmt;

/// Size of a cell in bytes. A sector consists of whole cells.
const CELL: usize = 16;
/// Bits of a cell's first word that hold the sector number.
const SECTOR_BITS: u32 = 48;
/// Size of an acknowledgement in bytes.
pub const ACKNOWLEDGEMENT: usize = 16;

/// Flag in the generation of an acknowledgement: the sector was zeroed.
pub const ZEROED: u64 = 1 << 63;
/// Bits of a generation below the epoch.
const EPOCH_SHIFT: u32 = 32;

/// Returns the next generation of a sector of `generation`, for a writer of `epoch`.
pub fn successor(generation: u64, epoch: u32) -> u64 {
    generation.max(u64::from(epoch) << EPOCH_SHIFT) + 1
}

/// Reason why a sector was not written as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Offset of the first cell that does not match the first one.
    pub offset: usize,
    /// Words of that cell.
    pub found: [u64; 2],
    /// Expected words of that cell.
    pub expected: [u64; 2],
}

impl fmt::Display for Torn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([place, generation], [right_place, right_generation]) = (self.found, self.expected);
        write!(
            out,
            "torn at byte {}: {place:#x} of generation {generation}, \
             expected {right_place:#x} of generation {right_generation}",
            self.offset
        )
    }
}

fn place(sector: u64, cell: usize) -> u64 {
    sector | (cell as u64) << SECTOR_BITS
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Stamps `buffer` as `sector` of `generation`. Generation 0 zeroes it.
pub fn fill(buffer: &mut [u8], sector: u64, generation: u64) {
    if generation == 0 {
        buffer.fill(0);
        return;
    }
    for (index, cell) in buffer.chunks_exact_mut(CELL).enumerate() {
        let (first, second) = cell.split_at_mut(CELL / 2);
        first.copy_from_slice(&place(sector, index).to_le_bytes());
        second.copy_from_slice(&generation.to_le_bytes());
    }
}

/// Returns the generation in `buffer`, which was read from `sector`.
pub fn generation(buffer: &[u8], sector: u64) -> Result<u64, Torn> {
    let cells = || {
        buffer
            .chunks_exact(CELL)
            .map(|cell| cell.split_at(CELL / 2))
    };
    let generation = cells().next().map_or(0, |(_, second)| word(second));
    for (index, (first, second)) in cells().enumerate() {
        let found = [word(first), word(second)];
        let expected = if generation == 0 {
            [0, 0]
        } else {
            [place(sector, index), generation]
        };
        if found != expected {
            return Err(Torn {
                offset: index * CELL,
                found,
                expected,
            });
        }
    }
    Ok(generation)
}

/// Returns an acknowledgement as bytes.
pub fn acknowledgement(sector: u64, generation: u64) -> [u8; ACKNOWLEDGEMENT] {
    let mut record = [0; ACKNOWLEDGEMENT];
    let (first, second) = record.split_at_mut(ACKNOWLEDGEMENT / 2);
    first.copy_from_slice(&sector.to_le_bytes());
    second.copy_from_slice(&generation.to_le_bytes());
    record
}

/// Returns the complete acknowledgements in `bytes` as pairs of sector and generation. A truncated
/// record at the end is ignored.
pub fn acknowledgements(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> + '_ {
    bytes.chunks_exact(ACKNOWLEDGEMENT).map(|record| {
        let (first, second) = record.split_at(ACKNOWLEDGEMENT / 2);
        (word(first), word(second))
    })
}

/// Returns the generations of all sectors in `bytes`, the file of the reader: 8 bytes each.
pub fn generations(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(8).map(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(sector: u64, generation: u64) -> Vec<u8> {
        let mut buffer = vec![0xa5; 512];
        fill(&mut buffer, sector, generation);
        buffer
    }

    #[test]
    fn a_whole_sector_is_recognised() {
        assert_eq!(generation(&stamped(7, 3), 7), Ok(3));
        assert_eq!(generation(&stamped(7, 0), 7), Ok(0));
        assert_eq!(generation(&[0; 4096], 1), Ok(0));
    }

    #[test]
    fn a_sector_of_another_place_is_not() {
        assert!(generation(&stamped(7, 3), 8).is_err());
    }

    #[test]
    fn every_tear_between_words_is_noticed() {
        let (old, new) = (stamped(7, 3), stamped(7, 4));
        for cut in (16..512).step_by(8) {
            let torn = [&new[..cut], &old[cut..]].concat();
            let offset = cut / CELL * CELL;
            assert_eq!(
                generation(&torn, 7).map_err(|torn| torn.offset),
                Err(offset),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_tear_into_a_blank_sector_is_noticed() {
        let torn = [&stamped(7, 1)[..256], &[0; 256]].concat();
        assert_eq!(generation(&torn, 7).map_err(|torn| torn.offset), Err(256));
        let torn = [&[0; 256], &stamped(7, 1)[256..]].concat();
        assert_eq!(generation(&torn, 7).map_err(|torn| torn.offset), Err(256));
    }

    #[test]
    fn generations_start_again_above_all_earlier_ones() {
        assert_eq!(successor(0, 0), 1);
        assert_eq!(successor(7, 0), 8);
        let second = successor(7, 1);
        assert!(second > successor(u64::from(u32::MAX) - 1, 0));
        assert_eq!(successor(second, 1), second + 1);
    }

    #[test]
    fn acknowledgements_that_were_cut_short_do_not_count() {
        let bytes = [acknowledgement(1, 2), acknowledgement(3, 4)].concat();
        assert_eq!(
            acknowledgements(&bytes).collect::<Vec<_>>(),
            [(1, 2), (3, 4)]
        );
        assert_eq!(acknowledgements(&bytes[..31]).collect::<Vec<_>>(), [(1, 2)]);
    }
}
