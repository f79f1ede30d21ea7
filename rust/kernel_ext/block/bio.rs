// SPDX-License-Identifier: GPL-2.0

//! One request to a bio-based disk.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

use super::{
    cursor::Cursor,
    DiskRef,
    Sink,
    Source,
    SECTOR_SHIFT, //
};
use crate::sys;
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// What a request asks for.
pub enum Operation<'a> {
    /// Fill memory from the medium.
    Read(Sink<'a>),
    /// Store memory to the medium. A pure flush is an empty write.
    Write(Source<'a>),
    /// The content of the range is no longer needed.
    Discard,
    /// Make the range read as zeroes.
    WriteZeroes,
    /// Anything else; the number is `REQ_OP_*` of `include/linux/blk_types.h`.
    Other(u32),
}

/// A request, owned by the driver from [`submit`](super::Driver::submit) until it is ended.
///
/// A request is ended exactly once: by [`end`](Self::end) or
/// [`end_would_block`](Self::end_would_block). One that is dropped is ended with `EIO`, so that no
/// submitter waits for ever.
///
/// # Invariants
///
/// `raw` is a valid bio that was submitted to a disk of [`Disk`](super::Disk) and was not ended
/// yet.
#[must_use = "a request that is dropped fails with EIO"]
pub struct Bio {
    raw: NonNull<sys::bio>,
    /// When accounting began, in jiffies, if the request is accounted.
    started: Option<c_ulong>,
}

// SAFETY: A bio may be ended from any thread, and nothing in it is bound to the submitter.
unsafe impl Send for Bio {}

impl Bio {
    /// Takes over a request from the block layer.
    ///
    /// # Safety
    ///
    /// - `raw` is a valid bio that was passed to the `submit_bio` callback of a disk;
    /// - the caller gives up the bio: nobody else ends it.
    #[inline]
    pub(super) unsafe fn from_raw(raw: NonNull<sys::bio>) -> Self {
        // INVARIANT: By the safety requirements.
        Self { raw, started: None }
    }

    #[inline]
    fn flag(&self, bit: sys::req_flag_bits) -> bool {
        // SAFETY: `raw` is valid by the type invariant, and nobody writes the flags of a submitted
        // bio.
        unsafe { (*self.raw.as_ptr()).bi_opf & (1 << bit) != 0 }
    }

    /// `REQ_OP_*`.
    #[inline]
    fn raw_operation(&self) -> u32 {
        // SAFETY: `raw` is valid by the type invariant.
        unsafe { (*self.raw.as_ptr()).bi_opf & ((1 << sys::REQ_OP_BITS) - 1) }
    }

    /// The memory of the request and the operation to be done with it.
    #[inline]
    pub fn operation(&self) -> Operation<'_> {
        match self.raw_operation() {
            sys::req_op_REQ_OP_READ => Operation::Read(Sink::new(self.cursor())),
            sys::req_op_REQ_OP_WRITE => Operation::Write(Source::new(self.cursor())),
            sys::req_op_REQ_OP_DISCARD => Operation::Discard,
            sys::req_op_REQ_OP_WRITE_ZEROES => Operation::WriteZeroes,
            other => Operation::Other(other),
        }
    }

    #[inline]
    fn cursor(&self) -> Cursor<'_> {
        // SAFETY: `raw` is valid and not ended while `self` is borrowed, hence so are its vectors
        // and their pages; a bio that reads or writes has vectors for all of its bytes.
        unsafe { Cursor::new(self.raw) }
    }

    /// Metadata that the submitter sends along with what is written, sector by sector.
    pub fn metadata_source(&self) -> Option<Source<'_>> {
        self.payload(sys::req_op_REQ_OP_WRITE).map(Source::new)
    }

    /// Where the submitter wants the metadata of the sectors that are read.
    pub fn metadata_sink(&self) -> Option<Sink<'_>> {
        self.payload(sys::req_op_REQ_OP_READ).map(Sink::new)
    }

    /// The integrity payload, if there is one and this is what the request does.
    fn payload(&self, operation: u32) -> Option<Cursor<'_>> {
        let raw = self.raw.as_ptr();

        if self.raw_operation() != operation || !self.flag(sys::req_flag_bits___REQ_INTEGRITY) {
            return None;
        }
        // SAFETY: `raw` is valid by the type invariant. CAST: The kernel crate knows the payload
        // only by name.
        let payload = unsafe { (*raw).bi_integrity }.cast::<sys::bio_integrity_payload>();
        // SAFETY: A bio with this flag has a payload, which lives until the bio ends, which cannot
        // happen while `self` is borrowed. Whoever attached it made it hold its bytes.
        NonNull::new(payload).map(|payload| unsafe { Cursor::of_payload(payload) })
    }

    /// Where the request begins, in sectors of 512 bytes from the start of the disk.
    ///
    /// The block layer has checked that the request lies within the disk, unless it [is
    /// empty](Self::is_empty). The sector of an empty request has no meaning and may be any number:
    /// the device mapper computes that of a flush as if it were a write, and the result may wrap
    /// around.
    #[inline]
    pub fn sector(&self) -> u64 {
        // SAFETY: `raw` is valid by the type invariant.
        unsafe { (*self.raw.as_ptr()).bi_iter.bi_sector }
    }

    /// How many bytes the request covers.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: `raw` is valid by the type invariant.
        unsafe { (*self.raw.as_ptr()).bi_iter.bi_size as usize }
    }

    /// Whether the request covers nothing, as a pure flush does.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the request begins, in bytes from the start of the disk.
    ///
    /// That of an [empty](Self::is_empty) request has no meaning, like its [sector](Self::sector).
    #[inline]
    pub fn position(&self) -> u64 {
        self.sector() << SECTOR_SHIFT
    }

    /// Whether everything that was completed before has to be durable before this request begins.
    #[inline]
    pub fn preflush(&self) -> bool {
        self.flag(sys::req_flag_bits___REQ_PREFLUSH)
    }

    /// Whether the data of this request have to be durable when it ends (force unit access).
    #[inline]
    pub fn fua(&self) -> bool {
        self.flag(sys::req_flag_bits___REQ_FUA)
    }

    /// Whether the submitter wants an answer at once rather than wait for a lock or for memory.
    #[inline]
    pub fn nowait(&self) -> bool {
        self.flag(sys::req_flag_bits___REQ_NOWAIT)
    }

    /// The disk to which the request was submitted.
    #[inline]
    pub fn disk(&self) -> DiskRef<'_> {
        // SAFETY: `raw` is valid by the type invariant. A bio keeps its disk busy, and therefore
        // alive, until it ends, which cannot happen while `self` is borrowed; disks of this module
        // are announced before they are given bios.
        unsafe { DiskRef::from_raw((*(*self.raw.as_ptr()).bi_bdev).bd_disk) }
    }

    /// The number of the device to which the request was submitted, a disk or a partition.
    pub(crate) fn device_number(&self) -> sys::dev_t {
        // SAFETY: `raw` is valid by the type invariant, and a bio keeps its device alive until it
        // ends.
        unsafe { (*(*self.raw.as_ptr()).bi_bdev).bd_device.devt }
    }

    /// Counts the request in the I/O statistics of the disk from now until it ends, if the
    /// administrator wants them.
    #[inline]
    pub fn start_accounting(&mut self) {
        if self.started.is_none() && self.disk().counts_io() {
            // SAFETY: `raw` is valid by the type invariant.
            self.started = Some(unsafe { sys::bio_start_io_acct(self.raw.as_ptr()) });
        }
    }

    /// Ends the request with the outcome of its operation.
    #[inline]
    pub fn end(self, outcome: Result) {
        match outcome {
            Ok(()) => self.finish(None),
            Err(error) => self.finish(Some(error)),
        }
    }

    /// Ends a request that asked [not to wait](Self::nowait) and would have had to. Nothing was
    /// done for it; the submitter comes back from a context in which it may wait.
    pub fn end_would_block(self) {
        self.finish(Some(EAGAIN));
    }

    #[inline]
    fn finish(self, error: Option<Error>) {
        let mut this = ManuallyDrop::new(self);

        this.finish_in_place(error);
    }

    /// Ends the request; afterwards the value may only be forgotten.
    #[inline]
    fn finish_in_place(&mut self, error: Option<Error>) {
        let raw = self.raw.as_ptr();

        if let Some(error) = error {
            // SAFETY: `raw` is valid by the type invariant, and until the bio is ended its status
            // belongs to the driver.
            unsafe { (*raw).bi_status = sys::errno_to_blk_status(error.to_errno()) };
        }

        if let Some(started) = self.started {
            // SAFETY: `raw` is valid, `started` comes from `bio_start_io_acct` for this bio, and
            // the bio was not remapped.
            unsafe { sys::bio_end_io_acct_remapped(raw, started, (*raw).bi_bdev) };
        }

        // SAFETY: `raw` is valid and was not ended yet by the type invariant; the callers do not
        // use the value any more.
        unsafe { sys::bio_endio(raw) };
    }
}

impl Drop for Bio {
    fn drop(&mut self) {
        self.finish_in_place(Some(EIO));
    }
}
