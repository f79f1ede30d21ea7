// SPDX-License-Identifier: GPL-2.0

//! `btt`: inspects, checks, repairs and creates block translation tables in image files and on
//! block devices.
//!
//! Only `create` and `repair` change the image. `report` describes the machine instead. Exit codes:
//!
//! | Code | Meaning |
//! |---|---|
//! | 0 | good |
//! | 1 | damaged; `check` says how, and `dump` shows what is there |
//! | 2 | wrong arguments, or the file cannot be read or written |
//! | 3 | there is no BTT |
//! | 4 | usable, but needs `repair`, see below |
//!
//! `repair` restores an info block from its copy, writes a copy anew from its info block, and
//! finishes interrupted writes.
//!
//! [`arguments`] is the command line; [`find`] opens the BTT; the other modules implement one
//! command or a few similar ones each.

mod arguments;
mod create;
mod dump;
mod find;
mod inspect;
mod progress;
mod repair;
mod report;
mod system;

use anyhow::Result;
use arguments::{
    Arguments,
    Command, //
};
use std::process::ExitCode;

/// Result of a command; its number is the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Good = 0,
    Damaged = 1,
    Failed = 2,
    NoBtt = 3,
    Repairable = 4,
}

impl Verdict {
    /// Returns the verdict on an image with these two findings.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Good, verdict) => verdict,
            (Self::Repairable, Self::Damaged) => other,
            _ => self,
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        // CAST: The numbers are below 5.
        Self::from(verdict as u8)
    }
}

fn main() -> ExitCode {
    let outcome = Arguments::of_command_line().and_then(|arguments| match arguments {
        Some(arguments) => run(&arguments),
        None => Ok(Verdict::Good),
    });
    outcome
        .unwrap_or_else(|error| {
            eprintln!("btt: {error:#}");
            Verdict::Failed
        })
        .into()
}

fn run(arguments: &Arguments) -> Result<Verdict> {
    let place = &arguments.place;
    match &arguments.command {
        Command::Info(target) => inspect::info(place, target),
        Command::Check(target) => inspect::check(place, target),
        Command::Repair(order) => repair::repair(place, order),
        Command::Create(order) => create::create(place, order),
        Command::Dump { table, image } => dump::dump(place, *table, image),
        Command::Map { target, lba } => inspect::map(place, target, *lba),
        Command::Report { file } => report::report(file.as_deref()),
        Command::Completion { shell } => {
            arguments::completion(*shell);
            Ok(Verdict::Good)
        }
    }
}
