// SPDX-License-Identifier: GPL-2.0

//! Long random histories with power failures, and histories in which stores and fences fail as
//! well.

use btt_crash::random::{
    self,
    Kind, //
};

/// Number of requests of a history.
const REQUESTS: usize = 25_000;

/// Number of requests of a history in which accesses fail.
const FAILING: usize = 10_000;

#[test]
fn long_histories() {
    for seed in 1..=4 {
        match random::run(seed * 0x9e37_79b9, REQUESTS, Kind::Power) {
            Ok(tally) => {
                assert!(
                    tally.requests >= REQUESTS
                        && tally.power_failures > REQUESTS / 10
                        && tally.reopenings > REQUESTS / 10,
                    "{tally:?}"
                );
                println!("seed {seed}: {tally:?}");
            }
            Err(violation) => panic!("{violation}"),
        }
    }
}

#[test]
fn long_histories_with_failures() {
    for seed in 1..=4 {
        match random::run(seed * 0x9e37_79b9, FAILING, Kind::Failures) {
            Ok(tally) => {
                assert!(
                    tally.failures > FAILING / 10
                        && tally.failed_requests > FAILING / 10
                        && tally.beginnings > FAILING / 200,
                    "{tally:?}"
                );
                println!("seed {seed}: {tally:?}");
            }
            Err(violation) => panic!("{violation}"),
        }
    }
}
