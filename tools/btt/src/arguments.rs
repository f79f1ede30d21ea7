// SPDX-License-Identifier: GPL-2.0

//! Command line.

use crate::system::System;
use anyhow::{
    anyhow,
    Result, //
};
use clap::{
    error::ErrorKind,
    Args,
    CommandFactory,
    Parser,
    Subcommand,
    ValueEnum, //
};
use clap_complete::Shell;
use nd_format::{
    btt::{
        LbaSize,
        Version,
        NFREE, //
    },
    uuid::Uuid, //
};
use std::{
    io,
    path::PathBuf, //
};

/// Inspects, checks, repairs and creates block translation tables (BTT) in image files and on block
/// devices.
///
/// Exit codes: 0 good, 1 damaged, 2 wrong arguments or the file cannot be read or written, 3 no
/// BTT, 4 usable, but needs `repair`.
#[derive(Parser)]
#[command(name = "btt", version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The namespace whose contents the image has.
#[derive(Args)]
pub(crate) struct Place {
    /// Layout version to look for; default: both. `create` makes 1.1 by default.
    #[arg(long, global = true)]
    layout: Option<Layout>,
    /// UUID of the namespace, if it has one.
    #[arg(long, global = true, value_name = "UUID", value_parser = uuid)]
    namespace: Option<Uuid>,
}

impl Place {
    pub(crate) fn version(&self) -> Option<Version> {
        self.layout.map(|layout| match layout {
            Layout::V1_1 => Version::V1_1,
            Layout::V2_0 => Version::V2_0,
        })
    }

    pub(crate) fn namespace(&self) -> Uuid {
        self.namespace.unwrap_or_default()
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Layout {
    /// First arena at 4096: namespaces without labels, or of Linux' own class.
    #[value(name = "1.1")]
    V1_1,
    /// First arena at 0: namespaces of UEFI's class.
    #[value(name = "2.0")]
    V2_0,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the info blocks.
    Info(Target),
    /// Check all metadata: info blocks and their copies, the flog, and that each block is either
    /// mapped or free, exactly once.
    Check(Target),
    /// Restore info blocks and their copies from each other, and finish interrupted writes.
    Repair(RepairOrder),
    /// Create a BTT.
    Create(CreateOrder),
    /// Print the entries of a table that are not in their initial state, and their damage.
    Dump {
        /// Table to print.
        #[arg(value_enum, ignore_case = true)]
        table: Table,
        /// Image file or block device.
        image: PathBuf,
    },
    /// Print the location of a sector.
    Map {
        #[command(flatten)]
        target: Target,
        /// Number of the sector.
        lba: u64,
    },
    /// Describe this machine for a bug report: versions, modules, devices, BTTs, messages of
    /// drivers. No contents of sectors, no keys.
    Report {
        /// File to create; default: standard output.
        file: Option<PathBuf>,
    },
    /// Print a script that lets a shell complete commands and options.
    #[command(hide = true)]
    Completion {
        /// Shell that is to complete.
        shell: Shell,
    },
}

#[derive(Args)]
pub(crate) struct Target {
    /// Image file or block device.
    pub(crate) image: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RepairOrder {
    /// Image file or block device.
    pub(crate) image: PathBuf,
    /// File to create for the old contents: for each changed page its offset (8 bytes, little
    /// endian) and its 4096 bytes.
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) backup: Option<PathBuf>,
    /// Only print what would be changed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also restore a first info block that was zeroed, as by `ndctl destroy-namespace`, or
    /// overwritten by other data.
    #[arg(long)]
    pub(crate) restore_info: bool,
}

#[derive(Args)]
pub(crate) struct CreateOrder {
    /// Image file or block device.
    pub(crate) image: PathBuf,
    /// Bytes of a sector with its metadata.
    #[arg(long, value_name = "BYTES", default_value = "4096", value_parser = lba_size)]
    pub(crate) sector_size: LbaSize,
    /// Free blocks of an arena, and so the number of concurrent writes. The C driver requires the
    /// default.
    #[arg(
        long,
        default_value_t = NFREE,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(NFREE)),
    )]
    pub(crate) lanes: u32,
    /// UUID of the BTT; default: a random one.
    #[arg(long, value_parser = uuid)]
    pub(crate) uuid: Option<Uuid>,
    /// Overwrite a BTT, or what may be the remains of one.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Table {
    /// Map: the block of each sector.
    Map,
    /// Flog: free blocks, and moves of sectors.
    Flog,
}

impl Arguments {
    /// Parses the command line. Returns [`None`] if help was requested and has been printed.
    ///
    /// # Errors
    ///
    /// The command line is wrong; the text has one line.
    pub(crate) fn of_command_line() -> Result<Option<Self>> {
        let error = match Self::try_parse() {
            Ok(arguments) => return Ok(Some(arguments)),
            Err(error) => error,
        };
        if matches!(
            error.kind(),
            ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        ) {
            error.print()?;
            if error.kind() == ErrorKind::DisplayVersion {
                // clap has printed the first line, which is that of this program.
                for line in System::running().versions().iter().skip(1) {
                    println!("{line}");
                }
            }
            let is_requested = error.exit_code() == 0;
            return is_requested
                .then_some(None)
                .ok_or_else(|| anyhow!("no command is given"));
        }
        // The first paragraph of clap's text describes the error. Names of missing arguments are on
        // lines of their own.
        let text = error.to_string();
        let lines = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty());
        let line = lines.collect::<Vec<_>>().join(" ");
        Err(anyhow!(
            "{}; see `btt --help`",
            line.trim_start_matches("error: ")
        ))
    }
}

/// Prints the completions of a shell.
pub(crate) fn completion(shell: Shell) {
    // clap_complete offers hidden commands, too, so they are left out here.
    let all = Arguments::command();
    let name = "btt";
    let visible = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let mut command = clap::Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(visible.cloned());
    clap_complete::generate(shell, &mut command, name, &mut io::stdout());
}

fn uuid(text: &str) -> Result<Uuid, &'static str> {
    let is_whole = text.len() == 36;
    let uuid = Uuid::parse(text.as_bytes()).ok().filter(|_| is_whole);
    uuid.ok_or("expected xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
}

fn lba_size(text: &str) -> Result<LbaSize, String> {
    let size = text.parse().ok().and_then(LbaSize::from_bytes);
    size.ok_or_else(|| {
        let sizes = LbaSize::ALL.map(|size| size.bytes().to_string()).join(" ");
        format!("expected one of {sizes}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../man/btt.8");

    /// Returns the page between two lines of it.
    fn between(start: &str, end: &str) -> &'static str {
        let (_, rest) = PAGE.split_once(start).unwrap();
        rest.split_once(end).unwrap().0
    }

    /// Returns the whole command line.
    fn built() -> clap::Command {
        let mut command = Arguments::command();
        command.build();
        command
    }

    fn visible(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
        command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
    }

    #[test]
    fn the_man_page_describes_the_commands() {
        let command = built();
        let described = between(".Ss Commands\n", ".Ss Options\n")
            .lines()
            .filter_map(|line| line.strip_prefix(".It Cm "))
            .collect::<Vec<_>>();
        let commands = visible(&command).map(clap::Command::get_name);
        assert_eq!(described, commands.collect::<Vec<_>>());
    }

    #[test]
    fn the_man_page_describes_the_options() {
        let command = built();
        // The words after `Fl`: `-json` for a long option, `h` for a short one.
        let described = between(".Ss Options\n", ".Sh FILES\n")
            .lines()
            .filter_map(|line| line.strip_prefix(".It "))
            .flat_map(|item| {
                let words = item.split(' ').collect::<Vec<_>>();
                let names = words.windows(2).filter(|pair| pair[0] == "Fl");
                names.map(|pair| pair[1].to_owned()).collect::<Vec<_>>()
            })
            .collect::<BTreeSet<_>>();
        let commands = visible(&command).chain([&command]);
        let options = commands
            .flat_map(|command| command.get_arguments())
            .flat_map(|option| {
                let long = option.get_long().map(|long| format!("-{long}"));
                long.into_iter().chain(option.get_short().map(String::from))
            })
            .collect::<BTreeSet<_>>();
        assert_eq!(described, options);
    }

    #[test]
    fn the_synopsis_has_the_arguments_of_each_command() {
        let command = built();
        let forms = between(".Sh SYNOPSIS\n", ".Sh DESCRIPTION\n")
            .split(".Nm\n")
            .collect::<Vec<_>>();
        for command in visible(&command).filter(|command| command.get_name() != "help") {
            let name = command.get_name();
            let form = forms
                .iter()
                .find(|form| form.lines().any(|line| is_named(line, name)))
                .unwrap_or_else(|| panic!("the synopsis lacks {name}"));
            let words = form.split_whitespace().collect::<BTreeSet<_>>();
            for argument in command.get_arguments() {
                let long = argument.get_long().map(|long| format!("-{long}"));
                let word = long.unwrap_or_else(|| argument.get_id().to_string());
                let is_of_all = argument.is_global_set() || word == "-help";
                // A choice is in the synopsis by its values.
                let is_choice = argument.get_long().is_none()
                    && argument
                        .get_possible_values()
                        .iter()
                        .all(|value| words.contains(value.get_name()))
                    && !argument.get_possible_values().is_empty();
                assert!(
                    is_of_all || is_choice || words.contains(word.as_str()),
                    "the synopsis of {name} lacks {word}"
                );
            }
        }
        for option in ["-layout", "-namespace", "-help", "-version"] {
            assert!(forms.concat().contains(&format!("Fl {option}")), "{option}");
        }
    }

    /// Returns `true` if a line of the synopsis names the command, as in `.Cm info | check`.
    fn is_named(line: &str, command: &str) -> bool {
        line.strip_prefix(".Cm ")
            .is_some_and(|names| names.split(" | ").any(|name| name == command))
    }
}
