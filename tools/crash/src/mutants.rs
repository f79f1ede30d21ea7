// SPDX-License-Identifier: GPL-2.0

//! The protocol with parts left out: each must lead to a violation, or the explorer is blind.

use crate::{
    explore::Violation,
    medium::{
        Access,
        Fault, //
    },
    plans::{
        self,
        WRITES_ONLY, //
    },
};

/// A part of the protocol that is left out.
#[derive(Clone, Copy)]
pub struct Mutant {
    name: &'static str,
    fault: Fault,
    /// Only plans whose names contain this.
    plans: &'static str,
}

/// All of them.
pub const ALL: [Mutant; 9] = [
    mutant("no fence 1", Fault::NoFence(0)),
    mutant("no fence 2", Fault::NoFence(1)),
    mutant("data are not flushed", Fault::NoFlush(Access::Data, 0)),
    mutant(
        "discards are not flushed",
        Fault::NoFlush(Access::OwnMap, 0),
    ),
    Mutant {
        // Discards flush the same words at the same time, so that they must not be the ones that are missed.
        plans: WRITES_ONLY,
        ..mutant(
            "the map word as read is not flushed",
            Fault::NoFlush(Access::OwnMap, 0),
        )
    },
    mutant(
        "the map word of the lane's newest entry is not flushed",
        Fault::NoFlush(Access::OtherMap, 0),
    ),
    mutant(
        "the first half is not flushed",
        Fault::NoFlush(Access::FirstHalf, 0),
    ),
    mutant(
        "the second half is not flushed",
        Fault::NoFlush(Access::SecondHalf, 1),
    ),
    mutant("the first half comes after fence 1", Fault::LateFirstHalf),
];

const fn mutant(name: &'static str, fault: Fault) -> Mutant {
    Mutant {
        name,
        fault,
        plans: "",
    }
}

impl Mutant {
    /// What is left out.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Explores all plans, each up to `limit` states. Returns the first violation and the name of its plan.
    pub fn hunt(&self, limit: usize) -> Option<(&'static str, Violation)> {
        let plans = plans::all()
            .into_iter()
            .filter(|plan| plan.name().contains(self.plans));
        plans.into_iter().find_map(|plan| {
            let violation = plan.clone().limited(limit).explore_with(self.fault).err()?;
            Some((plan.name(), violation))
        })
    }
}
