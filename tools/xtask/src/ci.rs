// SPDX-License-Identifier: GPL-2.0

//! `.ci/run`: `make check`, `make test`, quick tests on Debian's kernels, and the budgets of
//! instructions a request.

use crate::{
    bench,
    cargo,
    suite::{
        self,
        report::Tally,
        Selection, //
    },
    ui, //
};
use anyhow::Result;
use std::process::ExitCode;

/// Runs all of them, also after a failure, and prints the sum as the last line. The check, the
/// budgets, and runs of tests that are aborted count as one test each.
pub(crate) fn run(selection: &Selection) -> ExitCode {
    let one = |outcome: Result<()>| {
        outcome.map(|()| Tally {
            passed: 1,
            ..Tally::default()
        })
    };
    let check = || one(cargo::check());
    let tests = || suite::tally(selection);
    let stock = || suite::tally_of_stock(None, &Selection::quick());
    let budgets = || one(bench::run(&bench::Options::budget()));
    let steps: [&dyn Fn() -> Result<Tally>; 4] = [&check, &tests, &stock, &budgets];
    let mut sum = Tally::default();
    for step in steps {
        sum.add(step().unwrap_or_else(|error| {
            ui::error(&error);
            Tally {
                failed: 1,
                ..Tally::default()
            }
        }));
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
