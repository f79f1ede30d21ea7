// SPDX-License-Identifier: GPL-2.0

//! The disk of a BTT: maps requests of the block layer to calls of the engine.

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
        DeferredReadOnly,
        Driver,
        Geometry,
        Limits,
        Operation,
        SECTOR_SHIFT, //
    },
    device::TypedDevice,
    error::eopnotsupp,
    trace,
};

/// The driver of the disk of a BTT.
pub(crate) struct BttDriver {
    btt: Btt<PmemMedia>,
    /// log2 of the number of sectors of 512 bytes in a BTT sector.
    sector_shift: u32,
    /// Bytes of metadata for each sector.
    metadata: u8,
    /// The BTT device, for messages.
    device: ARef<TypedDevice<nd::Btt>>,
    /// Number of writes that recovery has completed when the BTT was opened.
    finished_writes: u32,
    /// Counters of events that the engine does not count.
    counters: Counters,
    /// Makes the disk read only when the engine refuses writes from then on.
    deferred_read_only: Arc<DeferredReadOnly>,
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
    /// Increments the counter and returns its former value.
    fn count(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Statistics of a disk since it was attached.
pub(crate) struct Statistics {
    /// Statistics of writes, from the engine.
    pub(crate) writers: btt_engine::Statistics,
    /// Number of writes that recovery has completed when the disk was attached.
    pub(crate) finished_writes: u32,
    /// Number of discards and write-zeroes, each with one fence.
    pub(crate) discards: u64,
    /// Number of requests with `REQ_NOWAIT` that ended with `EAGAIN`.
    pub(crate) refusals: u64,
    /// Number of requests that failed.
    pub(crate) errors: u64,
}

impl BttDriver {
    /// Creates the driver for `btt`, which belongs to `device`. `EINVAL` if a disk cannot have its
    /// sector size.
    pub(crate) fn new(
        btt: Btt<PmemMedia>,
        finished_writes: u32,
        device: &TypedDevice<nd::Btt>,
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
            deferred_read_only: DeferredReadOnly::new()?,
        })
    }

    /// Returns what makes the disk read only, for the parameters of the disk.
    pub(crate) fn deferred_read_only(&self) -> Arc<DeferredReadOnly> {
        self.deferred_read_only.clone()
    }

    /// Returns the BTT.
    pub(crate) fn btt(&self) -> &Btt<PmemMedia> {
        &self.btt
    }

    /// Returns the size of the disk, in sectors of 512 bytes.
    pub(crate) fn capacity(&self) -> u64 {
        self.btt.sector_count() << self.sector_shift
    }

    /// Returns the queue limits of the disk.
    ///
    /// Every write is durable when it ends, so there is no write cache to be flushed. The write of
    /// a sector is atomic.
    ///
    /// A discard marks sectors in the map. It is not offered with sectors of 512 bytes, because of
    /// the C driver, which may take over the media at any time: if the first sector of a page is
    /// marked, it fills that sector only and returns what was in memory for the others.
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
        // Nothing to do. The sector of an empty request has no meaning.
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

    /// Returns the statistics so far.
    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            writers: self.btt.statistics(),
            finished_writes: self.finished_writes,
            discards: self.counters.discards.get(),
            refusals: self.counters.refusals.get(),
            errors: self.counters.errors.get(),
        }
    }

    /// Checks map and free lists, until the caller gets a signal. Logs defects.
    pub(crate) fn check(&self) -> Result<Report, CheckError> {
        let report = self.btt.check_while(|| !current!().signal_pending())?;

        if report.defects != 0 {
            dev_err!(self.device, "check: {}\n", Text(report));
        }
        Ok(report)
    }

    /// Executes a request on a disk whose sectors have metadata.
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

    /// Fails if a request of `count` sectors has a payload of `found` bytes that is too short.
    fn check_payload(&self, found: Option<usize>, count: u64) -> Result {
        let expected = count * u64::from(self.metadata);

        match found {
            Some(found) if (found as u64) < expected => Err(self.report(format_args!(
                "{found} bytes of metadata, {expected} expected"
            ))),
            _ => Ok(()),
        }
    }

    /// Makes the map words durable that the engine has left to later writes to flush.
    pub(crate) fn write_back(&self) {
        if let Err(error) = self.btt.write_back() {
            dev_err!(self.device, "its map is not durable: {}\n", Text(error));
        }
    }

    /// Returns the error for a request that begins or ends within a sector.
    #[cold]
    fn refuse(&self, bio: &Bio) -> Error {
        self.report(format_args!(
            "a request has {} bytes from byte {} on, expected whole sectors of {}",
            bio.len(),
            bio.position(),
            self.btt.sector_size()
        ))
    }

    /// Goes on after the machine was started from a hibernation image.
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
            self.deferred_read_only.start();
        }
    }

    /// Counts and logs an error of the engine. Returns the error for the submitter.
    #[cold]
    fn failure(&self, bio: &Bio, error: IoError) -> Error {
        if error == IoError::WouldBlock {
            self.counters.refusals.count();
            return EAGAIN;
        }
        let error = match error {
            // The reason was logged when the arena was closed or the disk attached.
            IoError::ReadOnly { .. } => {
                self.counters.errors.count();
                EIO
            }
            IoError::Interrupted { .. } => self.start_read_only(error),
            error => self.report(error),
        };
        trace::btt_error(bio, Err(error));
        error
    }

    /// Makes the disk read only, as an arena refuses writes from now on, and logs why.
    #[cold]
    fn start_read_only(&self, error: IoError) -> Error {
        self.counters.errors.count();
        dev_crit!(
            self.device,
            "{}; the disk is read only until it is attached again, which recovers it\n",
            Text(error)
        );
        self.deferred_read_only.start();
        EIO
    }

    /// Logs the first failure only; the submitter of each request gets its error anyway.
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

/// Returns the first sector of a request and the number of its sectors. The request begins at
/// `sector`, in units of 512 bytes, and has `len` bytes. A sector of the BTT has `512 << shift`
/// bytes. `None` if the request begins or ends within a sector.
///
/// The block layer does not check this. Partitions of many formats are in units of 512 bytes, so
/// they may begin and end within a sector.
#[inline]
fn whole_sectors(sector: u64, len: usize, shift: u32) -> Option<(u64, u64)> {
    let len = len as u64;
    // A sector has 512 or 4096 bytes, so no shift is too wide. The position in bytes may lose its
    // highest bits, but not those within a sector.
    let shift_of_bytes = shift.wrapping_add(SECTOR_SHIFT);
    let within = ((sector << SECTOR_SHIFT) | len) & !u64::MAX.wrapping_shl(shift_of_bytes);

    (within == 0).then_some((sector.wrapping_shr(shift), len.wrapping_shr(shift_of_bytes)))
}

impl Drop for BttDriver {
    /// No request is in flight any more. The next driver of the medium, which may be the C driver,
    /// relies on the map.
    fn drop(&mut self) {
        self.write_back();
    }
}

impl Driver for BttDriver {
    const MODULE: &'static ThisModule = kernel_compat::this_module!();

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
