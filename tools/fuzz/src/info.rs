// SPDX-License-Identifier: GPL-2.0

//! Info blocks. A decoded block is encoded to the same block, except for reserved bits. The parts
//! of the arena are in order and within the available space.
//!
//! Input: 1 byte of flags (bit 0: version 2.0, bit 1: a namespace with a UUID, bit 2: leave the
//! checksum as it is), the number of bytes from the start of the arena to the end of the namespace
//! (8), the block.

use crate::input::Input;
use nd_format::{
    btt::{
        info::{
            checksum,
            is_remnant,
            parent_uuid,
            Place,
            INFO_LEN, //
        },
        ArenaGeometry,
        ArenaSpan,
        Info,
        InfoError,
        LbaSize,
        Version,
        INFO_SIZE, //
    },
    uuid::Uuid, //
};

const CHECKSUM: usize = INFO_LEN - 8;
const FLAGS: usize = 48;
const FIELDS_END: usize = 120;
const PARENT: Uuid = Uuid::from_bytes([0x17; 16]);

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let flags = input.u8();
    let place = Place {
        version: if flags & 1 == 0 {
            Version::V1_1
        } else {
            Version::V2_0
        },
        namespace_uuid: if flags & 2 == 0 { Uuid::NIL } else { PARENT },
        available: input.u64(),
    };
    let mut block = [0; INFO_LEN];
    let rest = input.take(INFO_LEN);
    block[..rest.len()].copy_from_slice(rest);
    if flags & 4 == 0 {
        seal(&mut block);
    }
    let info = match Info::decode(&block, &place) {
        Ok(info) => info,
        Err(error) => {
            // A whole block that names this namespace, or none, is an info block of this namespace,
            // whether it fits or not.
            let is_sealed = block[CHECKSUM..] == checksum(&block).to_le_bytes();
            let parent = parent_uuid(&block);
            let is_own = parent.is_nil() || parent == place.namespace_uuid;
            let is_whole = is_sealed && error != InfoError::Signature;
            assert_eq!(error.is_whole(), is_whole, "{error}");
            assert_eq!(error.is_misfit(), is_whole && is_own, "{error}");
            return drop(error.to_string());
        }
    };
    check_geometry(&info.geometry, place.available);
    assert!(info.next_offset == 0 || info.next_offset >= info.geometry.end());
    assert!(info.next_offset < place.available);

    let mut encoded = [0xff; INFO_LEN];
    info.encode(&mut encoded);
    assert_eq!(Info::decode(&encoded, &place), Ok(info));
    assert_eq!(encoded[..FLAGS], block[..FLAGS]);
    assert_eq!(encoded[FLAGS], block[FLAGS] & 1);
    assert_eq!(encoded[FLAGS + 4..FIELDS_END], block[FLAGS + 4..FIELDS_END]);

    // A block is a remnant of itself; a block of zeroes is none.
    assert!(is_remnant(&encoded, &encoded));
    assert!(!is_remnant(&[0; INFO_LEN], &encoded));
}

fn check_geometry(geometry: &ArenaGeometry, available: u64) {
    let parts = [
        (0, INFO_SIZE),
        (geometry.data_offset(), geometry.data_size()),
        (geometry.map_offset(), geometry.map_size()),
        (geometry.flog_offset(), geometry.flog_size()),
        (geometry.info2_offset(), INFO_SIZE),
        (available, 0),
    ];
    for pair in parts.windows(2) {
        let [(offset, size), (next, _)] = [pair[0], pair[1]];
        assert!(offset.checked_add(size).is_some_and(|end| end <= next));
    }
    assert_eq!(
        ArenaGeometry::from_media(&geometry.to_media(), available),
        Ok(*geometry)
    );
    let (sectors, blocks) = (geometry.external_nlba(), geometry.internal_nlba());
    let last = u64::from(geometry.internal_lba_size());
    assert!(geometry
        .block_offset(blocks - 1)
        .is_some_and(|offset| offset + last <= geometry.map_offset()));
    assert_eq!(geometry.block_offset(blocks), None);
    assert!(geometry.map_entry_offset(sectors - 1).is_some());
    assert_eq!(geometry.map_entry_offset(sectors), None);
    assert!(geometry.flog_group_offset(geometry.nfree() - 1).is_some());
    assert_eq!(geometry.flog_group_offset(geometry.nfree()), None);
}

/// Corrects the checksum of a block.
pub(crate) fn seal(block: &mut [u8; INFO_LEN]) {
    let sum = checksum(block);
    block[CHECKSUM..].copy_from_slice(&sum.to_le_bytes());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let cases = [
        (0u8, 16 << 20, LbaSize::ALL[3]),
        (1, 1 << 30, LbaSize::ALL[0]),
        (2, (1 << 39) + (16 << 20), LbaSize::ALL[6]),
    ];
    cases
        .into_iter()
        .filter_map(|(flags, size, lba_size)| {
            let span = ArenaSpan::at(0, size)?;
            let info = Info {
                uuid: Uuid::from_bytes([0x42; 16]),
                parent_uuid: if flags & 2 == 0 { Uuid::NIL } else { PARENT },
                error: false,
                version: if flags & 1 == 0 {
                    Version::V1_1
                } else {
                    Version::V2_0
                },
                geometry: ArenaGeometry::new(span.size, lba_size).ok()?,
                next_offset: span.next_offset(),
            };
            let mut block = [0; INFO_LEN];
            info.encode(&mut block);
            let size: u64 = size;
            Some([&[flags][..], &size.to_le_bytes(), &block[..FIELDS_END]].concat())
        })
        .collect()
}
