// SPDX-License-Identifier: GPL-2.0

//! A mapped file as the engine's medium, with the instructions that `nd_btt` uses in the kernel:
//! data by non-temporal stores, words of metadata by cached stores and flushes.

use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use persist::{
    OutOfRange,
    Region, //
};
use std::{
    cell::Cell,
    sync::Arc, //
};

thread_local! {
    static FENCES: Cell<u64> = const { Cell::new(0) };
}

/// Returns the number of fences of this thread so far.
pub(crate) fn fences() -> u64 {
    FENCES.get()
}

/// A region that counts its fences. Clones share it.
#[derive(Clone)]
pub(crate) struct Medium(pub(crate) Arc<Region>);

impl Medium {
    #[inline(always)]
    pub(crate) fn count_fence(&self) {
        FENCES.set(FENCES.get() + 1);
        self.0.fence();
    }
}

#[inline(always)]
fn outside(offset: u64, len: u64) -> impl FnOnce(OutOfRange) -> MediaError {
    move |OutOfRange| MediaError::OutOfRange { offset, len }
}

impl Media for Medium {
    fn size(&self) -> u64 {
        self.0.len()
    }

    #[inline(always)]
    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        self.0.load32(offset).map_err(outside(offset, 4))
    }

    #[inline(always)]
    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.0.store32(offset, value).map_err(outside(offset, 4))
    }

    #[inline(always)]
    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.0.store64(offset, value).map_err(outside(offset, 8))
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        let len = bytes.len() as u64;
        self.0.read(offset, bytes).map_err(outside(offset, len))
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let len = bytes.len() as u64;
        self.0.write(offset, bytes).map_err(outside(offset, len))
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.write_bytes(offset, &vec![0; len as usize])
    }

    #[inline(always)]
    fn is_bad(&self, _: u64, _: u64) -> bool {
        false
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.zero(offset, len)
    }

    #[inline(always)]
    fn flush(&self, offset: u64, len: u64) {
        self.0.flush(offset, len);
    }

    #[inline(always)]
    fn fence(&self) -> Result<(), MediaError> {
        self.count_fence();
        Ok(())
    }
}

/// Data to be written: the next bytes of a buffer.
pub(crate) struct From<'a>(pub(crate) &'a [u8]);

impl Source<Medium> for From<'_> {
    #[inline(always)]
    fn copy_to(&mut self, media: &Medium, offset: u64, len: u32) -> Result<(), MediaError> {
        let (now, later) = self.0.split_at(len as usize);
        self.0 = later;
        media
            .0
            .copy_nt(offset, now)
            .map_err(outside(offset, len.into()))
    }
}

/// Destination of what is read: the next bytes of a buffer.
pub(crate) struct Into<'a>(pub(crate) &'a mut [u8]);

impl Into<'_> {
    #[inline(always)]
    fn next(&mut self, len: u32) -> &mut [u8] {
        let (now, later) = std::mem::take(&mut self.0).split_at_mut(len as usize);
        self.0 = later;
        now
    }
}

impl Sink<Medium> for Into<'_> {
    #[inline(always)]
    fn copy_from(&mut self, media: &Medium, offset: u64, len: u32) -> Result<(), MediaError> {
        media
            .0
            .read(offset, self.next(len))
            .map_err(outside(offset, len.into()))
    }

    fn fill_zero(&mut self, len: u32) {
        self.next(len).fill(0);
    }
}
