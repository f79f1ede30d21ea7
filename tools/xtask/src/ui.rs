// SPDX-License-Identifier: GPL-2.0

//! Terminal output: one line a step with its time, and a sign of progress during long steps.
//!
//! On a terminal a step shows a spinner or a bar, and leaves its line when it ends. Elsewhere (CI)
//! it prints a line every [`QUIET_INTERVAL`] instead, so that a log shows progress.

use anyhow::Result;
use indicatif::{
    ProgressBar,
    ProgressStyle, //
};
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    io::IsTerminal,
    time::{
        Duration,
        Instant, //
    },
};

/// Interval of progress lines where there is no terminal.
const QUIET_INTERVAL: Duration = Duration::from_secs(30);

/// A running step.
pub(crate) struct Step {
    name: String,
    start: Instant,
    bar: Option<ProgressBar>,
    last_line: Cell<Instant>,
    /// Share that is done, in per cent, if known.
    share: Cell<Option<u64>>,
    note: RefCell<String>,
}

impl Step {
    fn begin(name: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let now = Instant::now();
        Self {
            name: name.to_owned(),
            start: now,
            bar,
            last_line: Cell::new(now),
            share: Cell::new(None),
            note: RefCell::default(),
        }
    }

    /// Reports that `done` of about `total` units are finished. If `total` was too low, the bar
    /// stays full.
    pub(crate) fn progress(&self, done: u64, total: u64) {
        let shown = done.min(total);
        match &self.bar {
            Some(bar) => {
                if bar.length() != Some(total) {
                    if let Ok(style) = ProgressStyle::with_template(
                        "{spinner} {msg} [{bar:30}] {percent}% {elapsed}",
                    ) {
                        bar.set_style(style.progress_chars("=> "));
                    }
                    bar.set_length(total);
                }
                bar.set_position(shown);
            }
            None => {
                self.share.set(Some(shown * 100 / total.max(1)));
                self.tick();
            }
        }
    }

    /// Like [`Step::progress`], with an estimate of the remaining time.
    pub(crate) fn progress_with_estimate(&self, done: u64, total: u64, elapsed: Duration) {
        self.progress(done, total);
        if let Some(bar) = &self.bar {
            let left = match u32::try_from(done) {
                Ok(count @ 1..) => {
                    let left = elapsed / count * u32::try_from(total - done).unwrap_or(u32::MAX);
                    format!(", about {} min left", left.as_secs().div_ceil(60))
                }
                _ => String::new(),
            };
            bar.set_message(format!("{}: {done} of {total}{left}", self.name));
        }
    }

    /// Reports that the step is still running.
    pub(crate) fn tick(&self) {
        match self.share.get() {
            Some(share) => self.sign_of_life(&format!("{share} %")),
            None => self.sign_of_life("still at work"),
        }
    }

    /// Reports that the step waits for another run.
    pub(crate) fn tick_waiting(&self) {
        self.sign_of_life("still waiting");
    }

    /// Sets the text behind the step's name in its last line.
    pub(crate) fn note(&self, note: impl Into<String>) {
        *self.note.borrow_mut() = note.into();
    }

    /// Prints a line above the step's own.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }

    fn sign_of_life(&self, what: &str) {
        if self.bar.is_none() && self.last_line.get().elapsed() >= QUIET_INTERVAL {
            self.last_line.set(Instant::now());
            println!("{} {}: {what}", clock(self.start.elapsed()), self.name);
        }
    }

    fn end(&self, outcome: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let note = self.note.borrow();
        let separator = if note.is_empty() { "" } else { ": " };
        println!(
            "{} {}{separator}{note}{outcome}",
            clock(self.start.elapsed()),
            self.name
        );
    }
}

/// Formats a time for the start of a line.
pub(crate) fn clock(time: Duration) -> String {
    format!("[{:>7.1} s]", time.as_secs_f64())
}

/// Runs `work` as the step `name` and prints its line.
pub(crate) fn step<T>(name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    let step = Step::begin(name);
    let result = work(&step);
    step.end(if result.is_ok() { "" } else { " - FAILED" });
    result
}

/// Prints an error with the chain of its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
