// SPDX-License-Identifier: GPL-2.0

//! Map and flog of an arena, as they are on the image.

use crate::image::Image;
use anyhow::{
    anyhow,
    Result, //
};
use btt_engine::{
    ArenaInfo,
    Media as _,
    MediaError,
    Opened, //
};
use nd_format::btt::{
    flog::{
        RawSlot,
        SLOTS, //
    },
    geometry::FLOG_GROUP_SIZE,
    ArenaGeometry,
    FlogEntry,
    MapEntry, //
};

/// Map entries that are read at a time.
const CHUNK: u32 = 1 << 16;

/// Returns the offset of an arena in the image.
pub fn start(opened: &Opened<Image>, arena: &ArenaInfo) -> u64 {
    opened.btt.detected().version.initial_offset() + arena.offset
}

/// Calls `look` with each sector of the arena at `start`, its map word, and the decoded entry.
pub fn each_map_entry(
    image: &Image,
    start: u64,
    geometry: &ArenaGeometry,
    mut look: impl FnMut(u32, u32, MapEntry),
) -> Result<()> {
    let mut buffer = vec![0; CHUNK as usize * 4];
    for first in (0..geometry.external_nlba()).step_by(CHUNK as usize) {
        let last = first.saturating_add(CHUNK).min(geometry.external_nlba());
        let bytes = &mut buffer[..(last - first) as usize * 4];
        let offset = geometry.map_entry_offset(first).unwrap_or_default();
        read(image, start + offset, bytes)?;
        for (premap, word) in (first..last).zip(bytes.chunks_exact(4)) {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            look(premap, word, MapEntry::decode(word, premap));
        }
    }
    Ok(())
}

/// Returns the newest flog entry of a lane.
pub fn flog_entry(image: &Image, start: u64, arena: &ArenaInfo, lane: u32) -> Result<FlogEntry> {
    let group = flog_group(image, start, &arena.info.geometry, lane)?;
    let pair = arena
        .flog_layout
        .newest(&group)
        .map_err(|error| anyhow!("flog of lane {lane}: {error}"))?;
    Ok(pair.entry)
}

/// Returns all slots of a lane.
pub fn flog_group(
    image: &Image,
    start: u64,
    geometry: &ArenaGeometry,
    lane: u32,
) -> Result<[RawSlot; SLOTS]> {
    let offset = geometry.flog_group_offset(lane);
    let offset = offset.ok_or_else(|| anyhow!("there is no lane {lane}"))?;
    let mut bytes = [0; FLOG_GROUP_SIZE as usize];
    read(image, start + offset, &mut bytes)?;
    let half = |index: usize| {
        let bytes = &bytes[index * 8..index * 8 + 8];
        bytes
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    Ok([0, 1, 2, 3].map(|slot| RawSlot::from_halves(half(2 * slot), half(2 * slot + 1))))
}

/// Reads bytes. An I/O error of the file takes precedence over that of the medium.
pub fn read(image: &Image, offset: u64, bytes: &mut [u8]) -> Result<()> {
    let read = image.read_bytes(offset, bytes);
    read.map_err(|error| explain(image, error))
}

/// Returns the I/O error of the file if there is one, or else that of the medium.
pub(crate) fn explain(image: &Image, error: MediaError) -> anyhow::Error {
    image.take_error().unwrap_or_else(|| anyhow!("{error}"))
}
