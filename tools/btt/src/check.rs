// SPDX-License-Identifier: GPL-2.0

//! Checks a BTT: everything that opening it checks, and that each block is mapped or free, once.

use crate::image::Image;
use anyhow::{
    anyhow,
    Result, //
};
use btt_engine::{
    ArenaInfo,
    Btt,
    Media,
    OpenError,
    OpenParams,
    Opened, //
};
use nd_format::{
    btt::{
        flog::{
            RawSlot,
            SLOTS, //
        },
        geometry::FLOG_GROUP_SIZE,
        FlogEntry,
        MapEntry,
        MapState,
        Version, //
    },
    uuid::Uuid, //
};
use serde::Serialize;

/// Map entries that are read at a time.
const CHUNK: u32 = 1 << 16;

/// What is known of a BTT.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) uuid: String,
    pub(crate) version: String,
    /// Bytes of a sector with its metadata.
    pub(crate) lba_size: u32,
    pub(crate) sectors: u64,
    /// What opening it will do.
    pub(crate) recovery: Recovery,
    pub(crate) arenas: Vec<ArenaReport>,
}

/// What opening a BTT does to the medium.
#[derive(Serialize)]
pub(crate) struct Recovery {
    /// A first info block that is restored from its copy.
    pub(crate) restored: Option<String>,
    /// Interrupted writes that are finished.
    pub(crate) finished_writes: u32,
}

/// What is known of an arena.
#[derive(Serialize)]
pub(crate) struct ArenaReport {
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) first_sector: u64,
    pub(crate) sectors: u32,
    pub(crate) blocks: u32,
    pub(crate) block_size: u32,
    pub(crate) free_blocks: u32,
    pub(crate) flog_slots: [usize; 2],
    pub(crate) error_flag: bool,
    pub(crate) map: MapCount,
    /// What is wrong; empty if nothing is.
    pub(crate) problems: Vec<String>,
}

/// Map entries by state.
#[derive(Serialize, Default)]
pub(crate) struct MapCount {
    pub(crate) initial: u32,
    pub(crate) normal: u32,
    pub(crate) zero: u32,
    pub(crate) error: u32,
}

/// Opens the BTT on an image, of either version unless one is asked for. The file itself does not change.
pub(crate) fn open(
    image: &Image,
    version: Option<Version>,
    namespace: Uuid,
) -> Result<Opened<Image>, OpenError> {
    let open = |version| {
        let params = OpenParams {
            version,
            namespace_uuid: namespace,
            groups: 1,
        };
        Btt::open(image.clone(), &params)
    };
    if let Some(version) = version {
        return open(version);
    }
    let first = open(Version::V1_1);
    match (first, open(Version::V2_0)) {
        (Ok(opened), _) | (Err(_), Ok(opened)) => Ok(opened),
        // The one that says more than that there is nothing.
        (Err(OpenError::NotFound(_)), Err(error)) if !matches!(error, OpenError::NotFound(_)) => {
            Err(error)
        }
        (Err(error), Err(_)) => Err(error),
    }
}

/// Looks at an open BTT; at all of its map if `whole` is set. `progress` is told how many sectors were looked at.
pub(crate) fn report(
    opened: &Opened<Image>,
    whole: bool,
    mut progress: impl FnMut(u64),
) -> Result<Report> {
    let btt = &opened.btt;
    let detected = btt.detected();
    let origin = detected.version.initial_offset();
    let arenas = btt.arenas().map(|arena| {
        let mut count = MapCount::default();
        let mut problems = Problems::default();
        if whole {
            check_arena(
                btt.media(),
                origin + arena.offset,
                &arena,
                &mut count,
                &mut problems,
                &mut progress,
            )?;
        }
        let geometry = &arena.info.geometry;
        Ok(ArenaReport {
            offset: arena.offset,
            size: arena.size(),
            first_sector: arena.first_sector,
            sectors: geometry.external_nlba(),
            blocks: geometry.internal_nlba(),
            block_size: geometry.internal_lba_size(),
            free_blocks: geometry.nfree(),
            flog_slots: arena.flog_layout.slots(),
            error_flag: arena.info.error,
            map: count,
            problems: problems.into_lines(),
        })
    });
    Ok(Report {
        uuid: detected.uuid.to_string(),
        version: detected.version.to_string(),
        lba_size: detected.lba_size.bytes(),
        sectors: detected.sectors,
        recovery: Recovery {
            restored: opened.restored.map(|restored| restored.to_string()),
            finished_writes: opened.finished_writes,
        },
        arenas: arenas.collect::<Result<_>>()?,
    })
}

/// Problems of an arena: the first ones in words, the others as a number.
#[derive(Default)]
struct Problems {
    lines: Vec<String>,
    others: u64,
}

impl Problems {
    const LINES: usize = 20;

    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < Self::LINES {
            self.lines.push(line());
        } else {
            self.others += 1;
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        if self.others > 0 {
            self.lines.push(format!("{} more problems", self.others));
        }
        self.lines
    }
}

/// Which blocks somebody owns.
struct Owned(Vec<u64>);

impl Owned {
    fn new(blocks: u32) -> Self {
        Self(vec![0; blocks.div_ceil(64) as usize])
    }

    /// Returns whether nobody owned the block before.
    fn take(&mut self, block: u32) -> bool {
        let bit = 1 << (block % 64);
        let Some(word) = self.0.get_mut(block as usize / 64) else {
            return false;
        };
        let was_free = *word & bit == 0;
        *word |= bit;
        was_free
    }

    fn has(&self, block: u32) -> bool {
        self.0
            .get(block as usize / 64)
            .is_some_and(|word| word & 1 << (block % 64) != 0)
    }
}

fn check_arena(
    image: &Image,
    start: u64,
    arena: &ArenaInfo,
    count: &mut MapCount,
    problems: &mut Problems,
    progress: &mut impl FnMut(u64),
) -> Result<()> {
    let geometry = &arena.info.geometry;
    let blocks = geometry.internal_nlba();
    let mut owned = Owned::new(blocks);
    let mut bytes = vec![0; CHUNK as usize * 4];
    for first in (0..geometry.external_nlba()).step_by(CHUNK as usize) {
        let last = first.saturating_add(CHUNK).min(geometry.external_nlba());
        let bytes = &mut bytes[..(last - first) as usize * 4];
        let offset = geometry.map_entry_offset(first).unwrap_or_default();
        read(image, start + offset, bytes)?;
        for (premap, word) in (first..last).zip(bytes.chunks_exact(4)) {
            let entry = MapEntry::decode(
                u32::from_le_bytes([word[0], word[1], word[2], word[3]]),
                premap,
            );
            match entry.state {
                MapState::Initial => count.initial += 1,
                MapState::Normal => count.normal += 1,
                MapState::Zero => count.zero += 1,
                MapState::Error => count.error += 1,
            }
            let block = entry.block;
            if block >= blocks {
                problems.push(|| {
                    format!("map entry {premap} names block {block}, expected below {blocks}")
                });
            } else if !owned.take(block) {
                problems.push(|| format!("map entry {premap} names block {block}, which an entry before it names, too"));
            }
        }
        progress((last - first).into());
    }
    for lane in 0..geometry.nfree() {
        let entry = flog_entry(image, start, arena, lane)?;
        if !owned.take(entry.old) {
            problems.push(|| format!("free block {} of lane {lane} is mapped", entry.old));
        }
    }
    for block in (0..blocks).filter(|&block| !owned.has(block)) {
        problems.push(|| format!("block {block} is neither mapped nor free"));
    }
    Ok(())
}

/// The newest flog entry of a lane.
pub(crate) fn flog_entry(
    image: &Image,
    start: u64,
    arena: &ArenaInfo,
    lane: u32,
) -> Result<FlogEntry> {
    let group = flog_group(image, start, arena, lane)?;
    let pair = arena
        .flog_layout
        .newest(&group)
        .map_err(|error| anyhow!("flog of lane {lane}: {error}"))?;
    Ok(pair.entry)
}

/// All slots of a lane.
pub(crate) fn flog_group(
    image: &Image,
    start: u64,
    arena: &ArenaInfo,
    lane: u32,
) -> Result<[RawSlot; SLOTS]> {
    let offset = arena.info.geometry.flog_group_offset(lane);
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

/// Reads bytes, with the file's own error if there is one.
pub(crate) fn read(image: &Image, offset: u64, bytes: &mut [u8]) -> Result<()> {
    image
        .read_bytes(offset, bytes)
        .map_err(|error| match image.take_error() {
            Some(cause) => anyhow!("{error}: {cause}"),
            None => anyhow!("{error}"),
        })
}
