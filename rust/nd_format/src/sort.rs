// SPDX-License-Identifier: GPL-2.0

//! Sorting of few elements.

/// Sorts `elements` by `key`; equal ones keep their order.
///
/// The sorts of the core library may panic on an order that is none, which the kernel's tools do not know to diverge.
pub fn insertion_sort_by_key<T, K: Ord>(elements: &mut [T], key: impl Fn(&T) -> K) {
    for end in 1..elements.len() {
        // Moves the element at `end` down to its place.
        for index in (1..=end).rev() {
            match elements.get_mut(index - 1..=index) {
                Some([lower, upper]) if key(lower) > key(upper) => core::mem::swap(lower, upper),
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn as_the_standard_library_does(mut pairs: Vec<(u8, u32)>) {
            let mut expected = pairs.clone();
            expected.sort_by_key(|pair| pair.0);
            insertion_sort_by_key(&mut pairs, |pair| pair.0);
            prop_assert_eq!(pairs, expected);
        }
    }
}
