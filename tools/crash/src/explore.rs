// SPDX-License-Identifier: GPL-2.0

//! All states that requests and power failures lead to, one request after another.
//!
//! A state is the medium between two requests: what is durable, and what is pending by which thread. From each state every
//! request of a plan is run on the real engine. Before each fence, when most is pending, and at the end of the request,
//! when it has become a promise, every image that a power failure could leave is judged; images before other steps are among
//! these. The state after the request, and what recovery makes of each image, are new states. When none is left, the
//! states are closed: no longer history leads anywhere else.
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
    allowed: Vec<Vec<Contents>>,
    images: RefCell<FxHashSet<Image>>,
    count: RefCell<usize>,
    violation: RefCell<Option<String>>,
}

impl Watch {
    fn look(&self, cells: &Cells, allowed: &[Vec<Contents>]) {
        if self.violation.borrow().is_some() {
            return;
        }
        let result = cells.each_image(|image| {
            *self.count.borrow_mut() += 1;
            self.judge.borrow_mut().judge(image, allowed)?;
            self.images.borrow_mut().insert(image.clone());
            Ok(())
        });
        *self.violation.borrow_mut() = result.err();
    }
}

impl Observer for Watch {
    fn before_fence(&self, cells: &Cells) {
        self.look(cells, &self.allowed);
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
            let outcome = run(layout, &judge, &cells, request, fault);
            count.images += outcome.images;
            let step = request.to_string();
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

struct Outcome {
    images: usize,
    violation: Option<String>,
    after: Option<Cells>,
    recovered: Vec<Image>,
}

impl Outcome {
    fn violation(what: String) -> Self {
        Self {
            images: 0,
            violation: Some(what),
            after: None,
            recovered: Vec::new(),
        }
    }
}

/// Runs a request in a state and judges all images on the way.
fn run(
    layout: &Layout,
    judge: &Rc<RefCell<Judge>>,
    cells: &Cells,
    request: &Request,
    fault: Option<Fault>,
) -> Outcome {
    let before = visible_contents(layout, &cells.visible());
    let own = own_sectors(layout, request);
    if request.kind == Kind::Poison {
        return Outcome {
            images: 0,
            violation: None,
            after: Some(poison(layout, cells, own.start)),
            recovered: Vec::new(),
        };
    }
    let medium = Medium::new(layout, Cells::of(&cells.visible()), fault);
    let btt = match open(&medium, request.groups) {
        Ok(opened) => opened.btt,
        Err(error) => return Outcome::violation(error),
    };
    medium.set_cells(cells.clone());

    let mut after = before.clone();
    for index in own.clone() {
        match request.kind {
            Kind::Write => after[index] = Contents::Word(next_word(layout, index, before[index])),
            Kind::Discard => after[index] = Contents::Word(0),
            Kind::Read | Kind::Poison => {}
        }
    }
    let both = before
        .iter()
        .zip(&after)
        .map(|(&before, &after)| vec![before, after]);
    let watch = Rc::new(Watch {
        judge: judge.clone(),
        allowed: both.collect(),
        images: RefCell::default(),
        count: RefCell::new(0),
        violation: RefCell::new(None),
    });
    let lbas = u64::from(request.lba)..u64::from(request.lba + request.count);
    medium.begin(request.thread, lbas.clone(), Some(watch.clone()));

    let (lba, sectors) = (lbas.start, lbas.end - lbas.start);
    let result = match request.kind {
        Kind::Write => {
            let words = after[own].iter().map(|contents| match contents {
                Contents::Word(word) => *word,
                Contents::Torn(..) | Contents::Lost => 0,
            });
            btt.write(lba, sectors, &mut Words::new(words), request.cpu)
        }
        Kind::Discard => btt.discard(lba, sectors),
        Kind::Read | Kind::Poison => Ok(()),
    };
    let mut violation = watch.violation.borrow_mut().take();
    if violation.is_none() {
        violation = result.err().map(|error| format!("request failed: {error}"));
    }
    if violation.is_none() {
        // A read may change the map, too, where it finds a media error.
        violation = read_all(&btt, layout, &after, request).err();
    }
    if violation.is_none() {
        let promised: Vec<_> = after.iter().map(|&contents| vec![contents]).collect();
        watch.look(&medium.cells(), &promised);
        violation = watch.violation.borrow_mut().take();
    }
    let recovered = watch
        .images
        .borrow()
        .iter()
        .filter_map(|image| recover(layout, judge, image))
        .collect();
    let images = *watch.count.borrow();
    Outcome {
        images,
        violation,
        after: Some(medium.cells()),
        recovered,
    }
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

/// A word that the sector does not hold.
fn next_word(layout: &Layout, index: usize, before: Contents) -> u64 {
    let first = Layout::initial_word(layout.sectors()[index]);
    if before == Contents::Word(first) {
        first + 1
    } else {
        first
    }
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
