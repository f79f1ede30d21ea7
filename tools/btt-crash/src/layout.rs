// SPDX-License-Identifier: GPL-2.0

//! One or two arenas with a handful of sectors and lanes, and the words of them that are kept.
//!
//! Sectors, lanes and blocks are numbered across all arenas. Only blocks that can ever belong to
//! one of the sectors or lanes are blocks here; all others stay as they are. Of a block, the first
//! and the last word are kept, which is enough to see that it is torn.

use nd_format::{
    btt::{
        geometry::{
            MediaGeometry,
            FLOG_GROUP_SIZE,
            MAP_ENTRY_SIZE, //
        },
        info::INFO_LEN,
        ArenaGeometry,
        FlogLayout,
        Info,
        Version,
        ARENA_MIN,
        INFO_SIZE, //
    },
    uuid::Uuid, //
};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a block.
const BLOCK: u64 = 512;

/// Number of map words in a cache line. They share one lock.
pub(crate) const WORDS_OF_LINE: u32 = 16;

/// Number of words of a block that are kept.
pub(crate) const BLOCK_WORDS: usize = 2;

/// Bytes of a half of a flog slot.
const HALF: u64 = 8;

/// Halves of a flog group.
pub(crate) const GROUP_HALVES: usize = 8;

/// A word that no sector has ever held.
pub(crate) const RUBBISH: u64 = 0xdead;

/// The part of an arena that is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Sectors within the arena, in ascending order.
    pub(crate) sectors: &'static [u32],
    pub(crate) lanes: u32,
}

/// A format of the medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Format {
    pub(crate) version: Version,
    pub(crate) flog_layout: FlogLayout,
}

impl Format {
    /// All formats.
    pub(crate) const ALL: [Self; 4] = [
        Self::new(Version::V2_0, FlogLayout::Adjacent),
        Self::new(Version::V2_0, FlogLayout::Legacy),
        Self::new(Version::V1_1, FlogLayout::Adjacent),
        Self::new(Version::V1_1, FlogLayout::Legacy),
    ];

    const fn new(version: Version, flog_layout: FlogLayout) -> Self {
        Self {
            version,
            flog_layout,
        }
    }
}

/// A kept word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Word of a block.
    Data(usize, usize),
    /// Map entry of a sector.
    Map(usize),
    /// Half of the flog group of a lane.
    Flog(usize, usize),
}

/// Tiny arenas. Clones share them.
#[derive(Clone)]
pub(crate) struct Layout(Arc<Parts>);

struct Parts {
    format: Format,
    arenas: Vec<Arena>,
}

/// One of the arenas.
pub(crate) struct Arena {
    start: u64,
    geometry: ArenaGeometry,
    info: Box<[u8; INFO_LEN]>,
    first_lba: u32,
    /// Sectors within the arena.
    premaps: Vec<u32>,
    /// Blocks within the arena: those of the sectors, then the free ones of the lanes.
    postmaps: Vec<u32>,
    pub(crate) sectors: Range<usize>,
    pub(crate) lanes: Range<usize>,
    pub(crate) blocks: Range<usize>,
}

impl Arena {
    pub(crate) fn premap(&self, sector: usize) -> u32 {
        self.premaps[sector - self.sectors.start]
    }

    /// Returns the sector with a number within the arena.
    pub(crate) fn sector(&self, premap: u32) -> Option<usize> {
        let index = self.premaps.iter().position(|&known| known == premap)?;
        Some(self.sectors.start + index)
    }

    pub(crate) fn postmap(&self, block: usize) -> u32 {
        self.postmaps[block - self.blocks.start]
    }

    /// Returns the block with a number within the arena.
    pub(crate) fn block(&self, postmap: u32) -> Option<usize> {
        let index = self.postmaps.iter().position(|&known| known == postmap)?;
        Some(self.blocks.start + index)
    }

    pub(crate) fn external_nlba(&self) -> u32 {
        self.geometry.external_nlba()
    }

    fn block_offset(&self, block: usize) -> u64 {
        self.geometry.data_offset() + u64::from(self.postmap(block)) * BLOCK
    }
}

impl Layout {
    pub(crate) fn new(used: &[Used], format: Format) -> Self {
        let mut arenas: Vec<Arena> = Vec::new();
        for (index, used_here) in used.iter().enumerate() {
            let external_nlba = used_here.sectors.iter().max().map_or(1, |last| last + 1);
            let geometry = geometry(external_nlba, used_here.lanes);
            let mut info = Box::new([0; INFO_LEN]);
            Info {
                uuid: Uuid::NIL,
                parent_uuid: Uuid::NIL,
                error: false,
                version: format.version,
                geometry,
                next_offset: if index + 1 < used.len() { ARENA_MIN } else { 0 },
            }
            .encode(&mut info);
            let free = external_nlba..external_nlba + used_here.lanes;
            let postmaps: Vec<u32> = used_here.sectors.iter().copied().chain(free).collect();
            let before = arenas.last();
            let sectors = before.map_or(0, |before| before.sectors.end);
            let lanes = before.map_or(0, |before| before.lanes.end);
            let blocks = before.map_or(0, |before| before.blocks.end);
            arenas.push(Arena {
                start: format.version.initial_offset() + index as u64 * ARENA_MIN,
                geometry,
                info,
                first_lba: before.map_or(0, |before| before.first_lba + before.external_nlba()),
                premaps: used_here.sectors.to_vec(),
                sectors: sectors..sectors + used_here.sectors.len(),
                lanes: lanes..lanes + used_here.lanes as usize,
                blocks: blocks..blocks + postmaps.len(),
                postmaps,
            });
        }
        Self(Arc::new(Parts { format, arenas }))
    }

    /// Returns the size of the medium in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.0.format.version.initial_offset() + self.0.arenas.len() as u64 * ARENA_MIN
    }

    pub(crate) fn format(&self) -> Format {
        self.0.format
    }

    pub(crate) fn arenas(&self) -> &[Arena] {
        &self.0.arenas
    }

    /// Returns the number of sectors.
    pub(crate) fn sectors(&self) -> usize {
        self.last().sectors.end
    }

    /// Returns the number of lanes.
    pub(crate) fn lanes(&self) -> usize {
        self.last().lanes.end
    }

    /// Returns the number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.last().blocks.end
    }

    fn last(&self) -> &Arena {
        self.0.arenas.last().expect("there is an arena")
    }

    pub(crate) fn arena_of_sector(&self, sector: usize) -> &Arena {
        let mut arenas = self.0.arenas.iter();
        arenas
            .find(|arena| sector < arena.sectors.end)
            .expect("a sector of the layout")
    }

    pub(crate) fn arena_of_lane(&self, lane: usize) -> &Arena {
        let mut arenas = self.0.arenas.iter();
        arenas
            .find(|arena| lane < arena.lanes.end)
            .expect("a lane of the layout")
    }

    fn arena_of_block(&self, block: usize) -> &Arena {
        let mut arenas = self.0.arenas.iter();
        arenas
            .find(|arena| block < arena.blocks.end)
            .expect("a block of the layout")
    }

    /// Returns the sector of the disk.
    pub(crate) fn lba(&self, sector: usize) -> u64 {
        let arena = self.arena_of_sector(sector);
        u64::from(arena.first_lba + arena.premap(sector))
    }

    /// Returns the sectors whose map words are in the same cache line as that of a sector,
    /// including the sector itself.
    pub(crate) fn line_of(&self, sector: usize) -> impl Iterator<Item = usize> + '_ {
        let arena = self.arena_of_sector(sector);
        let line = |sector| arena.premap(sector) / WORDS_OF_LINE;
        let mates = arena.sectors.clone();
        mates.filter(move |&mate| line(mate) == line(sector))
    }

    /// Returns what a sector holds in a new arena.
    pub(crate) fn initial_word(sector: usize) -> u64 {
        (sector as u64) << 8 | 0x0100_0000
    }

    // Cells: two words for each block, a word for each sector's map entry, eight halves for each
    // lane.

    /// Returns the number of cells.
    pub(crate) fn cells(&self) -> usize {
        self.cell(Place::Flog(self.lanes(), 0))
    }

    /// Returns the cell of a kept word.
    pub(crate) fn cell(&self, place: Place) -> usize {
        let map = self.blocks() * BLOCK_WORDS;
        match place {
            Place::Data(block, word) => block * BLOCK_WORDS + word,
            Place::Map(sector) => map + sector,
            Place::Flog(lane, half) => map + self.sectors() + lane * GROUP_HALVES + half,
        }
    }

    /// Returns all kept words, in the order of their cells.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let data = (0..self.blocks()).flat_map(|block| [0, 1].map(|word| Place::Data(block, word)));
        let map = (0..self.sectors()).map(Place::Map);
        let halves = move |lane| (0..GROUP_HALVES).map(move |half| Place::Flog(lane, half));
        data.chain(map).chain((0..self.lanes()).flat_map(halves))
    }

    /// Returns the offset of a kept word on the medium.
    pub(crate) fn offset(&self, place: Place) -> u64 {
        match place {
            Place::Data(block, word) => {
                let arena = self.arena_of_block(block);
                let within = if word == 0 { 0 } else { BLOCK - HALF };
                arena.start + arena.block_offset(block) + within
            }
            Place::Map(sector) => {
                let arena = self.arena_of_sector(sector);
                let entry = u64::from(arena.premap(sector)) * MAP_ENTRY_SIZE;
                arena.start + arena.geometry.map_offset() + entry
            }
            Place::Flog(lane, half) => {
                let arena = self.arena_of_lane(lane);
                let group = (lane - arena.lanes.start) as u64 * FLOG_GROUP_SIZE;
                arena.start + arena.geometry.flog_offset() + group + half as u64 * HALF
            }
        }
    }

    /// Returns the length of a kept word in bytes.
    pub(crate) fn word_len(&self, place: Place) -> usize {
        match place {
            Place::Map(_) => MAP_ENTRY_SIZE as usize,
            Place::Data(..) | Place::Flog(..) => HALF as usize,
        }
    }

    /// Returns the kept word at an offset, if there is one.
    pub(crate) fn place(&self, offset: u64) -> Option<Place> {
        let arena = self.0.arenas.iter().rfind(|arena| arena.start <= offset)?;
        let geometry = &arena.geometry;
        let within = offset - arena.start;
        if (geometry.data_offset()..geometry.map_offset()).contains(&within) {
            let block = self.block_at(offset)?;
            return (0..BLOCK_WORDS)
                .map(|word| Place::Data(block, word))
                .find(|&place| self.offset(place) == offset);
        }
        if let Some(bytes) = within.checked_sub(geometry.flog_offset()) {
            let lane = arena.lanes.start + (bytes / FLOG_GROUP_SIZE) as usize;
            let half = (bytes % FLOG_GROUP_SIZE / HALF) as usize;
            return arena
                .lanes
                .contains(&lane)
                .then_some(Place::Flog(lane, half));
        }
        let entry = within.checked_sub(geometry.map_offset())? / MAP_ENTRY_SIZE;
        arena.sector(entry as u32).map(Place::Map)
    }

    /// Returns the block that an offset lies in, if it is one of the layout's.
    pub(crate) fn block_at(&self, offset: u64) -> Option<usize> {
        let arena = self.0.arenas.iter().rfind(|arena| arena.start <= offset)?;
        let within = (offset - arena.start).checked_sub(arena.geometry.data_offset())?;
        arena.block((within / BLOCK) as u32)
    }

    /// Returns the kept words within a range.
    pub(crate) fn places_in(&self, offset: u64, len: u64) -> impl Iterator<Item = Place> + '_ {
        (offset..offset + len)
            .step_by(MAP_ENTRY_SIZE as usize)
            .filter(move |&word| {
                // Halves and words of data are twice as long as map entries.
                matches!(self.place(word), Some(Place::Map(_)))
                    || (word - offset).is_multiple_of(HALF)
            })
            .filter_map(|word| self.place(word))
    }

    /// Returns the bytes that never change: the info block at `offset`, if there is one.
    pub(crate) fn fixed(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let mut infos = self.infos();
        infos.find_map(|(at, info)| (at == offset && len == INFO_LEN).then_some(&info[..]))
    }

    /// Returns the info blocks and their offsets.
    pub(crate) fn infos(&self) -> impl Iterator<Item = (u64, &[u8; INFO_LEN])> {
        self.0.arenas.iter().flat_map(|arena| {
            let copy = arena.start + arena.geometry.info2_offset();
            [(arena.start, &*arena.info), (copy, &*arena.info)]
        })
    }
}

fn geometry(external_nlba: u32, lanes: u32) -> ArenaGeometry {
    let blocks = external_nlba + lanes;
    let map_offset = INFO_SIZE + u64::from(blocks) * BLOCK;
    let flog_offset =
        (map_offset + u64::from(external_nlba) * MAP_ENTRY_SIZE).next_multiple_of(FLOG_GROUP_SIZE);
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
    ArenaGeometry::from_media(&media, ARENA_MIN).expect("a good geometry")
}
