// SPDX-License-Identifier: GPL-2.0

//! Verdicts of tests, and their sum.

use crate::{
    modules::Stack,
    ui, //
};
use std::{
    process::ExitCode,
    time::Duration, //
};

/// Number of lines of a failure's reason that are repeated at the end.
const REPEATED: usize = 10;

/// The verdict on a test under one stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    /// Passed in an earlier run with the same dependencies.
    Recorded,
    /// With the reason.
    Failed(String),
    /// With the reason.
    Skipped(String),
}

/// Returns the name of a test under one stack.
pub(crate) fn name(test: &str, stack: Stack) -> String {
    format!("{test} [{}]", stack.name())
}

/// One line of the report.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) time: Duration,
}

impl Outcome {
    /// Prints the line, followed by the reason if there is one.
    pub(crate) fn print(&self) {
        let (word, reason) = match &self.verdict {
            Verdict::Passed => ("ok", None),
            Verdict::Recorded => ("as recorded", None),
            Verdict::Failed(reason) => ("FAILED", Some(reason)),
            Verdict::Skipped(reason) => ("skipped", Some(reason)),
        };
        println!("{} {:<44} {word}", ui::clock(self.time), self.name);
        if let Some(reason) = reason {
            print_reason(reason.lines());
        }
    }
}

fn print_reason<'a>(lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        println!("            | {line}");
    }
}

/// Prints the failures again, since a reader of a CI log may only see its end.
pub(crate) fn print_failures(outcomes: &[Outcome]) {
    for outcome in outcomes {
        if let Verdict::Failed(reason) = &outcome.verdict {
            println!("            failed: {}", outcome.name);
            print_reason(reason.lines().take(REPEATED));
        }
    }
}

/// Numbers of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) recorded: u64,
}

impl Tally {
    /// Returns the numbers of these outcomes.
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let mut tally = Self::default();
        outcomes
            .iter()
            .for_each(|outcome| tally.count(&outcome.verdict));
        tally
    }

    /// Counts one outcome.
    pub(crate) fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
            Verdict::Recorded => self.recorded += 1,
        }
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.recorded += other.recorded;
    }

    /// Prints the closing line. Succeeds if at least one test passed and none failed.
    pub(crate) fn close(self) -> ExitCode {
        let mut line = format!("{} passed, {} failed", self.passed, self.failed);
        for (count, word) in [(self.skipped, "skipped"), (self.recorded, "as recorded")] {
            if count > 0 {
                line.push_str(&format!(", {count} {word}"));
            }
        }
        println!("{line}");
        if self.failed == 0 && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
