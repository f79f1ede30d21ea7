// SPDX-License-Identifier: GPL-2.0

//! What other software makes of an image: models of the recovery of the C driver of Linux, written
//! from the description of the format, and of `ndctl check-namespace`.
//!
//! The models share no code with the engine. Where the C driver is laxer than the engine (sequence
//! numbers, slots), so is its model. The engine may leave only images of which the models make the
//! same result, whatever the order of the lanes.

use crate::{
    image::Image,
    layout::{
        Arena,
        Layout,
        Place,
        GROUP_HALVES, //
    },
};

/// A BTT after recovery.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Recovered {
    /// Map words of the sectors.
    pub(crate) map: Vec<u32>,
    /// Free block of each lane, by its number within the arena.
    pub(crate) free: Vec<u32>,
    /// Arenas of which recovery needed a map word that cannot be read, one bit each.
    pub(crate) read_only: u8,
}

/// Stands for a map word that cannot be read.
pub(crate) const UNREADABLE: u32 = u32::MAX;

#[derive(Clone, Copy, Default)]
struct Entry {
    lba: u32,
    old: u32,
    new: u32,
    seq: u32,
}

impl Entry {
    fn is_padding(&self) -> bool {
        self.lba == 0 && self.old == 0 && self.new == 0 && self.seq == 0
    }
}

const BLOCK_BITS: u32 = 0x3fff_ffff;

fn group(layout: &Layout, image: &Image, lane: usize) -> [Entry; 4] {
    let start = layout.cell(Place::Flog(lane, 0));
    let words = &image.words[start..start + GROUP_HALVES];
    let mut entries = [Entry::default(); 4];
    for (entry, halves) in entries.iter_mut().zip(words.chunks_exact(2)) {
        *entry = Entry {
            lba: halves[0] as u32,
            old: (halves[0] >> 32) as u32,
            new: halves[1] as u32,
            seq: (halves[1] >> 32) as u32,
        };
    }
    entries
}

/// Finds the two slots that are in use.
fn live_slots(groups: &[[Entry; 4]]) -> Result<[usize; 2], String> {
    let mut first = None;
    let mut second = None;
    let mut used = false;
    for group in groups {
        let live: Vec<usize> = (0..4).filter(|&slot| !group[slot].is_padding()).collect();
        used |= live.len() >= 2;
        if let (Some(first), Some(second)) = (first, second) {
            let bad =
                !live.contains(&first) || live.iter().any(|&slot| slot != first && slot != second);
            if bad {
                return Err(format!("padding is not padding: {live:?}"));
            }
            continue;
        }
        for slot in live {
            match first {
                None => first = Some(slot),
                Some(known) if known == slot => {}
                Some(_) => second = second.or(Some(slot)),
            }
        }
    }
    let slots = match (first, second) {
        _ if !used => [0, 1],
        (Some(first), Some(second)) => [first, second],
        _ => return Err("slots not found".into()),
    };
    match slots {
        [0, 1] | [0, 2] => Ok(slots),
        _ => Err(format!("slots {slots:?}")),
    }
}

/// Returns the index of the newer one of two slots, found by sums and differences of sequence
/// numbers.
fn newer(mut first: u32, second: u32) -> Result<usize, String> {
    if first == 0 {
        first = 1;
        return (first != second || second == 1)
            .then_some(1)
            .ok_or_else(|| "both slots are empty".into());
    }
    if first == second || first + second > 5 {
        return Err(format!("sequence numbers {first} and {second}"));
    }
    let second_is_newer = if second > first {
        second - first == 1
    } else {
        first - second != 1
    };
    Ok(second_is_newer.into())
}

/// Recovers an image, with the lanes of each arena in ascending or descending order.
///
/// The C driver does not open a BTT if it needs a map word that cannot be read. For comparison, the
/// model continues without that word. No flog group may be lost.
pub(crate) fn recover(
    layout: &Layout,
    image: &Image,
    backwards: bool,
) -> Result<Recovered, String> {
    let word = |sector| match image.lost.word(sector) {
        true => UNREADABLE,
        false => image.words[layout.cell(Place::Map(sector))] as u32,
    };
    let mut recovered = Recovered {
        map: (0..layout.sectors()).map(word).collect(),
        free: vec![u32::MAX; layout.lanes()],
        read_only: 0,
    };
    for (number, arena) in layout.arenas().iter().enumerate() {
        let mut entries = newest_entries(layout, image, arena)?;
        if backwards {
            entries.reverse();
        }
        for (lane, entry) in entries {
            let (old, new) = (entry.old & BLOCK_BITS, entry.new & BLOCK_BITS);
            recovered.free[lane] = old;
            if old == new {
                continue;
            }
            let sector = arena.sector(entry.lba);
            let sector = sector.ok_or_else(|| format!("lane {lane} names sector {}", entry.lba))?;
            if image.lost.word(sector) {
                recovered.read_only |= 1 << number;
            } else if block(recovered.map[sector], entry.lba) == old {
                recovered.map[sector] = new | !BLOCK_BITS;
            }
        }
    }
    Ok(recovered)
}

/// Returns what `ndctl check-namespace --repair` leaves. It sets map words from the log where the
/// map was not updated, if each block of an arena is in its map or log exactly once after that. If
/// words of the map cannot be read, each block may be there at most once.
pub(crate) fn check_namespace(layout: &Layout, image: &Image) -> Result<Recovered, String> {
    let recovered = recover(layout, image, false)?;
    for arena in layout.arenas() {
        let lost = |sector: &usize| image.lost.word(*sector);
        let readable = arena.sectors.clone().filter(|sector| !lost(sector));
        let mapped = readable.map(|sector| block(recovered.map[sector], arena.premap(sector)));
        let free = recovered.free[arena.lanes.clone()].iter().copied();
        let mut blocks: Vec<u32> = mapped.chain(free).collect();
        blocks.sort_unstable();
        let mut expected: Vec<u32> = arena
            .blocks
            .clone()
            .map(|block| arena.postmap(block))
            .collect();
        expected.sort_unstable();
        let is_good = if arena.sectors.clone().any(|sector| lost(&sector)) {
            let repeated = blocks.windows(2).any(|pair| pair[0] == pair[1]);
            !repeated && blocks.iter().all(|block| expected.contains(block))
        } else {
            blocks == expected
        };
        if !is_good {
            return Err(format!(
                "bitmap error: blocks mapped and free are {blocks:?}, expected {expected:?}"
            ));
        }
    }
    Ok(recovered)
}

/// Returns the newest entry of each lane of an arena.
fn newest_entries(
    layout: &Layout,
    image: &Image,
    arena: &Arena,
) -> Result<Vec<(usize, Entry)>, String> {
    let groups: Vec<_> = arena
        .lanes
        .clone()
        .map(|lane| group(layout, image, lane))
        .collect();
    let slots = live_slots(&groups)?;
    let newest = groups.iter().map(|group| {
        let newer = newer(group[slots[0]].seq, group[slots[1]].seq)?;
        Ok(group[slots[newer]])
    });
    arena
        .lanes
        .clone()
        .zip(newest)
        .map(|(lane, entry): (_, Result<_, String>)| Ok((lane, entry?)))
        .collect()
}

/// Returns the block of a map word.
pub(crate) fn block(word: u32, premap: u32) -> u32 {
    if word >> 30 == 0 {
        premap
    } else {
        word & BLOCK_BITS
    }
}
