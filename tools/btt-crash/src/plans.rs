// SPDX-License-Identifier: GPL-2.0

//! The plans: what is explored.

use crate::{
    access::{
        Kind,
        Request, //
    },
    explore::{
        self,
        Count,
        Violation, //
    },
    faults::Fault,
    layout::Used, //
};

/// Sectors whose map words are in cache lines of their own, and so have different locks.
const APART: [u32; 3] = [0, 16, 32];

/// Sectors of different lines, two of which have the same lock.
const ONE_LOCK: [u32; 3] = [0, 16, 4096];

/// Neighbouring sectors on both sides of the end of a cache line of the map.
const NEIGHBOURS: [u32; 4] = [14, 15, 16, 17];

/// A plan: something to explore.
#[derive(Clone)]
pub struct Plan(explore::Plan);

impl Plan {
    /// Returns the name of the plan.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Returns `true` if accesses fail.
    pub(crate) fn has_failures(&self) -> bool {
        self.0.failures > 0
    }

    /// Returns the same plan with another number of states after which to stop.
    #[must_use]
    pub fn limited(mut self, limit: usize) -> Self {
        self.0.limit = limit;
        self
    }

    /// Returns the same plan for histories of at most `depth` requests and power failures. A plan
    /// without such a limit is not changed.
    #[must_use]
    pub fn no_deeper(mut self, depth: usize) -> Self {
        if self.0.depth != usize::MAX {
            self.0.depth = depth;
        }
        self
    }

    /// Explores the plan. `progress` gets what was found so far and the number of known states, and
    /// returns `false` to stop.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn explore(&self, progress: impl FnMut(&Count, usize) -> bool) -> Result<Count, Violation> {
        explore::explore(&self.0, None, progress)
    }

    /// Explores the plan with a part of the protocol left out.
    pub(crate) fn explore_with(
        &self,
        fault: Fault,
        go_on: impl Fn() -> bool,
    ) -> Result<Count, Violation> {
        explore::explore(&self.0, Some(fault), |_, _| go_on())
    }
}

/// Returns all plans, the quick ones first.
pub fn all() -> Vec<Plan> {
    vec![
        symmetric(plan("2 sectors, 2 lanes", &APART[..2], 2, |used| {
            writes(used).chain(discards(used, 1)).collect()
        })),
        plan("2 sectors, 2 lanes, by name", &APART[..2], 2, |used| {
            writes(used).chain(discards(used, 1)).collect()
        }),
        Plan(explore::Plan {
            keep_entries: true,
            ..plan("2 sectors, 2 lanes, all entries", &APART[..2], 2, |used| {
                writes(used).chain(discards(used, 1)).collect()
            })
            .0
        }),
        symmetric(every_access(plan(
            "2 sectors, 2 lanes, every access",
            &APART[..2],
            2,
            |used| writes(used).chain(discards(used, 1)).collect(),
        ))),
        symmetric(plan(
            "2 sectors, 2 lanes, media errors",
            &APART[..2],
            2,
            |used| {
                writes(used)
                    .chain(discards(used, 1))
                    .chain(errors(used))
                    .collect()
            },
        )),
        symmetric(every_access(plan(
            "2 sectors, 2 lanes, media errors, every access",
            &APART[..2],
            2,
            |used| {
                writes(used)
                    .chain(discards(used, 1))
                    .chain(errors(used))
                    .collect()
            },
        ))),
        symmetric(plan(
            "2 sectors, 2 lanes, without waiting",
            &APART[..2],
            2,
            |used| {
                writes(used)
                    .chain(without_waiting(writes(used)))
                    .chain(discards(used, 1))
                    .collect()
            },
        )),
        plan(
            "2 sectors of one lock, 2 lanes",
            &[ONE_LOCK[0], ONE_LOCK[2]],
            2,
            |used| writes(used).chain(discards(used, 1)).collect(),
        ),
        every_access(plan(
            "2 sectors of one lock, 2 lanes, every access",
            &[ONE_LOCK[0], ONE_LOCK[2]],
            2,
            |used| writes(used).chain(discards(used, 1)).collect(),
        )),
        plan(
            "2 neighbours, 2 lanes, batches",
            &NEIGHBOURS[1..3],
            2,
            |used| {
                let batches = [(1, 2), (2, 1)].into_iter();
                batches
                    .flat_map(|(count, groups)| writes_of(used, count, groups))
                    .chain(discards(used, 2))
                    .collect()
            },
        ),
        plan(
            "2 neighbours, 3 lanes, batches",
            &NEIGHBOURS[1..3],
            3,
            |used| {
                // The second one of 2 groups has 2 lanes.
                let batch = writes_of(used, 2, 2).filter(|batch| batch.group == 1);
                writes_of(used, 1, 3)
                    .chain(batch)
                    .chain(discards(used, 2))
                    .collect()
            },
        ),
        plan(
            "3 neighbours, 2 lanes, batches",
            &NEIGHBOURS[..3],
            2,
            |used| {
                let batches = [(1, 2), (2, 1)].into_iter();
                batches
                    .flat_map(|(count, groups)| writes_of(used, count, groups))
                    .chain(discards(used, 3))
                    .collect()
            },
        ),
        plan(
            "2 neighbours, 4 lanes, batches only",
            &NEIGHBOURS[1..3],
            4,
            |used| {
                writes_of(used, 2, 2)
                    .chain(discards(used, 1))
                    .chain(discards(used, 2))
                    .collect()
            },
        ),
        Plan(explore::Plan {
            depth: usize::MAX,
            ..sequences(plan("1 arena, 2 sectors, sequences", &[0, 1], 2, |used| {
                let writes = [(1, 2), (2, 1)].into_iter();
                writes
                    .flat_map(|(count, groups)| writes_of(used, count, groups))
                    .chain((1..=2).flat_map(|count| discards(used, count)))
                    .chain(errors(used))
                    .collect()
            }))
            .0
        }),
        sequences(Plan(explore::Plan {
            used: vec![
                Used {
                    sectors: &[0, 1],
                    lanes: 2,
                };
                2
            ],
            ..plan("2 arenas, 4 sectors, sequences", &[0, 1, 2, 3], 4, |used| {
                let writes = [(1, 2), (2, 1), (3, 1), (4, 1)].into_iter();
                writes
                    .flat_map(|(count, groups)| writes_of(used, count, groups))
                    .chain((1..=4).flat_map(|count| discards(used, count)))
                    .chain(errors(used))
                    .collect()
            })
            .0
        })),
        symmetric(failing(plan(
            "2 sectors, 2 lanes, writes, a failure",
            &APART[..2],
            2,
            |used| writes(used).chain(lost_lines(used)).collect(),
        ))),
        symmetric(failing(plan(
            "2 sectors, 2 lanes, a failure",
            &APART[..2],
            2,
            |used| {
                writes(used)
                    .chain(discards(used, 1))
                    .chain(lost_lines(used))
                    .collect()
            },
        ))),
        symmetric(every_access(failing(plan(
            "2 sectors, 2 lanes, a failure, every access",
            &APART[..2],
            2,
            |used| writes(used).chain(discards(used, 1)).collect(),
        )))),
        symmetric(failing(plan(
            "2 sectors, 2 lanes, media errors, a failure",
            &APART[..2],
            2,
            |used| {
                writes(used)
                    .chain(discards(used, 1))
                    .chain(errors(used))
                    .chain(lost_lines(used))
                    .collect()
            },
        ))),
        failing(plan(
            "2 neighbours, 2 lanes, batches, a failure",
            &NEIGHBOURS[1..3],
            2,
            |used| {
                let batches = [(1, 2), (2, 1)].into_iter();
                batches
                    .flat_map(|(count, groups)| writes_of(used, count, groups))
                    .chain(discards(used, 1))
                    .chain(discards(used, 2))
                    .chain(lost_lines(used))
                    .collect()
            },
        )),
        failing(plan(
            "2 neighbours, 3 lanes, batches, a failure",
            &NEIGHBOURS[1..3],
            3,
            |used| {
                // The first one of 2 groups has 1 lane, the second one has 2.
                let batch = writes_of(used, 2, 2).filter(|batch| batch.group == 1);
                let single = writes_of(used, 1, 2).filter(|write| write.group == 0);
                single.chain(batch).collect()
            },
        )),
        plan(
            "3 sectors, two of one lock, 2 lanes",
            &ONE_LOCK,
            2,
            |used| writes(used).chain(discards(used, 1)).collect(),
        ),
        symmetric(plan("3 sectors, 2 lanes", &APART, 2, |used| {
            writes(used).chain(discards(used, 1)).collect()
        })),
        plan(
            "3 neighbours, 4 lanes, batches",
            &NEIGHBOURS[..3],
            4,
            |used| {
                let batches = [(1, 2), (2, 2), (3, 1)].into_iter();
                batches
                    .flat_map(|(count, groups)| writes_of(used, count, groups))
                    .chain(discards(used, 3))
                    .collect()
            },
        ),
        symmetric(every_access(plan(
            "3 sectors, 2 lanes, every access",
            &APART,
            2,
            |used| writes(used).collect(),
        ))),
    ]
}

fn plan(
    name: &'static str,
    sectors: &'static [u32],
    lanes: u32,
    requests: impl FnOnce(Used) -> Vec<Request>,
) -> Plan {
    let used = Used { sectors, lanes };
    Plan(explore::Plan {
        name,
        used: vec![used],
        requests: requests(used),
        threads: 2,
        all: false,
        symmetric: false,
        keep_entries: false,
        all_formats: false,
        failures: 0,
        depth: usize::MAX,
        limit: usize::MAX,
    })
}

/// Lets one access of each history fail.
fn failing(mut plan: Plan) -> Plan {
    plan.0.failures = 1;
    plan
}

/// Treats states as one if they differ only in the names of sectors or lanes.
fn symmetric(mut plan: Plan) -> Plan {
    plan.0.symmetric = true;
    plan
}

/// Also interleaves steps that make no difference.
fn every_access(mut plan: Plan) -> Plan {
    plan.0.all = true;
    plan
}

/// One thread, all formats, histories of limited length.
fn sequences(mut plan: Plan) -> Plan {
    plan.0.threads = 1;
    plan.0.all_formats = true;
    plan.0.depth = 4;
    plan
}

/// Returns the first sectors of all runs of `count` sectors.
fn runs(used: Used, count: u8) -> impl Iterator<Item = u8> {
    0..=(used.sectors.len() as u8).saturating_sub(count)
}

/// Returns writes of every sector with every lane. A thread whose own lanes are taken uses those of
/// the others.
fn writes(used: Used) -> impl Iterator<Item = Request> {
    writes_of(used, 1, 2)
}

/// Returns writes of every run of `count` sectors with every lane group.
///
/// A group has at least as many lanes as the write has sectors in an arena. A write with fewer
/// lanes is several writes, one after the other, that make their promise together.
fn writes_of(used: Used, count: u8, groups: u8) -> impl Iterator<Item = Request> {
    runs(used, count).flat_map(move |sector| {
        (0..groups).map(move |group| Request {
            kind: Kind::Write,
            sector,
            count,
            groups,
            group,
        })
    })
}

/// Returns the same writes by a thread that does not wait for others.
fn without_waiting(writes: impl Iterator<Item = Request>) -> impl Iterator<Item = Request> {
    writes.map(|write| Request {
        kind: Kind::TryWrite,
        ..write
    })
}

fn discards(used: Used, count: u8) -> impl Iterator<Item = Request> {
    runs(used, count).map(move |sector| request(Kind::Discard, sector, count))
}

fn errors(used: Used) -> impl Iterator<Item = Request> {
    runs(used, 1).flat_map(|sector| {
        [
            request(Kind::Poison, sector, 1),
            request(Kind::Read, sector, 1),
        ]
    })
}

/// Returns the events that make a line of the map unreadable.
fn lost_lines(used: Used) -> impl Iterator<Item = Request> {
    runs(used, 1).map(|sector| request(Kind::PoisonMap, sector, 1))
}

fn request(kind: Kind, sector: u8, count: u8) -> Request {
    Request {
        kind,
        sector,
        count,
        groups: 2,
        group: 0,
    }
}
