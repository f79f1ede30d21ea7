// SPDX-License-Identifier: GPL-2.0

//! `sysfs-probe`: writes attributes of sysfs for tests in the guest and prints the errors by name,
//! prints the values of all attributes, and injects faults into operations.
//!
//! A shell can tell that a write failed, but not with which error. And a process for each row of a
//! long table is slow in an emulated machine.

mod faults;
mod labels;
mod refusals;
mod state;
mod store;

use anyhow::Result;
use clap::{
    Parser,
    Subcommand, //
};
use faults::Operation;
use std::{
    io,
    num::{
        NonZeroU32,
        NonZeroUsize, //
    },
    path::PathBuf,
    process::ExitCode, //
};

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write an attribute in one system call. Prints `ok` or the name of the error.
    Write {
        file: PathBuf,
        /// Value, with `\n`, `\t`, `\0` and `\\` as in C. An empty value is written as one NUL, as
        /// libndctl does.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Do all writes of a table on standard input, and check that each is refused and changes
    /// nothing.
    ///
    /// A line is `FILE | VALUE | ERROR`. Prints what differs from the table; fails if anything
    /// does.
    Refusals {
        /// Directory of the table's files, in which nothing may change.
        #[arg(long)]
        root: PathBuf,
    },
    /// Save all state of the NVDIMM devices that user space can see to a file, one item a line.
    Save { file: PathBuf },
    /// Print the output of a command and its exit status.
    Report {
        said: PathBuf,
        status: i32,
        /// File of `save` or of an earlier report, which need not exist: print what has changed
        /// since, and save the current state to it.
        #[arg(long)]
        since: Option<PathBuf>,
    },
    /// Repeat an operation while one place in the kernel after the other fails. Prints how many
    /// there were, and what went wrong. At the end the operation is done.
    Faults {
        /// A write that undoes a successful operation; may be given more than once.
        #[arg(long, num_args = 2, value_names = ["FILE", "VALUE"], allow_hyphen_values = true)]
        undo: Vec<String>,
        /// An error that is allowed besides ENOMEM and EFAULT.
        #[arg(long, value_name = "ERROR")]
        or: Vec<String>,
        /// Let only each NUMBER-th place fail, for operations with too many places.
        #[arg(long, value_name = "NUMBER", default_value = "1")]
        every: NonZeroUsize,
        /// Attempt the operation once, with a fault at the NUMBER-th place, and undo nothing.
        /// Prints `failed: ERROR` if the operation failed with the fault, `survived` if it
        /// succeeded with it, or `no fault` if it has no such place and was done without one.
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["undo", "every"])]
        place: Option<NonZeroU32>,
        #[command(subcommand)]
        operation: Operation,
    },
    /// Print the UUIDs of the labels that are on a DIMM, in the order of their slots. Labels that
    /// its current index does not have are left out.
    Labels { device: PathBuf },
    /// Check that no file without write permission can be opened for writing.
    ReadOnly { directories: Vec<PathBuf> },
}

fn main() -> Result<ExitCode> {
    let complaints = match Arguments::parse().command {
        Command::Write { file, value } => {
            println!("{}", store::write(&file, &store::unescape(&value)));
            return Ok(ExitCode::SUCCESS);
        }
        Command::Save { file } => {
            state::save(&file)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Report {
            said,
            status,
            since,
        } => {
            state::report(since.as_deref(), &said, status)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Faults {
            undo,
            or,
            every,
            place: None,
            operation,
        } => {
            let undo = faults::Write::pairs(&undo);
            let summary = faults::fail_in_turn(&operation, &undo, &or, every)?;
            println!("{summary}");
            summary.complaints
        }
        Command::Faults {
            or,
            place: Some(place),
            operation,
            ..
        } => {
            let attempt = faults::fail_at(&operation, place, &or)?;
            println!("{attempt}");
            attempt.complaints
        }
        Command::Labels { device } => {
            for uuid in labels::uuids(&device)? {
                println!("{uuid}");
            }
            return Ok(ExitCode::SUCCESS);
        }
        Command::Refusals { root } => refusals::check(&root, io::stdin().lock())?,
        Command::ReadOnly { directories } => refusals::read_only(&directories)?,
    };
    complaints
        .iter()
        .for_each(|complaint| println!("{complaint}"));
    Ok(if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments() {
        Arguments::command().debug_assert();
        for (line, expected) in [
            ("faults --place 2 --or EINVAL write size 0", true),
            ("faults --place 0 write size 0", false),
            ("faults --place 2 --every 2 write size 0", false),
            ("faults --place 2 --undo size 1 write size 0", false),
        ] {
            let words = ["sysfs-probe"].into_iter().chain(line.split(' '));
            let parsed = Arguments::try_parse_from(words);
            assert_eq!(parsed.is_ok(), expected, "{line}");
        }
    }
}
