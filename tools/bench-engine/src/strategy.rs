// SPDX-License-Identifier: GPL-2.0

//! Ways to write sectors, all over files of the same size in memory.
//!
//! | Strategy | A write of some sectors |
//! |---|---|
//! | raw | a copy past the caches and one fence, the physical limit; nothing is atomic |
//! | ours | the engine |
//! | C protocol | [`c_protocol`](crate::c_protocol), a sector at a time |
//! | libpmemblk | Debian's library, a sector at a time |
//! | floor | [`floor`](crate::floor), what the format requires and nothing else |

use crate::{
    c_protocol::CProtocol,
    floor::Floor,
    medium::{
        self,
        Medium, //
    },
};
use anyhow::{
    anyhow,
    ensure,
    Result, //
};
use btt_engine::{
    create,
    Btt,
    CreateParams,
    OpenParams, //
};
use nd_format::{
    btt::{
        LbaSize,
        Version,
        NFREE, //
    },
    uuid::Uuid, //
};
use persist::{
    PmemBlk,
    Region, //
};
use std::{
    path::Path,
    sync::Arc, //
};

/// Size of each file in bytes.
pub(crate) const SIZE: u64 = 256 << 20;

/// Makes PMDK treat any file as persistent memory.
const FORCE: &str = "PMEM_IS_PMEM_FORCE";

/// A way to read and write sectors.
pub(crate) trait Strategy: Sync {
    /// Returns the number of sectors.
    fn sectors(&self) -> u64;

    /// Writes a buffer of whole sectors, which are durable when this returns.
    fn write(&self, lba: u64, bytes: &[u8], thread: usize) -> Result<()>;

    /// Reads whole sectors.
    fn read(&self, lba: u64, bytes: &mut [u8], thread: usize) -> Result<()>;
}

/// Names a strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Raw,
    Ours,
    CProtocol,
    PmemBlk,
    Floor,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Raw,
        Self::Ours,
        Self::CProtocol,
        Self::PmemBlk,
        Self::Floor,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Ours => "ours",
            Self::CProtocol => "C protocol",
            Self::PmemBlk => "libpmemblk",
            Self::Floor => "floor",
        }
    }

    /// Creates the strategy in a directory, with sectors of `sector` bytes.
    pub(crate) fn make(self, directory: &Path, sector: u32) -> Result<Box<dyn Strategy>> {
        let path = directory.join(format!("{}-{sector}", self.name()));
        let medium = || Ok::<_, anyhow::Error>(Medium(Arc::new(Region::create(&path, SIZE)?)));
        let btt = || -> Result<Medium> {
            let medium = medium()?;
            make_btt(&medium, sector)?;
            Ok(medium)
        };
        Ok(match self {
            Self::Raw => Box::new(Raw {
                medium: medium()?,
                sector,
            }),
            Self::Ours => Box::new(Engine::open(&btt()?)?),
            Self::CProtocol => Box::new(CProtocol::open(&btt()?)?),
            Self::PmemBlk => Box::new(Library::create(&path, sector as usize)?),
            Self::Floor => Box::new(Floor::open(&btt()?)?),
        })
    }
}

fn make_btt(medium: &Medium, sector: u32) -> Result<()> {
    let params = CreateParams {
        version: Version::V1_1,
        uuid: Uuid::from_bytes([1; 16]),
        parent_uuid: Uuid::NIL,
        lba_size: LbaSize::from_bytes(sector).ok_or_else(|| anyhow!("sectors of {sector}"))?,
        lanes: NFREE,
    };
    create(medium, &params).map_err(|error| anyhow!("{error}"))
}

struct Raw {
    medium: Medium,
    sector: u32,
}

impl Strategy for Raw {
    fn sectors(&self) -> u64 {
        SIZE / u64::from(self.sector)
    }

    fn write(&self, lba: u64, bytes: &[u8], _: usize) -> Result<()> {
        let offset = lba * u64::from(self.sector);
        let copied = self.medium.0.copy_past_cache(offset, bytes);
        self.medium.count_fence();
        copied.map_err(|_| anyhow!("sector {lba} is outside"))
    }

    fn read(&self, lba: u64, bytes: &mut [u8], _: usize) -> Result<()> {
        let offset = lba * u64::from(self.sector);
        let copied = self.medium.0.read(offset, bytes);
        copied.map_err(|_| anyhow!("sector {lba} is outside"))
    }
}

/// Returns the parameters with which the benchmark opens a BTT.
pub(crate) fn open_params() -> OpenParams {
    OpenParams {
        version: Version::V1_1,
        namespace_uuid: Uuid::NIL,
        groups: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

struct Engine(Btt<Medium>);

impl Engine {
    fn open(medium: &Medium) -> Result<Self> {
        let opened = Btt::open(medium.clone(), &open_params());
        Ok(Self(opened.map_err(|error| anyhow!("{error}"))?.btt))
    }

    fn count(&self, bytes: &[u8]) -> u64 {
        (bytes.len() / self.0.sector_size() as usize) as u64
    }
}

impl Strategy for Engine {
    fn sectors(&self) -> u64 {
        self.0.sector_count()
    }

    fn write(&self, lba: u64, bytes: &[u8], thread: usize) -> Result<()> {
        let count = self.count(bytes);
        let written = self.0.write(lba, count, &mut medium::From(bytes), thread);
        written.map_err(|error| anyhow!("{error}"))
    }

    fn read(&self, lba: u64, bytes: &mut [u8], thread: usize) -> Result<()> {
        let count = self.count(bytes);
        let read = self.0.read(lba, count, &mut medium::Into(bytes), thread);
        read.map_err(|error| anyhow!("{error}"))
    }
}

struct Library {
    pool: PmemBlk,
    sector: usize,
}

impl Library {
    fn create(path: &Path, sector: usize) -> Result<Self> {
        let is_forced = std::env::var_os(FORCE).is_some_and(|value| value == "1");
        ensure!(
            is_forced,
            "libpmemblk uses msync unless {FORCE}=1 is in the environment"
        );
        let pool = PmemBlk::create(path, sector, SIZE as usize)?;
        Ok(Self { pool, sector })
    }
}

impl Strategy for Library {
    fn sectors(&self) -> u64 {
        self.pool.blocks()
    }

    fn write(&self, lba: u64, bytes: &[u8], _: usize) -> Result<()> {
        (lba..)
            .zip(bytes.chunks(self.sector))
            .try_for_each(|(block, bytes)| self.pool.write(block, bytes))
    }

    fn read(&self, lba: u64, bytes: &mut [u8], _: usize) -> Result<()> {
        (lba..)
            .zip(bytes.chunks_mut(self.sector))
            .try_for_each(|(block, bytes)| self.pool.read(block, bytes))
    }
}

/// Writes all sectors once, so that all pages are allocated before the first measurement.
pub(crate) fn fill(strategy: &dyn Strategy, sector: usize) -> Result<()> {
    let bytes = vec![0x5a; 64 * sector];
    for lba in (0..strategy.sectors()).step_by(64) {
        let count = (strategy.sectors() - lba).min(64) as usize;
        strategy.write(lba, &bytes[..count * sector], 0)?;
    }
    Ok(())
}

/// Checks that what is written is read back and that nothing else changes, so that no broken
/// strategy is measured.
pub(crate) fn check(strategy: &dyn Strategy, sector: usize) -> Result<()> {
    for round in 0..3u8 {
        for (lba, count) in [(0, 1), (7, 40), (40, 2), (strategy.sectors() - 3, 3)] {
            let bytes: Vec<u8> = (0..count * sector)
                .map(|index| (index / 8) as u8 ^ lba as u8 ^ round)
                .collect();
            strategy.write(lba, &bytes, 0)?;
            let mut read = vec![0; bytes.len()];
            strategy.read(lba, &mut read, 1)?;
            ensure!(
                read == bytes,
                "{count} sectors at {lba} are not what was written"
            );
        }
    }
    Ok(())
}
