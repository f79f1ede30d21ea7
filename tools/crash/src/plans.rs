// SPDX-License-Identifier: GPL-2.0

//! What is explored.

use crate::{
    explore::{
        self,
        Count,
        Kind,
        Request,
        Violation, //
    },
    layout::Layout,
    medium::Fault,
};
use nd_format::btt::FlogLayout;

/// Sectors whose map words are in cache lines of their own, and so in different buckets.
const APART: [u32; 3] = [0, 16, 32];

/// Neighbouring sectors on both sides of the end of a cache line of the map.
const NEIGHBOURS: [u32; 3] = [14, 15, 16];

/// Name of the plan without discards.
pub(crate) const WRITES_ONLY: &str = "3 sectors, 2 lanes, writes only";

/// Something to explore: an arena and the requests that are sent to it.
#[derive(Clone)]
pub struct Plan(explore::Plan);

impl Plan {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The same with another number of states after which to stop.
    #[must_use]
    pub fn limited(mut self, limit: usize) -> Self {
        self.0.limit = limit;
        self
    }

    /// The same with requests of two threads at a time.
    fn interrupted(mut self) -> Self {
        self.0.interrupted = true;
        self
    }

    /// Explores it. `progress` is told what was found so far and how many states wait.
    pub fn explore(&self, progress: impl FnMut(&Count, usize)) -> Result<Count, Violation> {
        explore::explore(&self.0, None, progress)
    }

    /// Explores it with a part of the protocol left out.
    pub(crate) fn explore_with(&self, fault: Fault) -> Result<Count, Violation> {
        explore::explore(&self.0, Some(fault), |_, _| {})
    }
}

/// All plans.
pub fn all() -> Vec<Plan> {
    vec![
        plan(
            "2 sectors, 2 lanes",
            &APART[..2],
            2,
            FlogLayout::Adjacent,
            |sectors, lanes| writes(sectors, lanes).chain(discards(sectors)).collect(),
        ),
        plan(
            "2 sectors, 2 lanes, old slots",
            &APART[..2],
            2,
            FlogLayout::Legacy,
            |sectors, lanes| writes(sectors, lanes).chain(discards(sectors)).collect(),
        ),
        plan(
            "2 sectors, 2 lanes, media errors",
            &APART[..2],
            2,
            FlogLayout::Adjacent,
            |sectors, lanes| {
                writes(sectors, lanes)
                    .chain(discards(sectors))
                    .chain(errors(sectors))
                    .collect()
            },
        ),
        plan(
            "3 sectors, 4 lanes, batches",
            &NEIGHBOURS,
            4,
            FlogLayout::Adjacent,
            |sectors, lanes| batches(sectors, lanes).collect(),
        ),
        plan(
            "2 sectors, 2 lanes, 2 threads",
            &APART[..2],
            2,
            FlogLayout::Adjacent,
            |sectors, lanes| writes(sectors, lanes).chain(discards(sectors)).collect(),
        )
        .interrupted(),
        plan(
            "3 sectors, 2 lanes, 2 threads",
            &APART,
            2,
            FlogLayout::Adjacent,
            |sectors, lanes| writes(sectors, lanes).collect(),
        )
        .interrupted(),
        plan(
            WRITES_ONLY,
            &APART,
            2,
            FlogLayout::Adjacent,
            |sectors, lanes| writes(sectors, lanes).collect(),
        ),
    ]
}

fn plan(
    name: &'static str,
    sectors: &'static [u32],
    lanes: u32,
    flog_layout: FlogLayout,
    requests: impl FnOnce(&'static [u32], u32) -> Vec<Request>,
) -> Plan {
    Plan(explore::Plan {
        name,
        layout: Layout::new(sectors, lanes, flog_layout),
        requests: requests(sectors, lanes),
        interrupted: false,
        limit: usize::MAX,
    })
}

const THREADS: u8 = 2;

/// Every sector, by every thread, with every lane: a thread whose own lanes are taken uses those of others.
fn writes(sectors: &'static [u32], lanes: u32) -> impl Iterator<Item = Request> {
    let lanes = lanes as usize;
    sectors.iter().flat_map(move |&lba| {
        (0..THREADS).flat_map(move |thread| {
            (0..lanes).map(move |cpu| Request {
                kind: Kind::Write,
                thread,
                groups: lanes,
                cpu,
                lba,
                count: 1,
            })
        })
    })
}

fn discards(sectors: &'static [u32]) -> impl Iterator<Item = Request> {
    sectors
        .iter()
        .flat_map(|&lba| (0..THREADS).map(move |thread| request(Kind::Discard, thread, lba, 1)))
}

fn errors(sectors: &'static [u32]) -> impl Iterator<Item = Request> {
    sectors.iter().flat_map(|&lba| {
        [
            request(Kind::Poison, 0, lba, 1),
            request(Kind::Read, 1, lba, 1),
        ]
    })
}

fn request(kind: Kind, thread: u8, lba: u32, count: u32) -> Request {
    Request {
        kind,
        thread,
        groups: 1,
        cpu: 0,
        lba,
        count,
    }
}

/// Runs of neighbouring sectors, with lane groups of one, two and all lanes.
fn batches(sectors: &'static [u32], lanes: u32) -> impl Iterator<Item = Request> {
    let first = sectors[0];
    let runs = [(first, 1), (first, 2), (first + 1, 2), (first, 3)];
    let groups = [(lanes as usize, 1), (2, 0), (2, 1), (1, 0)];
    let writes = runs.into_iter().flat_map(move |(lba, count)| {
        groups
            .into_iter()
            .zip((0..THREADS).cycle())
            .map(move |((groups, cpu), thread)| Request {
                kind: Kind::Write,
                thread,
                groups,
                cpu,
                lba,
                count,
            })
    });
    writes.chain([request(Kind::Discard, 0, first, 3)])
}
