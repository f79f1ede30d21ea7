// SPDX-License-Identifier: GPL-2.0

//! In-place sorting with a bounded worst case.
//!
//! The sorts of the core library may panic on an inconsistent order, and the kernel's tools do not
//! know that this panic does not return. The elements come from media, so their order may be chosen
//! to be the slowest one. A heap sort has no slow order.

/// Sorts `elements` by `key` in O(n log n) steps. Elements with equal keys may change places.
pub fn sort_by_key<T, K: Ord>(elements: &mut [T], key: impl Fn(&T) -> K) {
    for root in (0..elements.len() / 2).rev() {
        sift_down(elements, root, &key);
    }
    for end in (1..elements.len()).rev() {
        elements.swap(0, end);
        if let Some(heap) = elements.get_mut(..end) {
            sift_down(heap, 0, &key);
        }
    }
}

/// Moves the element at `root` down until no child has a greater key. The subtrees below it are
/// heaps already.
fn sift_down<T, K: Ord>(heap: &mut [T], mut root: usize, key: &impl Fn(&T) -> K) {
    loop {
        let children = root * 2 + 1..(root * 2 + 3).min(heap.len());
        let greater = children.max_by_key(|&child| heap.get(child).map(key));
        match greater {
            Some(child) if heap.get(child).map(key) > heap.get(root).map(key) => {
                heap.swap(root, child);
                root = child;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::{
        cell::Cell,
        vec::Vec, //
    };

    proptest! {
        #[test]
        fn as_the_standard_library_does(mut pairs: Vec<(u8, u32)>) {
            let mut expected = pairs.clone();
            expected.sort();
            sort_by_key(&mut pairs, |pair| pair.0);
            prop_assert!(pairs.is_sorted_by_key(|pair| pair.0));
            pairs.sort();
            prop_assert_eq!(pairs, expected);
        }
    }

    #[test]
    fn no_order_takes_long() {
        const COUNT: u32 = 1 << 14;

        let orders: [fn(u32) -> u32; 4] = [|i| i, |i| COUNT - i, |i| i % 2, |i| i ^ 0x1555];
        for order in orders {
            let mut numbers: Vec<u32> = (0..COUNT).map(order).collect();
            let steps = Cell::new(0);
            sort_by_key(&mut numbers, |&number| {
                steps.set(steps.get() + 1);
                number
            });
            assert!(numbers.is_sorted());
            assert!(
                steps.get() < 4 * COUNT * COUNT.ilog2(),
                "{} keys",
                steps.get()
            );
        }
    }
}
