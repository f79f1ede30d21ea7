// SPDX-License-Identifier: GPL-2.0

//! What a strategy is, the simple ones, and the checks that precede a measurement.
//!
//! [`kind`](crate::kind) lists all strategies.

use crate::medium::{
    self,
    Medium, //
};
use anyhow::{
    anyhow,
    ensure,
    Result, //
};
use btt_engine::{
    Btt,
    OpenParams, //
};
use nd_format::{
    btt::Version,
    uuid::Uuid, //
};
use persist::PmemBlk;
use std::path::Path;

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

/// A copy and a fence: nothing is atomic.
pub(crate) struct Raw {
    medium: Medium,
    sector: u32,
}

impl Raw {
    pub(crate) fn new(medium: Medium, sector: u32) -> Self {
        Self { medium, sector }
    }
}

impl Strategy for Raw {
    fn sectors(&self) -> u64 {
        SIZE / u64::from(self.sector)
    }

    fn write(&self, lba: u64, bytes: &[u8], _: usize) -> Result<()> {
        let offset = lba * u64::from(self.sector);
        let copied = self.medium.0.copy_nt(offset, bytes);
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

/// The engine.
pub(crate) struct Engine(Btt<Medium>);

impl Engine {
    /// Opens a BTT that was just created.
    pub(crate) fn open(medium: &Medium) -> Result<Self> {
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

/// libpmemblk.
pub(crate) struct Library {
    pool: PmemBlk,
    sector: usize,
}

impl Library {
    /// Creates a pool of [`SIZE`] bytes.
    pub(crate) fn create(path: &Path, sector: usize) -> Result<Self> {
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
