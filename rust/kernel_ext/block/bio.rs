// SPDX-License-Identifier: GPL-2.0

//! One request to a bio-based disk: its operation, range, flags and memory, and how it ends.
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

/// The operation of a request.
pub enum Operation<'a> {
    /// Read from the medium into memory.
    Read(Sink<'a>),
    /// Write memory to the medium. A pure flush is an empty write.
    Write(Source<'a>),
    /// Discard the content of the range.
    Discard,
    /// Zero the range.
    WriteZeroes,
    /// Any other operation, `REQ_OP_*` of `include/linux/blk_types.h`.
    Other(u32),
}

/// A request, owned by the driver from [`submit`](super::Driver::submit) until it is ended.
///
/// A request ends exactly once, by [`end`](Self::end) or
/// [`end_would_block`](Self::end_would_block). Dropping it ends it with `EIO`, so that its
/// submitter does not wait forever.
///
/// # Invariants
///
/// `raw` is a valid bio that was submitted to a [`Disk`](super::Disk) and has not ended.
#[must_use = "a request that is dropped fails with EIO"]
pub struct Bio {
    raw: NonNull<sys::bio>,
    /// Start of I/O accounting in jiffies, if the request is accounted.
    started: Option<c_ulong>,
}

// SAFETY: A bio may end on any thread, and nothing in it is tied to the thread of its submitter.
unsafe impl Send for Bio {}

impl Bio {
    /// Takes ownership of a request from the block layer.
    ///
    /// # Safety
    ///
    /// - `raw` is a valid bio that was passed to the `submit_bio` callback of a
    ///   [`Disk`](super::Disk);
    /// - the caller gives up ownership of the bio: nothing else ends it.
    #[inline]
    pub(super) unsafe fn from_raw(raw: NonNull<sys::bio>) -> Self {
        // INVARIANT: The caller passes a valid bio of a `Disk`, which has not ended, as only its
        // owner ends it.
        Self { raw, started: None }
    }

    #[inline]
    fn flag(&self, bit: sys::req_flag_bits) -> bool {
        // SAFETY: By the type invariant `raw` is valid. The flags of a submitted bio do not change
        // until its driver has ended it.
        unsafe { (*self.raw.as_ptr()).bi_opf & (1 << bit) != 0 }
    }

    /// Returns the `REQ_OP_*` of the request.
    #[inline]
    fn raw_operation(&self) -> u32 {
        // SAFETY: By the type invariant `raw` is valid. The operation of a submitted bio does not
        // change until its driver has ended it.
        unsafe { (*self.raw.as_ptr()).bi_opf & ((1 << sys::REQ_OP_BITS) - 1) }
    }

    /// Returns the operation of the request, with its memory if it transfers data.
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
        // SAFETY: By the type invariant `raw` is valid and has not ended, and it does not end while
        // `self` is borrowed. The callers have checked that it reads or writes, so its vectors hold
        // all of its bytes.
        unsafe { Cursor::new(self.raw) }
    }

    /// Returns the integrity metadata of a write, sector by sector, if the submitter has attached
    /// any.
    pub fn metadata_source(&self) -> Option<Source<'_>> {
        self.payload(sys::req_op_REQ_OP_WRITE).map(Source::new)
    }

    /// Returns the memory for the integrity metadata of a read, sector by sector, if the submitter
    /// has attached any.
    pub fn metadata_sink(&self) -> Option<Sink<'_>> {
        self.payload(sys::req_op_REQ_OP_READ).map(Sink::new)
    }

    /// Returns a cursor over the integrity payload, if there is one and `operation` is that of the
    /// request.
    fn payload(&self, operation: u32) -> Option<Cursor<'_>> {
        let raw = self.raw.as_ptr();

        if self.raw_operation() != operation || !self.flag(sys::req_flag_bits___REQ_INTEGRITY) {
            return None;
        }
        // SAFETY: By the type invariant `raw` is valid. The flag says that the union holds a
        // payload. CAST: In the kernel crate the type of the payload is opaque.
        let payload = unsafe { (*raw).bi_integrity }.cast::<sys::bio_integrity_payload>();
        // SAFETY: A bio with this flag has a payload, which lives until the bio ends, and the bio
        // does not end while `self` is borrowed. Code that attaches a payload adds vectors for as
        // many bytes as its iterator counts.
        NonNull::new(payload).map(|payload| unsafe { Cursor::of_payload(payload) })
    }

    /// Returns the first sector, in units of 512 bytes from the start of the disk.
    ///
    /// The block layer has checked that the request lies within the disk, unless it [is
    /// empty](Self::is_empty). The sector of an empty request is meaningless and may be any number:
    /// the device mapper computes it for a flush as for a write, and the result may wrap around.
    #[inline]
    pub fn sector(&self) -> u64 {
        // SAFETY: By the type invariant `raw` is valid, and its iterator belongs to the driver
        // until the bio has ended.
        unsafe { (*self.raw.as_ptr()).bi_iter.bi_sector }
    }

    /// Returns the length of the request in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: By the type invariant `raw` is valid, and its iterator belongs to the driver
        // until the bio has ended.
        unsafe { (*self.raw.as_ptr()).bi_iter.bi_size as usize }
    }

    /// Returns `true` if the request covers no bytes, like a pure flush.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the offset of the first byte from the start of the disk, in bytes.
    ///
    /// It is meaningless for an [empty](Self::is_empty) request, like its [sector](Self::sector).
    #[inline]
    pub fn position(&self) -> u64 {
        self.sector() << SECTOR_SHIFT
    }

    /// Returns `true` if all writes that have completed must be durable before this request begins
    /// (`REQ_PREFLUSH`).
    #[inline]
    pub fn preflush(&self) -> bool {
        self.flag(sys::req_flag_bits___REQ_PREFLUSH)
    }

    /// Returns `true` if the data of this request must be durable when it ends (`REQ_FUA`, force
    /// unit access).
    #[inline]
    pub fn fua(&self) -> bool {
        self.flag(sys::req_flag_bits___REQ_FUA)
    }

    /// Returns `true` if the request must fail with `EAGAIN` instead of waiting for a lock or for
    /// memory (`REQ_NOWAIT`).
    #[inline]
    pub fn nowait(&self) -> bool {
        self.flag(sys::req_flag_bits___REQ_NOWAIT)
    }

    /// Returns the disk to which the request was submitted.
    #[inline]
    pub fn disk(&self) -> DiskRef<'_> {
        // SAFETY: By the type invariant `raw` is valid. A bio holds no reference to its block
        // device: its submitter keeps that open, and with it the disk alive, until the bio has
        // ended, and the bio does not end while `self` is borrowed. The disk was added, as the
        // block layer passes bios to added disks only.
        unsafe { DiskRef::from_raw((*(*self.raw.as_ptr()).bi_bdev).bd_disk) }
    }

    /// Returns the device number of the disk or partition to which the request was submitted.
    pub(crate) fn device_number(&self) -> sys::dev_t {
        // SAFETY: By the type invariant `raw` is valid and has not ended. Until then its submitter
        // keeps the block device open. A device number does not change.
        unsafe { (*(*self.raw.as_ptr()).bi_bdev).bd_device.devt }
    }

    /// Starts to account the request in the I/O statistics of the disk, unless they are disabled
    /// (`queue/iostats`). The accounting stops when the request ends.
    #[inline]
    pub fn start_accounting(&mut self) {
        if self.started.is_none() && self.disk().counts_io() {
            // SAFETY: By the type invariant `raw` is valid and has not ended, so its block device
            // is open. It is not accounted yet, as `started` is `None`.
            self.started = Some(unsafe { sys::bio_start_io_acct(self.raw.as_ptr()) });
        }
    }

    /// Ends the request with the result of its operation.
    #[inline]
    pub fn end(self, outcome: Result) {
        match outcome {
            Ok(()) => self.finish(None),
            Err(error) => self.finish(Some(error)),
        }
    }

    /// Ends a [`nowait`](Self::nowait) request that would have had to wait. Nothing was done for
    /// it; the submitter may retry where it can wait.
    pub fn end_would_block(self) {
        self.finish(Some(EAGAIN));
    }

    #[inline]
    fn finish(self, error: Option<Error>) {
        let mut this = ManuallyDrop::new(self);

        this.finish_in_place(error);
    }

    /// Ends the request. Afterwards the caller must forget the value.
    #[inline]
    fn finish_in_place(&mut self, error: Option<Error>) {
        let raw = self.raw.as_ptr();

        if let Some(error) = error {
            // SAFETY: By the type invariant `raw` is valid and has not ended. Until it ends, its
            // status belongs to the driver.
            unsafe { (*raw).bi_status = sys::errno_to_blk_status(error.to_errno()) };
        }

        if let Some(started) = self.started {
            // SAFETY: By the type invariant `raw` is valid and has not ended, so its block device
            // is open. `started` comes from `bio_start_io_acct` for this bio and this device, as
            // the driver does not remap bios.
            unsafe { sys::bio_end_io_acct_remapped(raw, started, (*raw).bi_bdev) };
        }

        // SAFETY: By the type invariant `raw` is valid, has not ended, and is owned. The callers do
        // not use the value afterwards, so it ends once.
        unsafe { sys::bio_endio(raw) };
    }
}

impl Drop for Bio {
    fn drop(&mut self) {
        self.finish_in_place(Some(EIO));
    }
}
