// SPDX-License-Identifier: GPL-2.0

//! Repeats an operation while the kernel lets the first place in it that can fail do so, then the
//! second, and so on. Or attempts it once, with one such place: an operation that cannot be undone
//! is repeated by the caller, with something new to operate on.
//!
//! A kernel with fault injection counts such places down in `/proc/thread-self/fail-nth`, for this
//! thread only: work that a kernel worker does for the operation does not fail. The counter is 0
//! once the fault was injected. See Documentation/fault-injection/fault-injection.rst of the
//! kernel.

use crate::{
    state,
    store::{
        self,
        Outcome, //
    },
};
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use clap::Subcommand;
use persist::LabelArea;
use rustix::{
    io::Errno,
    system, //
};
use std::{
    collections::BTreeSet,
    ffi::CString,
    fmt,
    fs::{
        self,
        File, //
    },
    num::{
        NonZeroU32,
        NonZeroUsize, //
    },
    path::PathBuf, //
};

const COUNTER: &str = "/proc/thread-self/fail-nth";

/// Limit of places that can fail; more are a sign of an operation without an end.
const MOST_PLACES: u32 = 5000;

/// The operation.
#[derive(Subcommand)]
pub(crate) enum Operation {
    /// Write an attribute.
    Write {
        file: PathBuf,
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Load a module from its file; it is removed again.
    Load { file: PathBuf, name: String },
    /// Read the first bytes of the label area of a DIMM.
    ReadLabels { device: PathBuf },
}

impl Operation {
    fn attempt(&self) -> Outcome {
        let done = match self {
            Self::Write { file, value } => return store::write(file, &store::unescape(value)),
            Self::Load { file, .. } => File::open(file).and_then(|file| {
                system::finit_module(&file, c"", 0)?;
                Ok(())
            }),
            Self::ReadLabels { device } => LabelArea::open(device).and_then(|area| {
                area.read(64)?;
                Ok(())
            }),
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::refused(&error),
        }
    }

    /// Returns the contents of the attribute that is written, if it can be read.
    fn value(&self) -> Option<String> {
        match self {
            Self::Write { file, .. } => fs::read_to_string(file).ok(),
            Self::Load { .. } | Self::ReadLabels { .. } => None,
        }
    }

    /// Undoes a successful operation, after the writes that this needs.
    ///
    /// A module may have been loaded and may have found no memory for its devices; then there are
    /// none to remove.
    fn undo(&self, writes: &[Write]) -> Result<()> {
        let is_load = matches!(self, Self::Load { .. });
        for Write { file, value } in writes {
            match store::write(file, value) {
                Outcome::Done => {}
                Outcome::Refused(Errno::NODEV | Errno::NOENT) if is_load => {}
                outcome => bail!("cannot be undone: {}: {outcome}", file.display()),
            }
        }
        state::wait_probe();
        if let Self::Load { name, .. } = self {
            let name = CString::new(name.as_str())?;
            system::delete_module(&name, 0)
                .with_context(|| format!("cannot remove {}", name.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// A write that undoes something.
pub(crate) struct Write {
    file: PathBuf,
    value: Vec<u8>,
}

impl Write {
    /// Parses `FILE VALUE FILE VALUE …`.
    pub(crate) fn pairs(words: &[String]) -> Vec<Self> {
        let pairs = words.chunks_exact(2);
        pairs
            .map(|pair| Self {
                file: PathBuf::from(&pair[0]),
                value: store::unescape(&pair[1]),
            })
            .collect()
    }
}

/// Result of all attempts.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Number of places that were made to fail.
    faults: u32,
    /// Number of those with which the operation succeeded.
    survived: u32,
    /// Differences from what is expected.
    pub(crate) complaints: Vec<String>,
}

impl Summary {
    fn complain(&mut self, place: u32, what: impl fmt::Display) {
        self.complaints.push(format!("with fault {place}: {what}"));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults", self.faults)?;
        match self.survived {
            0 => Ok(()),
            survived => write!(f, ", {survived} survived"),
        }
    }
}

/// Lets each place in an operation fail in turn, or only each `every`-th. At the end the operation
/// has been done once without a fault.
///
/// An attempt either fails for lack of memory, or with an error of `others`, and then has changed
/// nothing; or it succeeds and is undone. The one without a fault must succeed.
///
/// # Errors
///
/// The kernel injects no faults; a successful operation cannot be undone; there is no end of places
/// that fail.
pub(crate) fn fail_in_turn(
    operation: &Operation,
    undo: &[Write],
    others: &[String],
    every: NonZeroUsize,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut before = Before::snapshot(operation)?;
    for place in (1..=MOST_PLACES).step_by(every.get()) {
        let (outcome, injected) = with_fault(place, || operation.attempt())?;
        state::wait_probe();
        match outcome {
            Outcome::Done if !injected => return Ok(summary),
            Outcome::Done => {
                summary.survived += 1;
                operation
                    .undo(undo)
                    .with_context(|| format!("with fault {place}"))?;
                state::wait_probe();
                if !before.changes(operation, false)?.is_empty() {
                    before = Before::snapshot(operation)?;
                }
            }
            refused => {
                if !injected || !is_allowed(refused, others) {
                    summary.complain(place, refused);
                }
                // A comparison of everything takes seconds on a kernel that injects faults.
                let changes = before.changes(operation, (summary.faults + 1).is_power_of_two())?;
                if !changes.is_empty() {
                    before = Before::snapshot(operation)?;
                }
                for change in changes {
                    summary.complain(place, change);
                }
            }
        }
        if !injected {
            return Ok(summary);
        }
        summary.faults += 1;
    }
    bail!("more than {MOST_PLACES} places that can fail");
}

/// Returns `true` if an operation may end like this because of a fault.
fn is_allowed(refused: Outcome, others: &[String]) -> bool {
    matches!(refused, Outcome::Refused(Errno::NOMEM | Errno::FAULT))
        || others.contains(&refused.to_string())
}

/// Result of an attempt with a fault at one place.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The place failed, and the operation with it.
    Failed(Outcome),
    /// The place failed, but the operation succeeded.
    Survived,
    /// There is no such place, so the operation was attempted without a fault.
    Beyond,
}

/// An attempt with a fault at one place.
pub(crate) struct Attempt {
    end: End,
    /// Differences from what is expected.
    pub(crate) complaints: Vec<String>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            End::Failed(refused) => write!(f, "failed: {refused}"),
            End::Survived => f.write_str("survived"),
            End::Beyond => f.write_str("no fault"),
        }
    }
}

/// Attempts the operation once, and lets only `place` in it fail. A success is not undone.
///
/// As in [`fail_in_turn`], the attempt may fail because of the fault alone, with an error for lack
/// of memory or one of `others`, and then has changed nothing. After a success the caller knows
/// what must have changed.
///
/// # Errors
///
/// The kernel injects no faults; `place` is greater than any operation has.
pub(crate) fn fail_at(
    operation: &Operation,
    place: NonZeroU32,
    others: &[String],
) -> Result<Attempt> {
    let place = place.get();
    ensure!(
        place <= MOST_PLACES,
        "more than {MOST_PLACES} places that can fail"
    );
    let before = Before::snapshot(operation)?;
    let (outcome, injected) = with_fault(place, || operation.attempt())?;
    state::wait_probe();
    let mut complaints = Vec::new();
    let end = match outcome {
        Outcome::Done if injected => End::Survived,
        Outcome::Done => End::Beyond,
        refused => {
            if !injected {
                complaints.push(format!("without a fault: {refused}"));
            } else if !is_allowed(refused, others) {
                complaints.push(format!("with fault {place}: {refused}"));
            }
            let changes = before.changes(operation, true)?.into_iter();
            complaints.extend(changes.map(|change| format!("with fault {place}: {change}")));
            if injected {
                End::Failed(refused)
            } else {
                End::Beyond
            }
        }
    };
    Ok(Attempt { end, complaints })
}

/// State before an attempt.
struct Before {
    state: BTreeSet<String>,
    outline: BTreeSet<String>,
    value: Option<String>,
}

impl Before {
    fn snapshot(operation: &Operation) -> Result<Self> {
        Ok(Self {
            state: state::snapshot()?,
            outline: state::outline()?,
            value: operation.value(),
        })
    }

    /// Returns what has changed, in everything or in what can be read quickly.
    fn changes(&self, operation: &Operation, everything: bool) -> Result<Vec<String>> {
        let (before, now) = if everything {
            (&self.state, state::snapshot()?)
        } else {
            (&self.outline, state::outline()?)
        };
        let changes = state::changes(before, &now).into_iter();
        let mut changes: Vec<_> = changes
            .map(|(sign, line)| format!("{sign} {line}"))
            .collect();
        let value = operation.value();
        if value != self.value {
            changes.push(format!("it shows {value:?}, before {:?}", self.value));
        }
        Ok(changes)
    }
}

/// Calls `attempt` while a fault is armed. Also returns whether the fault was injected.
fn with_fault<T>(place: u32, attempt: impl FnOnce() -> T) -> Result<(T, bool)> {
    arm(place)?;
    let outcome = attempt();
    let left = fs::read_to_string(COUNTER).context("cannot read the counter of faults")?;
    arm(0)?;
    Ok((outcome, left.trim() == "0"))
}

fn arm(place: u32) -> Result<()> {
    fs::write(COUNTER, place.to_string()).context("this kernel injects no faults")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_come_in_pairs() {
        let words = ["a", "1\\n", "b", ""].map(str::to_owned);
        let writes = Write::pairs(&words);
        let values = writes.iter().map(|write| write.value.as_slice());
        assert_eq!(values.collect::<Vec<_>>(), [b"1\n".as_slice(), b"\0"]);
    }

    #[test]
    fn errors_of_a_fault() {
        let others = ["EINVAL".to_owned()];
        for (refused, others, expected) in [
            (Outcome::Refused(Errno::NOMEM), &[][..], true),
            (Outcome::Refused(Errno::FAULT), &[], true),
            (Outcome::Refused(Errno::INVAL), &[], false),
            (Outcome::Refused(Errno::INVAL), &others, true),
            (Outcome::Refused(Errno::NXIO), &others, false),
            (Outcome::Short(1), &others, false),
        ] {
            assert_eq!(is_allowed(refused, others), expected, "{refused}");
        }
    }

    #[test]
    fn an_attempt_says_how_it_ended() {
        for (end, expected) in [
            (
                End::Failed(Outcome::Refused(Errno::NOMEM)),
                "failed: ENOMEM",
            ),
            (End::Survived, "survived"),
            (End::Beyond, "no fault"),
        ] {
            let complaints = Vec::new();
            assert_eq!(Attempt { end, complaints }.to_string(), expected);
        }
    }
}
