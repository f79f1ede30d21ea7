// SPDX-License-Identifier: GPL-2.0

//! The medium under a BTT, and the buffers above it.

use core::fmt;

/// What the engine asks of byte-addressable persistent media: the bytes of one namespace.
///
/// Offsets are in bytes from the start of the namespace. Words are little endian on media and native in arguments and
/// results. The engine keeps within [`Media::size`], but an implementation checks ranges all the same.
///
/// # When stores become durable
///
/// The engine relies on this and on nothing else:
///
/// - a store of an aligned word of 4 or 8 bytes becomes durable whole or not at all;
/// - between two fences stores become durable in any order, and any of them may be lost in a power failure;
/// - any store may become durable at any time, without a flush;
/// - a fence makes durable everything that *the calling thread* has flushed before it. [`Media::write_bytes`],
///   [`Media::zero`], [`Media::clear`] and [`Source::copy_to`] include the flush of what they store.
///
/// A fence also orders earlier stores before later ones as other threads see them.
///
/// # When it fails
///
/// A store that returns an error may have been carried out, and a fence that does may have made
/// durable any part of what it should have. The engine then does not rely on it, and flushes anew
/// what it needs to be durable.
pub trait Media {
    /// Bytes of the namespace.
    fn size(&self) -> u64;

    /// Whether nothing is to be stored but what a request asks for. This may change at any time.
    ///
    /// It is asked when a BTT is opened, and before a sector that cannot be read is marked as lost.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Loads a word, at a multiple of 4, in one access.
    fn load32(&self, offset: u64) -> Result<u32, MediaError>;

    /// Stores a word, at a multiple of 4, in one access. Must not sleep and must not clear media errors.
    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError>;

    /// Stores a word, at a multiple of 8, in one access. Must not sleep and must not clear media errors.
    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError>;

    /// The same, and starts to make the word durable.
    #[inline(always)]
    fn store64_flushed(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.store64(offset, value)?;
        self.flush(offset, 8);
        Ok(())
    }

    /// Reads bytes of metadata.
    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError>;

    /// Writes bytes of metadata while a BTT is made or restored. May sleep; clears media errors in the range.
    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError>;

    /// Fills a range with zeroes while a BTT is made. May sleep; clears media errors in the range.
    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError>;

    /// Tells whether a range is known to have media errors.
    fn is_bad(&self, offset: u64, len: u64) -> bool;

    /// Fills a block with zeroes and clears its media errors, so that it can be used again. May sleep.
    ///
    /// Blocks of some sector sizes share a unit of error clearing with their neighbours, which must not change.
    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError>;

    /// Starts to make stores in a range durable.
    fn flush(&self, offset: u64, len: u64);

    /// Waits until everything that this thread has flushed is durable. May sleep.
    fn fence(&self) -> Result<(), MediaError>;
}

/// Where the data of a write come from: a cursor over the caller's buffer.
///
/// It need not be one buffer: a sector may lie in several segments.
pub trait Source<M: ?Sized> {
    /// Copies the next `len` bytes to the medium at `offset` and flushes them.
    fn copy_to(&mut self, media: &M, offset: u64, len: u32) -> Result<(), MediaError>;
}

/// Where the data of a read go to: a cursor over the caller's buffer.
pub trait Sink<M: ?Sized> {
    /// Copies `len` bytes of the medium at `offset` to the next bytes of the buffer.
    fn copy_from(&mut self, media: &M, offset: u64, len: u32) -> Result<(), MediaError>;

    /// Fills the next `len` bytes of the buffer with zeroes.
    fn fill_zero(&mut self, len: u32);
}

/// The medium refused an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MediaError {
    /// The bytes are lost.
    Poison {
        /// Start of the range.
        offset: u64,
        /// Bytes of the range.
        len: u64,
    },
    /// The range is not within the namespace.
    OutOfRange {
        /// Start of the range.
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
