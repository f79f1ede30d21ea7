// SPDX-License-Identifier: GPL-2.0

//! The judge of the metadata of an image that a power failure has left.
//!
//! | Question | How it is answered |
//! |---|---|
//! | Does the engine open it? | [`Btt::open`] of the real engine |
//! | Does another driver come to the same result? | [`foreign::recover`], lanes in both orders |
//! | Is every block mapped or free, once? | [`foreign::check_namespace`] |
//! | Is recovery itself safe from power failures? | all images before its fences come to the same |
//! | Does a second recovery change nothing? | opened again |
//!
//! A BTT with a flog group that cannot be read must be refused and left unchanged. An arena with a
//! map word that cannot be read must be read-only if recovery needs that word, and only then.
//!
//! The contents of the sectors then follow from the blocks that the recovered map names.

use crate::{
    foreign::{
        self,
        Recovered, //
    },
    image::Image,
    layout::{
        Layout,
        Place, //
    },
    medium::{
        Cells,
        Medium,
        Observer, //
    },
};
use btt_engine::{
    Btt,
    OpenParams,
    Opened, //
};
use nd_format::uuid::Uuid;
use std::cell::RefCell;
use std::rc::Rc;

/// The contents that a sector reads as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Contents {
    /// This word, everywhere in the sector.
    Word(u64),
    /// Two contents in one sector.
    Torn(u64, u64),
    /// An error.
    Lost,
}

/// Opens the engine on a simulated medium.
pub(crate) fn open(
    layout: &Layout,
    medium: &Medium,
    groups: usize,
) -> Result<Opened<Medium>, String> {
    let params = OpenParams {
        version: layout.format().version,
        namespace_uuid: Uuid::NIL,
        groups,
    };
    Btt::open(medium.clone(), &params).map_err(|error| format!("not opened: {error}"))
}

/// Collects the images that a power failure during recovery leaves.
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

/// Returns what a sector reads as if its map word is `word`.
pub(crate) fn contents(layout: &Layout, image: &Image, sector: usize, word: u32) -> Contents {
    const ERROR: u32 = 0b01;
    const ZERO: u32 = 0b10;
    let arena = layout.arena_of_sector(sector);
    if image.lost.word(sector) {
        return Contents::Lost;
    }
    let block = arena.block(foreign::block(word, arena.premap(sector)));
    match (word >> 30, block) {
        (ERROR, _) | (_, None) => Contents::Lost,
        (ZERO, _) => Contents::Word(0),
        (_, Some(block)) if image.bad & (1 << block) != 0 => Contents::Lost,
        (_, Some(block)) => {
            let word = |word| image.words[layout.cell(Place::Data(block, word))];
            match (word(0), word(1)) {
                (first, last) if first == last => Contents::Word(first),
                (first, last) => Contents::Torn(first, last),
            }
        }
    }
}

/// Judges the metadata of an image. Returns the number of images of interrupted recoveries that
/// were judged as well, and the metadata after recovery. They are `None` if a flog group is lost:
/// there is no recovery then.
///
/// # Errors
///
/// A description of what is wrong with the image.
pub(crate) fn judge(layout: &Layout, image: &Image) -> Result<(usize, Option<Recovered>), String> {
    if image.lost.any_flog() {
        let medium = Medium::new(layout, image);
        if open(layout, &medium, 1).is_ok() {
            return Err("opened without the flog of a lane".into());
        }
        if medium.cells().visible() != *image {
            return Err("not opened, but changed".into());
        }
        return Ok((0, None));
    }
    let recovered =
        foreign::recover(layout, image, false).map_err(|error| format!("C driver: {error}"))?;
    let backwards = foreign::recover(layout, image, true)?;
    if recovered != backwards {
        return Err(format!(
            "C driver: the order of lanes matters: {recovered:x?} or {backwards:x?}"
        ));
    }
    let repaired = foreign::check_namespace(layout, image)
        .map_err(|error| format!("check-namespace: {error}"))?;
    debug_assert_eq!(repaired, recovered);

    let medium = Medium::new(layout, image);
    let nested = Rc::new(Nested(RefCell::new(Vec::new())));
    medium.begin(0, Some(nested.clone()));
    let opened = open(layout, &medium, 1)?;
    let read_only = (0..).zip(opened.btt.arenas());
    let read_only = read_only.map(|(number, arena)| u8::from(arena.read_only) << number);
    let read_only = read_only.sum();
    for image in nested.0.borrow().iter() {
        let again = foreign::recover(layout, image, false)?;
        if again != recovered {
            return Err(format!(
                "after a power failure in recovery: {again:x?}, expected {recovered:x?}"
            ));
        }
    }
    let after = medium.cells().visible();
    let word = |sector| match after.lost.word(sector) {
        true => foreign::UNREADABLE,
        false => after.words[layout.cell(Place::Map(sector))] as u32,
    };
    let ours = Recovered {
        map: (0..layout.sectors()).map(word).collect(),
        free: foreign::recover(layout, &after, false)?.free,
        read_only,
    };
    if ours != recovered {
        return Err(format!(
            "recovered to {ours:x?}, but the C driver to {recovered:x?}"
        ));
    }
    medium.begin(0, None);
    let finished = open(layout, &medium, 1)?.finished_writes;
    if finished != 0 || medium.cells().visible() != after {
        return Err(format!(
            "recovery did something the second time: {finished} writes"
        ));
    }
    let nested = nested.0.borrow().len();
    Ok((nested, Some(ours)))
}
