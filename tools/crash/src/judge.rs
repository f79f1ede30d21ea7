// SPDX-License-Identifier: GPL-2.0

//! The judge of an image that a power failure left.
//!
//! | Question | How it is asked |
//! |---|---|
//! | Does the engine open it? | [`Btt::open`] of the real engine |
//! | Does another driver come to the same result? | [`foreign::recover`], lanes forwards and backwards |
//! | Is every block mapped or free, once? | blocks of map and flog after recovery |
//! | Is recovery safe from power failures itself? | every image before each fence of the recovery comes to the same result |
//! | Does recovery do nothing the second time? | opened again |
//! | Does each sector hold what it may hold? | its block's words against the allowed contents |
//!
//! All but the last one depend on the metadata only, so that each combination of metadata is judged once.

use crate::{
    foreign::{
        self,
        Recovered, //
    },
    layout::Layout,
    medium::{
        Cells,
        Image,
        Medium,
        Observer, //
    },
};
use btt_engine::{
    Btt,
    OpenParams, //
};
use nd_format::{
    btt::Version,
    uuid::Uuid, //
};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// What a sector reads as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Contents {
    /// This word, all over the sector.
    Word(u64),
    /// Two contents in one sector.
    Torn(u64, u64),
    /// An error.
    Lost,
}

/// Opens the engine on a simulated medium.
pub(crate) fn open(medium: &Medium, groups: usize) -> Result<btt_engine::Opened<Medium>, String> {
    let params = OpenParams {
        version: Version::V2_0,
        namespace_uuid: Uuid::NIL,
        groups,
    };
    Btt::open(medium.clone(), &params).map_err(|error| format!("not opened: {error}"))
}

/// Judges images of one layout.
pub(crate) struct Judge {
    layout: Layout,
    verdicts: FxHashMap<Vec<u64>, Result<Recovered, String>>,
}

/// Collects the images that a power failure in the middle of recovery leaves.
struct Nested(RefCell<Vec<Image>>);

impl Observer for Nested {
    fn before_fence(&self, cells: &Cells) {
        let images = &mut *self.0.borrow_mut();
        let collected = cells.each_image(|image| {
            images.push(image.clone());
            Ok::<_, std::convert::Infallible>(())
        });
        match collected {
            Ok(()) => {}
        }
    }
}

impl Judge {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            verdicts: FxHashMap::default(),
        }
    }

    /// Judges an image. `allowed` tells what each sector may read as.
    pub(crate) fn judge(&mut self, image: &Image, allowed: &[Vec<Contents>]) -> Result<(), String> {
        let recovered = self.metadata(image)?;
        for (index, allowed) in allowed.iter().enumerate() {
            let premap = self.layout.sectors()[index];
            let contents = contents(&self.layout, image, premap, recovered.map[index]);
            if !allowed.contains(&contents) {
                return Err(format!(
                    "sector {premap} reads as {contents:x?}, expected one of {allowed:x?}"
                ));
            }
        }
        Ok(())
    }

    /// Metadata after recovery.
    pub(crate) fn metadata(&mut self, image: &Image) -> Result<Recovered, String> {
        let metadata: Vec<u64> = (0..image.words.len())
            .filter(|&cell| self.layout.is_metadata_cell(cell))
            .map(|cell| image.words[cell])
            .collect();
        if let Some(verdict) = self.verdicts.get(&metadata) {
            return verdict.clone();
        }
        let verdict = judge_metadata(&self.layout, image);
        self.verdicts.insert(metadata, verdict.clone());
        verdict
    }
}

/// What a sector reads as if its map word is `word`.
pub(crate) fn contents(layout: &Layout, image: &Image, premap: u32, word: u32) -> Contents {
    const ERROR: u32 = 0b01;
    const ZERO: u32 = 0b10;
    let block = foreign::block(word, premap);
    match (word >> 30, layout.data_cells(block)) {
        (ERROR, _) | (_, None) => Contents::Lost,
        (ZERO, _) => Contents::Word(0),
        _ if image.bad & (1 << block) != 0 => Contents::Lost,
        (_, Some([first, last])) if image.words[first] == image.words[last] => {
            Contents::Word(image.words[first])
        }
        (_, Some([first, last])) => Contents::Torn(image.words[first], image.words[last]),
    }
}

fn judge_metadata(layout: &Layout, image: &Image) -> Result<Recovered, String> {
    let forwards = foreign::recover(layout, image, 0..layout.lanes())
        .map_err(|error| format!("C driver: {error}"))?;
    let backwards = foreign::recover(layout, image, (0..layout.lanes()).rev())?;
    if forwards != backwards {
        return Err(format!(
            "C driver: the order of lanes matters: {forwards:x?} or {backwards:x?}"
        ));
    }
    check_permutation(layout, &forwards)?;

    let medium = Medium::new(layout, Cells::of(image), None);
    let nested = Rc::new(Nested(RefCell::new(Vec::new())));
    medium.begin(0, 0..0, Some(nested.clone()));
    open(&medium, 1)?;
    for image in nested.0.borrow().iter() {
        let again = foreign::recover(layout, image, 0..layout.lanes())?;
        if again != forwards {
            return Err(format!(
                "after a power failure in recovery: {again:x?}, expected {forwards:x?}"
            ));
        }
    }
    let image = medium.cells().visible();
    let ours = read_back(layout, &image)?;
    if ours != forwards {
        return Err(format!(
            "recovered to {ours:x?}, but the C driver to {forwards:x?}"
        ));
    }
    medium.begin(0, 0..0, None);
    let finished = open(&medium, 1)?.finished_writes;
    if finished != 0 || medium.cells().visible() != image {
        return Err(format!(
            "recovery did something the second time: {finished} writes"
        ));
    }
    Ok(forwards)
}

/// The metadata of an image on which nothing is left to recover.
fn read_back(layout: &Layout, image: &Image) -> Result<Recovered, String> {
    let map = (0..layout.sectors().len()).map(|index| image.words[layout.map_cell(index)] as u32);
    Ok(Recovered {
        map: map.collect(),
        free: foreign::recover(layout, image, 0..layout.lanes())?.free,
    })
}

fn check_permutation(layout: &Layout, recovered: &Recovered) -> Result<(), String> {
    let mapped = layout.sectors().iter().zip(&recovered.map);
    let mut blocks: Vec<u32> = mapped
        .map(|(&premap, &word)| foreign::block(word, premap))
        .chain(recovered.free.iter().copied())
        .collect();
    blocks.sort_unstable();
    let mut expected = layout.used_blocks().to_vec();
    expected.sort_unstable();
    if blocks != expected {
        return Err(format!(
            "blocks in use and free are {blocks:?}, expected {expected:?}"
        ));
    }
    Ok(())
}
