// SPDX-License-Identifier: GPL-2.0

//! A mapped file, accessed by the instructions for persistent memory.

use anyhow::{
    Context,
    Result, //
};
use memmap2::MmapRaw;
use std::{
    arch::asm,
    fs::File,
    path::Path,
    sync::atomic::{
        AtomicU32,
        AtomicU64,
        Ordering::Relaxed, //
    },
};

/// Size of a cache line in bytes.
const LINE: u64 = 64;

/// The range is not within the region, or a word is not aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfRange;

/// The instruction that writes a cache line back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WriteBack {
    /// `clwb`: the line stays in the cache.
    Clwb,
    /// `clflushopt`: the line is evicted.
    ClflushOpt,
}

/// A mapped file, which any number of threads share.
///
/// Bytes are accessed by atomic operations on words and by inline assembly only. Concurrent
/// accesses may thus tear data, but are not undefined behaviour.
pub struct Region {
    map: MmapRaw,
    write_back: WriteBack,
}

impl Region {
    /// Creates a file of `len` bytes, or replaces an existing one, and maps it.
    pub fn create(path: &Path, len: u64) -> Result<Self> {
        let context = || format!("cannot map {}", path.display());
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .with_context(context)?;
        file.set_len(len).with_context(context)?;
        let map = MmapRaw::map_raw(&file).with_context(context)?;
        let features = raw_cpuid::CpuId::new().get_extended_feature_info();
        let write_back = match features {
            Some(features) if features.has_clwb() => WriteBack::Clwb,
            Some(features) if features.has_clflushopt() => WriteBack::ClflushOpt,
            _ => anyhow::bail!("this CPU has neither clwb nor clflushopt"),
        };
        Ok(Self { map, write_back })
    }

    /// Returns the length in bytes.
    #[inline]
    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Returns `true` if the length is zero.
    pub fn is_empty(&self) -> bool {
        self.map.len() == 0
    }

    /// Returns the name of the instruction that writes cache lines back.
    pub fn write_back(&self) -> &'static str {
        match self.write_back {
            WriteBack::Clwb => "clwb",
            WriteBack::ClflushOpt => "clflushopt",
        }
    }

    /// Returns the address of a range, all of which is mapped.
    #[inline(always)]
    fn pointer(&self, offset: u64, len: u64) -> Result<*mut u8, OutOfRange> {
        match offset.checked_add(len) {
            // The result is within the mapping, so the addition does not wrap around.
            Some(end) if end <= self.len() => {
                Ok(self.map.as_mut_ptr().wrapping_add(offset as usize))
            }
            _ => Err(OutOfRange),
        }
    }

    /// Returns the address of a word, which is aligned and mapped.
    #[inline(always)]
    fn word(&self, offset: u64, len: u64) -> Result<*mut u8, OutOfRange> {
        if !offset.is_multiple_of(len) {
            return Err(OutOfRange);
        }
        self.pointer(offset, len)
    }

    /// Loads a little-endian word.
    #[inline(always)]
    pub fn load32(&self, offset: u64) -> Result<u32, OutOfRange> {
        let word = self.word(offset, 4)?.cast();
        // SAFETY: The word is mapped while `self` lives. It is aligned, as its offset is and
        // mappings are page-aligned. All accesses by Rust code to the mapping are atomic; others
        // are made by assembly.
        let word = unsafe { AtomicU32::from_ptr(word) };
        Ok(u32::from_le(word.load(Relaxed)))
    }

    /// Stores a little-endian word to the cache.
    #[inline(always)]
    pub fn store32(&self, offset: u64, value: u32) -> Result<(), OutOfRange> {
        let word = self.word(offset, 4)?.cast();
        // SAFETY: The word is mapped while `self` lives. It is aligned, as its offset is and
        // mappings are page-aligned. All accesses by Rust code to the mapping are atomic; others
        // are made by assembly.
        let word = unsafe { AtomicU32::from_ptr(word) };
        word.store(value.to_le(), Relaxed);
        Ok(())
    }

    /// Stores a little-endian word to the cache.
    #[inline(always)]
    pub fn store64(&self, offset: u64, value: u64) -> Result<(), OutOfRange> {
        let word = self.word(offset, 8)?.cast();
        // SAFETY: The word is mapped while `self` lives. It is aligned, as its offset is and
        // mappings are page-aligned. All accesses by Rust code to the mapping are atomic; others
        // are made by assembly.
        let word = unsafe { AtomicU64::from_ptr(word) };
        word.store(value.to_le(), Relaxed);
        Ok(())
    }

    /// Stores a little-endian word by a non-temporal store, without a fence.
    #[inline(always)]
    pub fn store32_nt(&self, offset: u64, value: u32) -> Result<(), OutOfRange> {
        let word = self.word(offset, 4)?;
        // SAFETY: The word is mapped for writes and aligned. The block uses no stack and keeps
        // registers and flags. Without `nomem` the compiler assumes that it writes any memory.
        unsafe {
            asm!("movnti [{word}], {value:e}", word = in(reg) word, value = in(reg) value.to_le(),
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    /// Stores a little-endian word by a non-temporal store, without a fence.
    #[inline(always)]
    pub fn store64_nt(&self, offset: u64, value: u64) -> Result<(), OutOfRange> {
        let word = self.word(offset, 8)?;
        // SAFETY: The word is mapped for writes and aligned. The block uses no stack and keeps
        // registers and flags. Without `nomem` the compiler assumes that it writes any memory.
        unsafe {
            asm!("movnti [{word}], {value}", word = in(reg) word, value = in(reg) value.to_le(),
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    /// Copies bytes by non-temporal stores, without a fence. The offset must be a multiple of 8 and
    /// the length a multiple of 32.
    #[inline(always)]
    pub fn copy_nt(&self, offset: u64, bytes: &[u8]) -> Result<(), OutOfRange> {
        if !offset.is_multiple_of(8) || !bytes.len().is_multiple_of(32) {
            return Err(OutOfRange);
        }
        let to = self.pointer(offset, bytes.len() as u64)?;
        if bytes.is_empty() {
            return Ok(());
        }
        // Like the kernel: words of 8 bytes, four per iteration.
        // SAFETY: `to` is mapped for writes and `bytes` valid for reads of `bytes.len()` bytes,
        // which is not zero and a multiple of 32, so the loop ends. `bytes` is not part of the
        // mapping, to which there are no references. All registers that change are outputs, and the
        // block uses no stack. Without `nomem` the compiler assumes that it writes any memory.
        unsafe {
            asm!(
                "2:",
                "mov {a}, [{from}]",
                "mov {b}, [{from} + 8]",
                "mov {c}, [{from} + 16]",
                "mov {d}, [{from} + 24]",
                "movnti [{to}], {a}",
                "movnti [{to} + 8], {b}",
                "movnti [{to} + 16], {c}",
                "movnti [{to} + 24], {d}",
                "add {from}, 32",
                "add {to}, 32",
                "sub {left}, 32",
                "jnz 2b",
                a = out(reg) _,
                b = out(reg) _,
                c = out(reg) _,
                d = out(reg) _,
                from = inout(reg) bytes.as_ptr() => _,
                to = inout(reg) to => _,
                left = inout(reg) bytes.len() => _,
                options(nostack),
            );
        }
        Ok(())
    }

    /// Copies bytes out of the region.
    #[inline(always)]
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        let from = self.pointer(offset, bytes.len() as u64)?;
        // SAFETY: `from` is mapped for reads and `bytes` valid for writes of `bytes.len()` bytes.
        // They do not overlap, as there are no references to the mapping. The direction flag is
        // clear, as the ABI demands. All registers that change are outputs; the block uses no stack
        // and keeps the flags.
        unsafe {
            asm!("rep movsb",
                inout("rcx") bytes.len() => _, inout("rsi") from => _, inout("rdi") bytes.as_mut_ptr() => _,
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    /// Copies bytes into the region by stores to the cache, and flushes them.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), OutOfRange> {
        let to = self.pointer(offset, bytes.len() as u64)?;
        // SAFETY: `to` is mapped for writes and `bytes` valid for reads of `bytes.len()` bytes.
        // They do not overlap, as there are no references to the mapping. The direction flag is
        // clear, as the ABI demands. All registers that change are outputs; the block uses no stack
        // and keeps the flags.
        unsafe {
            asm!("rep movsb",
                inout("rcx") bytes.len() => _, inout("rsi") bytes.as_ptr() => _, inout("rdi") to => _,
                options(nostack, preserves_flags));
        }
        self.flush(offset, bytes.len() as u64);
        Ok(())
    }

    /// Begins to write back the cache lines of a range. Does nothing if the range exceeds the
    /// region.
    #[inline(always)]
    pub fn flush(&self, offset: u64, len: u64) {
        if self.pointer(offset, len).is_err() {
            return;
        }
        let mut line = offset - offset % LINE;
        while line < offset + len {
            let address = self.map.as_mut_ptr().wrapping_add(line as usize);
            // SAFETY: The line has a byte of the range, which is mapped, and lines do not cross
            // pages. `create` has checked that the CPU has the instruction, which keeps registers,
            // flags and the content of memory and uses no stack.
            unsafe {
                match self.write_back {
                    WriteBack::Clwb => {
                        asm!("clwb [{}]", in(reg) address, options(nostack, preserves_flags));
                    }
                    WriteBack::ClflushOpt => {
                        asm!("clflushopt [{}]", in(reg) address, options(nostack, preserves_flags));
                    }
                }
            }
            line += LINE;
        }
    }

    /// Orders non-temporal stores and flushes of this thread before its later stores.
    #[inline(always)]
    pub fn fence(&self) {
        // SAFETY: `sfence` has no operands, uses no stack, and changes neither registers nor flags.
        // Without `nomem` the block is a compiler barrier.
        unsafe { asm!("sfence", options(nostack, preserves_flags)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let region = Region::create(&directory.path().join("region"), 8192)?;
        assert_eq!(region.len(), 8192);
        let bytes: Vec<u8> = (0..=255).collect();
        for (offset, copied) in [
            (0, region.copy_nt(0, &bytes)),
            (4001, region.write(4001, &bytes)),
        ] {
            assert_eq!(copied, Ok(()));
            let mut read = [0; 256];
            assert_eq!(region.read(offset, &mut read), Ok(()));
            assert_eq!(read[..], bytes[..]);
        }
        for (offset, stored) in [
            (512, region.store32(512, 0x0403_0201)),
            (516, region.store32_nt(516, 0x0403_0201)),
        ] {
            assert_eq!((stored, region.load32(offset)), (Ok(()), Ok(0x0403_0201)));
        }
        assert_eq!(region.store64_nt(520, 7), Ok(()));
        assert_eq!(region.store64(528, 8), Ok(()));
        region.fence();
        assert_eq!([region.load32(520), region.load32(528)], [Ok(7), Ok(8)]);
        Ok(())
    }

    #[test]
    fn nothing_outside_is_touched() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let region = Region::create(&directory.path().join("region"), 4096)?;
        assert_eq!(region.load32(4096), Err(OutOfRange));
        assert_eq!(region.load32(2), Err(OutOfRange));
        assert_eq!(region.store32(u64::MAX - 3, 0), Err(OutOfRange));
        assert_eq!(region.store64(4, 0), Err(OutOfRange));
        assert_eq!(region.store64_nt(4096, 0), Err(OutOfRange));
        assert_eq!(region.copy_nt(4096 - 32, &[0; 64]), Err(OutOfRange));
        assert_eq!(region.copy_nt(0, &[0; 40]), Err(OutOfRange));
        assert_eq!(region.read(4095, &mut [0; 2]), Err(OutOfRange));
        assert_eq!(region.write(4095, &[0; 2]), Err(OutOfRange));
        region.flush(4095, 2);
        Ok(())
    }
}
