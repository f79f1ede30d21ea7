// SPDX-License-Identifier: GPL-2.0

//! Instructions that make stores durable, and stores that pass the caches by.

use crate::sys;
use core::arch::asm;

/// Orders all flushes and non-temporal stores of this CPU before everything that follows.
#[inline(always)]
pub fn store_fence() {
    // SAFETY: `sfence` has no operands and changes no register. It is a compiler barrier as the block may access memory.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) };
}

/// Writes the cache lines of a range back, without a fence.
///
/// # Safety
///
/// `address` is valid for accesses of `len` bytes.
#[inline(always)]
pub(super) unsafe fn write_back(address: *mut u8, len: usize) {
    // SAFETY: By the safety requirements; the function uses the best instruction of the CPU.
    unsafe { sys::arch_wb_cache_pmem(address.cast(), len) };
}

/// Copies with non-temporal stores, and writes back the lines of an unaligned head or tail; without a fence.
///
/// # Safety
///
/// - `to` is valid for writes and `from` for reads of `len` bytes;
/// - the ranges do not overlap.
#[inline(always)]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: By the safety requirements. The copy is made by assembly and tolerates concurrent stores to `from`.
    unsafe { sys::__memcpy_flushcache(to.cast(), from.cast(), len) };
}

/// Fills with zeroes by non-temporal stores, and writes back the lines of an unaligned head or tail; without a fence.
///
/// # Safety
///
/// `to` is valid for writes of `len` bytes.
pub(super) unsafe fn zero(to: *mut u8, len: usize) {
    const WORD: usize = size_of::<u64>();

    let head = to.align_offset(WORD).min(len);
    let words = (len - head) / WORD;
    let tail = len - head - words * WORD;
    let body = to.wrapping_add(head);
    let end = body.wrapping_add(words * WORD);

    // SAFETY: The head and the tail are part of the range.
    unsafe {
        zero_cached(to, head);
        zero_cached(end, tail);
    }

    let mut word = body;
    while word != end {
        // SAFETY: `word` is aligned and lies in the range.
        unsafe {
            asm!(
                "movnti [{word}], {zero}",
                word = in(reg) word,
                zero = in(reg) 0u64,
                options(nostack, preserves_flags)
            )
        };
        word = word.wrapping_add(WORD);
    }
}

/// # Safety
///
/// `to` is valid for writes of `len` bytes.
unsafe fn zero_cached(to: *mut u8, len: usize) {
    if len != 0 {
        // SAFETY: By the safety requirements.
        unsafe {
            to.write_bytes(0, len);
            write_back(to, len);
        }
    }
}
