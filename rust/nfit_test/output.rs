// SPDX-License-Identifier: GPL-2.0

//! Output of functions, which starts with a status, and the numbers of their inputs. All numbers
//! are little endian.

use kernel::prelude::*;

/// Builder of an output.
pub(crate) struct OutputBuilder(KVVec<u8>);

impl OutputBuilder {
    /// Starts with `status`; 0 is success.
    pub(crate) fn new(status: u32) -> Result<Self> {
        Self(KVVec::new()).word(status)
    }

    /// Returns an output that consists of `bytes`, which start with the status.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<KVVec<u8>> {
        Self(KVVec::new()).bytes(bytes)?.finish()
    }

    /// Appends a number of 4 bytes.
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

    /// Returns the bytes of the output.
    pub(crate) fn finish(self) -> Result<KVVec<u8>> {
        Ok(self.0)
    }
}

/// Splits a number of 4 bytes off the start of `input`; `None` if it is too short.
pub(crate) fn word(input: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = input.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), rest))
}

/// Splits a number of 8 bytes off the start of `input`; `None` if it is too short.
pub(crate) fn long(input: &[u8]) -> Option<(u64, &[u8])> {
    let (long, rest) = input.split_first_chunk()?;
    Some((u64::from_le_bytes(*long), rest))
}
