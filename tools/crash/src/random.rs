// SPDX-License-Identifier: GPL-2.0

//! Long random histories with power failures, against a table of what each sector may read as.
//!
//! Unlike the exhaustive exploration the engine stays open from one request to the next, until the power fails: before any
//! fence of a request, or after it. What is on the medium then is chosen at random and judged like any other image; the
//! history goes on from what recovery makes of it.

use crate::{
    judge::{
        contents,
        open,
        Contents,
        Judge, //
    },
    layout::Layout,
    medium::{
        Cells,
        Image,
        Medium,
        Observer,
        Words, //
    },
};
use btt_engine::{
    Btt,
    IoError, //
};
use nd_format::btt::FlogLayout;
use std::cell::{
    Cell,
    RefCell, //
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// Neighbours, so that batches are possible, on both sides of the end of a cache line of the map.
const SECTORS: [u32; 8] = [12, 13, 14, 15, 16, 17, 18, 19];

const LANES: u32 = 6;

/// One in so many requests ends in a power failure.
const POWER_FAILURES: u64 = 6;

/// What each sector may read as.
type Allowed = BTreeMap<u32, Vec<Contents>>;

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Requests that were sent.
    pub requests: usize,
    /// Times that the power failed.
    pub power_failures: usize,
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
    judge: Rc<RefCell<Judge>>,
    allowed: RefCell<Allowed>,
    kept: RefCell<Option<Image>>,
    violation: RefCell<Option<String>>,
}

impl Watch {
    fn judge(&self, image: &Image) -> Result<(), String> {
        let allowed: Vec<_> = self.allowed.borrow().values().cloned().collect();
        self.judge.borrow_mut().judge(image, &allowed)
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

/// Runs a history of `requests` requests.
pub fn run(seed: u64, requests: usize) -> Result<Tally, String> {
    let layout = Layout::new(&SECTORS, LANES, FlogLayout::Adjacent);
    let random = Rc::new(Random(Cell::new(seed | 1)));
    let judge = Rc::new(RefCell::new(Judge::new(&layout)));
    let mut tally = Tally::default();
    let mut image = layout.image();
    while tally.requests < requests {
        let medium = Medium::new(&layout, Cells::of(&image), None);
        let groups = 1 + random.below(LANES.into()) as usize;
        let btt = open(&medium, groups)?.btt;
        loop {
            let watch = Rc::new(Watch {
                random: random.clone(),
                judge: judge.clone(),
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

/// What the sectors read as when nothing is lost.
fn visible(layout: &Layout, medium: &Medium) -> Allowed {
    let image = medium.cells().visible();
    let sectors = layout.sectors().iter().enumerate();
    sectors
        .map(|(index, &premap)| {
            let word = image.words[layout.map_cell(index)] as u32;
            (premap, vec![contents(layout, &image, premap, word)])
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
    let [first, .., last] = SECTORS;
    let lba = first + random.below(SECTORS.len() as u64) as u32;
    let count = 1 + random.below(u64::from(last + 1 - lba)) as u32;
    let sectors: Range<u64> = lba.into()..u64::from(lba + count);
    let thread = random.below(3) as u8;
    let cpu = random.below(LANES.into()) as usize;
    let mut expected: BTreeMap<u32, Contents> = BTreeMap::new();
    for (&premap, allowed) in watch.allowed.borrow().iter() {
        expected.insert(premap, allowed[0]);
    }
    let mut promise = |premap: u32, contents| {
        watch
            .allowed
            .borrow_mut()
            .entry(premap)
            .or_default()
            .push(contents);
        expected.insert(premap, contents);
    };
    medium.begin(thread, sectors, Some(watch.clone()));
    let result = match random.below(10) {
        0 => {
            (lba..lba + count).for_each(|premap| promise(premap, Contents::Word(0)));
            btt.discard(lba.into(), count.into())
        }
        1 => {
            let mut cells = medium.cells();
            let image = cells.visible();
            let index = (lba - first) as usize;
            cells.set_bad(crate::foreign::block(
                image.words[layout.map_cell(index)] as u32,
                lba,
            ));
            medium.set_cells(cells);
            // A sector of zeroes does not need its block.
            expected = visible(layout, medium)
                .into_iter()
                .map(|(premap, allowed)| (premap, allowed[0]))
                .collect();
            Ok(())
        }
        _ => {
            let words: Vec<u64> = (0..count).map(|_| 1 + random.below(1 << 40)).collect();
            for (premap, &word) in (lba..).zip(&words) {
                promise(premap, Contents::Word(word));
            }
            btt.write(lba.into(), count.into(), &mut Words::new(words), cpu)
        }
    };
    result.map_err(|error| format!("request failed: {error}"))?;
    for (premap, expected) in expected {
        let mut words = Words::new([]);
        let found = match btt.read(premap.into(), 1, &mut words, cpu) {
            Ok(()) if words.torn => return Err(format!("sector {premap} is torn")),
            Ok(()) => words
                .into_words()
                .first()
                .map_or(Contents::Lost, |&word| Contents::Word(word)),
            Err(IoError::Lost { .. } | IoError::Media(_)) => Contents::Lost,
            Err(error) => return Err(error.to_string()),
        };
        if found != expected {
            return Err(format!(
                "sector {premap} reads as {found:x?}, expected {expected:x?}"
            ));
        }
    }
    Ok(())
}
