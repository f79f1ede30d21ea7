// SPDX-License-Identifier: GPL-2.0

//! Tests of the info block codec.

extern crate std;

use super::*;
use crate::btt::LbaSize;
use proptest::prelude::*;
use std::string::ToString;

const SIZE: u64 = 64 << 20;

const UUID: &str = "f0d64d51-7ad4-44e2-8757-6b8e8e4f7500";

fn place() -> Place {
    Place {
        version: Version::V2_0,
        namespace_uuid: Uuid::NIL,
        available: SIZE,
    }
}

fn info() -> Info {
    Info {
        uuid: Uuid::parse(UUID.as_bytes()).unwrap(),
        parent_uuid: Uuid::NIL,
        error: false,
        version: Version::V2_0,
        geometry: ArenaGeometry::new(SIZE, LbaSize::from_bytes(4096).unwrap()).unwrap(),
        next_offset: 0,
    }
}

fn encode(info: Info) -> [u8; INFO_LEN] {
    let mut block = [0xa5; INFO_LEN];
    info.encode(&mut block);
    block
}

/// Changes bytes of a block and corrects the checksum.
fn forge(block: &mut [u8; INFO_LEN], offset: usize, bytes: &[u8]) {
    block[offset..offset + bytes.len()].copy_from_slice(bytes);
    let sum = checksum(block);
    block[CHECKSUM_OFFSET..].copy_from_slice(&sum.to_le_bytes());
}

/// A block that the C driver wrote.
#[test]
fn vector() {
    let block = encode(info());
    assert_eq!(stored_checksum(&block), 0x29d8_a903_ca55_b75d);
    assert_eq!(&block[..16], b"BTT_ARENA_INFO\0\0");
    assert_eq!(block[52..56], [2, 0, 0, 0]);
    assert_eq!(block[72..80], [0, 1, 0, 0, 0, 16, 0, 0]);
    assert_eq!(block[112..120], 0x3fff000u64.to_le_bytes());
    assert!(block[120..CHECKSUM_OFFSET].iter().all(|&byte| byte == 0));
    assert_eq!(Info::decode(&block, &place()), Ok(info()));
}

#[test]
fn each_refusal_names_found_and_expected() {
    let decode = |block| Info::decode(block, &place()).unwrap_err().to_string();

    let mut block = encode(info());
    forge(&mut block, 0, b"BTT_ARENA_INFO\0\x01");
    assert_eq!(
        decode(&block),
        "signature is wrong, expected BTT_ARENA_INFO"
    );

    let mut block = encode(info());
    block[100] ^= 1;
    assert_eq!(
        decode(&block),
        "checksum is 0x29d8a903ca55b75d, expected 0x29d8aceaca55b75e"
    );

    let mut block = encode(info());
    forge(&mut block, 52, &[1, 0, 1, 0]);
    assert_eq!(decode(&block), "version is 1.1, expected 2.0");

    let mut block = encode(info());
    forge(&mut block, 32, &[7; 16]);
    assert_eq!(
        decode(&block),
        "parent_uuid is 07070707-0707-0707-0707-070707070707, expected 00000000-0000-0000-0000-000000000000 or zero"
    );

    let mut block = encode(info());
    forge(&mut block, 72, &[0, 0]);
    assert_eq!(decode(&block), "nfree is 0, expected at least 1");

    let mut block = encode(info());
    forge(&mut block, 80, &4096u64.to_le_bytes());
    assert_eq!(
        decode(&block),
        "nextoff is 0x1000, expected 0 or 0x4000000 to 0x3000000"
    );

    let mut block = encode(info());
    forge(&mut block, 56, &8192u32.to_le_bytes());
    assert_eq!(
        decode(&block),
        "external_lbasize is 8192, expected one of 512 520 528 4096 4104 4160 4224"
    );
}

#[test]
fn a_nil_parent_fits_every_namespace() {
    let namespace = Place {
        namespace_uuid: Uuid::from_bytes([9; 16]),
        ..place()
    };
    assert_eq!(Info::decode(&encode(info()), &namespace), Ok(info()));
    let own = Info {
        parent_uuid: Uuid::from_bytes([9; 16]),
        ..info()
    };
    assert_eq!(Info::decode(&encode(own), &namespace), Ok(own));
    assert!(Info::decode(&encode(own), &place()).is_err());
}

#[test]
fn remnants() {
    let block = encode(info());
    assert!(!is_remnant(&[0; INFO_LEN], &block));
    assert!(!is_remnant(&[0xff; INFO_LEN], &block));
    let nameless = encode(Info {
        uuid: Uuid::NIL,
        ..info()
    });
    assert!(!is_remnant(&[0; INFO_LEN], &nameless));
    let mut damaged = block;
    damaged[..512].fill(0);
    assert!(is_remnant(&damaged, &block));
    let mut damaged = block;
    damaged[32..].fill(0xff);
    assert!(is_remnant(&damaged, &block));
    // Every BTT has the signature.
    damaged[16..].fill(0xff);
    assert!(!is_remnant(&damaged, &block));
    // Every single word of a block that is written for the first time.
    for word in block
        .chunks_exact(8)
        .enumerate()
        .filter(|(_, word)| *word != [0; 8])
    {
        let (index, word) = word;
        let mut damaged = [0; INFO_LEN];
        damaged[index * 8..][..8].copy_from_slice(word);
        assert!(is_remnant(&damaged, &block));
        // Offsets alone may be part of any data.
        damaged[2048] = 1;
        assert_eq!(is_remnant(&damaged, &block), matches!(index, 2 | 3 | 511));
    }
}

proptest! {
    #[test]
    fn round_trip(
        size in prop_oneof![(1u64 << 24)..1 << 28, (1u64 << 24)..=1 << 39],
        lba_size in proptest::sample::select(&LbaSize::ALL),
        uuid: [u8; 16],
        error: bool,
        last: bool,
    ) {
        let geometry = ArenaGeometry::new(size, lba_size).unwrap();
        let info = Info {
            uuid: Uuid::from_bytes(uuid),
            parent_uuid: Uuid::NIL,
            error,
            version: Version::V1_1,
            geometry,
            next_offset: if last { 0 } else { size },
        };
        let place = Place {
            version: Version::V1_1,
            namespace_uuid: Uuid::NIL,
            available: size + ARENA_MIN,
        };
        prop_assert_eq!(Info::decode(&encode(info), &place), Ok(info));
    }

    #[test]
    fn one_flipped_bit_is_found(bit in 0usize..INFO_LEN * 8) {
        let mut block = encode(info());
        block[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Info::decode(&block, &place()).is_err());
    }

    #[test]
    fn forged_fields_never_panic(offset in 48usize..112, bytes: [u8; 8]) {
        let mut block = encode(info());
        forge(&mut block, offset, &bytes);
        if let Ok(info) = Info::decode(&block, &place()) {
            prop_assert!(info.geometry.end() <= SIZE);
        }
    }
}
