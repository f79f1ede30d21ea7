// SPDX-License-Identifier: GPL-2.0

//! The judge for callers that run the engine themselves and know what a power failure would leave:
//! an arena to start from, and the verdict on an image of it.

use crate::{
    image::{
        Image,
        Lost, //
    },
    judge::{
        self,
        Contents, //
    },
    layout::{
        Format,
        Layout,
        Place,
        Used, //
    },
};
use nd_format::btt::info::INFO_LEN;
use std::ops::Range;

/// Number of sectors of the arena. They are neighbours, so that batches are possible.
pub const SECTORS: u32 = 6;
/// Number of lanes of the arena.
pub const LANES: u32 = 6;

/// A new BTT of version 2.0 with one tiny arena.
pub struct Arena(Layout);

impl Default for Arena {
    fn default() -> Self {
        let used = Used {
            sectors: &[0, 1, 2, 3, 4, 5],
            lanes: LANES,
        };
        Self(Layout::new(&[used], Format::ALL[0]))
    }
}

impl Arena {
    /// Returns the size of the medium in bytes.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Returns the info block at `offset`, if there is one.
    pub fn info(&self, offset: u64) -> Option<&[u8]> {
        self.0.fixed(offset, INFO_LEN)
    }

    /// Returns the words that matter as offsets and values. A map word has 4 bytes, any other word
    /// 8. Of a block, the first and the last word are included.
    pub fn words(&self) -> Vec<(u64, u64)> {
        let offsets = self.0.places().map(|place| self.0.offset(place));
        offsets.zip(Image::fresh(&self.0).words).collect()
    }

    /// Returns the first and last word of a sector in a new arena.
    pub fn initial_word(sector: u32) -> u64 {
        Layout::initial_word(sector as usize)
    }

    /// Returns where the map is on the medium.
    pub fn map(&self) -> Range<u64> {
        let start = self.0.offset(Place::Map(0));
        start..start + u64::from(SECTORS) * 4
    }

    /// Recovers an image of which `word` returns the word at each offset of [`Self::words`].
    /// Returns the word that each sector reads as.
    ///
    /// # Errors
    ///
    /// What is wrong with the image: for the engine, for the model of the C driver or of `ndctl
    /// check-namespace`, in a recovery that is interrupted or repeated, or with a sector.
    pub fn judge(&self, word: impl Fn(u64) -> u64) -> Result<Vec<u64>, String> {
        let image = Image {
            words: self
                .0
                .places()
                .map(|place| word(self.0.offset(place)))
                .collect(),
            bad: 0,
            lost: Lost::default(),
        };
        let (_, recovered) = judge::judge(&self.0, &image)?;
        let recovered = recovered.ok_or("a flog is lost")?;
        let contents =
            recovered.map.iter().enumerate().map(|(sector, &word)| {
                match judge::contents(&self.0, &image, sector, word) {
                    Contents::Word(word) => Ok(word),
                    other => Err(format!("sector {sector}: {other:x?}")),
                }
            });
        contents.collect()
    }
}
