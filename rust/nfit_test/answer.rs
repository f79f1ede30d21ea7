// SPDX-License-Identifier: GPL-2.0

//! Answers of functions, which begin with a status, and the words of their inputs. All numbers are little endian.

use kernel::prelude::*;

/// An answer in the making.
pub(crate) struct Answer(KVVec<u8>);

impl Answer {
    /// Begins with `status`; 0 is success.
    pub(crate) fn new(status: u32) -> Result<Self> {
        Self(KVVec::new()).word(status)
    }

    /// An answer whose status is in `bytes` already.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<KVVec<u8>> {
        Self(KVVec::new()).bytes(bytes)?.finish()
    }

    /// Appends a number.
    pub(crate) fn word(self, word: u32) -> Result<Self> {
        self.bytes(&word.to_le_bytes())
    }

    /// Appends a number of 8 bytes.
    pub(crate) fn long(self, long: u64) -> Result<Self> {
        self.bytes(&long.to_le_bytes())
    }

    /// Appends bytes.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Result<Self> {
        self.0.extend_from_slice(bytes, GFP_KERNEL)?;
        Ok(self)
    }

    /// The bytes of the answer.
    pub(crate) fn finish(self) -> Result<KVVec<u8>> {
        Ok(self.0)
    }
}

/// The number that `input` begins with, and what follows.
pub(crate) fn word(input: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = input.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), rest))
}

/// The number of 8 bytes that `input` begins with, and what follows.
pub(crate) fn long(input: &[u8]) -> Option<(u64, &[u8])> {
    let (long, rest) = input.split_first_chunk()?;
    Some((u64::from_le_bytes(*long), rest))
}
