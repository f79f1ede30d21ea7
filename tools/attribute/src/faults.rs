// SPDX-License-Identifier: GPL-2.0

//! An operation that is tried again and again, while the kernel lets the first place in it fail that can, then the second, and so forth.
//!
//! A kernel with fault injection counts such places down in `/proc/thread-self/fail-nth`, for that thread only: what a worker of the kernel
//! does for it does not fail. At 0 the fault was injected. See Documentation/fault-injection/fault-injection.rst of the kernel.

use crate::{
    state,
    store::{
        self,
        Outcome, //
    },
};
use anyhow::{
    bail,
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
    num::NonZeroUsize,
    path::PathBuf, //
};

const COUNTER: &str = "/proc/thread-self/fail-nth";

/// More places that can fail are a sign of an operation without an end.
const MOST_PLACES: u32 = 5000;

/// What is tried.
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

    /// What the attribute that is written shows, if it can be read.
    fn value(&self) -> Option<String> {
        match self {
            Self::Write { file, .. } => fs::read_to_string(file).ok(),
            Self::Load { .. } | Self::ReadLabels { .. } => None,
        }
    }

    /// Undoes what succeeded, after the writes that are needed for it.
    ///
    /// A module may have been loaded and have found no memory for its devices: they need not be taken away.
    fn undo(&self, writes: &[Write]) -> Result<()> {
        let is_load = matches!(self, Self::Load { .. });
        for Write { file, value } in writes {
            match store::write(file, value) {
                Outcome::Done => {}
                Outcome::Refused(Errno::NODEV | Errno::NOENT) if is_load => {}
                outcome => bail!("cannot be undone: {}: {outcome}", file.display()),
            }
        }
        state::settle();
        if let Self::Load { name, .. } = self {
            let name = CString::new(name.as_str())?;
            system::delete_module(&name, 0)
                .with_context(|| format!("cannot remove {}", name.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// A write that is done to undo something.
pub(crate) struct Write {
    file: PathBuf,
    value: Vec<u8>,
}

impl Write {
    /// From `FILE VALUE FILE VALUE …`.
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

/// What came of all tries.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Places that were made to fail.
    faults: u32,
    /// How many of them the operation did without.
    survived: u32,
    /// What was not as it should be.
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

/// Lets each place in an operation fail in turn, or only each `every`-th. Afterwards the operation has been done once without a fault.
///
/// A try fails for lack of memory, or for what `others` names, and then nothing has changed; or it succeeds and is undone. The one without a fault
/// must succeed.
///
/// # Errors
///
/// The kernel injects no faults; what succeeded cannot be undone; there is no end of places that fail.
pub(crate) fn fail_in_turn(
    operation: &Operation,
    undo: &[Write],
    others: &[String],
    every: NonZeroUsize,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut before = Before::of_now(operation)?;
    for place in (1..=MOST_PLACES).step_by(every.get()) {
        let (outcome, injected) = with_fault(place, || operation.attempt())?;
        state::settle();
        match outcome {
            Outcome::Done if !injected => return Ok(summary),
            Outcome::Done => {
                summary.survived += 1;
                operation
                    .undo(undo)
                    .with_context(|| format!("with fault {place}"))?;
                state::settle();
                if !before.changes(operation, false)?.is_empty() {
                    before = Before::of_now(operation)?;
                }
            }
            refused => {
                let lacks_memory = matches!(refused, Outcome::Refused(Errno::NOMEM | Errno::FAULT));
                if !(lacks_memory || others.contains(&refused.to_string())) || !injected {
                    summary.complain(place, refused);
                }
                // To look at everything takes seconds on a kernel that injects faults.
                let changes = before.changes(operation, (summary.faults + 1).is_power_of_two())?;
                if !changes.is_empty() {
                    before = Before::of_now(operation)?;
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

/// What there was before a try.
struct Before {
    state: BTreeSet<String>,
    outline: BTreeSet<String>,
    value: Option<String>,
}

impl Before {
    fn of_now(operation: &Operation) -> Result<Self> {
        Ok(Self {
            state: state::of_now()?,
            outline: state::outline_of_now()?,
            value: operation.value(),
        })
    }

    /// What is different now, of everything or of what is quickly looked at.
    fn changes(&self, operation: &Operation, everything: bool) -> Result<Vec<String>> {
        let (before, now) = if everything {
            (&self.state, state::of_now()?)
        } else {
            (&self.outline, state::outline_of_now()?)
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

/// Does something while a fault is armed. Also tells whether it was injected.
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
}
