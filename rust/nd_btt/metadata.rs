// SPDX-License-Identifier: GPL-2.0

//! Sectors with metadata: 520, 528, 4104, 4160 or 4224 bytes, of which the block layer addresses
//! 512 or 4096.
//!
//! ```text
//! block   sector │ metadata │ unused, up to a multiple of 64 bytes
//! ```
//!
//! The metadata are in the same block as their sector, so both are new or both are old after a
//! power failure. A request without metadata stores zeroes. Otherwise it would leave the metadata
//! of the sector that was in the block before.

use crate::media::PmemMedia;
use btt_engine::{
    MediaError,
    Sink,
    Source, //
};
use kernel_ext::block;

/// The buffers of a request whose sectors have metadata.
pub(crate) struct WithMetadata<T> {
    data: T,
    /// The metadata of the request, at least as long as the sectors need.
    metadata: Option<T>,
    /// Bytes of metadata for each sector.
    len: u32,
}

impl<T> WithMetadata<T> {
    pub(crate) fn new(data: T, metadata: Option<T>, len: u8) -> Self {
        Self {
            data,
            metadata,
            len: len.into(),
        }
    }
}

impl Source<PmemMedia> for WithMetadata<block::Source<'_>> {
    fn copy_to(&mut self, media: &PmemMedia, offset: u64, len: u32) -> Result<(), MediaError> {
        self.data.copy_to(media, offset, len)?;

        let offset = offset + u64::from(len);
        match &mut self.metadata {
            Some(metadata) => metadata.copy_to(media, offset, self.len),
            None => media.store_zeroes(offset, self.len),
        }
    }
}

impl Sink<PmemMedia> for WithMetadata<block::Sink<'_>> {
    fn copy_from(&mut self, media: &PmemMedia, offset: u64, len: u32) -> Result<(), MediaError> {
        self.data.copy_from(media, offset, len)?;

        match &mut self.metadata {
            Some(metadata) => metadata.copy_from(media, offset + u64::from(len), self.len),
            None => Ok(()),
        }
    }

    fn fill_zero(&mut self, len: u32) {
        Sink::<PmemMedia>::fill_zero(&mut self.data, len);
        if let Some(metadata) = &mut self.metadata {
            Sink::<PmemMedia>::fill_zero(metadata, self.len);
        }
    }
}
