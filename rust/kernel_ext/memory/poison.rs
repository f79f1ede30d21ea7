// SPDX-License-Identifier: GPL-2.0

//! Loads that survive the machine check of a poisoned cache line, and copies made of them.
//!
//! An entry in the exception table tells the machine-check handler that a load may fail and where
//! execution continues if it does. An ordinary page fault takes the same path, so these loads can
//! be tested without broken hardware. [`is_mapped`] tells the two cases apart.
//!
//! C header:
//! [`arch/x86/include/asm/extable_fixup_types.h`](srctree/arch/x86/include/asm/extable_fixup_types.h)

use crate::sys;
use core::arch::asm;
use kernel::prelude::*;

/// A load hit poison: the medium has lost the content of at least one of the cache lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poison;

/// Returns `true` if the kernel has a mapping for `address`. If it has none, a load that failed
/// there did not hit poison.
pub(super) fn is_mapped(address: *const u8) -> bool {
    // SAFETY: The helper takes any address and walks the kernel's page tables without a lock. A
    // page table is freed only together with the mappings in it, and `address` lies in a mapping
    // that is owned during the call, or where nothing is ever mapped.
    unsafe { sys::is_mapped(address.cast()) }
}

/// Defines a function that loads one word.
///
/// The type in the table is `EX_TYPE_DEFAULT_MCE_SAFE`; helpers.c asserts its number and the layout
/// of an entry. `failed` is set before the load and cleared after it. After a load that failed,
/// execution continues behind the clearing.
macro_rules! define_load {
    ($(#[$doc:meta])* $name:ident, $word:ty, $load:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// `from` is aligned and is mapped for reads of a word. The word may be poisoned.
        #[inline(always)]
        pub(super) unsafe fn $name(from: *const $word) -> Result<$word, Poison> {
            let word: $word;
            let failed: u32;

            // SAFETY: The address is mapped for reads. Both outputs are set before the load, so
            // they are initialised even if it fails. The block uses no stack, writes no memory, and
            // its entry in the exception table has the layout of `struct exception_table_entry`.
            unsafe {
                asm!(
                    "mov {failed:e}, 1",
                    "xor {word:e}, {word:e}",
                    concat!("2: ", $load),
                    "xor {failed:e}, {failed:e}",
                    "3:",
                    ".pushsection __ex_table, \"a\"",
                    ".balign 4",
                    ".long (2b) - .",
                    ".long (3b) - .",
                    ".long 14",
                    ".popsection",
                    failed = out(reg) failed,
                    word = out(reg) word,
                    from = in(reg) from,
                    options(nostack, readonly)
                )
            };

            if failed == 0 {
                Ok(word)
            } else {
                Err(Poison)
            }
        }
    };
}

define_load!(
    /// Loads 32 bits with one instruction.
    load_u32, u32, "mov {word:e}, [{from}]"
);

define_load!(
    /// Loads 64 bits with one instruction.
    load_u64, u64, "mov {word:r}, [{from}]"
);

/// Returns `true` if all 64 bytes of a cache line are zero.
///
/// # Safety
///
/// `line` is aligned to 64 bytes and mapped for reads of 64 bytes. The line may be poisoned.
#[inline(always)]
pub(super) unsafe fn line_is_zero(line: *const u8) -> Result<bool, Poison> {
    let bits: u64;
    let failed: u32;

    // SAFETY: All eight words are mapped for reads. Both outputs are set before the loads, so they
    // are initialised even if one fails. The block uses no stack, writes no memory, and each of its
    // loads has an entry in the exception table, with the layout of `struct exception_table_entry`.
    unsafe {
        asm!(
            "mov {failed:e}, 1",
            "xor {bits:e}, {bits:e}",
            "2: mov {bits}, [{line}]",
            "3: or {bits}, [{line} + 8]",
            "4: or {bits}, [{line} + 16]",
            "5: or {bits}, [{line} + 24]",
            "6: or {bits}, [{line} + 32]",
            "7: or {bits}, [{line} + 40]",
            "8: or {bits}, [{line} + 48]",
            "9: or {bits}, [{line} + 56]",
            "xor {failed:e}, {failed:e}",
            "22:",
            ".pushsection __ex_table, \"a\"",
            ".balign 4",
            ".irp load, 2b, 3b, 4b, 5b, 6b, 7b, 8b, 9b",
            ".long (\\load) - .",
            ".long (22b) - .",
            ".long 14",
            ".endr",
            ".popsection",
            failed = out(reg) failed,
            bits = out(reg) bits,
            line = in(reg) line,
            options(nostack, readonly)
        )
    };

    if failed == 0 {
        Ok(bits == 0)
    } else {
        Err(Poison)
    }
}

/// Copies from memory that may be poisoned. After an error some bytes may have been copied.
///
/// # Safety
///
/// - `to` is valid for writes and `from` is mapped for reads of `len` bytes;
/// - the ranges do not overlap;
/// - `len` fits in 32 bits.
#[inline(always)]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> Result<(), Poison> {
    // SAFETY: The caller guarantees that `to` is valid for writes and `from` mapped for reads of
    // `len` bytes, and that they do not overlap. CAST: It also guarantees that `len` fits in 32
    // bits.
    match unsafe { sys::copy_mc_to_kernel(to.cast(), from.cast(), len as c_uint) } {
        0 => Ok(()),
        _ => Err(Poison),
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_poison)]
mod tests {
    use super::*;
    use core::ptr;

    /// Nothing is ever mapped in the last 2 MiB of the address space.
    const UNMAPPED: usize = 0usize.wrapping_sub(1 << 20);

    #[test]
    fn good_words_are_loaded() {
        let words = [0x0123_4567_89ab_cdefu64, u64::MAX];

        // SAFETY: The address is of a word in the array, aligned for the load.
        let loaded = unsafe { load_u64(&words[0]) };
        assert!(loaded == Ok(0x0123_4567_89ab_cdef));
        // SAFETY: The address is of a word in the array, aligned for the load.
        let loaded = unsafe { load_u32(ptr::from_ref(&words[1]).cast()) };
        assert!(loaded == Ok(u32::MAX));
    }

    #[repr(align(64))]
    struct Line([u8; 64]);

    #[test]
    fn one_bit_makes_a_line_differ_from_zero() {
        let mut line = Line([0; 64]);

        // SAFETY: The line is aligned to 64 bytes by its type, and 64 bytes long.
        assert!(unsafe { line_is_zero(line.0.as_ptr()) } == Ok(true));
        for byte in 0..64 {
            line.0[byte] = 0x10;
            // SAFETY: The line is aligned to 64 bytes by its type, and 64 bytes long.
            assert!(unsafe { line_is_zero(line.0.as_ptr()) } == Ok(false));
            line.0[byte] = 0;
        }
    }

    #[test]
    fn a_fault_is_an_error() {
        // SAFETY: The addresses are aligned. That they are not mapped is what is tested: the page
        // fault takes the same path through the exception table as a machine check, so the loads
        // return.
        unsafe {
            assert!(load_u32(ptr::without_provenance(UNMAPPED)) == Err(Poison));
            assert!(load_u64(ptr::without_provenance(UNMAPPED)) == Err(Poison));
            assert!(line_is_zero(ptr::without_provenance(UNMAPPED)) == Err(Poison));
        }
    }

    #[test]
    fn an_address_without_mapping_is_told() {
        let word = 0u8;

        assert!(is_mapped(&word));
        assert!(!is_mapped(ptr::without_provenance(UNMAPPED)));
    }
}
