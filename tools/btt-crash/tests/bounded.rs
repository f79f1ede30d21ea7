// SPDX-License-Identifier: GPL-2.0

//! The part of the exploration that takes less than a minute. `make crash` does the rest.

use btt_crash::{
    mutants,
    plans, //
};

/// Number of states after which each plan stops, and number of requests and power failures of a
/// history, where the plan limits it.
const BOUNDS: [(&str, usize, usize); 25] = [
    ("2 sectors, 2 lanes", usize::MAX, 0),
    ("2 sectors, 2 lanes, by name", 100_000, 0),
    ("2 sectors, 2 lanes, all entries", 100_000, 0),
    ("2 sectors, 2 lanes, every access", 50_000, 0),
    ("2 sectors, 2 lanes, media errors", 100_000, 0),
    ("2 sectors, 2 lanes, media errors, every access", 50_000, 0),
    ("2 sectors, 2 lanes, without waiting", 100_000, 0),
    ("2 sectors of one lock, 2 lanes", 100_000, 0),
    ("2 sectors of one lock, 2 lanes, every access", 50_000, 0),
    ("2 neighbours, 2 lanes, batches", 75_000, 0),
    ("2 neighbours, 3 lanes, batches", 75_000, 0),
    ("3 neighbours, 2 lanes, batches", 100_000, 0),
    ("2 neighbours, 4 lanes, batches only", 75_000, 0),
    ("1 arena, 2 sectors, sequences", 100_000, 0),
    ("2 arenas, 4 sectors, sequences", usize::MAX, 2),
    ("2 sectors, 2 lanes, writes, a failure", 100_000, 0),
    ("2 sectors, 2 lanes, a failure", 100_000, 0),
    ("2 sectors, 2 lanes, a failure, every access", 60_000, 0),
    ("2 sectors, 2 lanes, media errors, a failure", 60_000, 0),
    ("2 neighbours, 2 lanes, batches, a failure", 100_000, 0),
    ("2 neighbours, 3 lanes, batches, a failure", 100_000, 0),
    ("3 sectors, two of one lock, 2 lanes", 100_000, 0),
    ("3 sectors, 2 lanes", 100_000, 0),
    ("3 neighbours, 4 lanes, batches", 50_000, 0),
    ("3 sectors, 2 lanes, every access", 50_000, 0),
];

#[test]
fn no_power_failure_tears_or_loses_anything() {
    let plans = plans::all();
    assert_eq!(plans.len(), BOUNDS.len());
    for (plan, (name, states, depth)) in plans.into_iter().zip(BOUNDS) {
        assert_eq!(plan.name(), name);
        let bounded = plan.limited(states).no_deeper(depth);
        match bounded.explore(|_, _| true) {
            Ok(count) => {
                let whole = states == usize::MAX && (count.closed || depth > 0);
                assert!(
                    whole || count.states >= states as u64,
                    "{name}: only {count:?}"
                );
                println!("{name}: {count:?}");
            }
            Err(violation) => panic!("{name}:\n{violation}"),
        }
    }
}

#[test]
fn every_mutant_is_killed() {
    for mutant in mutants::ALL {
        match mutant.hunt(60_000, || true) {
            Some((plan, violation)) => println!("{} ({plan})\n{violation}", mutant.name()),
            None => panic!("survived: {}", mutant.name()),
        }
    }
}

/// The image of a violation is a file that tools can open.
#[test]
fn the_image_of_a_violation_can_be_saved() {
    let no_fence = &mutants::ALL[0];
    let (_, violation) = no_fence.hunt(10_000, || true).expect("a violation");
    let path = std::env::temp_dir().join(format!("violation-{}.img", std::process::id()));
    assert!(violation.save(&path).expect("written"));
    let len = std::fs::metadata(&path).expect("there").len();
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(len % 4096, 0);
    assert!(len >= 16 << 20);
}
