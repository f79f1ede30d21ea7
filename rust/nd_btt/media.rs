// SPDX-License-Identifier: GPL-2.0

//! The medium of a BTT in the kernel: a mapped namespace, and the fence of its region.

use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use kernel_ext::{
    block::{
        self,
        SECTOR_SIZE, //
    },
    memory::AccessError, //
};
use nd::namespace::NamespaceMemory;

/// The bytes of a namespace.
pub(crate) struct PmemMedia {
    memory: NamespaceMemory,
}

impl PmemMedia {
    /// Creates a medium over the memory of a namespace.
    pub(crate) fn new(memory: NamespaceMemory) -> Self {
        Self { memory }
    }

    /// Returns the memory.
    pub(crate) fn memory(&self) -> &NamespaceMemory {
        &self.memory
    }

    /// Returns the memory.
    pub(crate) fn into_memory(self) -> NamespaceMemory {
        self.memory
    }

    /// Stores and flushes zeroes in a part of a block that is being written.
    pub(crate) fn store_zeroes(&self, offset: u64, len: u32) -> Result<(), MediaError> {
        let len = u64::from(len);

        self.memory
            .range()
            .zero(offset, len)
            .map_err(|error| media_error(error, offset, len))
    }

    /// Fails if a range is known to have media errors.
    #[inline(always)]
    fn check(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        if self.is_bad(offset, len) {
            Err(MediaError::Poison { offset, len })
        } else {
            Ok(())
        }
    }

    /// Clears the media errors of the sectors of 512 bytes that a range touches.
    fn clear_errors(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.memory
            .clear(offset, len)
            .map_err(|_| MediaError::Poison { offset, len })
    }
}

/// Returns `true` if a range consists of whole sectors of 512 bytes.
fn is_whole_sectors(offset: u64, len: u64) -> bool {
    offset % SECTOR_SIZE == 0 && len % SECTOR_SIZE == 0
}

/// Converts the error of an access to `len` bytes at `offset` to an error of the engine.
//
// Inlined: the errors become constants, and the loaded value stays in a register.
#[inline(always)]
fn media_error(error: AccessError, offset: u64, len: u64) -> MediaError {
    match error {
        AccessError::Poisoned { .. } => MediaError::Poison { offset, len },
        AccessError::OutOfRange { .. }
        | AccessError::Misaligned { .. }
        | AccessError::ShortRequest { .. } => MediaError::OutOfRange { offset, len },
    }
}

impl Media for PmemMedia {
    fn size(&self) -> u64 {
        self.memory.range().len()
    }

    /// Returns `true` for a region whose DIMMs are unarmed, or that its attribute has made
    /// read-only.
    fn is_read_only(&self) -> bool {
        self.memory.region().is_read_only()
    }

    #[inline(always)]
    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        self.check(offset, 4)?;
        self.memory
            .range()
            .load_u32(offset)
            .map(u32::from_le)
            .map_err(|error| media_error(error, offset, 4))
    }

    #[inline(always)]
    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.check(offset, 4)?;
        self.memory
            .range()
            .store_u32(offset, value.to_le())
            .map_err(|error| media_error(error, offset, 4))
    }

    #[inline(always)]
    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.check(offset, 8)?;
        self.memory
            .range()
            .store_u64(offset, value.to_le())
            .map_err(|error| media_error(error, offset, 8))
    }

    #[inline(always)]
    fn store64_flushed(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.check(offset, 8)?;
        self.memory
            .range()
            .store_u64_flushed(offset, value.to_le())
            .map_err(|error| media_error(error, offset, 8))
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        let len = bytes.len() as u64;

        self.check(offset, len)?;
        self.memory
            .range()
            .read(offset, bytes)
            .map_err(|error| media_error(error, offset, len))
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let len = bytes.len() as u64;

        self.clear_errors(offset, len)?;
        self.memory
            .range()
            .write(offset, bytes)
            .map_err(|error| media_error(error, offset, len))
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.clear_errors(offset, len)?;
        self.memory
            .range()
            .zero(offset, len)
            .map_err(|error| media_error(error, offset, len))
    }

    #[inline(always)]
    fn is_bad(&self, offset: u64, len: u64) -> bool {
        self.memory.is_bad(offset, len)
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        // Clearing a sector of 512 bytes loses all of it. A block that shares one with a neighbour
        // is not cleared.
        if !is_whole_sectors(offset, len) {
            self.check(offset, len)?;
        }
        self.zero(offset, len)
    }

    #[inline(always)]
    fn flush(&self, offset: u64, len: u64) {
        // The engine flushes what it has stored, so the range was checked. Outside of the namespace
        // there is nothing to flush.
        if let Ok(len) = usize::try_from(len) {
            let _ = self.memory.range().flush(offset, len);
        }
    }

    #[inline]
    fn fence(&self) -> Result<(), MediaError> {
        self.memory.region().fence();
        Ok(())
    }
}

impl Source<PmemMedia> for block::Source<'_> {
    #[inline(always)]
    fn copy_to(&mut self, media: &PmemMedia, offset: u64, len: u32) -> Result<(), MediaError> {
        media
            .memory
            .range()
            .write_from(offset, self, len as usize)
            .map_err(|error| media_error(error, offset, u64::from(len)))
    }
}

impl Sink<PmemMedia> for block::Sink<'_> {
    #[inline(always)]
    fn copy_from(&mut self, media: &PmemMedia, offset: u64, len: u32) -> Result<(), MediaError> {
        media.check(offset, u64::from(len))?;
        media
            .memory
            .range()
            .read_to(offset, self, len as usize)
            .map_err(|error| media_error(error, offset, u64::from(len)))
    }

    #[inline]
    fn fill_zero(&mut self, len: u32) {
        self.fill_zeroes(len as usize);
    }
}
