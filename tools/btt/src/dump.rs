// SPDX-License-Identifier: GPL-2.0

//! `dump`: prints the tables as they are, and any damage where it is found.

use crate::{
    arguments::{
        Place,
        Table, //
    },
    find::on_image,
    Verdict, //
};
use anyhow::Result;
use btt::{
    arenas::{
        Arenas,
        Site, //
    },
    check::Owned,
    flog,
    image::Image,
    tables, //
};
use std::path::Path;

pub(crate) fn dump(place: &Place, table: Table, path: &Path) -> Result<Verdict> {
    let image = Image::open(path, false)?;
    let arenas = Arenas::find(&image, place.version(), place.namespace())?;
    if arenas.sites.is_empty() {
        // No table can be printed: print the reason.
        return on_image(place, &image, false, |_, _| Ok(Verdict::Damaged));
    }
    let mut verdict = Verdict::Good;
    for (number, site) in arenas.sites.iter().enumerate() {
        if let Some(damage) = site.damage {
            println!(
                "arena {number}: info block at {:#x}: {damage}; using its copy",
                site.start
            );
            verdict = verdict.and(Verdict::Repairable);
        }
        verdict = verdict.and(match table {
            Table::Map => dump_map(&image, number, site)?,
            Table::Flog => dump_flog(&image, number, site)?,
        });
    }
    if let Some((start, error)) = arenas.missing {
        let number = arenas.sites.len();
        println!("arena {number}: info block at {start:#x}: {error}; it has no copy");
        verdict = Verdict::Damaged;
    }
    Ok(verdict)
}

fn dump_map(image: &Image, number: usize, site: &Site) -> Result<Verdict> {
    let geometry = &site.info.geometry;
    let blocks = geometry.internal_nlba();
    let mut owned = Owned::new(blocks);
    let mut verdict = Verdict::Good;
    tables::each_map_entry(image, site.start, geometry, |premap, word, entry| {
        let block = entry.block;
        let damage = if block >= blocks {
            format!(", expected below {blocks}")
        } else if !owned.take(block) {
            ", which an earlier entry names as well".to_owned()
        } else {
            String::new()
        };
        if !damage.is_empty() {
            verdict = Verdict::Damaged;
        }
        if word != 0 || !damage.is_empty() {
            println!(
                "arena {number} sector {premap}: {:?} {block}{damage}",
                entry.state
            );
        }
    })?;
    Ok(verdict)
}

fn dump_flog(image: &Image, number: usize, site: &Site) -> Result<Verdict> {
    let mut verdict = Verdict::Good;
    for (lane, found) in flog::lanes(image, site)?.into_iter().enumerate() {
        let slots = found.slots.into_iter().enumerate();
        for (slot, entry) in slots.filter(|(_, entry)| !entry.is_blank()) {
            println!(
                "arena {number} lane {lane} slot {slot}: lba {} old {:#x} new {:#x} seq {}",
                entry.lba, entry.old_map, entry.new_map, entry.seq
            );
        }
        for damage in &found.damage {
            println!("arena {number} lane {lane}: {damage}");
            verdict = Verdict::Damaged;
        }
        if let Some(interrupted) = found.interrupted {
            println!("arena {number} lane {lane}: {interrupted}");
            verdict = verdict.and(Verdict::Repairable);
        }
    }
    Ok(verdict)
}
