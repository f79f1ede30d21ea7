// SPDX-License-Identifier: GPL-2.0

//! Loads that survive the machine check of a poisoned cache line.
//!
//! An entry in the exception table tells the machine-check handler that a load may fail, and where to go on if it does. An
//! ordinary page fault goes the same way, so these loads can be tested without broken hardware.
//!
//! C header: [`arch/x86/include/asm/extable_fixup_types.h`](srctree/arch/x86/include/asm/extable_fixup_types.h)

use crate::sys;
use core::arch::asm;
use kernel::prelude::*;

/// A load met poison: the medium has lost the content of at least one of the cache lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poison;

/// Defines a function that loads one word.
///
/// The type in the table is `EX_TYPE_DEFAULT_MCE_SAFE`; helpers.c asserts its number. `failed` is set before the load and
/// cleared after it; a failing load goes on behind the clearing.
macro_rules! define_load {
    ($(#[$doc:meta])* $name:ident, $word:ty, $load:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// `from` is aligned, and is mapped for reads of a word. What it points to may be poisoned.
        #[inline(always)]
        pub(super) unsafe fn $name(from: *const $word) -> Result<$word, Poison> {
            let word: $word;
            let failed: u32;

            // SAFETY: By the safety requirements the address is mapped; a machine check leaves `word` undefined, but
            // initialised, and `failed` set.
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
    /// Loads 32 bits at once.
    load_u32, u32, "mov {word:e}, [{from}]"
);

define_load!(
    /// Loads 64 bits at once.
    load_u64, u64, "mov {word:r}, [{from}]"
);

/// Copies from memory that may be poisoned.
///
/// # Safety
///
/// - `to` is valid for writes and `from` is mapped for reads of `len` bytes;
/// - the ranges do not overlap;
/// - `len` fits in 32 bits.
#[inline(always)]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> Result<(), Poison> {
    // SAFETY: By the safety requirements. CAST: As is that `len` fits.
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

        // SAFETY: The words are valid and aligned.
        let loaded = unsafe { load_u64(&words[0]) };
        assert!(loaded == Ok(0x0123_4567_89ab_cdef));
        // SAFETY: The words are valid and aligned.
        let loaded = unsafe { load_u32(ptr::from_ref(&words[1]).cast()) };
        assert!(loaded == Ok(u32::MAX));
    }

    #[test]
    fn a_fault_is_an_error() {
        // SAFETY: These loads go through the exception table, which is what is tested: the page fault of an address that
        // is not mapped takes the same way as a machine check.
        unsafe {
            assert!(load_u32(ptr::without_provenance(UNMAPPED)) == Err(Poison));
            assert!(load_u64(ptr::without_provenance(UNMAPPED)) == Err(Poison));
        }
    }
}
