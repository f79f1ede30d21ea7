// SPDX-License-Identifier: GPL-2.0

//! What came of each test, and the sum of it all.

use crate::{
    modules::Stack,
    ui, //
};
use std::{
    process::ExitCode,
    time::Duration, //
};

/// So many lines of a failure's reason are said again at the end.
const REPEATED: usize = 10;

/// What came of one test under one stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    /// Passed in an earlier run, and nothing that it depends on has changed.
    Recorded,
    /// With the reason.
    Failed(String),
    /// With the reason.
    Skipped(String),
}

/// What a test under one stack is called.
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
    /// Prints the line, and for a failure its reason below.
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

/// Prints the failures once more: they are far up among hundreds of lines, and who looks at a log of CI may only see its end.
pub(crate) fn print_failures(outcomes: &[Outcome]) {
    for outcome in outcomes {
        if let Verdict::Failed(reason) = &outcome.verdict {
            println!("            failed: {}", outcome.name);
            print_reason(reason.lines().take(REPEATED));
        }
    }
}

/// Sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) recorded: u64,
}

impl Tally {
    /// Counts one outcome.
    pub(crate) fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
            Verdict::Recorded => self.recorded += 1,
        }
    }

    /// Adds the sums of another part.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.recorded += other.recorded;
    }

    /// Prints the closing line. Success is that something passed and nothing failed.
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
