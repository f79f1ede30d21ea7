// SPDX-License-Identifier: GPL-2.0

//! Instructions that make stores durable, and stores that pass the caches by.
//!
//! C header: [`arch/x86/include/asm/special_insns.h`](srctree/arch/x86/include/asm/special_insns.h)

use super::poison;
use crate::sys;
use core::arch::asm;

/// Length of a cache line of every x86-64 CPU, in bytes.
const CACHE_LINE: usize = 64;

/// Orders all flushes and non-temporal stores of this CPU before everything that follows.
#[inline(always)]
pub fn store_fence() {
    // SAFETY: `sfence` has no operands and changes no register. It is a compiler barrier as the
    // block may access memory.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) };
}

/// Writes the cache line that holds `address` back, without a fence, and keeps it in the cache
/// where the CPU can.
///
/// The instruction is the oldest of three of the same length; the kernel patches in a better one
/// that the CPU has when the module is loaded. helpers.c asserts the numbers: the length of an
/// entry of the table, and the CPU features.
///
/// # Safety
///
/// `address` is mapped for writes.
#[inline(always)]
pub(super) unsafe fn write_line_back(address: *mut u8) {
    // SAFETY: By the safety requirements the address is mapped, so none of the instructions faults;
    // they change no register and no flag, and of memory only where its content is.
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

/// Copies with non-temporal stores, and writes back the lines of an unaligned head or tail; without
/// a fence.
///
/// # Safety
///
/// - `to` is valid for writes and `from` for reads of `len` bytes;
/// - the ranges do not overlap.
#[inline(always)]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: By the safety requirements both ranges are valid and do not overlap. The copy is made
    // by assembly and tolerates concurrent stores to `from`.
    unsafe { sys::__memcpy_flushcache(to.cast(), from.cast(), len) };
}

/// Fills with zeroes, flushed but without a fence.
///
/// New media are full of zeroes, and loads cost less than stores to media do. A line that reads as
/// zero is only written back, as somebody may have stored to it without a flush; others are filled
/// by non-temporal stores.
///
/// # Safety
///
/// `to` is valid for accesses of `len` bytes.
pub(super) unsafe fn zero(to: *mut u8, len: usize) {
    let head = to.align_offset(CACHE_LINE).min(len);
    let lines = (len - head) / CACHE_LINE;
    let body = to.wrapping_add(head);
    let end = body.wrapping_add(lines * CACHE_LINE);

    // SAFETY: The head and the tail are part of the range.
    unsafe {
        zero_cached(to, head);
        zero_cached(end, len - head - lines * CACHE_LINE);
    }

    let mut line = body;
    while line != end {
        // SAFETY: `line` is aligned and lies in the range.
        unsafe {
            match poison::line_is_zero(line) {
                Ok(true) => write_line_back(line),
                Ok(false) | Err(poison::Poison) => zero_line(line),
            }
        }
        line = line.wrapping_add(CACHE_LINE);
    }
}

/// Fills a cache line with zeroes by non-temporal stores.
///
/// # Safety
///
/// `line` is aligned to 64 bytes and valid for writes of as many.
unsafe fn zero_line(line: *mut u8) {
    // SAFETY: By the safety requirements all eight words are mapped for writes. Like other stores
    // of hardware, these tolerate concurrent accesses. Registers and flags stay as they are.
    unsafe {
        asm!(
            "movnti [{line}], {zero}",
            "movnti [{line} + 8], {zero}",
            "movnti [{line} + 16], {zero}",
            "movnti [{line} + 24], {zero}",
            "movnti [{line} + 32], {zero}",
            "movnti [{line} + 40], {zero}",
            "movnti [{line} + 48], {zero}",
            "movnti [{line} + 56], {zero}",
            line = in(reg) line,
            zero = in(reg) 0u64,
            options(nostack, preserves_flags)
        )
    };
}

/// Fills a part of a cache line with zeroes by stores to the cache, and writes the line back.
///
/// The stores are volatile, as those to words are: others may access the bytes at the same time.
///
/// # Safety
///
/// `to` is mapped for accesses of `len` bytes, by the CPU alone or by others as well.
unsafe fn zero_cached(to: *mut u8, len: usize) {
    for offset in 0..len {
        // SAFETY: By the safety requirements the byte is mapped; bytes are always aligned.
        unsafe { to.wrapping_add(offset).write_volatile(0) };
    }
    // SAFETY: By the safety requirements all of the range is mapped.
    unsafe { write_back(to, len) };
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_persist)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Lines([u8; 5 * CACHE_LINE]);

    #[test]
    fn zeroes_go_where_they_belong_and_nowhere_else() {
        for (start, len) in [
            (0, 320),
            (0, 64),
            (64, 128),
            (5, 200),
            (63, 2),
            (70, 20),
            (130, 0),
        ] {
            for blank in [None, Some(1), Some(2)] {
                let mut lines = Lines([0xa5; 5 * CACHE_LINE]);

                if let Some(blank) = blank {
                    lines.0[blank * CACHE_LINE..][..CACHE_LINE].fill(0);
                }
                let mut expected = lines.0;
                expected[start..start + len].fill(0);
                // SAFETY: The range is part of the lines.
                unsafe { zero(lines.0.as_mut_ptr().add(start), len) };
                store_fence();
                assert!(lines.0 == expected);
            }
        }
    }
}
