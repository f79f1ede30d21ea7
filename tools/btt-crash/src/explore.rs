// SPDX-License-Identifier: GPL-2.0

//! All states that the requests of two threads and power failures lead to.
//!
//! The search is breadth first, so that the first violation has the shortest history. A request of
//! a single thread is followed to its end at once, so that few states wait. When no new state is
//! left, the plan is closed: no longer history, and no other order of accesses, leads anywhere
//! else.
//!
//! Of each known state a fingerprint of 128 bits is kept. The probability that two of some millions
//! of states share one is below 10^-24.

use crate::{
    access::{
        First,
        Kind,
        Map,
        Request,
        Second,
        Value,
        BLANK,
        TOKEN_FIRST, //
    },
    canon::Canon,
    cell::Cell,
    crash::{
        is_news,
        Bad,
        Court, //
    },
    encoding,
    faults::Fault,
    image::{
        Image,
        Lost, //
    },
    layout::{
        Layout,
        Used, //
    },
    program::Programs,
    reopen::Reopening,
    state::{
        Shape,
        State, //
    },
    step::{
        check_legal,
        Machine, //
    },
};
use rustc_hash::FxHashMap;
use std::collections::{
    BTreeMap,
    VecDeque, //
};
use std::fmt;
use std::hash::{
    DefaultHasher,
    Hasher, //
};
use std::path::Path;

/// The step of a history that is a power failure.
const POWER_FAILURE: u16 = u16::MAX;

/// The step of a history in which the BTT is opened again without a power failure.
const REOPENING: u16 = u16::MAX - 1;

/// The arenas, the requests and the limits of an exploration.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) used: Vec<Used>,
    pub(crate) requests: Vec<Request>,
    /// Number of threads that take part: one or two.
    pub(crate) threads: usize,
    /// `true` if steps that make no difference are interleaved as well, and all states are judged.
    pub(crate) all: bool,
    /// `true` if sectors and lanes are all alike.
    pub(crate) symmetric: bool,
    /// `true` if flog entries are kept that recovery has no use for.
    pub(crate) keep_entries: bool,
    /// `true` if each image is judged in all formats.
    pub(crate) all_formats: bool,
    /// Maximum number of accesses of a history that fail.
    pub(crate) failures: u8,
    /// Maximum number of requests and power failures of a history.
    pub(crate) depth: usize,
    /// Number of states after which the exploration ends although the plan is not closed.
    pub(crate) limit: usize,
}

/// The size of an exploration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// States, at any access of the requests under way.
    pub states: u64,
    /// Steps from one state to another.
    pub steps: u64,
    /// Images that were judged, counted anew in each state.
    pub images: u64,
    /// Combinations of metadata that were recovered, by the engine and by the models of other
    /// software.
    pub recoveries: u64,
    /// Images of recoveries that were interrupted.
    pub nested: u64,
    /// Points of requests at which the engine was run to see what comes next.
    pub programs: u64,
    /// `true` if there are no other states.
    pub closed: bool,
}

/// A violation, with the shortest history that leads to it.
pub struct Violation {
    /// Steps and power failures, in order.
    pub history: Vec<String>,
    /// A description of the violation.
    pub what: String,
    /// The image that violates the claim, if the violation is in an image.
    image: Option<(Layout, Image)>,
}

impl Violation {
    /// Writes the image to a file. Returns `false` if the violation has no image.
    ///
    /// # Errors
    ///
    /// The file cannot be created or written.
    pub fn save(&self, path: &Path) -> std::io::Result<bool> {
        let Some((layout, image)) = &self.image else {
            return Ok(false);
        };
        image.save(layout, path)?;
        Ok(true)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.history {
            writeln!(f, "  {step}")?;
        }
        write!(f, "  => {}", self.what)?;
        if let Some((layout, image)) = &self.image {
            write!(f, "\n  image:")?;
            for (place, word) in layout.places().zip(&image.words) {
                if *word != 0 {
                    write!(f, " {place:?}={word:#x}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A state that waits to be explored.
struct Waiting {
    index: u32,
    depth: u16,
    state: State,
    print: Print,
    /// `true` if it was met before, at the end of a longer history.
    again: bool,
}

/// A fingerprint of a state.
type Print = [u64; 2];

/// The step that reached a state.
#[derive(Clone, Copy)]
struct Origin {
    from: u32,
    step: u16,
    /// Half of the state's fingerprint, which distinguishes it from the other results of the step.
    print: u64,
}

struct Explorer {
    machine: Machine,
    court: Court,
    reopening: Reopening,
    /// Length of the shortest history, in requests and power failures, that leads to each state
    /// that was met.
    seen: FxHashMap<Print, u16>,
    origins: Vec<Origin>,
    /// States that are explored before those that wait: the only thread is in the middle of a
    /// request, or no request may follow.
    at_once: Vec<Waiting>,
    /// States that wait, by depth.
    waiting: BTreeMap<u16, VecDeque<Waiting>>,
    bytes: Vec<u8>,
    depth: usize,
    failures: u8,
}

/// Explores a plan, with a fault or without, up to the first violation. The exploration ends when
/// `progress` returns `false`.
pub(crate) fn explore(
    plan: &Plan,
    fault: Option<Fault>,
    mut progress: impl FnMut(&Count, usize) -> bool,
) -> Result<Count, Violation> {
    let layouts = encoding::in_all_formats(&plan.used);
    let errors = plan
        .requests
        .iter()
        .any(|request| request.kind == Kind::Poison);
    let mut explorer = Explorer {
        machine: Machine {
            shape: Shape::of(&layouts[0]),
            requests: plan.requests.clone(),
            programs: Programs::new(&layouts, &plan.requests, errors, plan.failures > 0, fault),
            canon: Canon::new(
                &layouts[0],
                plan.symmetric,
                plan.keep_entries,
                plan.failures > 0,
            ),
            layout: layouts[0].clone(),
            fault,
            all: plan.all,
            threads: plan.threads,
        },
        court: Court::new(&layouts, plan.all_formats),
        reopening: Reopening::new(fault == Some(Fault::NoFlushWhenOpened), plan.failures > 0),
        seen: FxHashMap::default(),
        origins: Vec::new(),
        at_once: Vec::new(),
        waiting: BTreeMap::new(),
        bytes: Vec::new(),
        depth: plan.depth,
        failures: plan.failures,
    };
    let mut count = Count::default();
    let mut first = initial_state(&layouts[0], plan.failures);
    explorer.normalise(&mut first);
    explorer.add(first, 0, 0, 0);
    while let Some(Waiting {
        index,
        depth,
        state,
        print,
        again,
    }) = explorer.next()
    {
        count.states += u64::from(!again);
        // A shorter history was found meanwhile.
        if explorer
            .seen
            .get(&print)
            .is_some_and(|&least| least < depth)
        {
            continue;
        }
        if count.states % 4096 == 0 {
            explorer.fill(&mut count);
            if !progress(&count, explorer.origins.len()) {
                return Ok(count);
            }
        }
        if count.states > plan.limit as u64 {
            explorer.fill(&mut count);
            return Ok(count);
        }
        if explorer.machine.all || explorer.machine.is_full(&state) {
            explorer.power_failure(&state, index, depth)?;
        }
        if usize::from(depth) >= plan.depth && state.is_quiet() {
            continue;
        }
        if state.is_quiet() {
            explorer.reopen(&state, index, depth)?;
        }
        explorer.go_on(&state, index, depth, plan, &mut count)?;
    }
    explorer.fill(&mut count);
    count.closed = plan.depth == usize::MAX;
    Ok(count)
}

impl Explorer {
    fn fill(&self, count: &mut Count) {
        count.images = self.court.images;
        count.nested = self.court.nested;
        count.recoveries = self.court.recoveries() as u64;
        count.programs = self.machine.programs.len() as u64;
    }

    fn next(&mut self) -> Option<Waiting> {
        if let Some(next) = self.at_once.pop() {
            return Some(next);
        }
        let mut entry = self.waiting.first_entry()?;
        let next = entry.get_mut().pop_front();
        if entry.get().is_empty() {
            entry.remove();
        }
        next
    }

    fn print(&mut self, state: &State) -> Print {
        state.serialize(&mut self.bytes);
        [0, 1].map(|seed| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(seed);
            hasher.write(&self.bytes);
            hasher.finish()
        })
    }

    /// Adds a state if it is new, or if more may follow than when it was met before.
    fn add(&mut self, state: State, from: u32, step: u16, depth: u16) {
        let print = self.print(&state);
        let again = self.seen.contains_key(&print);
        if again && self.depth == usize::MAX || !is_news(&mut self.seen, print, depth) {
            return;
        }
        let index = self.origins.len() as u32;
        self.origins.push(Origin {
            from,
            step,
            print: print[0],
        });
        let may_wait =
            self.machine.threads > 1 || (state.is_quiet() && usize::from(depth) < self.depth);
        let waiting = Waiting {
            index,
            depth,
            state,
            print,
            again,
        };
        if may_wait {
            self.waiting.entry(depth).or_default().push_back(waiting);
        } else {
            self.at_once.push(waiting);
        }
    }

    /// Lets the power fail.
    fn power_failure(&mut self, state: &State, index: u32, depth: u16) -> Result<(), Violation> {
        let mut after = Vec::new();
        // Without a limit the length of the history does not matter.
        let counted = if self.depth == usize::MAX { 0 } else { depth };
        let result = self
            .court
            .judge(state, counted, |recovered| after.push(recovered));
        if let Err(bad) = result {
            let Bad {
                what,
                image,
                layout,
            } = *bad;
            let mut history = self.history(index);
            history.push("power failure".into());
            return Err(Violation {
                history,
                what,
                image: Some((layout, image)),
            });
        }
        for mut state in after {
            self.normalise(&mut state);
            self.add(state, index, POWER_FAILURE, depth + 1);
        }
        Ok(())
    }

    /// Opens the BTT of a quiet state again without a power failure.
    fn reopen(&mut self, state: &State, index: u32, depth: u16) -> Result<(), Violation> {
        let opened = self.reopening.reopen(&self.court, state);
        let checked = opened.and_then(|opened| {
            for after in &opened {
                check_visible(self.court.shape(), after)?;
            }
            Ok(opened)
        });
        match checked {
            Ok(opened) => {
                for mut after in opened {
                    self.normalise(&mut after);
                    self.add(after, index, REOPENING, depth + 1);
                }
                Ok(())
            }
            Err(what) => {
                let mut history = self.history(index);
                history.push("opened again".into());
                Err(Violation {
                    history,
                    what,
                    image: None,
                })
            }
        }
    }

    /// Performs each possible next step of the threads.
    fn go_on(
        &mut self,
        state: &State,
        index: u32,
        depth: u16,
        plan: &Plan,
        count: &mut Count,
    ) -> Result<(), Violation> {
        let mut stepped = Vec::new();
        self.machine.steps(state, |_, step, result| {
            stepped.push((step, result));
        });
        for (step, result) in stepped {
            count.steps += 1;
            let begins = self.machine.begins(step);
            if begins && usize::from(depth) >= plan.depth {
                continue;
            }
            if let Some(what) = result.wrong {
                let mut history = self.history(index);
                history.push(self.machine.describe(state, step));
                return Err(Violation {
                    history,
                    what,
                    image: None,
                });
            }
            self.add(result.state, index, step as u16, depth + u16::from(begins));
        }
        Ok(())
    }

    /// Returns the steps that lead to a state, by repeating them.
    fn history(&mut self, index: u32) -> Vec<String> {
        let mut steps = Vec::new();
        let mut at = index;
        while at != 0 {
            let origin = self.origins[at as usize];
            steps.push(origin);
            at = origin.from;
        }
        steps.reverse();
        let mut state = initial_state(&self.machine.layout, self.failures);
        self.normalise(&mut state);
        let mut history = Vec::new();
        for Origin { step, print, .. } in steps {
            let mut next = Vec::new();
            if step == POWER_FAILURE {
                history.push("power failure, recovery".into());
                let mut court = self.court.again();
                // The state was judged before, without a violation.
                let _ = court.judge(&state, 0, |after| next.push(after));
            } else if step == REOPENING {
                history.push("opened again".into());
                let after = self.reopening.reopen(&self.court, &state);
                next.extend(after.unwrap_or_default());
            } else {
                history.push(self.machine.describe(&state, step.into()));
                self.machine.steps(&state, |_, taken, stepped| {
                    if taken == usize::from(step) {
                        next.push(stepped.state);
                    }
                });
            }
            let found = next.into_iter().find_map(|mut next| {
                self.normalise(&mut next);
                (self.print(&next)[0] == print).then_some(next)
            });
            match found {
                Some(found) => state = found,
                None => history.push("(lost the way)".into()),
            }
        }
        history
    }

    fn normalise(&mut self, state: &mut State) {
        let machine = &mut self.machine;
        machine.canon.normalise(state, &mut machine.programs);
    }
}

/// Checks that every sector reads as something it may read as.
fn check_visible(shape: &Shape, state: &State) -> Result<(), String> {
    for sector in 0..shape.sectors {
        let token = state.visible_token(shape, sector);
        check_legal(state.allowed[sector], token)
            .map_err(|what| format!("opened again, sector {sector}: {what}"))?;
    }
    Ok(())
}

/// Returns the state of a new BTT.
fn initial_state(layout: &Layout, failures: u8) -> State {
    let shape = Shape::of(layout);
    let mut cells: Vec<Cell> =
        vec![Cell::new(crate::access::TOKEN_JUNK); shape.metadata() + shape.blocks];
    let mut allowed = Vec::new();
    for arena in layout.arenas() {
        for (block, sector) in arena.blocks.clone().zip(arena.sectors.clone()) {
            let token = TOKEN_FIRST + sector as Value;
            cells[sector] = Cell::new(
                Map {
                    flags: Map::INITIAL,
                    block: block as u8,
                }
                .pack(),
            );
            cells[shape.data(block as u8)] = Cell::new(token);
            allowed.push(1 << token);
        }
        let free = arena.blocks.clone().skip(arena.sectors.len());
        for (lane, block) in arena.lanes.clone().zip(free) {
            let old = block as u8;
            let first = First {
                sector: None,
                old,
                old_bad: false,
            };
            let second = Second {
                new: Some(old),
                seq: 1,
            };
            let halves = [first.pack(), second.pack(), BLANK, BLANK];
            for (index, value) in halves.into_iter().enumerate() {
                cells[shape.flog(lane, index / 2, index % 2)] = Cell::new(value);
            }
        }
    }
    State {
        cells,
        bad: 0,
        lost: Lost::default(),
        closed: 0,
        failures,
        allowed,
        threads: [None; 2],
        owners: vec![None; shape.lanes],
        locks: Vec::new(),
        lines: Vec::new(),
    }
}
