// SPDX-License-Identifier: GPL-2.0

//! Instructions that make stores durable, and stores that bypass the caches.
//!
//! C header: [`arch/x86/include/asm/special_insns.h`](srctree/arch/x86/include/asm/special_insns.h)

use super::poison;
use crate::sys;
use core::arch::asm;

/// Length of a cache line of every x86-64 CPU, in bytes.
const CACHE_LINE: usize = 64;

/// Orders all flushes and non-temporal stores of this CPU before all stores that follow.
#[inline(always)]
pub fn store_fence() {
    // SAFETY: `sfence` has no operands, uses no stack, and changes neither registers nor flags.
    // Without `nomem` the block is a compiler barrier.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) };
}

/// Writes back the cache line that holds `address`, without a fence. The line stays in the cache if
/// the CPU supports that.
///
/// The instruction in the text is `clflush` with a prefix, which every x86-64 CPU has. When the
/// module is loaded, the kernel replaces it with `clflushopt` or `clwb`, which have the same
/// length, if the CPU has them. helpers.c asserts the layout of the entries of the table and the
/// numbers of the CPU features.
///
/// # Safety
///
/// `address` is mapped.
#[inline(always)]
pub(super) unsafe fn write_line_back(address: *mut u8) {
    // SAFETY: The address is mapped, so none of the instructions faults. They use no stack, change
    // neither registers nor flags, and leave the content of memory as it is. The entries of the
    // table have the layout of `struct alt_instr`; each names an instruction and a replacement of
    // at most its length.
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

/// Writes back the cache lines of a range, without a fence.
///
/// # Safety
///
/// `address` is mapped for `len` bytes.
#[inline(always)]
pub(super) unsafe fn write_back(address: *mut u8, len: usize) {
    let end = address.wrapping_add(len);
    let mut line = address.map_addr(|address| address & !(CACHE_LINE - 1));

    while line < end {
        // SAFETY: The line has a byte of the range, which is mapped, and memory is mapped in whole
        // pages, so the start of the line is mapped, too.
        unsafe { write_line_back(line) };
        line = line.wrapping_add(CACHE_LINE);
    }
}

/// Copies with non-temporal stores and writes back the lines of an unaligned head or tail, without
/// a fence.
///
/// # Safety
///
/// - `to` is valid for writes and `from` for reads of `len` bytes;
/// - the ranges do not overlap. Concurrent stores to `from` are allowed.
#[inline(always)]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: `to` is valid for writes and `from` for reads of `len` bytes, and they do not
    // overlap. The copy is made by assembly, so concurrent stores to `from` are no data race of
    // Rust's.
    unsafe { sys::__memcpy_flushcache(to.cast(), from.cast(), len) };
}

/// Fills a range with zeroes and flushes it, without a fence.
///
/// Media that were never written read as zeroes, and loads from media are cheaper than stores. A
/// line that reads as zero is therefore only written back, as an earlier store to it may not have
/// been flushed. All other lines are filled by non-temporal stores.
///
/// # Safety
///
/// `to` is mapped for reads and writes of `len` bytes. The content may be poisoned, and others may
/// access it concurrently.
pub(super) unsafe fn zero(to: *mut u8, len: usize) {
    let head = to.align_offset(CACHE_LINE).min(len);
    let lines = (len - head) / CACHE_LINE;
    let body = to.wrapping_add(head);
    let end = body.wrapping_add(lines * CACHE_LINE);

    // SAFETY: The head and the tail are parts of the range, which is mapped for reads and writes.
    unsafe {
        zero_cached(to, head);
        zero_cached(end, len - head - lines * CACHE_LINE);
    }

    let mut line = body;
    while line != end {
        // SAFETY: `line` is aligned to 64 bytes, as `body` is and all steps are. All 64 bytes lie
        // in the range, which is mapped for reads and writes.
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
/// `line` is aligned to 64 bytes and mapped for writes of 64 bytes.
unsafe fn zero_line(line: *mut u8) {
    // SAFETY: All eight words are mapped for writes. The stores are made by assembly, so concurrent
    // accesses are no data race of Rust's. The block uses no stack and changes neither registers
    // nor flags.
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

/// Fills a part of a cache line with zeroes by stores to the cache and writes the line back.
///
/// The stores are volatile, like those to words, as others may access the bytes concurrently.
///
/// # Safety
///
/// `to` is mapped for reads and writes of `len` bytes. Others may access them concurrently.
unsafe fn zero_cached(to: *mut u8, len: usize) {
    for offset in 0..len {
        // SAFETY: The byte is one of the `len` that are mapped for writes, and a byte is always
        // aligned. There are no references to it.
        unsafe { to.wrapping_add(offset).write_volatile(0) };
    }
    // SAFETY: `to` is mapped for `len` bytes.
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
                // SAFETY: The range is a part of the lines, which are borrowed mutably.
                unsafe { zero(lines.0.as_mut_ptr().add(start), len) };
                store_fence();
                assert!(lines.0 == expected);
            }
        }
    }
}
