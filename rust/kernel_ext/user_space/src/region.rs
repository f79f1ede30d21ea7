// SPDX-License-Identifier: GPL-2.0

//! A mapped file with the instructions of persistent memory.

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

/// Bytes of a line of the caches.
const LINE: u64 = 64;

/// The range is not within the region, or a word is not aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfRange;

/// How a line is written back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WriteBack {
    /// `clwb`: the line stays in the cache.
    Clwb,
    /// `clflushopt`: it does not.
    ClflushOpt,
}

/// A file that is mapped, shared by any number of threads.
///
/// Bytes are accessed by atomic words, and otherwise by inline assembly only: what other threads do
/// with the same bytes at the same time may tear data, but is not undefined, as with real memory
/// that others write.
pub struct Region {
    map: MmapRaw,
    write_back: WriteBack,
}

impl Region {
    /// Maps a new file of `len` bytes, or replaces what is there.
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

    /// Bytes of the region.
    #[inline]
    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.len() == 0
    }

    /// Name of the instruction that writes lines back.
    pub fn write_back(&self) -> &'static str {
        match self.write_back {
            WriteBack::Clwb => "clwb",
            WriteBack::ClflushOpt => "clflushopt",
        }
    }

    /// Where a range is; all of it is mapped.
    #[inline(always)]
    fn pointer(&self, offset: u64, len: u64) -> Result<*mut u8, OutOfRange> {
        match offset.checked_add(len) {
            // The result is within the mapping, so that the arithmetic does not wrap around.
            Some(end) if end <= self.len() => {
                Ok(self.map.as_mut_ptr().wrapping_add(offset as usize))
            }
            _ => Err(OutOfRange),
        }
    }

    /// Where a word is; it is aligned and mapped.
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
        // SAFETY: The word is mapped as long as `self` lives and aligned, as mappings are to pages.
        // All accesses of Rust to the mapping are atomic.
        let word = unsafe { AtomicU32::from_ptr(word) };
        Ok(u32::from_le(word.load(Relaxed)))
    }

    /// Stores a little-endian word, through the cache.
    #[inline(always)]
    pub fn store32(&self, offset: u64, value: u32) -> Result<(), OutOfRange> {
        let word = self.word(offset, 4)?.cast();
        // SAFETY: As for `load32`.
        let word = unsafe { AtomicU32::from_ptr(word) };
        word.store(value.to_le(), Relaxed);
        Ok(())
    }

    /// Stores a little-endian word, through the cache.
    #[inline(always)]
    pub fn store64(&self, offset: u64, value: u64) -> Result<(), OutOfRange> {
        let word = self.word(offset, 8)?.cast();
        // SAFETY: As for `load32`.
        let word = unsafe { AtomicU64::from_ptr(word) };
        word.store(value.to_le(), Relaxed);
        Ok(())
    }

    /// Stores a little-endian word past the cache, without a fence.
    #[inline(always)]
    pub fn store32_past_cache(&self, offset: u64, value: u32) -> Result<(), OutOfRange> {
        let word = self.word(offset, 4)?;
        // SAFETY: The word is mapped and aligned. The compiler takes the assembly to change any
        // memory.
        unsafe {
            asm!("movnti [{word}], {value:e}", word = in(reg) word, value = in(reg) value.to_le(),
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    /// Stores a little-endian word past the cache, without a fence.
    #[inline(always)]
    pub fn store64_past_cache(&self, offset: u64, value: u64) -> Result<(), OutOfRange> {
        let word = self.word(offset, 8)?;
        // SAFETY: The word is mapped and aligned. The compiler takes the assembly to change any
        // memory.
        unsafe {
            asm!("movnti [{word}], {value}", word = in(reg) word, value = in(reg) value.to_le(),
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    /// Copies bytes past the caches, without a fence: whole words of 8 bytes to a multiple of 8.
    #[inline(always)]
    pub fn copy_past_cache(&self, offset: u64, bytes: &[u8]) -> Result<(), OutOfRange> {
        if !offset.is_multiple_of(8) || !bytes.len().is_multiple_of(32) {
            return Err(OutOfRange);
        }
        let to = self.pointer(offset, bytes.len() as u64)?;
        if bytes.is_empty() {
            return Ok(());
        }
        // As the kernel does: words of 8 bytes, four at a time.
        // SAFETY: `to` and `bytes` have as many bytes as are copied, more than none and a multiple
        // of 32. `bytes` is not part of the mapping, of which there are no references. The compiler
        // takes the assembly to change any memory.
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
        // SAFETY: Both have so many bytes, and do not overlap, as there are no references to the
        // mapping. The direction flag is clear, as the ABI demands.
        unsafe {
            asm!("rep movsb",
                inout("rcx") bytes.len() => _, inout("rsi") from => _, inout("rdi") bytes.as_mut_ptr() => _,
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    /// Copies bytes into the region, through the cache, and flushes them.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), OutOfRange> {
        let to = self.pointer(offset, bytes.len() as u64)?;
        // SAFETY: As for `read`.
        unsafe {
            asm!("rep movsb",
                inout("rcx") bytes.len() => _, inout("rsi") bytes.as_ptr() => _, inout("rdi") to => _,
                options(nostack, preserves_flags));
        }
        self.flush(offset, bytes.len() as u64);
        Ok(())
    }

    /// Begins to write back the lines of a range; what is outside of the region is left out.
    #[inline(always)]
    pub fn flush(&self, offset: u64, len: u64) {
        if self.pointer(offset, len).is_err() {
            return;
        }
        let mut line = offset - offset % LINE;
        while line < offset + len {
            let address = self.map.as_mut_ptr().wrapping_add(line as usize);
            // SAFETY: The line has bytes of the range, which is mapped, and lines do not cross
            // pages. The CPU has the instruction, as was asked when the region was made.
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

    /// Waits until what this thread has stored past the caches or flushed is on its way to the
    /// medium.
    #[inline(always)]
    pub fn fence(&self) {
        // SAFETY: The instruction orders stores and does nothing else. The compiler takes it to use
        // any memory.
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
            (0, region.copy_past_cache(0, &bytes)),
            (4001, region.write(4001, &bytes)),
        ] {
            assert_eq!(copied, Ok(()));
            let mut read = [0; 256];
            assert_eq!(region.read(offset, &mut read), Ok(()));
            assert_eq!(read[..], bytes[..]);
        }
        for (offset, stored) in [
            (512, region.store32(512, 0x0403_0201)),
            (516, region.store32_past_cache(516, 0x0403_0201)),
        ] {
            assert_eq!((stored, region.load32(offset)), (Ok(()), Ok(0x0403_0201)));
        }
        assert_eq!(region.store64_past_cache(520, 7), Ok(()));
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
        assert_eq!(region.store64_past_cache(4096, 0), Err(OutOfRange));
        assert_eq!(region.copy_past_cache(4096 - 32, &[0; 64]), Err(OutOfRange));
        assert_eq!(region.copy_past_cache(0, &[0; 40]), Err(OutOfRange));
        assert_eq!(region.read(4095, &mut [0; 2]), Err(OutOfRange));
        assert_eq!(region.write(4095, &[0; 2]), Err(OutOfRange));
        region.flush(4095, 2);
        Ok(())
    }
}
