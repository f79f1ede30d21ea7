// SPDX-License-Identifier: GPL-2.0

//! Checks a BTT: everything that opening it checks, and that each block is either mapped or free,
//! exactly once.

use crate::{
    copies,
    image::Image,
    tables, //
};
use anyhow::Result;
use btt_engine::{
    Absence,
    ArenaInfo,
    Btt,
    OpenError,
    OpenParams,
    Opened, //
};
use nd_format::{
    btt::{
        InfoError,
        MapState,
        Version, //
    },
    uuid::Uuid, //
};
use serde::Serialize;

/// Number of sectors between two reports of progress.
const STEP: u64 = 1 << 16;

/// Report on a BTT.
#[derive(Serialize)]
pub struct Report {
    /// UUID of the BTT.
    pub uuid: String,
    /// Version of the layout.
    pub version: String,
    /// Bytes of a sector with its metadata.
    pub lba_size: u32,
    /// Number of sectors of all arenas.
    pub sectors: u64,
    /// Changes that a repair would make.
    pub recovery: Recovery,
    /// The arenas, in order.
    pub arenas: Vec<ArenaReport>,
}

/// Changes that opening or repairing a BTT makes on the medium.
#[derive(Serialize)]
pub struct Recovery {
    /// First info block that is restored from its copy.
    pub restored: Option<String>,
    /// Number of interrupted writes that are finished.
    pub finished_writes: u32,
    /// Copies that differ from their info blocks. Opening leaves them alone; `btt repair` writes
    /// them anew.
    pub copies: Vec<String>,
}

impl Recovery {
    /// Returns `true` if there is anything to repair.
    pub fn is_needed(&self) -> bool {
        self.restored.is_some() || self.finished_writes > 0 || !self.copies.is_empty()
    }
}

impl Report {
    /// Returns `true` if there is damage that cannot be repaired.
    pub fn is_damaged(&self) -> bool {
        self.arenas.iter().any(|arena| !arena.problems.is_empty())
    }
}

/// Report on an arena.
#[derive(Serialize)]
pub struct ArenaReport {
    /// Bytes from the first arena to this one.
    pub offset: u64,
    /// Bytes of the arena.
    pub size: u64,
    /// Number of the arena's first sector.
    pub first_sector: u64,
    /// Number of sectors.
    pub sectors: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// Bytes of a block.
    pub block_size: u32,
    /// Number of blocks that hold no sector.
    pub free_blocks: u32,
    /// Indexes of the flog slots that are used.
    pub flog_slots: [usize; 2],
    /// Error flag: the info block says that the arena must not be written.
    pub error_flag: bool,
    /// Map entries by state.
    pub map: MapCount,
    /// Damage; empty if there is none.
    pub problems: Vec<String>,
}

/// Map entries by state.
#[derive(Serialize, Default)]
pub struct MapCount {
    /// Never written.
    pub initial: u32,
    /// Written.
    pub normal: u32,
    /// Read as zeroes.
    pub zero: u32,
    /// Lost to media errors.
    pub error: u32,
}

/// Opens the BTT on an image, of either version if `version` is `None`. The file itself does not
/// change.
pub fn open(
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
        // Return the error that says more than that there is no BTT.
        (Err(OpenError::NotFound(_)), Err(error)) if !matches!(error, OpenError::NotFound(_)) => {
            Err(error)
        }
        (Err(first), Err(second)) if is_nothing(&first) => Err(second),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Returns `true` if an error says no more than that there is no BTT.
fn is_nothing(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::TooSmall { .. } | OpenError::NotFound(Absence::NoInfo(InfoError::Signature))
    )
}

/// Inspects an open BTT, with all of its map if `whole` is `true`. Calls `progress` with the number
/// of sectors inspected since the last call.
pub fn report(
    opened: &Opened<Image>,
    whole: bool,
    mut progress: impl FnMut(u64),
) -> Result<Report> {
    let btt = &opened.btt;
    let image = btt.media();
    let detected = btt.detected();
    let arenas = btt.arenas().map(|arena| {
        let mut count = MapCount::default();
        let mut problems = Problems::default();
        if whole {
            check_arena(
                image,
                tables::start(opened, &arena),
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
            copies: copies::differences(image, opened)?
                .into_iter()
                .map(|difference| {
                    let copies::Difference { offset, copy, .. } = difference;
                    format!("copy at {copy:#x} differs from the info block at {offset:#x}")
                })
                .collect(),
        },
        arenas: arenas.collect::<Result<_>>()?,
    })
}

/// Problems of an arena: text for the first ones, a count for the others.
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

/// Set of the blocks of an arena that have an owner.
pub struct Owned(Vec<u64>);

impl Owned {
    /// Returns an empty set for `blocks` blocks.
    pub fn new(blocks: u32) -> Self {
        Self(vec![0; blocks.div_ceil(64) as usize])
    }

    /// Adds a block. Returns `true` if it had no owner before, `false` if it had one or does not
    /// exist.
    pub fn take(&mut self, block: u32) -> bool {
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
    let mut unreported = 0;
    tables::each_map_entry(image, start, geometry, |premap, _, entry| {
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
            problems.push(|| {
                format!(
                    "map entry {premap} names block {block}, which an earlier entry names as well"
                )
            });
        }
        unreported += 1;
        if unreported == STEP {
            progress(unreported);
            unreported = 0;
        }
    })?;
    progress(unreported);
    for lane in 0..geometry.nfree() {
        let entry = tables::flog_entry(image, start, arena, lane)?;
        if !owned.take(entry.old) {
            problems.push(|| format!("free block {} of lane {lane} is mapped", entry.old));
        }
    }
    for block in (0..blocks).filter(|&block| !owned.has(block)) {
        problems.push(|| format!("block {block} is neither mapped nor free"));
    }
    Ok(())
}
