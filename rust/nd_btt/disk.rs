// SPDX-License-Identifier: GPL-2.0

//! The disk of a BTT: requests of the block layer become calls of the engine.

use crate::{
    media::PmemMedia,
    metadata::WithMetadata,
    text::Text, //
};
use btt_engine::{
    Btt,
    CheckError,
    IoError,
    Report,
    Sink,
    Source, //
};
use core::fmt::Display;
use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use kernel_ext::{
    block::{
        Bio,
        BlockSize,
        Demotion,
        Driver,
        Geometry,
        Limits,
        Operation,
        SECTOR_SHIFT, //
    },
    device::Node,
    error::eopnotsupp,
    trace,
};

/// The driver of the disk of a BTT.
pub(crate) struct BttDriver {
    btt: Btt<PmemMedia>,
    /// log2 of the size of a BTT sector, in sectors of 512 bytes.
    sector_shift: u32,
    /// Bytes of metadata of a sector.
    metadata: u8,
    /// For messages.
    device: ARef<Node<nd::Btt>>,
    /// Writes that were finished when the BTT was opened.
    finished_writes: u32,
    /// What is counted of what the engine does not do, or fails to do.
    counters: Counters,
    /// Makes the disk read only when the engine refuses to write any more.
    demotion: Arc<Demotion>,
}

/// Counters of events that are rare or have no lock of their own.
#[derive(Default)]
struct Counters {
    discards: Counter,
    refusals: Counter,
    errors: Counter,
}

struct Counter(Atomic<u64>);

impl Default for Counter {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Counter {
    /// Counts one more, and returns how many there were.
    fn count(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What has happened to a disk since it was attached.
pub(crate) struct Statistics {
    /// What writers did.
    pub(crate) writers: btt_engine::Statistics,
    /// Writes that were finished when it was attached.
    pub(crate) finished_writes: u32,
    /// Discards and write-zeroes, each with one fence.
    pub(crate) discards: u64,
    /// Requests that were not to wait and were refused.
    pub(crate) refusals: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
}

impl BttDriver {
    /// A driver for `btt`, which belongs to `device`; `EINVAL` if its sector size is not one that a disk can have.
    pub(crate) fn new(
        btt: Btt<PmemMedia>,
        finished_writes: u32,
        device: &Node<nd::Btt>,
    ) -> Result<Self> {
        let size = BlockSize::new(btt.sector_size())?;
        let metadata = btt.detected().lba_size.metadata();

        if btt.arenas().any(|arena| arena.info.error) {
            dev_warn!(
                device,
                "the info block of an arena has the error flag: the disk is read only\n"
            );
        }

        Ok(Self {
            btt,
            sector_shift: size.shift() - SECTOR_SHIFT,
            metadata: u8::try_from(metadata)?,
            device: device.into(),
            finished_writes,
            counters: Counters::default(),
            demotion: Demotion::new()?,
        })
    }

    /// Returns what makes the disk read only, for the one who makes the disk.
    pub(crate) fn demotion(&self) -> Arc<Demotion> {
        self.demotion.clone()
    }

    /// The BTT.
    pub(crate) fn btt(&self) -> &Btt<PmemMedia> {
        &self.btt
    }

    /// Size of the disk, in sectors of 512 bytes.
    pub(crate) fn capacity(&self) -> u64 {
        self.btt.sector_count() << self.sector_shift
    }

    /// What the disk can do.
    ///
    /// Every write is durable when it ends, so there is no cache to be flushed. A sector is written whole or not at all.
    ///
    /// Discarded sectors are marked in the map. With sectors of 512 bytes this is not offered: the C driver, which may take
    /// over the media at any time, fills only the first sector of a page if that one is marked so, and returns what was in
    /// memory for the others.
    pub(crate) fn limits(&self) -> Result<Limits> {
        let sector = BlockSize::new(self.btt.sector_size())?;
        let limits = Limits::new(sector)
            .synchronous()
            .nowait()
            .atomic_writes(sector)
            .metadata(self.metadata);

        Ok(if sector == BlockSize::PAGE {
            limits.discard(sector).write_zeroes_unmaps()
        } else {
            limits
        })
    }

    #[inline]
    fn execute(&self, bio: &Bio) -> Result {
        // Nothing to do, wherever that is: the sector of such a request has no meaning.
        if bio.is_empty() {
            return Ok(());
        }

        let cpu = CpuId::current().as_u32() as usize;
        let Some((lba, count)) = whole_sectors(bio.sector(), bio.len(), self.sector_shift) else {
            return Err(self.refuse(bio));
        };

        if self.metadata != 0 {
            return self.execute_with_metadata(bio, cpu, lba, count);
        }

        match bio.operation() {
            Operation::Read(mut sink) => self.read(bio, lba, count, &mut sink, cpu),
            Operation::Write(mut source) => self.write(bio, lba, count, &mut source, cpu),
            Operation::Discard | Operation::WriteZeroes => self.discard(bio, lba, count),
            Operation::Other(_) => Err(eopnotsupp()),
        }
    }

    #[inline]
    fn read<S: Sink<PmemMedia>>(
        &self,
        bio: &Bio,
        lba: u64,
        count: u64,
        sink: &mut S,
        cpu: usize,
    ) -> Result {
        let outcome = if bio.nowait() {
            self.btt.try_read(lba, count, sink, cpu)
        } else {
            self.btt.read(lba, count, sink, cpu)
        };
        let outcome = outcome.map_err(|error| self.failure(bio, error));

        trace::btt_read(bio, outcome);
        outcome
    }

    #[inline]
    fn write<S: Source<PmemMedia>>(
        &self,
        bio: &Bio,
        lba: u64,
        count: u64,
        source: &mut S,
        cpu: usize,
    ) -> Result {
        let outcome = if bio.nowait() {
            self.btt.try_write(lba, count, source, cpu)
        } else {
            self.btt.write(lba, count, source, cpu)
        };
        let outcome = outcome.map_err(|error| self.failure(bio, error));

        trace::btt_write(bio, outcome);
        outcome
    }

    fn discard(&self, bio: &Bio, lba: u64, count: u64) -> Result {
        let outcome = if bio.nowait() {
            self.btt.try_discard(lba, count)
        } else {
            self.btt.discard(lba, count)
        };
        let outcome = outcome.map_err(|error| self.failure(bio, error));

        if outcome.is_ok() {
            self.counters.discards.count();
        }
        trace::btt_discard(bio, outcome);
        outcome
    }

    /// What has happened so far.
    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            writers: self.btt.statistics(),
            finished_writes: self.finished_writes,
            discards: self.counters.discards.get(),
            refusals: self.counters.refusals.get(),
            errors: self.counters.errors.get(),
        }
    }

    /// Checks map and free lists, until the caller gets a signal, and says so in the log if there are defects.
    pub(crate) fn check(&self) -> Result<Report, CheckError> {
        let report = self.btt.check_while(|| !current!().signal_pending())?;

        if report.defects != 0 {
            dev_err!(self.device, "check: {}\n", Text(report));
        }
        Ok(report)
    }

    /// The same for a disk whose sectors have metadata.
    fn execute_with_metadata(&self, bio: &Bio, cpu: usize, lba: u64, count: u64) -> Result {
        match bio.operation() {
            Operation::Read(data) => {
                let metadata = bio.metadata_sink();
                let found = metadata.as_ref().map(|sink| sink.remaining());
                self.check_payload(found, count)?;
                let mut sink = WithMetadata::new(data, metadata, self.metadata);
                self.read(bio, lba, count, &mut sink, cpu)
            }
            Operation::Write(data) => {
                let metadata = bio.metadata_source();
                let found = metadata.as_ref().map(|source| source.remaining());
                self.check_payload(found, count)?;
                let mut source = WithMetadata::new(data, metadata, self.metadata);
                self.write(bio, lba, count, &mut source, cpu)
            }
            Operation::Discard | Operation::WriteZeroes => self.discard(bio, lba, count),
            Operation::Other(_) => Err(eopnotsupp()),
        }
    }

    /// Fails if a request of `count` sectors has a payload of `found` bytes, and that is too little.
    fn check_payload(&self, found: Option<usize>, count: u64) -> Result {
        let expected = count * u64::from(self.metadata);

        match found {
            Some(found) if (found as u64) < expected => Err(self.report(format_args!(
                "{found} bytes of metadata, {expected} expected"
            ))),
            _ => Ok(()),
        }
    }

    /// Makes durable what the engine has left to later writes to flush.
    pub(crate) fn write_back(&self) {
        if let Err(error) = self.btt.write_back() {
            dev_err!(self.device, "its map is not durable: {}\n", Text(error));
        }
    }

    /// Says that a request begins or ends within a sector.
    #[cold]
    fn refuse(&self, bio: &Bio) -> Error {
        self.report(format_args!(
            "a request has {} bytes from byte {} on, expected whole sectors of {}",
            bio.len(),
            bio.position(),
            self.btt.sector_size()
        ))
    }

    /// Goes on with the memory of a hibernation image.
    pub(crate) fn resume(&self) {
        match self.btt.resume() {
            Ok(0) => (),
            Ok(finished) => dev_info!(
                self.device,
                "{finished} writes that were interrupted while the machine was off were finished\n"
            ),
            Err(error) => dev_crit!(
                self.device,
                "could not be recovered after hibernation: {}; the disk is read only until it is attached again\n",
                Text(error)
            ),
        }
        if self.btt.is_read_only() {
            self.demotion.start();
        }
    }

    /// What the submitter is told.
    #[cold]
    fn failure(&self, bio: &Bio, error: IoError) -> Error {
        if error == IoError::WouldBlock {
            self.counters.refusals.count();
            return EAGAIN;
        }
        let error = match error {
            // Said when the disk was demoted, or attached.
            IoError::ReadOnly { .. } => {
                self.counters.errors.count();
                EIO
            }
            IoError::Interrupted { .. } => self.demote(error),
            error => self.report(error),
        };
        trace::btt_error(bio, Err(error));
        error
    }

    /// Lets the disk be read only, as an arena refuses to be written from now on, and says why.
    #[cold]
    fn demote(&self, error: IoError) -> Error {
        self.counters.errors.count();
        dev_crit!(
            self.device,
            "{}; the disk is read only until it is attached again, which recovers it\n",
            Text(error)
        );
        self.demotion.start();
        EIO
    }

    /// Logs the first failure; the block layer tells of each to whoever submitted the request.
    #[cold]
    fn report(&self, error: impl Display) -> Error {
        if self.counters.errors.count() == 0 {
            dev_err!(
                self.device,
                "I/O failed: {} (further failures are not logged)\n",
                Text(error)
            );
        }
        EIO
    }
}

/// Returns the first sector of a request and how many it covers. The request begins at `sector`, counted in 512 bytes, and has
/// `len` bytes; sectors are `1 << shift` times as large. `None`: it begins or ends within one of them.
///
/// The block layer does not look at this. Partitions of many formats count in 512 bytes, so they may begin and end there.
#[inline]
fn whole_sectors(sector: u64, len: usize, shift: u32) -> Option<(u64, u64)> {
    let len = len as u64;
    // A sector has 512 or 4096 bytes, so no shift is too wide; of the position in bytes, the bits that are
    // lost are not those within a sector.
    let shift_of_bytes = shift.wrapping_add(SECTOR_SHIFT);
    let within = ((sector << SECTOR_SHIFT) | len) & !u64::MAX.wrapping_shl(shift_of_bytes);

    (within == 0).then_some((sector.wrapping_shr(shift), len.wrapping_shr(shift_of_bytes)))
}

impl Drop for BttDriver {
    /// No request is under way any more. Whoever drives the medium next, the C driver perhaps, relies on the map.
    fn drop(&mut self) {
        self.write_back();
    }
}

impl Driver for BttDriver {
    const MODULE: &'static ThisModule = &crate::THIS_MODULE;

    const GEOMETRY: Option<Geometry> = Some(Geometry {
        heads: 64,
        sectors: 32,
    });

    #[inline]
    fn submit(self: Pin<&Self>, mut bio: Bio) {
        bio.start_accounting();
        let outcome = self.execute(&bio);
        bio.end(outcome);
    }
}

#[kernel::prelude::kunit_tests(nd_btt_disk)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_sector_is_no_request() {
        assert_eq!(whole_sectors(0, 8192, 3), Some((0, 2)));
        assert_eq!(whole_sectors(16, 4096, 3), Some((2, 1)));
        assert_eq!(whole_sectors(7, 512, 0), Some((7, 1)));
        assert_eq!(whole_sectors(8, 512, 3), None);
        assert_eq!(whole_sectors(8, 4096 + 512, 3), None);
    }

    #[test]
    fn no_request_begins_within_a_sector() {
        for sector in 1..8 {
            assert_eq!(whole_sectors(sector, 4096, 3), None);
            assert_eq!(whole_sectors((1 << 55) - sector, 4096, 3), None);
        }
        assert_eq!(whole_sectors(1 << 54, 4096, 3), Some((1 << 51, 1)));
    }
}
