// SPDX-License-Identifier: GPL-2.0

//! Access to a range of persistent memory: bulk copies and single words.

use super::{
    persist,
    poison,
    PmemRange, //
};
use crate::{
    block::{
        Sink,
        Source, //
    },
    sys,
};
use kernel::{
    fmt,
    prelude::*,
    warn_on, //
};

/// The reason why an access failed. Nothing was stored unless a method says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// Some of the bytes lie outside of the range.
    OutOfRange {
        /// First byte of the access.
        offset: u64,
        /// Number of bytes.
        len: usize,
    },
    /// A word is not aligned to its size.
    Misaligned {
        /// First byte of the word.
        offset: u64,
    },
    /// The medium has lost some of the bytes.
    Poisoned {
        /// First byte of the copy or load that failed.
        offset: u64,
    },
    /// The memory of the request ended before the copy was complete.
    ShortRequest {
        /// Number of missing bytes.
        missing: usize,
    },
}

impl From<AccessError> for Error {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::OutOfRange { .. } => EFAULT,
            AccessError::Misaligned { .. } => EINVAL,
            AccessError::Poisoned { .. } | AccessError::ShortRequest { .. } => EIO,
        }
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { offset, len } => {
                write!(f, "{len} bytes at offset {offset:#x} are out of range")
            }
            Self::Misaligned { offset } => {
                write!(f, "the word at offset {offset:#x} is not aligned")
            }
            Self::Poisoned { offset } => {
                write!(f, "the medium at offset {offset:#x} cannot be read")
            }
            Self::ShortRequest { missing } => write!(f, "the request is {missing} bytes too short"),
        }
    }
}

impl PmemRange {
    #[inline(always)]
    fn bytes(&self, offset: u64, len: usize) -> Result<*mut u8, AccessError> {
        self.address(offset, len)
            .ok_or(AccessError::OutOfRange { offset, len })
    }

    #[inline(always)]
    fn word<T>(&self, offset: u64) -> Result<*mut T, AccessError> {
        let address = self.bytes(offset, size_of::<T>())?.cast::<T>();

        // The mapping is page-aligned, so the address is aligned if and only if the offset is.
        if address.is_aligned() {
            Ok(address)
        } else {
            Err(AccessError::Misaligned { offset })
        }
    }

    /// Warns if `offset`, where a load has just failed, is not mapped. Such a load fails like one
    /// of poisoned memory, but it is a bug and must not be hidden as a media error.
    //
    // It returns nothing, so the error is a constant in the caller and the loaded word stays in a
    // register.
    #[cold]
    #[inline(never)]
    fn expect_mapped(&self, offset: u64) {
        let is_mapped = self
            .address(offset, 0)
            .is_some_and(|address| poison::is_mapped(address));

        warn_on!(!is_mapped);
    }

    /// Returns the error for a load that failed at `offset`.
    #[inline(always)]
    fn poisoned(&self, offset: u64) -> AccessError {
        self.expect_mapped(offset);
        AccessError::Poisoned { offset }
    }

    /// Reads into a buffer. After an error the content of the buffer is unspecified, but
    /// initialised.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), AccessError> {
        let mut position = offset;

        // The length of one copy must fit in 32 bits.
        for piece in buffer.chunks_mut(1 << 30) {
            let from = self.bytes(position, piece.len())?;

            // SAFETY: `from` is mapped for the length of the piece. The piece is borrowed mutably,
            // so it is valid for writes and no part of the mapping, to which there are no
            // references. Its length is at most 1 GiB, which fits in 32 bits.
            unsafe { poison::copy(piece.as_mut_ptr(), from, piece.len()) }
                .map_err(|poison::Poison| self.poisoned(position))?;
            position += piece.len() as u64;
        }

        Ok(())
    }

    /// Writes a buffer and flushes it.
    pub fn write(&self, offset: u64, buffer: &[u8]) -> Result<(), AccessError> {
        let to = self.bytes(offset, buffer.len())?;

        // SAFETY: `to` is mapped for the length of the buffer. The buffer is borrowed, so it is
        // valid for reads and no part of the mapping, to which there are no references.
        unsafe { persist::copy(to, buffer.as_ptr(), buffer.len()) };
        Ok(())
    }

    /// Reads into the next `len` bytes of a request. After an error some of them may be filled.
    #[inline(always)]
    pub fn read_to(&self, offset: u64, sink: &mut Sink<'_>, len: usize) -> Result<(), AccessError> {
        let mut from = self.bytes(offset, len)?;
        let mut left = len;

        while left != 0 {
            let chunk = sink
                .take(left)
                .ok_or(AccessError::ShortRequest { missing: left })?;

            // SAFETY: `from` is mapped for at least `left` bytes. The chunk is valid for writes of
            // its length, which is at most `left` and, as a vector of a request is shorter than 4
            // GiB, fits in 32 bits. By the type invariant memory of a request is no part of the
            // mapping, so the two do not overlap.
            unsafe { poison::copy(chunk.address, from, chunk.len) }
                .map_err(|poison::Poison| self.poisoned(offset + (len - left) as u64))?;
            from = from.wrapping_add(chunk.len);
            left -= chunk.len;
        }

        Ok(())
    }

    /// Reads into the rest of a request. After an error some of it may be filled.
    #[inline]
    pub fn read_rest(&self, offset: u64, sink: Sink<'_>) -> Result<(), AccessError> {
        let mut from = self.bytes(offset, sink.remaining())?;

        for chunk in sink.chunks() {
            // SAFETY: `from` is mapped for what is left of the request, of which the chunk is a
            // part. The chunk is valid for writes of its length, which fits in 32 bits, as a vector
            // of a request is shorter than 4 GiB. By the type invariant memory of a request is no
            // part of the mapping, so the two do not overlap.
            unsafe { poison::copy(chunk.address, from, chunk.len) }
                .map_err(|poison::Poison| self.poisoned(self.offset_of(from)))?;
            from = from.wrapping_add(chunk.len);
        }

        Ok(())
    }

    /// Writes the rest of a request and flushes it.
    #[inline]
    pub fn write_rest(&self, offset: u64, source: Source<'_>) -> Result<(), AccessError> {
        let mut to = self.bytes(offset, source.remaining())?;

        for chunk in source.chunks() {
            // SAFETY: `to` is mapped for what is left of the request, of which the chunk is a part.
            // The chunk is valid for reads of its length. By the type invariant memory of a request
            // is no part of the mapping, so the two do not overlap.
            unsafe { persist::copy(to, chunk.address, chunk.len) };
            to = to.wrapping_add(chunk.len);
        }

        Ok(())
    }

    /// Writes the next `len` bytes of a request and flushes them. After
    /// [`AccessError::ShortRequest`] some of them may have been stored.
    #[inline(always)]
    pub fn write_from(
        &self,
        offset: u64,
        source: &mut Source<'_>,
        len: usize,
    ) -> Result<(), AccessError> {
        let mut to = self.bytes(offset, len)?;
        let mut left = len;

        while left != 0 {
            let chunk = source
                .take(left)
                .ok_or(AccessError::ShortRequest { missing: left })?;

            // SAFETY: `to` is mapped for at least `left` bytes. The chunk is valid for reads of its
            // length, which is at most `left`. By the type invariant memory of a request is no part
            // of the mapping, so the two do not overlap.
            unsafe { persist::copy(to, chunk.address, chunk.len) };
            to = to.wrapping_add(chunk.len);
            left -= chunk.len;
        }

        Ok(())
    }

    /// Fills `len` bytes with zeroes and flushes them.
    pub fn zero(&self, offset: u64, len: u64) -> Result<(), AccessError> {
        let out_of_range = AccessError::OutOfRange {
            offset,
            len: usize::MAX,
        };
        let len = usize::try_from(len).map_err(|_| out_of_range)?;
        let to = self.bytes(offset, len)?;

        // SAFETY: `to` is mapped for reads and writes of `len` bytes.
        unsafe { persist::zero(to, len) };
        Ok(())
    }

    /// Loads an aligned 32-bit word with one instruction, in the byte order of the CPU.
    #[inline(always)]
    pub fn load_u32(&self, offset: u64) -> Result<u32, AccessError> {
        let from = self.word::<u32>(offset)?;

        // SAFETY: `from` is aligned and mapped for reads of a word.
        unsafe { poison::load_u32(from) }.map_err(|poison::Poison| self.poisoned(offset))
    }

    /// Loads an aligned 64-bit word with one instruction, in the byte order of the CPU.
    #[inline(always)]
    pub fn load_u64(&self, offset: u64) -> Result<u64, AccessError> {
        let from = self.word::<u64>(offset)?;

        // SAFETY: `from` is aligned and mapped for reads of a word.
        unsafe { poison::load_u64(from) }.map_err(|poison::Poison| self.poisoned(offset))
    }

    /// Stores an aligned 32-bit word with one instruction, to the cache. The word is not flushed.
    #[inline(always)]
    pub fn store_u32(&self, offset: u64, word: u32) -> Result<(), AccessError> {
        let to = self.word::<u32>(offset)?;

        // SAFETY: `to` is aligned and mapped for writes of a word. There are no references to the
        // mapping, and a volatile store tolerates concurrent accesses.
        unsafe { to.write_volatile(word) };
        Ok(())
    }

    /// Stores an aligned 64-bit word with one instruction, to the cache. The word is not flushed.
    #[inline(always)]
    pub fn store_u64(&self, offset: u64, word: u64) -> Result<(), AccessError> {
        let to = self.word::<u64>(offset)?;

        // SAFETY: `to` is aligned and mapped for writes of a word. There are no references to the
        // mapping, and a volatile store tolerates concurrent accesses.
        unsafe { to.write_volatile(word) };
        Ok(())
    }

    /// Stores an aligned 64-bit word with one instruction and writes its cache line back. The word
    /// is durable after the next fence.
    #[inline(always)]
    pub fn store_u64_flushed(&self, offset: u64, word: u64) -> Result<(), AccessError> {
        let to = self.word::<u64>(offset)?;

        // SAFETY: `to` is aligned and mapped for writes of a word, and there are no references to
        // the mapping. An aligned word lies in one cache line.
        unsafe {
            to.write_volatile(word);
            persist::write_line_back(to.cast());
        }
        Ok(())
    }

    /// Invalidates the cache lines of `len` bytes after the medium below them was repaired. A line
    /// that was loaded while its content was lost would otherwise stay poisoned.
    pub fn invalidate(&self, offset: u64, len: usize) -> Result<(), AccessError> {
        let address = self.bytes(offset, len)?;

        // SAFETY: `address` is mapped for reads and writes of `len` bytes. The function writes
        // dirty lines back, so no store is lost.
        unsafe { sys::arch_invalidate_pmem(address.cast(), len) };
        Ok(())
    }

    /// Writes back the cache lines of `len` bytes. The bytes are durable after the next fence.
    #[inline(always)]
    pub fn flush(&self, offset: u64, len: usize) -> Result<(), AccessError> {
        let address = self.bytes(offset, len)?;

        // SAFETY: `address` is mapped for `len` bytes.
        unsafe { persist::write_back(address, len) };
        Ok(())
    }
}
