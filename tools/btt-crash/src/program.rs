// SPDX-License-Identifier: GPL-2.0

//! Requests of the real engine as programs: for each sequence of answers, what the engine does
//! until it needs the next one.
//!
//! A request runs by itself, on a medium that records what is done and answers questions from a
//! script. Where the script ends, so does the run: it leaves the engine by unwinding. What a
//! request does depends on nothing but the answers, so a run with the same answers reaches the same
//! point again. This allows the requests of two threads to be interleaved at every access without
//! threads. Each run is done in several encodings, which must agree.

use crate::{
    access::{
        Access,
        Answer,
        Block,
        End,
        First,
        Map,
        Node,
        Request,
        Result, //
    },
    encoding::Encoding,
    faults::Fault,
    layout::Layout,
    script::{
        self,
        Run,
        Script, //
    },
    state::members, //
};
use rustc_hash::FxHashMap;

/// Encodings that each run is done in, spread over all of them.
const VARIETIES: [usize; 4] = [0, 7, 14, 21];

/// The request and the answers that lead to a point.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    request: u8,
    answers: Vec<Answer>,
}

/// The accesses of a program from a point on, up to the next question.
pub(crate) struct Stretch {
    key: Key,
    pub(crate) accesses: Vec<Access>,
    pub(crate) end: End,
}

/// A renaming of blocks, sectors and lanes.
pub(crate) struct Names {
    pub(crate) blocks: Vec<Block>,
    pub(crate) sectors: Vec<u8>,
    pub(crate) lanes: Vec<u8>,
    /// `true` if sectors or lanes have other names.
    pub(crate) moved: bool,
}

impl Names {
    pub(crate) fn block(&self, block: Block) -> Block {
        let name = self.blocks.get(usize::from(block));
        name.copied().unwrap_or(block)
    }

    pub(crate) fn first(&self, first: First) -> First {
        First {
            sector: first.sector.map(|sector| self.sectors[usize::from(sector)]),
            old: self.block(first.old),
            ..first
        }
    }

    /// Renames a set of sectors, one bit each.
    pub(crate) fn line(&self, sectors: u32) -> u32 {
        members(sectors).fold(0, |named, sector| named | 1 << self.sectors[sector])
    }

    pub(crate) fn map(&self, map: Map) -> Map {
        Map {
            block: self.block(map.block),
            ..map
        }
    }
}

/// All programs that were met.
pub(crate) struct Programs {
    layouts: Vec<Layout>,
    requests: Vec<Request>,
    fault: Option<Fault>,
    /// `true` if blocks can be bad.
    errors: bool,
    /// `true` if accesses can fail.
    failures: bool,
    stretches: Vec<Stretch>,
    nodes: FxHashMap<Key, Node>,
}

impl Programs {
    pub(crate) fn new(
        layouts: &[Layout],
        requests: &[Request],
        errors: bool,
        failures: bool,
        fault: Option<Fault>,
    ) -> Self {
        Self {
            layouts: layouts.to_vec(),
            requests: requests.to_vec(),
            fault,
            errors,
            failures,
            stretches: Vec::new(),
            nodes: FxHashMap::default(),
        }
    }

    pub(crate) fn at(&self, node: Node) -> &Stretch {
        &self.stretches[node as usize]
    }

    /// Returns the number of stretches.
    pub(crate) fn len(&self) -> usize {
        self.stretches.len()
    }

    /// Returns the point at which a request begins.
    pub(crate) fn start(&mut self, request: u8) -> Node {
        self.find(Key {
            request,
            answers: Vec::new(),
        })
    }

    /// Returns the point that an answer leads to.
    pub(crate) fn answer(&mut self, node: Node, answers: impl IntoIterator<Item = Answer>) -> Node {
        let mut key = self.at(node).key.clone();
        key.answers.extend(answers);
        self.find(key)
    }

    /// Returns the same point under other names.
    pub(crate) fn rename(&mut self, node: Node, names: &Names) -> Node {
        let mut key = self.at(node).key.clone();
        if names.moved {
            key.request = self.renamed_request(key.request, names);
        }
        for answer in &mut key.answers {
            match answer {
                Answer::Lane(lane, value) => {
                    *lane = names.lanes[usize::from(*lane)];
                    if let Some(first) = First::of(*value) {
                        *value = names.first(first).pack();
                    }
                }
                Answer::Map(value) => *value = names.map(Map::of(*value)).pack(),
                Answer::Line(sectors) => *sectors = names.line(*sectors),
                Answer::Bad(_) | Answer::Gate(_) | Answer::Unreadable | Answer::Fails(_) => {}
            }
        }
        self.find(key)
    }

    /// Returns the same request under other names. It must be a request of one sector.
    pub(crate) fn renamed_request(&self, request: u8, names: &Names) -> u8 {
        let old = self.requests[usize::from(request)];
        let renamed = Request {
            sector: names.sectors[usize::from(old.sector)],
            group: if old.is_write() {
                names.lanes[usize::from(old.group)]
            } else {
                old.group
            },
            ..old
        };
        let found = self.requests.iter().position(|request| *request == renamed);
        found.map_or(request, |found| found as u8)
    }

    /// Returns the first sector of a request.
    pub(crate) fn sector(&self, request: u8) -> u8 {
        self.requests[usize::from(request)].sector
    }

    /// Returns the kind of a request, as a number.
    pub(crate) fn kind(&self, request: u8) -> u8 {
        self.requests[usize::from(request)].kind as u8
    }

    /// Returns how many answers a request has.
    pub(crate) fn progress(&self, node: Node) -> usize {
        self.at(node).key.answers.len()
    }

    /// Returns `true` if blocks can be bad.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors
    }

    /// Returns `true` if accesses can fail.
    pub(crate) fn has_failures(&self) -> bool {
        self.failures
    }

    /// Returns `true` if a request has met a failure or a closed gate.
    pub(crate) fn has_failed(&self, node: Node) -> bool {
        script::has_failed(&self.at(node).key.answers)
    }

    /// Returns the lanes that a request has taken, with the first halves as it found them.
    pub(crate) fn lanes(&self, node: Node) -> impl Iterator<Item = (u8, First)> + '_ {
        let answers = self.at(node).key.answers.iter();
        answers.filter_map(|answer| match answer {
            Answer::Lane(lane, value) => Some((*lane, First::of(*value)?)),
            _ => None,
        })
    }

    fn find(&mut self, key: Key) -> Node {
        if let Some(&node) = self.nodes.get(&key) {
            return node;
        }
        let stretch = self.run(&key);
        let node = self.stretches.len() as Node;
        self.stretches.push(stretch);
        self.nodes.insert(key, node);
        node
    }

    /// Runs the engine as far as the answers go, in several encodings.
    fn run(&self, key: &Key) -> Stretch {
        let request = self.requests[usize::from(key.request)];
        let initial: Vec<(u8, Block)> = questions_of_map(&request, &key.answers)
            .filter(|(_, map)| map.flags == Map::INITIAL)
            .map(|(sector, map)| (sector, map.block))
            .collect();
        let mut runs = VARIETIES.into_iter().map(|variety| {
            let encoding = Encoding::new(&self.layouts, variety, &initial, false);
            let layout = encoding.layout().clone();
            let script = Script {
                answers: key.answers.clone(),
                errors: self.errors,
                failures: self.failures,
                fault: self.fault,
            };
            let Run { log, seen, end } = script::run(encoding, &request, script);
            let accesses = match self.fault {
                Some(fault) => fault.apply(&request, &layout, &log, seen),
                None => log[seen..].to_vec(),
            };
            (accesses, end)
        });
        let (accesses, end) = runs.next().expect("there are varieties");
        let agree = runs.all(|other| other == (accesses.clone(), end.clone()));
        let end = if agree {
            end
        } else {
            End::Return(Result::Failed("the encoding makes a difference".into()))
        };
        Stretch {
            key: key.clone(),
            accesses,
            end,
        }
    }
}

/// Returns the sectors of a request, with the first answer about each of them.
fn questions_of_map<'a>(
    request: &Request,
    answers: &'a [Answer],
) -> impl Iterator<Item = (u8, Map)> + 'a {
    let words = answers.iter().filter_map(|answer| match answer {
        Answer::Map(value) => Some(Some(Map::of(*value))),
        Answer::Unreadable => Some(None),
        _ => None,
    });
    // Requests of more than one sector load each word once, in order. A read loads its one word
    // repeatedly.
    let sectors = request.sectors().map(|sector| sector as u8);
    let known = sectors.zip(words);
    known.filter_map(|(sector, map)| Some((sector, map?)))
}
