// SPDX-License-Identifier: GPL-2.0

//! What a power failure leaves: a value for each word of the [`Layout`].

use crate::layout::{
    Layout,
    Place,
    BLOCK_WORDS,
    RUBBISH, //
};
use nd_format::btt::{
    FlogEntry,
    FlogLayout, //
};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Metadata that cannot be read: map words of sectors and flog groups of lanes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Lost(u64);

impl Lost {
    const FIRST_LANE: usize = 32;

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns one bit for each sector and for each lane, for keys and fingerprints.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn lose_word(&mut self, sector: usize) {
        self.0 |= 1 << sector;
    }

    pub(crate) fn lose_flog(&mut self, lane: usize) {
        self.0 |= 1 << (Self::FIRST_LANE + lane);
    }

    /// Returns `true` if the map word of a sector is lost.
    pub(crate) fn word(self, sector: usize) -> bool {
        self.0 >> sector & 1 != 0
    }

    /// Returns `true` if the flog group of a lane is lost.
    pub(crate) fn flog(self, lane: usize) -> bool {
        self.0 >> (Self::FIRST_LANE + lane) & 1 != 0
    }

    /// Returns `true` if the flog group of any lane is lost.
    pub(crate) fn any_flog(self) -> bool {
        self.0 >> Self::FIRST_LANE != 0
    }
}

/// The contents of a medium.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Image {
    /// A value for each cell of the layout.
    pub(crate) words: Vec<u64>,
    /// Blocks with a media error, one bit each.
    pub(crate) bad: u64,
    /// Metadata with a media error.
    pub(crate) lost: Lost,
}

impl Image {
    /// Returns the image of a new BTT.
    pub(crate) fn fresh(layout: &Layout) -> Self {
        let mut image = Self {
            words: vec![0; layout.cells()],
            bad: 0,
            lost: Lost::default(),
        };
        for arena in layout.arenas() {
            for block in arena.blocks.clone() {
                let held = arena.sector(arena.postmap(block)).map(Layout::initial_word);
                for word in 0..BLOCK_WORDS {
                    image.words[layout.cell(Place::Data(block, word))] = held.unwrap_or(RUBBISH);
                }
            }
            for (number, lane) in (0..).zip(arena.lanes.clone()) {
                let entry = FlogEntry::initial(number, arena.external_nlba());
                for (half, value) in entry.encode().halves().into_iter().enumerate() {
                    image.words[layout.cell(Place::Flog(lane, half))] = value;
                }
                if layout.format().flog_layout == FlogLayout::Legacy && number == 0 {
                    // Something must show which slots are used: the lane was written once, from its
                    // free block to itself.
                    let entry = FlogEntry {
                        seq: entry.seq.next(),
                        ..entry
                    };
                    for (half, value) in (4..).zip(entry.encode().halves()) {
                        image.words[layout.cell(Place::Flog(lane, half))] = value;
                    }
                }
            }
        }
        image
    }

    /// Writes these contents to a sparse file that `btt check` and other tools can open.
    pub(crate) fn save(&self, layout: &Layout, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(layout.size())?;
        for (offset, info) in layout.infos() {
            file.write_all_at(info, offset)?;
        }
        for (place, word) in layout.places().zip(&self.words) {
            let bytes = word.to_le_bytes();
            let len = layout.word_len(place);
            file.write_all_at(&bytes[..len], layout.offset(place))?;
        }
        Ok(())
    }
}
