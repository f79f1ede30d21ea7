// SPDX-License-Identifier: GPL-2.0

//! Instructions that make stores durable, and stores that pass the caches by.
//!
//! C header: [`arch/x86/include/asm/special_insns.h`](srctree/arch/x86/include/asm/special_insns.h)

use crate::sys;
use core::arch::asm;

/// Length of a cache line of every x86-64 CPU, in bytes.
const CACHE_LINE: usize = 64;

/// Orders all flushes and non-temporal stores of this CPU before everything that follows.
#[inline(always)]
pub fn store_fence() {
    // SAFETY: `sfence` has no operands and changes no register. It is a compiler barrier as the block may access memory.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) };
}

/// Writes the cache line that holds `address` back, without a fence, and keeps it in the cache where the CPU can.
///
/// The instruction is the oldest of three of the same length; the kernel patches in a better one that the CPU has when the
/// module is loaded. helpers.c asserts the numbers: the length of an entry of the table, and the CPU features.
///
/// # Safety
///
/// `address` is mapped for writes.
#[inline(always)]
pub(super) unsafe fn write_line_back(address: *mut u8) {
    // SAFETY: By the safety requirements; the instructions have no other effect than to write the line back.
    unsafe {
        asm!(
            "771:",
            "ds clflush byte ptr [{line}]",
            "772:",
            ".pushsection .altinstructions, \"aM\", @progbits, 14",
            ".long 771b - .",
            ".long 774f - .",
            ".4byte {clflushopt}",
            ".byte 772b - 771b",
            ".byte 775f - 774f",
            ".long 771b - .",
            ".long 776f - .",
            ".4byte {clwb}",
            ".byte 772b - 771b",
            ".byte 777f - 776f",
            ".popsection",
            ".pushsection .altinstr_replacement, \"ax\"",
            "774:",
            "clflushopt byte ptr [{line}]",
            "775:",
            "776:",
            "clwb byte ptr [{line}]",
            "777:",
            ".popsection",
            line = in(reg) address,
            clflushopt = const 9 * 32 + 23,
            clwb = const 9 * 32 + 24,
            options(nostack, preserves_flags)
        )
    };
}

/// Writes the cache lines of a range back, without a fence.
///
/// # Safety
///
/// `address` is valid for accesses of `len` bytes.
#[inline(always)]
pub(super) unsafe fn write_back(address: *mut u8, len: usize) {
    let end = address.wrapping_add(len);
    let mut line = address.map_addr(|address| address & !(CACHE_LINE - 1));

    while line < end {
        // SAFETY: The line holds a byte of the range, and memory is mapped in whole lines.
        unsafe { write_line_back(line) };
        line = line.wrapping_add(CACHE_LINE);
    }
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
