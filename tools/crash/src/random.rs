// SPDX-License-Identifier: GPL-2.0

//! Long random histories with power failures, against a table of what each sector may read as.
//!
//! Unlike the exhaustive exploration the engine stays open from one request to the next, until the power fails: before any
//! fence of a request, or after it. What is on the medium then is chosen at random and judged like any other image; the
//! history goes on from what recovery makes of it. Now and then the BTT is given up, as it is or in order, and opened again without a power
//! failure: what is not durable then stays so.

use crate::{
    foreign,
    image::Image,
    judge::{
        self,
        contents,
        open,
        Contents, //
    },
    layout::{
        Format,
        Layout,
        Place,
        Used, //
    },
    medium::{
        Cells,
        Medium,
        Observer,
        Words, //
    },
};
use btt_engine::{
    Btt,
    IoError, //
};
use std::cell::{
    Cell,
    RefCell, //
};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Neighbours, so that batches are possible, on both sides of the end of a cache line of the map.
const SECTORS: [u32; 8] = [12, 13, 14, 15, 16, 17, 18, 19];

const LANES: u32 = 6;

/// One in so many requests ends in a power failure.
const POWER_FAILURES: u64 = 6;

/// After one in so many of the others the BTT is opened again.
const REOPENINGS: u64 = 4;

/// What each sector may read as.
type Allowed = BTreeMap<usize, Vec<Contents>>;

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Requests that were sent.
    pub requests: usize,
    /// Times that the power failed.
    pub power_failures: usize,
    /// Times that the BTT was opened again without a power failure.
    pub reopenings: usize,
}

/// Numbers that are the same in every run with the same seed.
struct Random(Cell<u64>);

impl Random {
    fn below(&self, limit: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        (state >> 11) % limit
    }
}

/// Judges a random image before each fence, and keeps one of them.
struct Watch {
    random: Rc<Random>,
    layout: Layout,
    allowed: RefCell<Allowed>,
    kept: RefCell<Option<Image>>,
    violation: RefCell<Option<String>>,
}

impl Watch {
    fn judge(&self, image: &Image) -> Result<(), String> {
        let (_, recovered) = judge::judge(&self.layout, image)?;
        for (&sector, allowed) in self.allowed.borrow().iter() {
            let contents = contents(&self.layout, image, sector, recovered.map[sector]);
            if !allowed.contains(&contents) {
                return Err(format!(
                    "sector {sector} reads as {contents:x?}, expected one of {allowed:x?}"
                ));
            }
        }
        Ok(())
    }
}

impl Observer for Watch {
    fn before_fence(&self, cells: &Cells) {
        let image = cells.some_image(|limit| self.random.below(limit as u64) as usize);
        if let Err(violation) = self.judge(&image) {
            self.violation.borrow_mut().get_or_insert(violation);
        }
        if self.random.below(2) == 0 {
            *self.kept.borrow_mut() = Some(image);
        }
    }
}

/// Runs a history of `requests` requests. The seed also decides about the format.
pub fn run(seed: u64, requests: usize) -> Result<Tally, String> {
    let used = Used {
        sectors: &SECTORS,
        lanes: LANES,
    };
    let format = Format::ALL[(seed % Format::ALL.len() as u64) as usize];
    let layout = Layout::new(&[used], format);
    let random = Rc::new(Random(Cell::new(seed | 1)));
    let mut tally = Tally::default();
    let mut image = layout.image();
    while tally.requests < requests {
        let medium = Medium::new(&layout, &image);
        let groups = || 1 + random.below(LANES.into()) as usize;
        let mut btt = open(&layout, &medium, groups())?.btt;
        loop {
            let watch = Rc::new(Watch {
                random: random.clone(),
                layout: layout.clone(),
                allowed: RefCell::new(visible(&layout, &medium)),
                kept: RefCell::new(None),
                violation: RefCell::new(None),
            });
            let step = request(&layout, &medium, &btt, &random, &watch);
            let number = tally.requests;
            let at = |violation| format!("seed {seed}, request {number}: {violation}");
            step.map_err(at)?;
            if let Some(violation) = watch.violation.take() {
                return Err(at(violation));
            }
            tally.requests += 1;
            if random.below(POWER_FAILURES) != 0 {
                if random.below(REOPENINGS) == 0 {
                    tally.reopenings += 1;
                    btt = reopen(&layout, &medium, btt, &random, groups()).map_err(at)?;
                }
                continue;
            }
            tally.power_failures += 1;
            // In the middle of the request, or after it: then all of it must be there.
            let failed = watch.kept.take().map_or_else(
                || {
                    let image = medium
                        .cells()
                        .some_image(|limit| random.below(limit as u64) as usize);
                    *watch.allowed.borrow_mut() = visible(&layout, &medium);
                    watch.judge(&image).map(|()| image)
                },
                Ok,
            );
            image = failed.map_err(at)?;
            break;
        }
    }
    Ok(tally)
}

/// Gives a BTT up, in order or not, and opens it again.
fn reopen(
    layout: &Layout,
    medium: &Medium,
    btt: Btt<Medium>,
    random: &Random,
    groups: usize,
) -> Result<Btt<Medium>, String> {
    // Whoever is next knows only what it sees: on the medium, or in the caches.
    if random.below(2) == 0 {
        btt.write_back()
            .map_err(|error| format!("not written back: {error}"))?;
        all_moves_are_durable(layout, medium).map_err(|what| format!("written back: {what}"))?;
    }
    drop(btt);
    let opened = open(layout, medium, groups)?;
    if opened.finished_writes != 0 {
        return Err("opened again: no write was interrupted, but one was finished".into());
    }
    all_moves_are_durable(layout, medium).map_err(|what| format!("opened again: {what}"))?;
    Ok(opened.btt)
}

/// Checks that each map word names the same block after a power failure as now.
fn all_moves_are_durable(layout: &Layout, medium: &Medium) -> Result<(), String> {
    let cells = medium.cells();
    for sector in 0..layout.sectors() {
        let premap = layout.arena_of_sector(sector).premap(sector);
        let words = cells.candidates(layout.cell(Place::Map(sector)));
        let mut blocks: Vec<u32> = words
            .map(|word| foreign::block(word as u32, premap))
            .collect();
        blocks.dedup();
        if blocks.len() != 1 {
            return Err(format!(
                "after a power failure sector {sector} may be in any of the blocks {blocks:?}"
            ));
        }
    }
    Ok(())
}

/// What the sectors read as when nothing is lost.
fn visible(layout: &Layout, medium: &Medium) -> Allowed {
    let image = medium.cells().visible();
    (0..layout.sectors())
        .map(|sector| {
            let word = image.words[layout.cell(Place::Map(sector))] as u32;
            (sector, vec![contents(layout, &image, sector, word)])
        })
        .collect()
}

/// Sends a random request and checks that all sectors read as they should.
fn request(
    layout: &Layout,
    medium: &Medium,
    btt: &Btt<Medium>,
    random: &Random,
    watch: &Rc<Watch>,
) -> Result<(), String> {
    let sector = random.below(SECTORS.len() as u64) as usize;
    let count = 1 + random.below((SECTORS.len() - sector) as u64) as usize;
    let lba = layout.lba(sector);
    let thread = random.below(3) as u8;
    let cpu = random.below(LANES.into()) as usize;
    let mut expected: BTreeMap<usize, Contents> = BTreeMap::new();
    for (&sector, allowed) in watch.allowed.borrow().iter() {
        expected.insert(sector, allowed[0]);
    }
    let mut promise = |sector: usize, contents| {
        watch
            .allowed
            .borrow_mut()
            .entry(sector)
            .or_default()
            .push(contents);
        expected.insert(sector, contents);
    };
    medium.begin(thread, Some(watch.clone()));
    let result = match random.below(10) {
        0 => {
            (sector..sector + count).for_each(|sector| promise(sector, Contents::Word(0)));
            btt.discard(lba, count as u64)
        }
        1 => {
            let image = medium.cells().visible();
            let arena = layout.arena_of_sector(sector);
            let word = image.words[layout.cell(Place::Map(sector))] as u32;
            if let Some(block) = arena.block(foreign::block(word, arena.premap(sector))) {
                medium.set_bad(block);
            }
            // A sector of zeroes does not need its block.
            expected = visible(layout, medium)
                .into_iter()
                .map(|(sector, allowed)| (sector, allowed[0]))
                .collect();
            Ok(())
        }
        _ => {
            let words: Vec<u64> = (0..count).map(|_| 1 + random.below(1 << 40)).collect();
            for (sector, &word) in (sector..).zip(&words) {
                promise(sector, Contents::Word(word));
            }
            btt.write(lba, count as u64, &mut Words::new(words), cpu)
        }
    };
    result.map_err(|error| format!("request failed: {error}"))?;
    for (sector, expected) in expected {
        let mut words = Words::new([]);
        let found = match btt.read(layout.lba(sector), 1, &mut words, cpu) {
            Ok(()) if words.torn => return Err(format!("sector {sector} is torn")),
            Ok(()) => words
                .into_words()
                .first()
                .map_or(Contents::Lost, |&word| Contents::Word(word)),
            Err(IoError::Lost { .. } | IoError::Media(_)) => Contents::Lost,
            Err(error) => return Err(error.to_string()),
        };
        if found != expected {
            return Err(format!(
                "sector {sector} reads as {found:x?}, expected {expected:x?}"
            ));
        }
    }
    Ok(())
}
