// SPDX-License-Identifier: GPL-2.0

//! The flog of an arena as it is on the image, and its damage.

use crate::{
    arenas::Site,
    image::Image,
    tables, //
};
use anyhow::Result;
use btt_engine::Media as _;
use nd_format::btt::{
    flog::{
        RawSlot,
        SLOTS, //
    },
    FlogEntry,
    LayoutDetector,
    MapEntry, //
};
use std::collections::HashMap;

/// The flog of a lane.
pub struct Lane {
    /// All of its slots.
    pub slots: [RawSlot; SLOTS],
    /// Damage of the slots.
    pub damage: Vec<String>,
    /// Description of a write that is in the flog, but not in the map yet.
    pub interrupted: Option<String>,
}

/// Reads and checks all lanes of an arena.
pub fn lanes(image: &Image, site: &Site) -> Result<Vec<Lane>> {
    let geometry = &site.info.geometry;
    let mut detector = LayoutDetector::default();
    let mut lanes = Vec::new();
    for lane in 0..geometry.nfree() {
        let slots = tables::flog_group(image, site.start, geometry, lane)?;
        // Groups that do not fit do not take part in the detection of the layout.
        let mut candidate = detector;
        let damage = match candidate.inspect(&slots) {
            Ok(()) => {
                detector = candidate;
                None
            }
            Err(error) => Some(error.to_string()),
        };
        lanes.push(Lane {
            slots,
            damage: Vec::from_iter(damage),
            interrupted: None,
        });
    }
    let mut free = HashMap::new();
    for (number, lane) in lanes.iter_mut().enumerate() {
        let entry = match detector.layout().newest(&lane.slots) {
            Ok(pair) => pair.entry,
            Err(error) => {
                lane.damage.push(error.to_string());
                continue;
            }
        };
        lane.damage.extend(out_of_range(site, &entry));
        let mut take = |block: u32, what| {
            if let Some(other) = free.insert(block, number) {
                let line = format!("{what} block {block} is free in lane {other} as well");
                lane.damage.push(line);
            }
        };
        take(entry.old, "its free");
        if is_interrupted(image, site, &entry)? {
            take(entry.new, "the new");
            lane.interrupted = Some(format!(
                "an interrupted write: the map still names block {} for sector {}, expected {}",
                entry.old, entry.lba, entry.new
            ));
        }
    }
    Ok(lanes)
}

/// Returns the fields of an entry that are out of range.
fn out_of_range(site: &Site, entry: &FlogEntry) -> Vec<String> {
    let geometry = &site.info.geometry;
    let blocks = geometry.internal_nlba();
    // An unused lane has its own number as its sector, and there may be more lanes than sectors.
    let sectors = if entry.old == entry.new {
        u32::MAX
    } else {
        geometry.external_nlba()
    };
    [
        ("lba", entry.lba, sectors),
        ("old_map", entry.old, blocks),
        ("new_map", entry.new, blocks),
    ]
    .into_iter()
    .filter(|(_, found, limit)| found >= limit)
    .map(|(field, found, limit)| format!("{field} is {found}, expected below {limit}"))
    .collect()
}

/// Returns `true` if the map does not have the move of an entry yet.
fn is_interrupted(image: &Image, site: &Site, entry: &FlogEntry) -> Result<bool> {
    let offset = site.info.geometry.map_entry_offset(entry.lba);
    let Some(offset) = offset.filter(|_| entry.old != entry.new) else {
        return Ok(false);
    };
    let word = image.load32(site.start + offset);
    let word = word.map_err(|error| tables::explain(image, error))?;
    Ok(MapEntry::decode(word, entry.lba).block == entry.old)
}
