// SPDX-License-Identifier: GPL-2.0

//! Iteration over the memory of a request.
//!
//! The memory of a bio is a list of vectors. Each is physically contiguous and, with large folios,
//! may be many pages long. Without high memory, physically contiguous memory is contiguous in the
//! kernel's linear map, too, so a vector is copied as a whole.
//!
//! Sector boundaries need not be vector boundaries. A cursor returns the next bytes wherever
//! vectors end.
//!
//! C header: [`include/linux/bvec.h`](srctree/include/linux/bvec.h)

use super::Bio;
use crate::sys;
use core::{
    iter,
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel_compat::bvec_done;

// A vector is accessed through the linear map as a whole. `kunmap_local` is never called, as it
// does nothing without high memory.
const _: () = assert!(
    !cfg!(CONFIG_HIGHMEM),
    "high memory is not supported: a vector would have to be mapped page by page"
);

/// A piece of the memory of a request that is contiguous in the kernel's address space.
///
/// # Invariants
///
/// `address` is valid for `len` bytes until the request that it comes from ends: for reads, and for
/// writes if the request reads from the medium. User space or another request may write to these
/// bytes at any time.
pub(crate) struct Chunk {
    /// First byte.
    pub(crate) address: *mut u8,
    /// Number of bytes, not zero.
    pub(crate) len: usize,
}

/// A position in the memory of a request.
///
/// # Invariants
///
/// - `address` is valid for `left` bytes during `'a`, and `left <= remaining`;
/// - `left` is zero only if `remaining` is;
/// - if `left < remaining`, `next` points to a valid vector, and the vectors from there on hold at
///   least `remaining - left` bytes. Vectors may be empty.
pub(super) struct Cursor<'a> {
    next: *const sys::bio_vec,
    /// Next byte of the current vector; `left` bytes are left in it.
    address: *mut u8,
    left: usize,
    /// Bytes left in the request, including the current vector.
    remaining: usize,
    _bio: PhantomData<&'a Bio>,
}

impl<'a> Cursor<'a> {
    /// Returns a cursor at the first byte of a request.
    ///
    /// # Safety
    ///
    /// - `bio` is valid and does not end during `'a`;
    /// - its operation transfers data: its vectors, from the one at its iterator on, hold all of
    ///   its bytes.
    #[inline]
    pub(super) unsafe fn new(bio: NonNull<sys::bio>) -> Self {
        // SAFETY: The caller passes a valid bio.
        let (vectors, position) = unsafe { ((*bio.as_ptr()).bi_io_vec, (*bio.as_ptr()).bi_iter) };

        // SAFETY: The caller guarantees that the vectors from the one at the iterator on hold all
        // bytes of the bio, and that it does not end during `'a`. Its vectors and their pages stay
        // valid until then.
        unsafe { Self::over(vectors, position) }
    }

    /// Returns a cursor at the first byte of the integrity payload of a request.
    ///
    /// # Safety
    ///
    /// `payload` is valid and belongs to a request that does not end during `'a`. Its vectors, from
    /// the one at its iterator on, hold all of its bytes.
    pub(super) unsafe fn of_payload(payload: NonNull<sys::bio_integrity_payload>) -> Self {
        let payload = payload.as_ptr();
        // SAFETY: The caller passes a valid payload.
        let (vectors, position) = unsafe { ((*payload).bip_vec, (*payload).bip_iter) };

        // SAFETY: The caller guarantees that the vectors from the one at the iterator on hold all
        // bytes of the payload, and that its request does not end during `'a`. The vectors and
        // their pages stay valid until then.
        unsafe { Self::over(vectors, position) }
    }

    /// Returns a cursor at `position` in `vectors`.
    ///
    /// # Safety
    ///
    /// If the size of `position` is not zero, it stands at a valid vector. That vector and those
    /// behind it hold at least as many bytes as its size says. The vectors and their pages stay
    /// valid during `'a`.
    #[inline]
    unsafe fn over(vectors: *const sys::bio_vec, mut position: sys::bvec_iter) -> Self {
        let mut cursor = Self {
            next: ptr::null(),
            address: ptr::null_mut(),
            left: 0,
            remaining: position.bi_size as usize,
            _bio: PhantomData,
        };

        if cursor.remaining != 0 {
            // SAFETY: The size is not zero, so the caller guarantees that the iterator stands at a
            // valid vector of the array.
            cursor.next = unsafe { vectors.add(position.bi_idx as usize) };
            // The bytes of the first vector that are done do not belong to the request any more.
            // SAFETY: `next` points to a valid vector of the request. The block layer counts at
            // most its length as done.
            unsafe { cursor.enter_vector(*bvec_done(&mut position) as usize) };
            cursor.skip_empty_vectors();
        }

        cursor
    }

    /// Makes the vector at `next` the current one and skips its first `skip` bytes.
    ///
    /// # Safety
    ///
    /// `next` points to a valid vector of the request that is at least `skip` bytes long.
    #[inline]
    unsafe fn enter_vector(&mut self, skip: usize) {
        // SAFETY: The caller guarantees that `next` points to a valid vector.
        let vector = unsafe { *self.next };

        // SAFETY: The page is that of a vector of a request that has not ended, so it is valid.
        // Without high memory the function returns its address in the linear map, and there is
        // nothing to unmap.
        let page = unsafe { sys::kmap_local_page(vector.bv_page) }.cast::<u8>();

        // Wrapping arithmetic, as this memory is no Rust object.
        self.address = page.wrapping_add(vector.bv_offset as usize + skip);
        self.left = (vector.bv_len as usize)
            .saturating_sub(skip)
            .min(self.remaining);
        self.next = self.next.wrapping_add(1);
    }

    /// Advances to the next vector that is not empty, if the current one is used up and the request
    /// has bytes left. This restores the invariant of `left`.
    #[inline(always)]
    fn skip_empty_vectors(&mut self) {
        while self.left == 0 && self.remaining != 0 {
            // SAFETY: `left < remaining`, so by the type invariant `next` points to a valid vector.
            // No vector is shorter than 0 bytes.
            unsafe { self.enter_vector(0) };
        }
    }

    /// Takes the next contiguous bytes, at most `max`. Returns `None` at the end of the request and
    /// for a `max` of zero.
    #[inline(always)]
    fn take(&mut self, max: usize) -> Option<Chunk> {
        let len = max.min(self.left);
        if len == 0 {
            return None;
        }

        // INVARIANT: `address` is valid for `left` bytes, and `len` is at most `left`.
        let chunk = Chunk {
            address: self.address,
            len,
        };

        self.address = self.address.wrapping_add(len);
        self.left -= len;
        self.remaining -= len;
        self.skip_empty_vectors();
        Some(chunk)
    }

    /// Returns the rest of the request, vector by vector.
    #[inline]
    fn chunks(mut self) -> impl Iterator<Item = Chunk> + use<'a> {
        iter::from_fn(move || self.take(self.left))
    }
}

/// Direction of a write request, whose memory is only read.
pub enum ToMedium {}

/// Direction of a read request, whose memory is filled.
pub enum FromMedium {}

/// The memory of a request, used up from front to back.
pub struct Transfer<'a, Direction>(Cursor<'a>, PhantomData<Direction>);

/// The memory of a write request: bytes to be stored on the medium. They may only be read.
pub type Source<'a> = Transfer<'a, ToMedium>;

/// The memory of a read request, to be filled with bytes of the medium.
pub type Sink<'a> = Transfer<'a, FromMedium>;

impl<'a, Direction> Transfer<'a, Direction> {
    #[inline]
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self(cursor, PhantomData)
    }

    /// Returns the number of bytes that have not been taken yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.0.remaining
    }

    /// Takes the next contiguous bytes, at most `max`.
    #[inline]
    pub(crate) fn take(&mut self, max: usize) -> Option<Chunk> {
        self.0.take(max)
    }

    /// Returns the bytes that have not been taken yet, in contiguous pieces.
    #[inline]
    pub(crate) fn chunks(self) -> impl Iterator<Item = Chunk> + use<'a, Direction> {
        self.0.chunks()
    }
}

impl Sink<'_> {
    /// Fills the next `len` bytes with zeroes, or all that are left if they are fewer.
    pub fn fill_zeroes(&mut self, len: usize) {
        let mut left = len;

        while let Some(chunk) = self.take(left) {
            // SAFETY: The chunk is valid for writes of `chunk.len` bytes, as the request reads. The
            // stores are made by C, so concurrent stores of user space are no data race of Rust's.
            unsafe { sys::memset(chunk.address.cast(), 0, chunk.len) };
            left -= chunk.len;
        }
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_cursor)]
mod tests {
    use super::*;
    use kernel::{
        page::Page,
        prelude::*, //
    };

    /// Returns a bio of `size` bytes that begins `done` bytes into vector `index`.
    fn request(vectors: &mut [sys::bio_vec], index: u32, done: u32, size: u32) -> sys::bio {
        let mut bio: sys::bio = pin_init::zeroed();

        bio.bi_io_vec = vectors.as_mut_ptr();
        bio.bi_iter.bi_idx = index;
        *bvec_done(&mut bio.bi_iter) = done;
        bio.bi_iter.bi_size = size;
        bio
    }

    fn vector(page: &Page, offset: u32, len: u32) -> sys::bio_vec {
        sys::bio_vec {
            bv_page: page.as_ptr(),
            bv_len: len,
            bv_offset: offset,
        }
    }

    #[test]
    fn pieces_end_with_vectors_and_with_the_request() -> Result {
        let (first, second) = (Page::alloc_page(GFP_KERNEL)?, Page::alloc_page(GFP_KERNEL)?);
        let mut vectors = [
            vector(&first, 0, 4096),
            vector(&first, 1024, 2048),
            vector(&first, 0, 0),
            vector(&second, 512, 1536),
        ];
        let mut bio = request(&mut vectors, 1, 512, 1536 + 1024);
        // SAFETY: The bio is valid and stays so while the cursor is used. Its vectors, which live
        // as long, hold more bytes than it has.
        let mut cursor = unsafe { Cursor::new(NonNull::from(&mut bio)) };

        let piece = cursor.take(512).ok_or(EINVAL)?;
        let start = piece.address;
        assert_eq!(piece.len, 512);
        assert_eq!(start.addr() % 4096, 1024 + 512);

        let piece = cursor.take(4096).ok_or(EINVAL)?;
        assert_eq!(piece.len, 1024);
        assert!(piece.address == start.wrapping_add(512));

        // The empty vector is skipped. The piece ends with the request, although the vector is
        // longer.
        let piece = cursor.take(4096).ok_or(EINVAL)?;
        assert_eq!(piece.len, 1024);
        assert_eq!(piece.address.addr() % 4096, 512);
        assert_eq!(cursor.remaining, 0);
        assert!(cursor.take(1).is_none());
        Ok(())
    }

    #[test]
    fn the_rest_comes_vector_by_vector() -> Result {
        let page = Page::alloc_page(GFP_KERNEL)?;
        let mut vectors = [
            vector(&page, 0, 0),
            vector(&page, 1024, 2048),
            vector(&page, 0, 0),
            vector(&page, 512, 1536),
        ];
        // The first vector may be empty.
        let mut bio = request(&mut vectors, 0, 0, 2048 + 1024);
        // SAFETY: The bio is valid and stays so while the cursor is used. Its vectors, which live
        // as long, hold more bytes than it has.
        let mut cursor = unsafe { Cursor::new(NonNull::from(&mut bio)) };
        cursor.take(1536).ok_or(EINVAL)?;

        let mut pieces = cursor.chunks();
        let piece = pieces.next().ok_or(EINVAL)?;
        assert_eq!((piece.address.addr() % 4096, piece.len), (2560, 512));
        // The empty vector is skipped. The piece ends with the request, although the vector is
        // longer.
        let piece = pieces.next().ok_or(EINVAL)?;
        assert_eq!((piece.address.addr() % 4096, piece.len), (512, 1024));
        assert!(pieces.next().is_none());
        Ok(())
    }

    #[test]
    fn a_payload_is_walked_like_data() -> Result {
        let page = Page::alloc_page(GFP_KERNEL)?;
        let mut vectors = [vector(&page, 64, 24), vector(&page, 256, 16)];
        let mut payload: sys::bio_integrity_payload = pin_init::zeroed();
        payload.bip_vec = vectors.as_mut_ptr();
        *bvec_done(&mut payload.bip_iter) = 8;
        payload.bip_iter.bi_size = 24;
        // SAFETY: The payload is valid and stays so while the cursor is used. Its vectors, which
        // live as long, hold more bytes than it has.
        let mut cursor = unsafe { Cursor::of_payload(NonNull::from(&mut payload)) };

        let piece = cursor.take(64).ok_or(EINVAL)?;
        assert_eq!((piece.address.addr() % 4096, piece.len), (72, 16));
        let piece = cursor.take(64).ok_or(EINVAL)?;
        assert_eq!((piece.address.addr() % 4096, piece.len), (256, 8));
        assert!(cursor.take(1).is_none());
        Ok(())
    }

    #[test]
    fn an_empty_request_has_no_pieces() {
        let mut bio = request(&mut [], 0, 0, 0);
        // SAFETY: The bio is valid, and without bytes it needs no vectors.
        let mut cursor = unsafe { Cursor::new(NonNull::from(&mut bio)) };

        assert!(cursor.take(1).is_none());
    }

    #[test]
    fn zeroes_stop_at_the_end_of_the_sink() -> Result {
        let page = Page::alloc_page(GFP_KERNEL)?;
        // SAFETY: The test owns the page, so nothing accesses it concurrently. The range lies in
        // it.
        unsafe { page.fill_zero_raw(0, 4096)? };
        // SAFETY: The test owns the page, so nothing accesses it concurrently. The range lies in
        // it, and the source is an array of 64 bytes.
        unsafe { page.write_raw([1u8; 64].as_ptr(), 512, 64)? };

        let mut vectors = [vector(&page, 512, 64)];
        let mut bio = request(&mut vectors, 0, 0, 32);
        // SAFETY: The bio is valid and stays so while the cursor is used. Its vector, which lives
        // as long, holds more bytes than it has.
        let mut sink = Sink::new(unsafe { Cursor::new(NonNull::from(&mut bio)) });
        sink.fill_zeroes(64);
        assert_eq!(sink.remaining(), 0);

        let mut content = [2u8; 64];
        // SAFETY: The test owns the page, so nothing writes to it concurrently. The range lies in
        // it, and the destination is an array of 64 bytes.
        unsafe { page.read_raw(content.as_mut_ptr(), 512, 64)? };
        assert!(content[..32].iter().all(|byte| *byte == 0));
        assert!(content[32..].iter().all(|byte| *byte == 1));
        Ok(())
    }
}
