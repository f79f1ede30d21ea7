// SPDX-License-Identifier: GPL-2.0

//! `attribute`: writes attributes of sysfs for tests in the guest and names the errors, tells what all of them show, and lets memory fail.
//!
//! A shell can tell that a write failed, but not with which error, and a process for each attribute of a long table is slow in
//! an emulated machine.

mod faults;
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
    num::NonZeroUsize,
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
    /// Write an attribute in one system call; prints `ok` or the name of the error.
    Write {
        file: PathBuf,
        /// What to write, with `\n`, `\t`, `\0` and `\\` as in C. Nothing is written as one NUL, as libndctl does.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Do all that a table on standard input lists, and see that each is refused and changes nothing.
    ///
    /// A line is `FILE | VALUE | ERROR`. Prints what is not as the table says; fails if there is any.
    Refusals {
        /// Where the table's files are, and the tree in which nothing may change.
        #[arg(long)]
        root: PathBuf,
    },
    /// Save all that user space can see of the NVDIMM devices, a line each, in a file.
    Save { file: PathBuf },
    /// Print what a command said and its exit status.
    Report {
        said: PathBuf,
        status: i32,
        /// A file of `save` or of an earlier report, or none yet: print what has changed since, and save it there.
        #[arg(long)]
        since: Option<PathBuf>,
    },
    /// Try something while one place in the kernel after the other fails; prints how many there were, and what went wrong. Afterwards it is
    /// done.
    Faults {
        /// A write that undoes what succeeded; may be given more than once.
        #[arg(long, num_args = 2, value_names = ["FILE", "VALUE"], allow_hyphen_values = true)]
        undo: Vec<String>,
        /// An error that may come instead of ENOMEM or EFAULT.
        #[arg(long, value_name = "ERROR")]
        or: Vec<String>,
        /// Let only each NUMBER-th place fail, in what has too many of them.
        #[arg(long, value_name = "NUMBER", default_value = "1")]
        every: NonZeroUsize,
        #[command(subcommand)]
        operation: Operation,
    },
    /// See that no file without a permission to write can be opened for writing.
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
            operation,
        } => {
            let undo = faults::Write::pairs(&undo);
            let summary = faults::fail_in_turn(&operation, &undo, &or, every)?;
            println!("{summary}");
            summary.complaints
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
