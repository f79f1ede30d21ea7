// SPDX-License-Identifier: GPL-2.0

//! Symbolic values as words of a real medium, and back.
//!
//! One symbolic state can be written in many ways: four formats, any numbers for the blocks, three
//! sequence numbers and two slots to start with. The engine must not care. So different states are
//! written in different ways, and each behaviour of the engine is observed in several encodings and
//! compared.

use crate::{
    access::{
        next_seq,
        Block,
        First,
        Map,
        Second,
        Value,
        BLANK,
        JUNK, //
    },
    layout::{
        Format,
        Layout,
        Place, //
    },
};
use nd_format::btt::{
    flog::RawSlot,
    FlogLayout,
    MapEntry,
    MapState, //
};

/// Sector, block and so on of a half that must not be used.
const RUBBISH: u32 = 0x3fff_fffe;

/// A way to write symbolic values.
#[derive(Clone)]
pub(crate) struct Encoding {
    layout: Layout,
    /// Block of the layout for each name.
    blocks: Vec<Block>,
    /// Added to each sequence number.
    rotation: u8,
    /// `true` if side 0 is in the second used slot.
    swapped: bool,
}

impl Encoding {
    /// Makes encoding number `variety` in which the initial map words `initial`, given as sectors
    /// and their blocks, name the blocks that they must. If `blank` is set, flog slots that were
    /// never written are where they are in a new arena.
    pub(crate) fn new(
        layouts: &[Layout],
        variety: usize,
        initial: &[(u8, Block)],
        blank: bool,
    ) -> Self {
        let layout = layouts[variety % layouts.len()].clone();
        let variety = variety / layouts.len();
        let mut blocks = vec![Block::MAX; layout.blocks()];
        for arena in layout.arenas() {
            let mut free: Vec<usize> = arena.blocks.clone().collect();
            for &(sector, block) in initial {
                if arena.sectors.contains(&sector.into()) {
                    let number = arena.premap(sector.into());
                    let real = arena.block(number).unwrap_or(arena.blocks.start);
                    blocks[usize::from(block)] = real as Block;
                    free.retain(|&candidate| candidate != real);
                }
            }
            let shift = variety % free.len().max(1);
            free.rotate_left(shift);
            let names = blocks[arena.blocks.clone()].iter_mut();
            let unnamed = names.filter(|name| **name == Block::MAX);
            unnamed
                .zip(free)
                .for_each(|(name, real)| *name = real as Block);
        }
        Self {
            layout,
            blocks,
            rotation: if blank { 0 } else { (variety % 3) as u8 },
            swapped: !blank && variety / 3 % 2 == 1,
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the number of a block within its arena.
    fn postmap(&self, block: Block) -> u32 {
        let real = self.blocks[usize::from(block)].into();
        let mut arenas = self.layout.arenas().iter();
        arenas
            .find(|arena| arena.blocks.contains(&real))
            .map_or(RUBBISH, |arena| arena.postmap(real))
    }

    /// Returns the name of a block of the layout.
    pub(crate) fn name(&self, real: usize) -> Block {
        let named = self
            .blocks
            .iter()
            .position(|&block| usize::from(block) == real);
        named.map_or(Block::MAX, |name| name as Block)
    }

    /// Returns the block of the layout that has this name.
    pub(crate) fn real(&self, block: Block) -> usize {
        self.blocks[usize::from(block)].into()
    }

    pub(crate) fn map_word(&self, value: Value) -> u32 {
        let map = Map::of(value);
        let state = [
            MapState::Initial,
            MapState::Error,
            MapState::Zero,
            MapState::Normal,
        ][usize::from(map.flags & 3)];
        MapEntry {
            state,
            block: self.postmap(map.block),
        }
        .encode()
    }

    /// Returns the symbolic value of the map word of a sector; `None` if it names no block of the
    /// layout.
    pub(crate) fn map_value(&self, sector: usize, word: u32) -> Option<Value> {
        let arena = self.layout.arena_of_sector(sector);
        let entry = MapEntry::decode(word, arena.premap(sector));
        let flags = match entry.state {
            MapState::Initial => Map::INITIAL,
            MapState::Error => Map::ERROR,
            MapState::Zero => Map::ZERO,
            MapState::Normal => 3,
        };
        let block = self.name(arena.block(entry.block)?);
        Some(Map { flags, block }.pack())
    }

    /// Returns the index, in a flog group on the medium, of a half of one of the two sides.
    pub(crate) fn half(&self, side: usize, half: usize) -> usize {
        let second = match self.layout.format().flog_layout {
            FlogLayout::Adjacent => 2,
            FlogLayout::Legacy => 4,
        };
        half + if (side == 1) != self.swapped {
            second
        } else {
            0
        }
    }

    /// Returns the side and the half of an index in a flog group: the inverse of [`Self::half`].
    pub(crate) fn side(&self, half: usize) -> Option<(usize, usize)> {
        (0..4)
            .map(|index| (index / 2, index % 2))
            .find(|&(side, which)| self.half(side, which) == half)
    }

    fn seq(&self, seq: u8) -> u32 {
        (0..self.rotation).fold(seq, |seq, _| next_seq(seq)).into()
    }

    pub(crate) fn first_half(&self, lane: usize, value: Value) -> u64 {
        if value == BLANK {
            return 0;
        }
        let arena = self.layout.arena_of_lane(lane);
        let (lba, old_map) = match First::of(value) {
            None => (RUBBISH, RUBBISH),
            Some(first) => (
                first
                    .sector
                    .map_or((lane - arena.lanes.start) as u32, |sector| {
                        arena.premap(sector.into())
                    }),
                self.postmap(first.old) | u32::from(first.old_bad) << 30,
            ),
        };
        debug_assert!(value != JUNK || lba == RUBBISH);
        RawSlot {
            lba,
            old_map,
            new_map: 0,
            seq: 0,
        }
        .halves()[0]
    }

    pub(crate) fn second_half(&self, value: Value) -> u64 {
        let Some(second) = Second::of(value) else {
            return 0;
        };
        RawSlot {
            lba: 0,
            old_map: 0,
            new_map: second.new.map_or(RUBBISH, |block| self.postmap(block)),
            seq: self.seq(second.seq),
        }
        .halves()[1]
    }

    /// Returns the symbolic value of a half that the engine stored; `None` if it names something
    /// that is not in the layout.
    pub(crate) fn half_value(&self, lane: usize, half: usize, word: u64) -> Option<Value> {
        let arena = self.layout.arena_of_lane(lane);
        let name = |postmap: u32| Some(self.name(arena.block(postmap)?));
        if half == 0 {
            let slot = RawSlot::from_halves(word, 0);
            return Some(
                First {
                    sector: Some(arena.sector(slot.lba)? as u8),
                    old: name(slot.old_map & !(3 << 30))?,
                    old_bad: slot.old_map >> 30 == 1,
                }
                .pack(),
            );
        }
        let slot = RawSlot::from_halves(0, word);
        Some(
            Second {
                new: Some(name(slot.new_map)?),
                seq: (1..=3).find(|&seq| self.seq(seq) == slot.seq)?,
            }
            .pack(),
        )
    }

    /// Returns the kept word of a half of a side.
    pub(crate) fn flog_place(&self, lane: usize, side: usize, half: usize) -> Place {
        Place::Flog(lane, self.half(side, half))
    }
}

/// Returns the same arenas in all formats.
pub(crate) fn in_all_formats(used: &[crate::layout::Used]) -> Vec<Layout> {
    Format::ALL
        .into_iter()
        .map(|format| Layout::new(used, format))
        .collect()
}
