// SPDX-License-Identifier: GPL-2.0

//! The protocol with parts left out. Each mutant must lead to a violation, or the explorer is
//! blind.

use crate::{
    explore::Violation,
    faults::{
        Fault,
        Flushed, //
    },
    plans,
};

/// A part of the protocol that is left out.
#[derive(Clone, Copy)]
pub struct Mutant {
    name: &'static str,
    fault: Fault,
    /// Only plans whose names contain this text: a discard flushes and fences at other times than a
    /// write.
    plans: &'static str,
}

/// All mutants.
pub const ALL: [Mutant; 21] = [
    mutant("no fence 1", Fault::NoFence(0)),
    mutant("no fence 2", Fault::NoFence(1)),
    mutant("data are not flushed", Fault::NoFlush(Flushed::Data, 0)),
    mutant(
        "lines that map locks remember are not flushed",
        Fault::NoFlushOfLines,
    ),
    mutant("map locks remember no lines", Fault::NoMemory),
    mutant(
        "map words of a discard are not flushed",
        Fault::NoFlush(Flushed::OwnMap, 0),
    ),
    mutant(
        "the map word of the lane's newest entry is not flushed",
        Fault::NoFlush(Flushed::OtherMap, 0),
    ),
    mutant(
        "the first half is not flushed",
        Fault::NoFlush(Flushed::FirstHalf, 0),
    ),
    mutant(
        "the second half is not flushed",
        Fault::NoFlush(Flushed::SecondHalf, 1),
    ),
    mutant("the first half comes after fence 1", Fault::LateFirstHalf),
    mutant("no map locks", Fault::NoMapLocks),
    mutant(
        "map locks are released before the map is stored",
        Fault::EarlyUnlock,
    ),
    mutant("no lane locks", Fault::NoLaneLocks),
    Mutant {
        plans: "media errors",
        ..mutant("writers do not look whether a block is read", Fault::NoLook)
    },
    Mutant {
        plans: "media errors",
        ..mutant("errors of free blocks are not cleared", Fault::NoClear)
    },
    mutant(
        "map words are not flushed when a BTT is opened",
        Fault::NoFlushWhenOpened,
    ),
    mutant(
        "the gate is not checked under the map locks",
        Fault::NoSecondLook,
    ),
    mutant(
        "the map stores stop at the first error",
        Fault::MapStopsAtError,
    ),
    mutant(
        "the map is stored after a failed fence",
        Fault::MapAfterFailedFence,
    ),
    mutant("a failed fence is not noticed", Fault::FenceNeverFails),
    mutant("the gate is not closed", Fault::NoClose),
];

const fn mutant(name: &'static str, fault: Fault) -> Mutant {
    Mutant {
        name,
        fault,
        plans: "",
    }
}

impl Mutant {
    /// Returns what is left out.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Explores all plans up to the first violation, each up to `limit` states, as long as `go_on`
    /// returns `true`. Returns the violation and the name of its plan.
    pub fn hunt(
        &self,
        limit: usize,
        go_on: impl Fn() -> bool,
    ) -> Option<(&'static str, Violation)> {
        let plans = plans::all().into_iter().filter(|plan| {
            plan.name().contains(self.plans) && plan.has_failures() == self.fault.needs_failures()
        });
        plans.into_iter().find_map(|plan| {
            let violation = plan
                .clone()
                .limited(limit)
                .explore_with(self.fault, &go_on)
                .err()?;
            Some((plan.name(), violation))
        })
    }
}
