// SPDX-License-Identifier: GPL-2.0

//! Map words: a decoded word is encoded to the same word, except for the block number of an initial
//! one, which is ignored.

use crate::input::Input;
use nd_format::btt::{
    MapEntry,
    MapState, //
};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let (word, premap) = (input.u32(), input.u32() & 0x3fff_ffff);
        let entry = MapEntry::decode(word, premap);
        assert!(entry.block < 1 << 30);
        let encoded = entry.encode();
        if entry.state == MapState::Initial {
            assert_eq!((encoded, entry.block), (0, premap));
        } else {
            assert_eq!(encoded, word);
        }
        assert_eq!(MapEntry::decode(encoded, premap), entry);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [0u32, 0x4000_0007, 0x8000_0007, 0xc000_0007, u32::MAX]
        .into_iter()
        .map(|word| [word.to_le_bytes(), 7u32.to_le_bytes()].concat())
        .collect()
}
