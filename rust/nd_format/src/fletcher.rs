// SPDX-License-Identifier: GPL-2.0

//! Fletcher-64, the checksum of info blocks and label areas (NVDIMM Namespace Specification,
//! "Fletcher64 Algorithm").

/// Size of a checksum field in bytes.
pub const CHECKSUM_LEN: usize = 8;

/// Returns the Fletcher-64 checksum of 32-bit words.
///
/// The low half is the sum of the words, the high half the sum of all intermediate sums, both
/// modulo 2^32.
pub fn fletcher64(words: impl IntoIterator<Item = u32>) -> u64 {
    let (low, high) = words.into_iter().fold((0u32, 0u32), |(low, high), word| {
        let low = low.wrapping_add(word);
        (low, high.wrapping_add(low))
    });
    (u64::from(high) << 32) | u64::from(low)
}

/// Returns the checksum of `bytes` as little-endian words. A tail shorter than a word is ignored.
pub fn fletcher64_le(bytes: &[u8]) -> u64 {
    fletcher64(words_le(bytes))
}

/// Returns the checksum of `bytes` as little-endian words, with the eight bytes of the checksum
/// field at byte `field` taken as zero.
///
/// `field` is a multiple of four in all formats.
pub fn fletcher64_le_without(bytes: &[u8], field: usize) -> u64 {
    let field = field / 4..field / 4 + CHECKSUM_LEN / 4;
    let words = words_le(bytes).enumerate();
    fletcher64(words.map(|(index, word)| if field.contains(&index) { 0 } else { word }))
}

fn words_le(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok())
        .map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors() {
        assert_eq!(fletcher64([1, 2, 3, 4]), 0x0000_0014_0000_000a);
        assert_eq!(fletcher64_le(&[0xff; 16]), 0xffff_fff6_ffff_fffc);
    }

    #[test]
    fn the_tail_does_not_count() {
        assert_eq!(fletcher64_le(&[1, 0, 0, 0, 9, 9, 9]), fletcher64([1]));
    }

    proptest! {
        #[test]
        fn the_field_counts_as_zero(
            mut bytes in proptest::collection::vec(any::<u8>(), 64),
            field in (0usize..14).prop_map(|word| word * 4),
        ) {
            let sum = fletcher64_le_without(&bytes, field);
            bytes[field..field + CHECKSUM_LEN].fill(0);
            prop_assert_eq!(sum, fletcher64_le(&bytes));
        }

        #[test]
        fn every_single_bit_matters(
            mut bytes in proptest::collection::vec(any::<u8>(), 64),
            bit in 0usize..512,
        ) {
            let sum = fletcher64_le(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(sum, fletcher64_le(&bytes));
        }
    }
}
