// SPDX-License-Identifier: GPL-2.0

//! An arena with a handful of sectors and lanes, and which of its words the simulated medium keeps.

use nd_format::{
    btt::{
        geometry::{
            MediaGeometry,
            FLOG_GROUP_SIZE,
            MAP_ENTRY_SIZE, //
        },
        info::INFO_LEN,
        ArenaGeometry,
        FlogEntry,
        FlogLayout,
        Info,
        Version,
        ARENA_MIN,
        INFO_SIZE, //
    },
    uuid::Uuid, //
};
use std::rc::Rc;

use crate::medium::Image;

/// Bytes of a block.
const BLOCK: u64 = 512;

/// Words of a block that are kept.
pub(crate) const CELL_BLOCK_WORDS: usize = 2;

/// Bytes of a half of a flog slot.
const HALF: u64 = 8;

/// A word that no sector ever held, in blocks that are free at first.
const RUBBISH: u64 = 0xdead;

/// A tiny arena. Clones share it.
#[derive(Clone)]
pub(crate) struct Layout(Rc<Parts>);

struct Parts {
    geometry: ArenaGeometry,
    flog_layout: FlogLayout,
    info: [u8; INFO_LEN],
    /// Sectors that are used; the others stay as they are.
    sectors: Vec<u32>,
    lanes: u32,
    /// Blocks that ever hold data: those of the sectors, then the free ones.
    used_blocks: Vec<u32>,
}

impl Layout {
    /// Lays out an arena with `lanes` lanes in which `sectors`, in ascending order, are used.
    pub(crate) fn new(sectors: &[u32], lanes: u32, flog_layout: FlogLayout) -> Self {
        let external_nlba = sectors.iter().max().map_or(1, |last| last + 1);
        let blocks = external_nlba + lanes;
        let map_offset = INFO_SIZE + u64::from(blocks) * BLOCK;
        let flog_offset = (map_offset + u64::from(external_nlba) * MAP_ENTRY_SIZE)
            .next_multiple_of(FLOG_GROUP_SIZE);
        let media = MediaGeometry {
            external_lba_size: BLOCK as u32,
            external_nlba,
            internal_lba_size: BLOCK as u32,
            internal_nlba: blocks,
            nfree: lanes,
            info_size: INFO_SIZE as u32,
            data_offset: INFO_SIZE,
            map_offset,
            flog_offset,
            info2_offset: flog_offset + u64::from(lanes) * FLOG_GROUP_SIZE,
        };
        let geometry = ArenaGeometry::from_media(&media, ARENA_MIN).expect("a good geometry");
        let mut info = [0; INFO_LEN];
        Info {
            uuid: Uuid::NIL,
            parent_uuid: Uuid::NIL,
            error: false,
            version: Version::V2_0,
            geometry,
            next_offset: 0,
        }
        .encode(&mut info);
        let used_blocks = sectors
            .iter()
            .copied()
            .chain(external_nlba..blocks)
            .collect();
        Self(Rc::new(Parts {
            geometry,
            flog_layout,
            info,
            sectors: sectors.to_vec(),
            lanes,
            used_blocks,
        }))
    }

    pub(crate) fn size(&self) -> u64 {
        ARENA_MIN
    }

    pub(crate) fn sectors(&self) -> &[u32] {
        &self.0.sectors
    }

    pub(crate) fn lanes(&self) -> u32 {
        self.0.lanes
    }

    /// Blocks that may belong to one of the sectors or lanes.
    pub(crate) fn used_blocks(&self) -> &[u32] {
        &self.0.used_blocks
    }

    /// What the sectors hold in a new arena.
    pub(crate) fn initial_word(premap: u32) -> u64 {
        u64::from(premap) << 8 | 0x0100_0000
    }

    /// A new arena.
    pub(crate) fn image(&self) -> Image {
        let mut image = Image {
            words: vec![0; self.cells()],
            bad: 0,
        };
        for &block in &self.0.used_blocks {
            let word = match self.0.sectors.contains(&block) {
                true => Self::initial_word(block),
                false => RUBBISH,
            };
            for offset in self.block_words(self.block_offset(block)) {
                if let Some(cell) = self.cell(offset) {
                    image.words[cell] = word;
                }
            }
        }
        for lane in 0..self.0.lanes {
            let halves = FlogEntry::initial(lane, self.0.geometry.external_nlba())
                .encode()
                .halves();
            for (half, value) in (0..).zip(halves) {
                if let Some(cell) = self.cell(self.flog_half_offset(lane, 0, half)) {
                    image.words[cell] = value;
                }
            }
            if self.0.flog_layout == FlogLayout::Legacy && lane == 0 {
                // Something must show which slots are used: the lane was written once, from its free block to itself.
                let entry = FlogEntry::initial(lane, self.0.geometry.external_nlba());
                let entry = FlogEntry {
                    seq: entry.seq.next(),
                    ..entry
                };
                for (half, value) in (0..).zip(entry.encode().halves()) {
                    if let Some(cell) = self.cell(self.flog_half_offset(lane, 2, half)) {
                        image.words[cell] = value;
                    }
                }
            }
        }
        image
    }

    fn block_offset(&self, block: u32) -> u64 {
        self.0.geometry.data_offset() + u64::from(block) * BLOCK
    }

    /// Offset of a half of a slot.
    fn flog_half_offset(&self, lane: u32, slot: u64, half: u64) -> u64 {
        self.0.geometry.flog_offset()
            + u64::from(lane) * FLOG_GROUP_SIZE
            + slot * 2 * HALF
            + half * HALF
    }

    // Cells: two words for each used block, a word for each sector's map entry, eight halves for each lane.

    fn map_cells(&self) -> usize {
        self.0.used_blocks.len() * CELL_BLOCK_WORDS
    }

    fn flog_cells(&self) -> usize {
        self.map_cells() + self.0.sectors.len()
    }

    fn cells(&self) -> usize {
        self.flog_cells() + self.0.lanes as usize * 8
    }

    /// Cell of the map entry of a used sector, by its index.
    pub(crate) fn map_cell(&self, index: usize) -> usize {
        self.map_cells() + index
    }

    /// Cells of the flog group of a lane.
    pub(crate) fn flog_group(&self, lane: u32) -> std::ops::Range<usize> {
        let start = self.flog_cells() + lane as usize * 8;
        start..start + 8
    }

    /// Cells of a used block.
    pub(crate) fn data_cells(&self, block: u32) -> Option<[usize; CELL_BLOCK_WORDS]> {
        let index = self.0.used_blocks.iter().position(|&used| used == block)?;
        Some([index * CELL_BLOCK_WORDS, index * CELL_BLOCK_WORDS + 1])
    }

    /// The words of a block that are kept.
    pub(crate) fn block_words(&self, offset: u64) -> [u64; CELL_BLOCK_WORDS] {
        [offset, offset + BLOCK - 8]
    }

    /// Cells, and more, that are metadata.
    pub(crate) fn is_metadata_cell(&self, cell: usize) -> bool {
        cell >= self.map_cells()
    }

    pub(crate) fn is_data(&self, offset: u64) -> bool {
        (self.0.geometry.data_offset()..self.0.geometry.map_offset()).contains(&offset)
    }

    pub(crate) fn block_at(&self, offset: u64) -> Option<u32> {
        self.is_data(offset)
            .then(|| ((offset - self.0.geometry.data_offset()) / BLOCK) as u32)
    }

    /// The sector whose map entry is at `offset`.
    pub(crate) fn map_premap(&self, offset: u64) -> Option<u32> {
        let start = self.0.geometry.map_offset();
        let end = start + self.0.geometry.map_size();
        (start..end)
            .contains(&offset)
            .then(|| ((offset - start) / MAP_ENTRY_SIZE) as u32)
    }

    /// Which half of a flog slot is at `offset`.
    pub(crate) fn flog_half(&self, offset: u64) -> Option<u64> {
        let start = self.0.geometry.flog_offset();
        let end = start + self.0.geometry.flog_size();
        (start..end)
            .contains(&offset)
            .then(|| (offset - start) / HALF % 2)
    }

    /// The cell of the word at `offset`, if it is kept.
    pub(crate) fn cell(&self, offset: u64) -> Option<usize> {
        if let Some(premap) = self.map_premap(offset) {
            let index = self.0.sectors.iter().position(|&sector| sector == premap)?;
            return Some(self.map_cell(index));
        }
        if self.flog_half(offset).is_some() {
            return Some(
                self.flog_cells() + ((offset - self.0.geometry.flog_offset()) / HALF) as usize,
            );
        }
        let block = self.block_at(offset)?;
        let word = self
            .block_words(self.block_offset(block))
            .into_iter()
            .position(|word| word == offset)?;
        Some(self.data_cells(block)?[word])
    }

    /// The kept words within a range, with their cells.
    pub(crate) fn cells_in(
        &self,
        offset: u64,
        len: u64,
    ) -> impl Iterator<Item = (u64, usize)> + '_ {
        let step = if self.map_premap(offset).is_some() {
            MAP_ENTRY_SIZE
        } else {
            HALF
        };
        (offset..offset + len)
            .step_by(step as usize)
            .filter_map(|offset| Some((offset, self.cell(offset)?)))
    }

    /// Bytes that never change: the info blocks.
    pub(crate) fn fixed(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let is_info = offset == 0 || offset == self.0.geometry.info2_offset();
        (is_info && len == INFO_LEN).then_some(&self.0.info[..])
    }
}
