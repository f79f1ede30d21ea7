// SPDX-License-Identifier: GPL-2.0

//! The bitmap of an index: bit n, counted from the low bit of the first byte, is set while slot n
//! is free.

use core::ops::Range;

/// A view of the bitmap of an index.
#[derive(Clone, Copy, Debug)]
pub struct Slots<'a> {
    bits: &'a [u8],
    count: u32,
}

impl<'a> Slots<'a> {
    /// Views the first `count` bits of `bits`. Slots beyond the end of `bits` count as taken.
    pub const fn new(bits: &'a [u8], count: u32) -> Self {
        Self { bits, count }
    }

    /// Returns the number of slots.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Returns `true` if `slot` exists and is free.
    pub fn is_free(&self, slot: u32) -> bool {
        slot < self.count && byte_of(self.bits, slot).is_some_and(|byte| byte & mask(slot) != 0)
    }

    /// Returns the free slots in ascending order.
    pub const fn free(self) -> SlotNumbers<'a> {
        SlotNumbers {
            rest: 0..self.count,
            slots: self,
            free: true,
        }
    }

    /// Returns the taken slots in ascending order.
    pub const fn taken(self) -> SlotNumbers<'a> {
        SlotNumbers {
            rest: 0..self.count,
            slots: self,
            free: false,
        }
    }

    /// Returns the number of free slots.
    pub fn free_count(self) -> u32 {
        let whole = usize::try_from(self.count / 8).unwrap_or(usize::MAX);
        let (whole, _) = self.bits.split_at(whole.min(self.bits.len()));
        let counted = whole.iter().map(|byte| byte.count_ones()).sum::<u32>();
        let tail = (self.count / 8 * 8..self.count).filter(|&slot| self.is_free(slot));
        // At most seven slots.
        counted + tail.map(|_| 1).sum::<u32>()
    }
}

/// The free or the taken slots in ascending order.
///
/// A type with a name: symbols of what is made of it would be too long for the kernel's tools if
/// they listed the adapters of an iterator.
#[derive(Clone, Debug)]
pub struct SlotNumbers<'a> {
    slots: Slots<'a>,
    free: bool,
    rest: Range<u32>,
}

impl Iterator for SlotNumbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (slots, free) = (self.slots, self.free);
        self.rest.find(|&slot| slots.is_free(slot) == free)
    }
}

/// Marks `slot` as free or taken. A slot without a bit is ignored.
pub fn mark(bits: &mut [u8], slot: u32, free: bool) {
    let position = usize::try_from(slot / 8).ok();
    if let Some(byte) = position.and_then(|position| bits.get_mut(position)) {
        if free {
            *byte |= mask(slot);
        } else {
            *byte &= !mask(slot);
        }
    }
}

/// Marks the first `count` slots as free. The bits behind them are cleared, as Linux writes them.
pub(super) fn mark_all_free(bits: &mut [u8], count: u32) {
    bits.fill(0);
    let whole = usize::try_from(count / 8)
        .unwrap_or(usize::MAX)
        .min(bits.len());
    let (bytes, tail) = bits.split_at_mut(whole);
    bytes.fill(0xff);
    if let Some(byte) = tail.first_mut() {
        *byte = mask(count).wrapping_sub(1);
    }
}

fn byte_of(bits: &[u8], slot: u32) -> Option<u8> {
    bits.get(usize::try_from(slot / 8).ok()?).copied()
}

const fn mask(slot: u32) -> u8 {
    1 << (slot % 8)
}
