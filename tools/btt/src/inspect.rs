// SPDX-License-Identifier: GPL-2.0

//! Commands that do not change the image: `info`, `check` and `map`.

use crate::{
    arguments::{
        Place,
        Target, //
    },
    find::with_btt,
    progress,
    Verdict, //
};
use anyhow::{
    anyhow,
    bail,
    Result, //
};
use btt::{
    check::{
        self,
        Report, //
    },
    image::Image,
    tables, //
};
use btt_engine::{
    Media as _,
    Opened, //
};
use indicatif::{
    HumanBytes,
    ProgressBar, //
};
use nd_format::btt::MapEntry;

/// Extent of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    InfoBlocks,
    All,
}

pub(crate) fn info(place: &Place, target: &Target) -> Result<Verdict> {
    with_btt(place, &target.image, target.json, |_, opened| {
        show(opened, Depth::InfoBlocks, target.json)
    })
}

pub(crate) fn check(place: &Place, target: &Target) -> Result<Verdict> {
    with_btt(place, &target.image, target.json, |_, opened| {
        show(opened, Depth::All, target.json)
    })
}

fn show(opened: &Opened<Image>, depth: Depth, json: bool) -> Result<Verdict> {
    let report = match depth {
        Depth::InfoBlocks => check::report(opened, false, |_| ())?,
        Depth::All => whole_report(opened)?,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report, depth == Depth::All);
    }
    Ok(verdict(&report))
}

/// Checks everything and shows a progress bar.
pub(crate) fn whole_report(opened: &Opened<Image>) -> Result<Report> {
    let bar: ProgressBar = progress::of_sectors(opened.btt.sector_count());
    let report = check::report(opened, true, |sectors| bar.inc(sectors))?;
    bar.finish_and_clear();
    Ok(report)
}

pub(crate) fn verdict(report: &Report) -> Verdict {
    if report.is_damaged() {
        Verdict::Damaged
    } else if report.recovery.is_needed() {
        Verdict::Repairable
    } else {
        Verdict::Good
    }
}

/// Prints a report as text, with counts and the verdict if it covers everything.
pub(crate) fn print(report: &Report, whole: bool) {
    for line in lines(report, whole) {
        println!("{line}");
    }
}

/// Returns the lines that [`print`] prints.
pub(crate) fn lines(report: &Report, whole: bool) -> Vec<String> {
    let mut lines = vec![
        format!("BTT {}, version {}", report.uuid, report.version),
        format!("{} sectors of {} bytes", report.sectors, report.lba_size),
    ];
    for (number, arena) in report.arenas.iter().enumerate() {
        let [first, second] = arena.flog_slots;
        lines.push(format!(
            "arena {number}: {} at {:#x}, sectors {} to {}, {} blocks of {} bytes, {} free, \
             flog slots {first} and {second}{}",
            HumanBytes(arena.size),
            arena.offset,
            arena.first_sector,
            arena.first_sector + u64::from(arena.sectors) - 1,
            arena.blocks,
            arena.block_size,
            arena.free_blocks,
            if arena.error_flag {
                ", error flag set"
            } else {
                ""
            },
        ));
        if whole {
            let map = &arena.map;
            lines.push(format!(
                "  map: {} never written, {} written, {} zero, {} lost to media errors",
                map.initial, map.normal, map.zero, map.error
            ));
        }
        let problems = arena.problems.iter();
        lines.extend(problems.map(|problem| format!("  {problem}")));
    }
    let recovery = &report.recovery;
    let repairs = recovery.restored.iter().chain(&recovery.copies);
    lines.extend(repairs.map(|line| format!("to be repaired: {line}")));
    match recovery.finished_writes {
        0 => {}
        1 => lines.push("to be repaired: an interrupted write".to_owned()),
        writes => lines.push(format!("to be repaired: {writes} interrupted writes")),
    }
    if whole {
        let verdict = match verdict(report) {
            Verdict::Good => "good",
            Verdict::Repairable => "usable, to be repaired",
            _ => "damaged",
        };
        lines.push(verdict.to_owned());
    }
    lines
}

pub(crate) fn map(place: &Place, target: &Target, lba: u64) -> Result<Verdict> {
    with_btt(place, &target.image, target.json, |image, opened| {
        locate(image, opened, lba, target.json)
    })
}

fn locate(image: &Image, opened: &Opened<Image>, lba: u64, json: bool) -> Result<Verdict> {
    let sectors = opened.btt.sector_count();
    let arenas = opened.btt.arenas().enumerate();
    let Some((number, arena)) = arenas
        .take_while(|(_, arena)| arena.first_sector <= lba)
        .last()
        .filter(|_| lba < sectors)
    else {
        bail!("sector is {lba}, expected below {sectors}");
    };
    // CAST: The sector is below the end, so it is in this arena, which has fewer than 2^32 sectors.
    let premap = (lba - arena.first_sector) as u32;
    let geometry = &arena.info.geometry;
    let start = tables::start(opened, &arena);
    let word = image
        .load32(start + geometry.map_entry_offset(premap).unwrap_or_default())
        .map_err(|error| anyhow!("{error}"))?;
    let entry = MapEntry::decode(word, premap);
    let offset = geometry
        .block_offset(entry.block)
        .map(|offset| start + offset);
    if json {
        let value = serde_json::json!({
            "arena": number, "premap": premap, "state": format!("{:?}", entry.state).to_lowercase(),
            "block": entry.block, "offset": offset,
        });
        println!("{value}");
    } else {
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
    }
    Ok(if offset.is_some() {
        Verdict::Good
    } else {
        Verdict::Damaged
    })
}
