// SPDX-License-Identifier: GPL-2.0

//! The part of the exploration that fits into a minute; `crash` does the rest.

use crash::{
    mutants,
    plans, //
};

/// States of each plan. Plans are explored breadth first, so that these are all short histories.
const STATES: [(&str, usize); 7] = [
    ("2 sectors, 2 lanes", 5_000),
    ("2 sectors, 2 lanes, old slots", 2_000),
    ("2 sectors, 2 lanes, media errors", 3_000),
    ("3 sectors, 4 lanes, batches", 250),
    ("2 sectors, 2 lanes, 2 threads", 40),
    ("3 sectors, 2 lanes, 2 threads", 15),
    ("3 sectors, 2 lanes, writes only", 2_000),
];

#[test]
fn no_power_failure_tears_or_loses_anything() {
    let plans = plans::all();
    assert_eq!(plans.len(), STATES.len());
    for (plan, (name, states)) in plans.into_iter().zip(STATES) {
        assert_eq!(plan.name(), name);
        match plan.limited(states).explore(|_, _| {}) {
            Ok(count) => {
                assert!(count.states >= states, "{name}: only {count:?}");
                println!("{name}: {} states, {} images", count.states, count.images);
            }
            Err(violation) => panic!("{name}:\n{violation}"),
        }
    }
}

#[test]
fn every_mutant_is_killed() {
    for mutant in mutants::ALL {
        let (plan, violation) = mutant
            .hunt(2_000)
            .unwrap_or_else(|| panic!("survived: {}", mutant.name()));
        println!("{} ({plan})\n{violation}", mutant.name());
    }
}
