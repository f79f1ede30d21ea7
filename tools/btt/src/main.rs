// SPDX-License-Identifier: GPL-2.0

//! `btt`: looks at, checks, repairs and makes block translation tables in image files and on block devices.
//!
//! Nothing is changed by any command but `create` and `repair`. Exit codes:
//!
//! | Code | Meaning |
//! |---|---|
//! | 0 | good |
//! | 1 | damaged; `check` says how |
//! | 2 | wrong arguments, or the file cannot be read or written |
//! | 3 | there is no BTT |
//! | 4 | good once it is opened: an info block is restored or interrupted writes are finished |

mod check;
mod image;

use anyhow::{
    anyhow,
    bail,
    Result, //
};
use btt_engine::{
    ArenaInfo,
    CreateParams,
    Media,
    OpenError,
    Opened, //
};
use check::Report;
use clap::{
    Parser,
    Subcommand,
    ValueEnum, //
};
use image::Image;
use indicatif::{
    HumanBytes,
    ProgressBar,
    ProgressStyle, //
};
use nd_format::{
    btt::{
        LbaSize,
        MapEntry,
        Version, //
    },
    uuid::Uuid, //
};
use std::{
    path::PathBuf,
    process::ExitCode, //
};

const GOOD: u8 = 0;
const DAMAGED: u8 = 1;
const FAILED: u8 = 2;
const NO_BTT: u8 = 3;
const NEEDS_RECOVERY: u8 = 4;

/// Looks at, checks, repairs and makes block translation tables (BTT).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Layout to look for; both if this is not given. `create` makes 1.1 then.
    #[arg(long, global = true)]
    layout: Option<Layout>,
    /// UUID of the namespace, if it has one.
    #[arg(long, global = true, value_parser = uuid)]
    namespace: Option<Uuid>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Layout {
    /// First arena at 4096: namespaces without labels, or of Linux' class.
    #[value(name = "1.1")]
    V1_1,
    /// First arena at 0: namespaces of UEFI's class.
    #[value(name = "2.0")]
    V2_0,
}

#[derive(Subcommand)]
enum Command {
    /// Say what the info blocks say.
    Info {
        /// Image file or block device.
        image: PathBuf,
    },
    /// Check all metadata: info blocks, flog, and that each block is mapped or free, once.
    Check {
        /// Image file or block device.
        image: PathBuf,
    },
    /// Restore info blocks from their copies and finish interrupted writes.
    Repair {
        /// Image file or block device.
        image: PathBuf,
        /// New file for what is overwritten.
        #[arg(long, required_unless_present = "dry_run")]
        backup: Option<PathBuf>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Make a BTT.
    Create {
        /// Image file or block device.
        image: PathBuf,
        /// Bytes of a sector with its metadata.
        #[arg(long, default_value_t = 4096)]
        sector_size: u32,
        /// UUID of the BTT; a random one if this is not given.
        #[arg(long, value_parser = uuid)]
        uuid: Option<Uuid>,
        /// Also where there is a BTT, or what may be the rest of one.
        #[arg(long)]
        force: bool,
    },
    /// Print the entries of a table that are not in their first state.
    Dump {
        /// Which table.
        table: Table,
        /// Image file or block device.
        image: PathBuf,
    },
    /// Say where a sector is.
    Map {
        /// Image file or block device.
        image: PathBuf,
        /// Number of the sector.
        lba: u64,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Table {
    Map,
    Flog,
}

fn uuid(text: &str) -> Result<Uuid, &'static str> {
    let is_whole = text.len() == 36;
    let uuid = Uuid::parse(text.as_bytes()).ok().filter(|_| is_whole);
    uuid.ok_or("expected xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("btt: {error:#}");
            FAILED.into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8> {
    match &arguments.command {
        Command::Info { image } => {
            with_btt(arguments, image, |opened| show(arguments, opened, false))
        }
        Command::Check { image } => {
            with_btt(arguments, image, |opened| show(arguments, opened, true))
        }
        Command::Repair {
            image,
            backup,
            dry_run,
        } => {
            let image = Image::open(image, !dry_run)?;
            on_image(arguments, &image, |opened| {
                repair(
                    arguments,
                    &image,
                    opened,
                    backup.as_ref().filter(|_| !dry_run),
                )
            })
        }
        Command::Create {
            image,
            sector_size,
            uuid,
            force,
        } => create(arguments, image, *sector_size, *uuid, *force),
        Command::Dump { table, image } => with_btt(arguments, image, |opened| dump(opened, *table)),
        Command::Map { image, lba } => {
            with_btt(arguments, image, |opened| map(arguments, opened, *lba))
        }
    }
}

impl Arguments {
    fn version(&self) -> Option<Version> {
        self.layout.map(|layout| match layout {
            Layout::V1_1 => Version::V1_1,
            Layout::V2_0 => Version::V2_0,
        })
    }
}

fn with_btt(
    arguments: &Arguments,
    path: &std::path::Path,
    then: impl FnOnce(&Opened<Image>) -> Result<u8>,
) -> Result<u8> {
    on_image(arguments, &Image::open(path, false)?, then)
}

/// Opens the BTT of an image, or says why there is none.
fn on_image(
    arguments: &Arguments,
    image: &Image,
    then: impl FnOnce(&Opened<Image>) -> Result<u8>,
) -> Result<u8> {
    let opened = check::open(
        image,
        arguments.version(),
        arguments.namespace.unwrap_or_default(),
    );
    if let Some(error) = image.take_error() {
        return Err(error.into());
    }
    let error = match opened {
        Ok(opened) => return then(&opened),
        Err(error) => error,
    };
    let code = match error {
        OpenError::NotFound(absence) if absence.permits_creation() => NO_BTT,
        OpenError::TooSmall { .. } => NO_BTT,
        _ => DAMAGED,
    };
    if arguments.json {
        println!(
            "{}",
            serde_json::json!({ "error": error.to_string(), "btt": code != NO_BTT })
        );
    } else {
        eprintln!("btt: {error}");
    }
    Ok(code)
}

fn show(arguments: &Arguments, opened: &Opened<Image>, whole: bool) -> Result<u8> {
    let bar = if whole {
        progress_bar(opened.btt.sector_count())
    } else {
        ProgressBar::hidden()
    };
    let report = check::report(opened, whole, |sectors| bar.inc(sectors))?;
    bar.finish_and_clear();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report, whole);
    }
    Ok(verdict(&report))
}

fn verdict(report: &Report) -> u8 {
    if report.arenas.iter().any(|arena| !arena.problems.is_empty()) {
        DAMAGED
    } else if report.recovery.restored.is_some() || report.recovery.finished_writes > 0 {
        NEEDS_RECOVERY
    } else {
        GOOD
    }
}

fn print(report: &Report, whole: bool) {
    println!("BTT {}, version {}", report.uuid, report.version);
    println!("{} sectors of {} bytes", report.sectors, report.lba_size);
    for (number, arena) in report.arenas.iter().enumerate() {
        let [first, second] = arena.flog_slots;
        println!(
            "arena {number}: {} at {:#x}, sectors {} to {}, {} blocks of {} bytes, {} free, flog slots {first} and {second}{}",
            HumanBytes(arena.size),
            arena.offset,
            arena.first_sector,
            arena.first_sector + u64::from(arena.sectors) - 1,
            arena.blocks,
            arena.block_size,
            arena.free_blocks,
            if arena.error_flag { ", error flag set" } else { "" },
        );
        if whole {
            let map = &arena.map;
            println!(
                "  map: {} never written, {} written, {} zero, {} lost to media errors",
                map.initial, map.normal, map.zero, map.error
            );
        }
        for problem in &arena.problems {
            println!("  {problem}");
        }
    }
    if let Some(restored) = &report.recovery.restored {
        println!("to be recovered: {restored}");
    }
    match report.recovery.finished_writes {
        0 => {}
        1 => println!("to be recovered: an interrupted write"),
        writes => println!("to be recovered: {writes} interrupted writes"),
    }
    if whole {
        let verdict = match verdict(report) {
            GOOD => "good",
            NEEDS_RECOVERY => "good once it is opened",
            _ => "damaged",
        };
        println!("{verdict}");
    }
}

fn repair(
    arguments: &Arguments,
    image: &Image,
    opened: &Opened<Image>,
    backup: Option<&PathBuf>,
) -> Result<u8> {
    let bar = progress_bar(opened.btt.sector_count());
    let report = check::report(opened, true, |sectors| bar.inc(sectors))?;
    bar.finish_and_clear();
    if !arguments.json {
        print(&report, true);
    }
    if verdict(&report) == DAMAGED {
        bail!("what is wrong cannot be put right without guessing; nothing was changed");
    }
    match backup {
        None => println!("{} bytes would be changed", image.changed()),
        Some(_) if image.changed() == 0 => println!("nothing to repair"),
        Some(backup) => {
            let changed = image.changed();
            image.back_up(backup)?;
            image.apply()?;
            println!(
                "{changed} bytes changed, what they were is in {}",
                backup.display()
            );
        }
    }
    Ok(GOOD)
}

fn create(
    arguments: &Arguments,
    path: &std::path::Path,
    sector_size: u32,
    uuid: Option<Uuid>,
    force: bool,
) -> Result<u8> {
    let lba_size = LbaSize::from_bytes(sector_size).ok_or_else(|| {
        let sizes = LbaSize::ALL.map(|size| size.bytes().to_string()).join(" ");
        anyhow!("sector size is {sector_size}, expected one of {sizes}")
    })?;
    let image = Image::open(path, true)?;
    if !force {
        match check::open(
            &image,
            arguments.version(),
            arguments.namespace.unwrap_or_default(),
        ) {
            Ok(opened) => bail!(
                "{}: there is BTT {}; --force overwrites it",
                path.display(),
                opened.btt.detected().uuid
            ),
            Err(error)
                if error.permits_creation() || matches!(error, OpenError::TooSmall { .. }) => {}
            Err(error) => bail!("{}: {error}; --force overwrites it", path.display()),
        }
    }
    let params = CreateParams {
        version: arguments.version().unwrap_or(Version::V1_1),
        uuid: uuid.unwrap_or_else(random_uuid),
        parent_uuid: arguments.namespace.unwrap_or_default(),
        lba_size,
    };
    btt_engine::create(&image, &params).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    image.apply()?;
    println!(
        "{}: made BTT {}, version {}",
        path.display(),
        params.uuid,
        params.version
    );
    Ok(GOOD)
}

/// A UUID of version 4 (RFC 9562).
fn random_uuid() -> Uuid {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

/// Where an arena starts in the image.
fn start(opened: &Opened<Image>, arena: &ArenaInfo) -> u64 {
    opened.btt.detected().version.initial_offset() + arena.offset
}

fn map_entry(opened: &Opened<Image>, arena: &ArenaInfo, premap: u32) -> Result<MapEntry> {
    let offset = arena
        .info
        .geometry
        .map_entry_offset(premap)
        .unwrap_or_default();
    let word = opened
        .btt
        .media()
        .load32(start(opened, arena) + offset)
        .map_err(|error| anyhow!("{error}"))?;
    Ok(MapEntry::decode(word, premap))
}

fn dump(opened: &Opened<Image>, table: Table) -> Result<u8> {
    for (number, arena) in opened.btt.arenas().enumerate() {
        match table {
            Table::Map => {
                for premap in 0..arena.info.geometry.external_nlba() {
                    let entry = map_entry(opened, &arena, premap)?;
                    if entry.encode() != 0 {
                        println!(
                            "arena {number} sector {premap}: {:?} {}",
                            entry.state, entry.block
                        );
                    }
                }
            }
            Table::Flog => {
                for lane in 0..arena.info.geometry.nfree() {
                    let group =
                        check::flog_group(opened.btt.media(), start(opened, &arena), &arena, lane)?;
                    for (slot, entry) in group
                        .into_iter()
                        .enumerate()
                        .filter(|(_, entry)| !entry.is_blank())
                    {
                        println!(
                            "arena {number} lane {lane} slot {slot}: lba {} old {:#x} new {:#x} seq {}",
                            entry.lba, entry.old_map, entry.new_map, entry.seq
                        );
                    }
                }
            }
        }
    }
    Ok(GOOD)
}

fn map(arguments: &Arguments, opened: &Opened<Image>, lba: u64) -> Result<u8> {
    let sectors = opened.btt.sector_count();
    let arenas = opened.btt.arenas().enumerate();
    let Some((number, arena)) = arenas
        .take_while(|(_, arena)| arena.first_sector <= lba)
        .last()
        .filter(|_| lba < sectors)
    else {
        bail!("sector is {lba}, expected below {sectors}");
    };
    // The sector is below the last one, so that it is in this arena, which has less than 2^32 of them.
    let premap = (lba - arena.first_sector) as u32;
    let entry = map_entry(opened, &arena, premap)?;
    let offset = arena
        .info
        .geometry
        .block_offset(entry.block)
        .map(|offset| start(opened, &arena) + offset);
    if arguments.json {
        let value = serde_json::json!({
            "arena": number, "premap": premap, "state": format!("{:?}", entry.state).to_lowercase(),
            "block": entry.block, "offset": offset,
        });
        println!("{value}");
        return Ok(GOOD);
    }
    match offset {
        Some(offset) => println!(
            "arena {number} sector {premap}: {:?}, block {} at {offset:#x}",
            entry.state, entry.block
        ),
        None => println!(
            "arena {number} sector {premap}: {:?}, block {}, which does not exist",
            entry.state, entry.block
        ),
    }
    Ok(if offset.is_some() { GOOD } else { DAMAGED })
}

fn progress_bar(sectors: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("[{elapsed}] {bar:40} {percent}% of the map, {eta} left");
    ProgressBar::new(sectors).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
