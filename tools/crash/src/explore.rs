// SPDX-License-Identifier: GPL-2.0

//! All states that requests and power failures lead to, one request after another.
//!
//! A state is the medium between two requests: what is durable, and what is pending by which thread. From each state every
//! request of a plan is run on the real engine. Before each fence, when most is pending, and at the end of the request,
//! when it has become a promise, every image that a power failure could leave is judged; images before other steps are among
//! these. The state after the request, and what recovery makes of each image, are new states. When none is left, the
//! states are closed: no longer history leads anywhere else.
//!
//! With `interrupted`, a request of another thread also happens as a whole before each access of the request, on another lane
//! and on other sectors, or on the same ones as long as the request does not hold their bucket. The images before the fences
//! of the inner request then have both requests under way. Other interleavings of two requests only differ in the order of
//! accesses to different words, which makes no difference, but for one: the flush of the map word that a lane's newest
//! entry names may be of the other request's sector. All orders of that flush with the store that it may meet are
//! among those explored, as each of the two requests is the inner one once.
//!
//! What the engine keeps in memory is a function of what is visible on the medium, so that it can be opened anew in
//! each state; [`Medium`] is told not to count that as a power failure.

use crate::{
    foreign,
    judge::{
        contents,
        open,
        Contents,
        Judge, //
    },
    layout::Layout,
    medium::{
        Cells,
        Fault,
        Image,
        Medium,
        Observer,
        Words, //
    },
};
use btt_engine::IoError;
use rustc_hash::FxHashSet;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// A word that no sector and no block holds by itself.
const FREE_WORD: u64 = 0xdead;

/// What a request does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Writes words that differ from what the sectors hold.
    Write,
    /// Makes the sectors read as zeroes.
    Discard,
    /// Reads the sectors and compares them.
    Read,
    /// Not a request: the block of the first sector gets a media error.
    Poison,
}

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// Whose flushes and fences they are.
    pub(crate) thread: u8,
    /// Number of lane groups, which decides together with `cpu` about the lanes.
    pub(crate) groups: usize,
    pub(crate) cpu: usize,
    pub(crate) lba: u32,
    pub(crate) count: u32,
}

impl Request {
    /// Whether another thread may do this in the middle of `outer`.
    fn fits_into(&self, outer: &Self) -> bool {
        let is_io = |request: &Self| matches!(request.kind, Kind::Write | Kind::Discard);
        let lanes_differ =
            self.kind != Kind::Write || outer.kind != Kind::Write || self.cpu != outer.cpu;
        is_io(self) && is_io(outer) && self.thread != outer.thread && lanes_differ
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.lba < other.lba + other.count && other.lba < self.lba + self.count
    }

    fn lbas(&self) -> Range<u64> {
        self.lba.into()..u64::from(self.lba + self.count)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            thread,
            groups,
            cpu,
            lba,
            count,
        } = self;
        write!(
            f,
            "thread {thread}: {kind:?} {lba}+{count} on lane group {cpu} of {groups}"
        )
    }
}

/// What is explored.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) layout: Layout,
    pub(crate) requests: Vec<Request>,
    /// Whether requests of two threads happen at a time.
    pub(crate) interrupted: bool,
    /// States after which the exploration ends although it is not closed.
    pub(crate) limit: usize,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// States between two requests.
    pub states: usize,
    /// Images that were judged.
    pub images: usize,
    /// Whether there are no other states.
    pub closed: bool,
}

/// A violation, with the shortest history that leads to it.
#[derive(Debug)]
pub struct Violation {
    /// Requests and power failures, in order.
    pub history: Vec<String>,
    /// What is wrong in the end.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.history {
            writeln!(f, "  {step}")?;
        }
        write!(f, "  => {}", self.what)
    }
}

/// How a state was reached first.
struct Origin {
    from: usize,
    step: String,
}

/// Judges every image before each fence.
struct Watch {
    judge: Rc<RefCell<Judge>>,
    allowed: RefCell<Vec<Vec<Contents>>>,
    images: RefCell<FxHashSet<Image>>,
    count: RefCell<usize>,
    violation: RefCell<Option<String>>,
}

impl Watch {
    /// Allows sectors their old and their new contents.
    fn start(&self, own: Range<usize>, after: &[Contents]) {
        let mut allowed = self.allowed.borrow_mut();
        for index in own {
            allowed[index].push(after[index]);
        }
    }

    /// Allows sectors their new contents only, and judges what may be lost now.
    fn promise(&self, own: Range<usize>, after: &[Contents], cells: &Cells) {
        for index in own {
            self.allowed.borrow_mut()[index] = vec![after[index]];
        }
        self.look(cells);
    }

    fn look(&self, cells: &Cells) {
        if self.violation.borrow().is_some() {
            return;
        }
        let result = cells.each_image(|image| {
            *self.count.borrow_mut() += 1;
            self.judge
                .borrow_mut()
                .judge(image, &self.allowed.borrow())?;
            self.images.borrow_mut().insert(image.clone());
            Ok(())
        });
        *self.violation.borrow_mut() = result.err();
    }
}

impl Observer for Watch {
    fn before_fence(&self, cells: &Cells) {
        self.look(cells);
    }
}

/// Explores a plan with a fault, or none, up to the first violation.
pub(crate) fn explore(
    plan: &Plan,
    fault: Option<Fault>,
    mut progress: impl FnMut(&Count, usize),
) -> Result<Count, Violation> {
    let layout = &plan.layout;
    let judge = Rc::new(RefCell::new(Judge::new(layout)));
    let mut count = Count::default();
    let mut seen = FxHashSet::default();
    let mut origins: Vec<Option<Origin>> = Vec::from([None]);
    let mut open_states = VecDeque::from([(0, Cells::of(&layout.image()))]);

    while let Some((index, cells)) = open_states.pop_front() {
        count.states += 1;
        if count.states > plan.limit {
            return Ok(count);
        }
        if count.states % 1024 == 0 {
            progress(&count, open_states.len());
        }
        for request in &plan.requests {
            let whole = run(layout, &judge, &cells, request, None, fault);
            let mut runs = vec![(request.to_string(), whole)];
            for inner in plan
                .requests
                .iter()
                .filter(|inner| plan.interrupted && inner.fits_into(request))
            {
                let (accesses, before_map) = runs[0].1.accesses;
                let points = if inner.overlaps(request) {
                    before_map
                } else {
                    accesses
                };
                runs.extend((0..points).map(|point| {
                    let step = format!("{request}, and before its access {point}: {inner}");
                    (
                        step,
                        run(layout, &judge, &cells, request, Some((inner, point)), fault),
                    )
                }));
            }
            for (step, outcome) in runs {
                count.images += outcome.images;
                if let Some(what) = outcome.violation {
                    let mut history = history(&origins, index);
                    history.push(step);
                    return Err(Violation { history, what });
                }
                let after = outcome.after.into_iter().map(|cells| (step.clone(), cells));
                let crashed = outcome.recovered.into_iter().map(|image| {
                    let step = format!("{step}, power failure, recovery");
                    (step, Cells::of(&image))
                });
                for (step, mut cells) in after.chain(crashed) {
                    forget_free_blocks(layout, &mut cells);
                    if seen.insert(cells.clone()) {
                        origins.push(Some(Origin { from: index, step }));
                        open_states.push_back((origins.len() - 1, cells));
                    }
                }
            }
        }
    }
    count.closed = true;
    Ok(count)
}

fn history(origins: &[Option<Origin>], mut index: usize) -> Vec<String> {
    let mut steps = Vec::new();
    while let Some(origin) = &origins[index] {
        steps.push(origin.step.clone());
        index = origin.from;
    }
    steps.reverse();
    steps
}

#[derive(Default)]
struct Outcome {
    images: usize,
    violation: Option<String>,
    after: Option<Cells>,
    recovered: Vec<Image>,
    /// Accesses of the request, all and those before its first look at the map.
    accesses: (usize, usize),
}

/// Runs a request in a state, perhaps with another one inside, and judges all images on the way.
fn run(
    layout: &Layout,
    judge: &Rc<RefCell<Judge>>,
    cells: &Cells,
    request: &Request,
    inner: Option<(&Request, usize)>,
    fault: Option<Fault>,
) -> Outcome {
    let before = visible_contents(layout, &cells.visible());
    let own = own_sectors(layout, request);
    if request.kind == Kind::Poison {
        return Outcome {
            after: Some(poison(layout, cells, own.start)),
            ..Outcome::default()
        };
    }
    let medium = Medium::new(layout, Cells::of(&cells.visible()), fault);
    let btt = match open(&medium, request.groups) {
        Ok(opened) => Rc::new(opened.btt),
        Err(error) => {
            return Outcome {
                violation: Some(error),
                ..Outcome::default()
            };
        }
    };
    medium.set_cells(cells.clone());
    let watch = Rc::new(Watch {
        judge: judge.clone(),
        allowed: RefCell::new(before.iter().map(|&contents| vec![contents]).collect()),
        images: RefCell::default(),
        count: RefCell::new(0),
        violation: RefCell::new(None),
    });

    let after = after(layout, request, &before, 1);
    watch.start(own.clone(), &after);
    medium.begin(request.thread, request.lbas(), Some(watch.clone()));
    let mut last = after.clone();
    if let Some((&inner, point)) = inner {
        let sectors = own_sectors(layout, &inner);
        let inner_after = self::after(layout, &inner, &before, 2);
        if !inner.overlaps(request) {
            last[sectors.clone()].copy_from_slice(&inner_after[sectors.clone()]);
        }
        let (layout, medium_inside, btt, watch) =
            (layout.clone(), medium.clone(), btt.clone(), watch.clone());
        let overlaps = inner.overlaps(request);
        let (outer_own, outer_after) = (own.clone(), after.clone());
        let interruption = move || {
            watch.start(sectors.clone(), &inner_after);
            medium_inside.begin(inner.thread, inner.lbas(), Some(watch.clone()));
            let result = submit(&layout, &btt, &inner, &inner_after);
            watch.promise(sectors, &inner_after, &medium_inside.cells());
            if overlaps {
                // The outer request goes on: its contents are allowed again.
                watch.start(outer_own, &outer_after);
            }
            if let Err(error) = result {
                watch.violation.borrow_mut().get_or_insert(error);
            }
        };
        medium.interrupt(point, Box::new(interruption));
    }
    let result = submit(layout, &btt, request, &after);
    let accesses = medium.accesses();
    let mut violation = watch.violation.borrow_mut().take().or(result.err());
    if violation.is_none() {
        // A read may change the map, too, where it finds a media error.
        violation = read_all(&btt, layout, &last, request).err();
    }
    if violation.is_none() {
        watch.promise(own, &after, &medium.cells());
        violation = watch.violation.borrow_mut().take();
    }
    let images = *watch.count.borrow();
    let recovered = watch
        .images
        .borrow()
        .iter()
        .filter_map(|image| recover(layout, judge, image))
        .collect();
    Outcome {
        images,
        violation,
        after: Some(medium.cells()),
        recovered,
        accesses,
    }
}

/// What the sectors hold after a request; `step` tells its words from those of another one.
fn after(layout: &Layout, request: &Request, before: &[Contents], step: u64) -> Vec<Contents> {
    let mut after = before.to_vec();
    for index in own_sectors(layout, request) {
        match request.kind {
            Kind::Write => {
                after[index] = Contents::Word(next_word(layout, index, before[index], step))
            }
            Kind::Discard => after[index] = Contents::Word(0),
            Kind::Read | Kind::Poison => {}
        }
    }
    after
}

/// Sends a request to the engine.
fn submit(
    layout: &Layout,
    btt: &btt_engine::Btt<Medium>,
    request: &Request,
    after: &[Contents],
) -> Result<(), String> {
    let (lba, sectors) = (request.lba.into(), request.count.into());
    let result = match request.kind {
        Kind::Write => {
            let words = after[own_sectors(layout, request)]
                .iter()
                .map(|contents| match contents {
                    Contents::Word(word) => *word,
                    Contents::Torn(..) | Contents::Lost => 0,
                });
            btt.write(lba, sectors, &mut Words::new(words), request.cpu)
        }
        Kind::Discard => btt.discard(lba, sectors),
        Kind::Read | Kind::Poison => Ok(()),
    };
    result.map_err(|error| format!("request failed: {error}"))
}

/// Indices of the sectors of a request.
fn own_sectors(layout: &Layout, request: &Request) -> Range<usize> {
    let index = |lba| {
        layout
            .sectors()
            .iter()
            .take_while(|&&sector| sector < lba)
            .count()
    };
    index(request.lba)..index(request.lba + request.count)
}

/// Word number `step` after the one that the sector holds; there are three.
fn next_word(layout: &Layout, index: usize, before: Contents, step: u64) -> u64 {
    let first = Layout::initial_word(layout.sectors()[index]);
    let held = match before {
        Contents::Word(word) if (first..first + 3).contains(&word) => word - first,
        _ => 0,
    };
    first + (held + step) % 3
}

/// What the sectors read as when nothing is lost.
fn visible_contents(layout: &Layout, image: &Image) -> Vec<Contents> {
    let sectors = layout.sectors().iter().enumerate();
    sectors
        .map(|(index, &premap)| {
            contents(
                layout,
                image,
                premap,
                image.words[layout.map_cell(index)] as u32,
            )
        })
        .collect()
}

/// Reads all sectors, or those of a read request, with the engine.
fn read_all(
    btt: &btt_engine::Btt<Medium>,
    layout: &Layout,
    expected: &[Contents],
    request: &Request,
) -> Result<(), String> {
    let own = own_sectors(layout, request);
    for (index, (&premap, &expected)) in layout.sectors().iter().zip(expected).enumerate() {
        if expected == Contents::Lost && !(request.kind == Kind::Read && own.contains(&index)) {
            // Reading it would mark it, which is for a read request to do.
            continue;
        }
        let mut words = Words::new([]);
        let found = match btt.read(premap.into(), 1, &mut words, request.cpu) {
            Ok(()) if words.torn => Err("a torn sector".into()),
            Ok(()) => Ok(Contents::Word(words.into_words()[0])),
            Err(IoError::Lost { .. } | IoError::Media(_)) => Ok(Contents::Lost),
            Err(error) => Err(error.to_string()),
        };
        let found = found?;
        if found != expected {
            return Err(format!(
                "sector {premap} reads as {found:x?}, expected {expected:x?}"
            ));
        }
    }
    Ok(())
}

/// The state after the block of a sector got a media error.
fn poison(layout: &Layout, cells: &Cells, index: usize) -> Cells {
    let image = cells.visible();
    let word = image.words[layout.map_cell(index)] as u32;
    let mut cells = cells.clone();
    cells.set_bad(foreign::block(word, layout.sectors()[index]));
    cells
}

/// What is on the medium after an image was recovered.
fn recover(layout: &Layout, judge: &Rc<RefCell<Judge>>, image: &Image) -> Option<Image> {
    let recovered = judge.borrow_mut().metadata(image).ok()?;
    let mut image = image.clone();
    for (index, word) in recovered.map.into_iter().enumerate() {
        image.words[layout.map_cell(index)] = word.into();
    }
    Some(image)
}

/// Forgets what free blocks hold: nobody will see it.
fn forget_free_blocks(layout: &Layout, cells: &mut Cells) {
    if let Ok(recovered) = foreign::recover(layout, &cells.visible(), 0..layout.lanes()) {
        for block in recovered.free {
            for cell in layout.data_cells(block).into_iter().flatten() {
                cells.settle(cell, FREE_WORD);
            }
        }
    }
    cells.normalise();
}
