// SPDX-License-Identifier: GPL-2.0

//! Checks a BTT: everything that opening it checks, and that each block is mapped or free, once.

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

/// Sectors after which progress is told.
const STEP: u64 = 1 << 16;

/// What is known of a BTT.
#[derive(Serialize)]
pub struct Report {
    /// UUID of the BTT.
    pub uuid: String,
    /// Version of the layout.
    pub version: String,
    /// Bytes of a sector with its metadata.
    pub lba_size: u32,
    /// Sectors of all arenas.
    pub sectors: u64,
    /// What is to be put right.
    pub recovery: Recovery,
    /// The arenas, in order.
    pub arenas: Vec<ArenaReport>,
}

/// What opening a BTT, or repairing it, does to the medium.
#[derive(Serialize)]
pub struct Recovery {
    /// A first info block that is restored from its copy.
    pub restored: Option<String>,
    /// Interrupted writes that are finished.
    pub finished_writes: u32,
    /// Copies of info blocks that are not like the first ones. Opening leaves them, `btt repair` writes them anew.
    pub copies: Vec<String>,
}

impl Recovery {
    /// Tells whether anything is to be done.
    pub fn is_needed(&self) -> bool {
        self.restored.is_some() || self.finished_writes > 0 || !self.copies.is_empty()
    }
}

impl Report {
    /// Tells whether anything is wrong that cannot be put right.
    pub fn is_damaged(&self) -> bool {
        self.arenas.iter().any(|arena| !arena.problems.is_empty())
    }
}

/// What is known of an arena.
#[derive(Serialize)]
pub struct ArenaReport {
    /// Bytes from the first arena to this one.
    pub offset: u64,
    /// Bytes of the arena.
    pub size: u64,
    /// Number of its first sector.
    pub first_sector: u64,
    /// Sectors.
    pub sectors: u32,
    /// Blocks.
    pub blocks: u32,
    /// Bytes of a block.
    pub block_size: u32,
    /// Blocks that hold no sector.
    pub free_blocks: u32,
    /// Flog slots that are used.
    pub flog_slots: [usize; 2],
    /// Whether the info block says that the arena must not be written.
    pub error_flag: bool,
    /// Map entries by state.
    pub map: MapCount,
    /// What is wrong; empty if nothing is.
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

/// Opens the BTT on an image, of either version unless one is asked for. The file itself does not change.
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
        // The one that says more than that there is nothing.
        (Err(OpenError::NotFound(_)), Err(error)) if !matches!(error, OpenError::NotFound(_)) => {
            Err(error)
        }
        (Err(first), Err(second)) if is_nothing(&first) => Err(second),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Tells whether an error says no more than that there is nothing.
fn is_nothing(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::TooSmall { .. } | OpenError::NotFound(Absence::NoInfo(InfoError::Signature))
    )
}

/// Looks at an open BTT; at all of its map if `whole` is set. `progress` is told how many sectors were looked at.
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
                    format!("copy at {copy:#x} is not like the info block at {offset:#x}")
                })
                .collect(),
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
pub struct Owned(Vec<u64>);

impl Owned {
    /// Nobody owns any of `blocks` blocks.
    pub fn new(blocks: u32) -> Self {
        Self(vec![0; blocks.div_ceil(64) as usize])
    }

    /// Returns whether nobody owned the block before; false if there is no such block.
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
    let mut untold = 0;
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
                    "map entry {premap} names block {block}, which an entry before it names, too"
                )
            });
        }
        untold += 1;
        if untold == STEP {
            progress(untold);
            untold = 0;
        }
    })?;
    progress(untold);
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
