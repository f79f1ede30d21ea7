// SPDX-License-Identifier: GPL-2.0

//! The medium below a BTT, and the buffers above it.

use core::fmt;

/// Byte-addressable persistent media, as the engine needs it: the bytes of one namespace.
///
/// Offsets are in bytes from the start of the namespace. Words are little endian on media and
/// native in arguments and results. The engine stays below [`Media::size`]; implementations check
/// ranges all the same.
///
/// # When stores become durable
///
/// The engine relies on these rules and on no others:
///
/// - a store of an aligned word of 4 or 8 bytes becomes durable as a whole or not at all;
/// - between two fences stores become durable in any order, and a power failure may lose any of
///   them;
/// - any store may become durable at any time, without a flush;
/// - a fence makes durable everything that *the calling thread* has flushed before it.
///   [`Media::write_bytes`], [`Media::zero`], [`Media::clear`] and [`Source::copy_to`] include the
///   flush of what they store.
///
/// A fence also orders earlier stores before later ones as other threads see them.
///
/// # Failures
///
/// A store that returns an error may have been carried out. A fence that returns an error may have
/// made durable any part of what was flushed. The engine relies on neither and flushes again what
/// it needs to be durable.
pub trait Media {
    /// Returns the size of the namespace in bytes.
    fn size(&self) -> u64;

    /// Returns `true` if the engine may store only what a request asks for. This may change at any
    /// time.
    ///
    /// The engine queries it when a BTT is opened and before it marks an unreadable sector as lost.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Loads a word, at a multiple of 4, in one access.
    fn load32(&self, offset: u64) -> Result<u32, MediaError>;

    /// Stores a word, at a multiple of 4, in one access. Must not sleep and must not clear media
    /// errors.
    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError>;

    /// Stores a word, at a multiple of 8, in one access. Must not sleep and must not clear media
    /// errors.
    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError>;

    /// Stores a word as [`store64`](Self::store64) does, and flushes it.
    #[inline(always)]
    fn store64_flushed(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.store64(offset, value)?;
        self.flush(offset, 8);
        Ok(())
    }

    /// Reads bytes of metadata.
    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError>;

    /// Writes bytes of metadata while a BTT is created or restored. May sleep. Clears media errors
    /// in the range.
    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError>;

    /// Fills a range with zeroes while a BTT is created. May sleep. Clears media errors in the
    /// range.
    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError>;

    /// Returns `true` if a range is known to have media errors.
    fn is_bad(&self, offset: u64, len: u64) -> bool;

    /// Fills a block with zeroes and clears its media errors, so that it can be used again. May
    /// sleep.
    ///
    /// With some sector sizes a block shares a unit of error clearing with its neighbours, whose
    /// contents must not change.
    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError>;

    /// Flushes a range: starts to make its stores durable.
    fn flush(&self, offset: u64, len: u64);

    /// Waits until everything that this thread has flushed is durable. May sleep.
    fn fence(&self) -> Result<(), MediaError>;
}

/// The data of a write: a cursor over the caller's buffer.
///
/// The buffer need not be contiguous: a sector may lie in several segments.
pub trait Source<M: ?Sized> {
    /// Copies the next `len` bytes to the medium at `offset` and flushes them.
    fn copy_to(&mut self, media: &M, offset: u64, len: u32) -> Result<(), MediaError>;
}

/// The destination of a read: a cursor over the caller's buffer.
pub trait Sink<M: ?Sized> {
    /// Copies `len` bytes of the medium at `offset` to the next bytes of the buffer.
    fn copy_from(&mut self, media: &M, offset: u64, len: u32) -> Result<(), MediaError>;

    /// Fills the next `len` bytes of the buffer with zeroes.
    fn fill_zero(&mut self, len: u32);
}

/// The medium failed or refused an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MediaError {
    /// The range has media errors: its bytes are lost.
    Poison {
        /// Start of the range, in bytes from the start of the namespace.
        offset: u64,
        /// Bytes of the range.
        len: u64,
    },
    /// The range is not within the namespace.
    OutOfRange {
        /// Start of the range, in bytes from the start of the namespace.
        offset: u64,
        /// Bytes of the range.
        len: u64,
    },
    /// Stores could not be made durable.
    Flush,
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poison { offset, len } => write!(f, "media error in {len} bytes at {offset:#x}"),
            Self::OutOfRange { offset, len } => {
                write!(f, "{len} bytes at {offset:#x} are outside of the namespace")
            }
            Self::Flush => f.write_str("stores could not be made durable"),
        }
    }
}
