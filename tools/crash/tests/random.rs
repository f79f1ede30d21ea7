// SPDX-License-Identifier: GPL-2.0

//! Long random histories with power failures.

/// Requests of a history.
const REQUESTS: usize = 25_000;

#[test]
fn long_histories() {
    for seed in 1..=4 {
        match crash::random::run(seed * 0x9e37_79b9, REQUESTS) {
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
