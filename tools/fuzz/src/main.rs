// SPDX-License-Identifier: GPL-2.0

//! `fuzz`: writes the seeds for libFuzzer, and runs inputs without it.

use anyhow::{
    Context,
    Result, //
};
use clap::{
    Parser,
    Subcommand, //
};
use fuzz::TARGETS;
use std::{
    fs,
    path::PathBuf, //
};

/// Inputs of the fuzzers.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the names of all targets.
    List,
    /// Write the seeds of a target into a directory.
    Seeds {
        /// Name of the target.
        target: String,
        /// The directory.
        directory: PathBuf,
    },
    /// Run a target over inputs.
    Run {
        /// Name of the target.
        target: String,
        /// Files with inputs.
        files: Vec<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::List => TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name)),
        Command::Seeds { target, directory } => {
            let found = TARGETS.iter().find(|found| found.name == target);
            let found = found.with_context(|| format!("there is no target {target}"))?;
            fs::create_dir_all(&directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            for (number, seed) in (found.seeds)().iter().enumerate() {
                let file = directory.join(format!("seed-{number:02}"));
                fs::write(&file, seed)
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
        Command::Run { target, files } => {
            for file in files {
                let input =
                    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
                fuzz::run(&target, &input);
            }
        }
    }
    Ok(())
}
