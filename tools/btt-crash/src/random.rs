// SPDX-License-Identifier: GPL-2.0

//! Long random histories with power failures, checked against a table of what each sector may read
//! as.
//!
//! Unlike in the exhaustive exploration, the engine stays open from one request to the next, until
//! the power fails: before any fence of a request, or after it. What is on the medium then is
//! chosen at random and judged like any other image. The history continues from what recovery makes
//! of it. From time to time the BTT is released, in order or not, and opened again without a power
//! failure: what is not durable then stays so.
//!
//! In a history [`with failures`](Kind::Failures) loads of map words, stores, fences and the
//! clearing of blocks fail, once or from then on.

use crate::{
    access::Failure,
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
        Failed,
        Medium,
        Observer,
        Words, //
    },
};
use btt_engine::{
    Btt,
    IoError, //
};
use rand::{
    rngs::SmallRng,
    RngExt,
    SeedableRng, //
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Neighbours, so that batches are possible, on both sides of the end of a cache line of the map.
const SECTORS: [u32; 8] = [12, 13, 14, 15, 16, 17, 18, 19];

const LANES: u32 = 6;

/// One in this many requests ends in a power failure.
const POWER_FAILURES: u64 = 6;

/// The BTT is opened again after one in this many of the other requests.
const REOPENINGS: u64 = 4;

/// In a history with failures, an access fails in one in this many requests and openings.
const FAILURES: u64 = 4;

/// Number of accesses from which the one that fails is chosen.
const ACCESSES: u64 = 16;

/// The events of a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Requests, power failures, and blocks that become unreadable.
    Power,
    /// Accesses that fail as well.
    Failures,
}

/// The contents that each sector may read as.
type Allowed = BTreeMap<usize, Vec<Contents>>;

/// The size of a history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Requests that were submitted.
    pub requests: usize,
    /// Power failures.
    pub power_failures: usize,
    /// Openings without a power failure.
    pub reopenings: usize,
    /// Accesses that have failed.
    pub failures: usize,
    /// Requests that have failed.
    pub failed_requests: usize,
    /// Restarts of the history with a new BTT, because metadata were lost.
    pub beginnings: usize,
}

/// Pseudo-random numbers, the same ones for the same seed.
struct Random(RefCell<SmallRng>);

impl Random {
    fn below(&self, limit: u64) -> u64 {
        self.0.borrow_mut().random_range(..limit)
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
        let (_, Some(recovered)) = judge::judge(&self.layout, image)? else {
            return Ok(());
        };
        for (&sector, allowed) in self.allowed.borrow().iter() {
            let contents = contents(&self.layout, image, sector, recovered.map[sector]);
            if !image.lost.word(sector) && !allowed.contains(&contents) {
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

/// A history in progress.
struct History {
    kind: Kind,
    layout: Layout,
    random: Rc<Random>,
    tally: Tally,
    /// Contents that sectors may have later, although not now, because requests have failed.
    doubts: Allowed,
    /// `true` if an access has failed since the BTT was opened.
    has_failed: bool,
}

/// Runs a history of `requests` requests. The seed also selects the format.
///
/// # Errors
///
/// A description of the violation.
pub fn run(seed: u64, requests: usize, kind: Kind) -> Result<Tally, String> {
    let used = Used {
        sectors: &SECTORS,
        lanes: LANES,
    };
    let format = Format::ALL[(seed % Format::ALL.len() as u64) as usize];
    let layout = Layout::new(&[used], format);
    let mut history = History {
        kind,
        random: Rc::new(Random(RefCell::new(SmallRng::seed_from_u64(seed)))),
        tally: Tally::default(),
        doubts: Allowed::new(),
        has_failed: false,
        layout,
    };
    let mut image = Image::fresh(&history.layout);
    while history.tally.requests < requests {
        image = history.power_on(&image).map_err(|violation| {
            let number = history.tally.requests;
            format!("seed {seed}, request {number}: {violation}")
        })?;
    }
    Ok(history.tally)
}

impl History {
    fn below(&self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    fn groups(&self) -> usize {
        1 + self.below(LANES.into()) as usize
    }

    /// Continues until the power fails. Returns what that leaves.
    fn power_on(&mut self, image: &Image) -> Result<Image, String> {
        let medium = Medium::new(&self.layout, image);
        self.doubts.clear();
        self.has_failed = false;
        let mut btt = open(&self.layout, &medium, self.groups())?.btt;
        loop {
            let watch = Rc::new(Watch {
                random: self.random.clone(),
                layout: self.layout.clone(),
                allowed: RefCell::new(self.allowed(&medium)),
                kept: RefCell::new(None),
                violation: RefCell::new(None),
            });
            self.request(&medium, &btt, &watch)?;
            if let Some(violation) = watch.violation.take() {
                return Err(violation);
            }
            self.tally.requests += 1;
            if self.below(POWER_FAILURES) != 0 {
                if self.below(REOPENINGS) == 0 {
                    self.tally.reopenings += 1;
                    match self.reopen(&medium, btt)? {
                        Some(opened) => btt = opened,
                        None => return Ok(self.begin_anew()),
                    }
                }
                continue;
            }
            self.tally.power_failures += 1;
            // The power fails during the request, or after it. In the latter case all of the
            // request must be there.
            let left = watch.kept.take().map_or_else(
                || {
                    let image = self.some_image(&medium);
                    *watch.allowed.borrow_mut() = self.allowed(&medium);
                    watch.judge(&image).map(|()| image)
                },
                Ok,
            )?;
            // What was lost stays so, which leaves little to check.
            if !left.lost.is_empty() {
                return Ok(self.begin_anew());
            }
            return Ok(left);
        }
    }

    fn begin_anew(&mut self) -> Image {
        self.tally.beginnings += 1;
        Image::fresh(&self.layout)
    }

    fn some_image(&self, medium: &Medium) -> Image {
        let choice = |limit| self.below(limit as u64) as usize;
        medium.cells().some_image(choice)
    }

    /// Returns what the sectors read as now, followed by what they may read as besides.
    fn allowed(&self, medium: &Medium) -> Allowed {
        let mut allowed = visible(&self.layout, medium);
        for (sector, doubts) in &self.doubts {
            allowed.entry(*sector).or_default().extend(doubts);
        }
        allowed
    }

    /// Makes one of the next accesses fail, in some of the calls.
    fn arm(&self, medium: &Medium) {
        if self.kind == Kind::Failures && self.below(FAILURES) == 0 {
            let lasts = self.below(8) == 0;
            let failure = if lasts {
                Failure::Poison
            } else {
                Failure::Once
            };
            medium.fail_at(self.below(ACCESSES) as u32, failure);
        }
    }

    fn disarm(&mut self, medium: &Medium) -> Option<Failed> {
        let failed = medium.stop_failing();
        self.tally.failures += usize::from(failed.is_some());
        self.has_failed |= failed.is_some();
        failed
    }

    /// Releases a BTT, in order or not, and opens it again. Returns `None` if it cannot be opened
    /// any more.
    fn reopen(&mut self, medium: &Medium, btt: Btt<Medium>) -> Result<Option<Btt<Medium>>, String> {
        let layout = self.layout.clone();
        // The next owner knows only what it sees, on the medium or in the caches.
        if self.below(2) == 0 {
            self.arm(medium);
            let result = btt.write_back();
            if self.disarm(medium).is_none() {
                result.map_err(|error| format!("not written back: {error}"))?;
                all_moves_are_durable(&layout, medium)
                    .and_then(|()| self.has_one_recovery(medium))
                    .map_err(|what| format!("written back: {what}"))?;
            }
        }
        let was_whole = !btt.is_read_only();
        drop(btt);
        let allowed = self.allowed(medium);
        self.arm(medium);
        let mut result = open(&layout, medium, self.groups());
        if self.disarm(medium).is_some() && result.is_err() {
            // The next attempt meets no failure.
            result = open(&layout, medium, self.groups());
        }
        if medium.lost().any_flog() {
            return match result {
                Ok(_) => Err("opened without the flog of a lane".into()),
                Err(_) => Ok(None),
            };
        }
        let opened = result?;
        if was_whole && opened.finished_writes != 0 {
            return Err("opened again: no write was interrupted, but one was finished".into());
        }
        all_moves_are_durable(&layout, medium).map_err(|what| format!("opened again: {what}"))?;
        for (sector, now) in visible(&layout, medium) {
            let is_lost = medium.lost().word(sector);
            if !is_lost && !allowed[&sector].contains(&now[0]) {
                return Err(format!(
                    "opened again: sector {sector} reads as {:x?}, expected one of {:x?}",
                    now[0], allowed[&sector]
                ));
            }
        }
        self.has_failed = false;
        Ok(Some(opened.btt))
    }

    /// Checks that a driver that does not flush what it finds comes to the same result after a
    /// power failure as now.
    fn has_one_recovery(&self, medium: &Medium) -> Result<(), String> {
        if medium.lost().any_flog() {
            return Ok(());
        }
        let recover = |image| {
            let recovered = foreign::recover(&self.layout, &image, false)?;
            let premaps = self.layout.arenas().iter().flat_map(|arena| {
                let sectors = arena.sectors.clone();
                sectors.map(|sector| arena.premap(sector))
            });
            let words = recovered.map.iter().zip(premaps);
            let blocks: Vec<u32> = words
                .map(|(&word, premap)| foreign::block(word, premap))
                .collect();
            Ok::<_, String>((blocks, recovered.free))
        };
        let (now, then) = (
            recover(medium.cells().visible())?,
            recover(self.some_image(medium))?,
        );
        if now != then {
            return Err(format!(
                "recovered to {now:x?}, after a power failure to {then:x?}"
            ));
        }
        Ok(())
    }

    /// Submits a random request and checks that all sectors read as they should.
    fn request(
        &mut self,
        medium: &Medium,
        btt: &Btt<Medium>,
        watch: &Rc<Watch>,
    ) -> Result<(), String> {
        let layout = self.layout.clone();
        let sector = self.below(SECTORS.len() as u64) as usize;
        let count = 1 + self.below((SECTORS.len() - sector) as u64) as usize;
        let lba = layout.lba(sector);
        let thread = self.below(3) as u8;
        let cpu = self.below(LANES.into()) as usize;
        let before = visible(&layout, medium);
        let was_read_only = btt.is_read_only();
        let mut wanted: BTreeMap<usize, Contents> = BTreeMap::new();
        medium.begin(thread, Some(watch.clone()));
        let what = self.below(10);
        match what {
            0 => wanted.extend((sector..sector + count).map(|sector| (sector, Contents::Word(0)))),
            1 => {}
            _ => {
                let word = |sector| (sector, Contents::Word(1 + self.below(1 << 40)));
                wanted.extend((sector..sector + count).map(word));
            }
        }
        for (&sector, &contents) in &wanted {
            let mut allowed = watch.allowed.borrow_mut();
            allowed.entry(sector).or_default().push(contents);
        }
        if what != 1 {
            self.arm(medium);
        }
        let result = match what {
            0 => btt.discard(lba, count as u64),
            1 => {
                let image = medium.cells().visible();
                let arena = layout.arena_of_sector(sector);
                let word = image.words[layout.cell(Place::Map(sector))] as u32;
                let block = foreign::block(word, arena.premap(sector));
                let block = arena.block(block).filter(|_| !image.lost.word(sector));
                if let Some(block) = block {
                    medium.set_bad(block);
                }
                if let Some(doubts) = self.doubts.get_mut(&sector) {
                    doubts.push(Contents::Lost);
                }
                Ok(())
            }
            _ => {
                let words = wanted.values().map(|contents| match contents {
                    Contents::Word(word) => *word,
                    _ => 0,
                });
                btt.write(lba, count as u64, &mut Words::new(words), cpu)
            }
        };
        let failed = self.disarm(medium);
        let after = visible(&layout, medium);
        match result {
            Ok(()) => {
                for (&sector, &contents) in &wanted {
                    self.doubts.remove(&sector);
                    if after[&sector] != [contents] && !medium.lost().word(sector) {
                        return Err(format!(
                            "sector {sector} holds {:x?}, but {contents:x?} was written",
                            after[&sector]
                        ));
                    }
                }
            }
            Err(error) => {
                let is_due = failed.is_some()
                    || was_read_only
                    || !medium.lost().is_empty()
                    || self.has_failed && matches!(error, IoError::NoFreeBlock { .. });
                if !is_due {
                    return Err(format!("request failed: {error}"));
                }
                self.tally.failed_requests += 1;
                for (&sector, &contents) in &wanted {
                    let is_doubtful = what == 0
                        || failed == Some(Failed::Fence)
                        || failed == Some(Failed::Word(Place::Map(sector)));
                    let doubts = self.doubts.entry(sector).or_default();
                    if is_doubtful {
                        doubts.extend([before[&sector][0], contents]);
                    } else if after[&sector] == [contents] {
                        doubts.clear();
                    }
                }
            }
        }
        let may_be_lost = what == 1 || failed.is_some() || !medium.lost().is_empty();
        for (&sector, contents) in &after {
            let is_old = *contents == before[&sector];
            let is_new = wanted.get(&sector) == contents.first();
            let is_lost = *contents == [Contents::Lost] && may_be_lost;
            if !(is_old || is_new || is_lost) {
                let before = &before[&sector];
                return Err(format!("sector {sector} was {before:x?}, is {contents:x?}"));
            }
        }
        self.read_all(btt, cpu, &after)
    }

    /// Reads all sectors and compares them with the medium.
    fn read_all(&self, btt: &Btt<Medium>, cpu: usize, expected: &Allowed) -> Result<(), String> {
        for (&sector, expected) in expected {
            let mut words = Words::new([]);
            let found = match btt.read(self.layout.lba(sector), 1, &mut words, cpu) {
                Ok(()) if words.torn => return Err(format!("sector {sector} is torn")),
                Ok(()) => words
                    .into_words()
                    .first()
                    .map_or(Contents::Lost, |&word| Contents::Word(word)),
                Err(IoError::Lost { .. } | IoError::Media(_)) => Contents::Lost,
                Err(error) => return Err(error.to_string()),
            };
            if *expected != [found] {
                return Err(format!(
                    "sector {sector} reads as {found:x?}, expected {expected:x?}"
                ));
            }
        }
        Ok(())
    }
}

/// Checks that each map word names the same block after a power failure as now.
fn all_moves_are_durable(layout: &Layout, medium: &Medium) -> Result<(), String> {
    let cells = medium.cells();
    for sector in (0..layout.sectors()).filter(|&sector| !cells.lost().word(sector)) {
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

/// Returns what the sectors read as now.
fn visible(layout: &Layout, medium: &Medium) -> Allowed {
    let image = medium.cells().visible();
    (0..layout.sectors())
        .map(|sector| {
            let word = image.words[layout.cell(Place::Map(sector))] as u32;
            (sector, vec![contents(layout, &image, sector, word)])
        })
        .collect()
}
