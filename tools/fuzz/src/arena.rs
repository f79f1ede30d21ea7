// SPDX-License-Identifier: GPL-2.0

//! Whole BTTs: a good one, of one or two arenas, is damaged where the input says, then found,
//! opened and used.
//!
//! - A probe stores nothing and comes to the same result as opening.
//! - Creation must not be permitted over an info block that can be recognised as one of this
//!   namespace, whether it fits or not. A BTT that is larger than its namespace is damaged.
//! - Opening a second time finds nothing left to do.
//! - The engine stays within the namespace, and aligned, whatever is on the medium ([`Sparse`]
//!   asserts it).
//! - What was just written is read back; what was just discarded reads as zeroes.
//!
//! Input: the BTT (1 byte, low half) and how much of its end the namespace lacks (high half); a
//! number of damages (1), each with a place (1 byte of kind, 4 of index), a length (1) and that
//! many bytes; then requests until the input ends (kind 1, sector 4, count 1).

use crate::{
    info::seal,
    input::Input,
    sparse::{
        Bytes,
        Fill,
        Pages,
        Sparse, //
    },
};
use btt_engine::{
    create,
    probe,
    Btt,
    CreateParams,
    Media as _,
    OpenError,
    OpenParams, //
};
use nd_format::{
    btt::{
        info::{
            Place,
            INFO_LEN, //
        },
        ArenaGeometry,
        ArenaSpan,
        Info,
        InfoError,
        LbaSize,
        Version,
        INFO_SIZE,
        NFREE, //
    },
    uuid::Uuid, //
};
use std::sync::{
    Arc,
    OnceLock, //
};

/// A BTT to start from.
#[derive(Clone, Copy)]
struct Base {
    version: Version,
    size: u64,
    lba_size: LbaSize,
}

const MIB: u64 = 1 << 20;

const BASES: [Base; 4] = [
    Base {
        version: Version::V1_1,
        size: 16 * MIB + 4096,
        lba_size: LbaSize::ALL[3],
    },
    Base {
        version: Version::V2_0,
        size: 16 * MIB,
        lba_size: LbaSize::ALL[0],
    },
    Base {
        version: Version::V1_1,
        size: 33 * MIB + 512,
        lba_size: LbaSize::ALL[5],
    },
    // Two arenas.
    Base {
        version: Version::V2_0,
        size: (1 << 39) + 16 * MIB,
        lba_size: LbaSize::ALL[3],
    },
];

impl Base {
    /// Returns the pages of the BTT, which is created once.
    fn pages(index: usize) -> Arc<Pages> {
        static MADE: [OnceLock<Arc<Pages>>; BASES.len()] = [const { OnceLock::new() }; BASES.len()];

        let base = BASES[index];
        let make = || {
            let medium = Sparse::new(base.size, Arc::default());
            let params = CreateParams {
                version: base.version,
                uuid: Uuid::from_bytes([0x42; 16]),
                parent_uuid: Uuid::NIL,
                lba_size: base.lba_size,
                lanes: NFREE,
            };
            // The namespace has space for an arena.
            let arenas = ArenaSpan::split(base.size - base.version.initial_offset()).count();
            assert!(arenas > 0);
            create(&&medium, &params).unwrap_or_else(|error| panic!("{error}"));
            Arc::new(medium.into_pages())
        };
        MADE[index].get_or_init(make).clone()
    }

    /// Returns the size of the namespace: whole, one page less, or a number of sixteenths less.
    fn cut_size(self, cut: u8) -> u64 {
        match cut {
            0 => self.size,
            1 => self.size - INFO_SIZE,
            _ => self.size - self.size / 16 * u64::from(cut - 1),
        }
    }

    /// Returns where an arena starts, and its geometry.
    fn arena(self, number: u32) -> (u64, ArenaGeometry) {
        let origin = self.version.initial_offset();
        let spans: Vec<_> = ArenaSpan::split(self.size - origin).collect();
        let span = spans[number as usize % spans.len()];
        let geometry = ArenaGeometry::new(span.size, self.lba_size);
        (
            origin + span.offset,
            geometry.unwrap_or_else(|error| panic!("{error}")),
        )
    }

    /// Damages the medium. `kind` says what `index` is a number of.
    fn damage(self, medium: &Sparse, kind: u8, index: u32, bytes: &[u8]) {
        let (start, geometry) = self.arena(u32::from(kind >> 7));
        let at = u64::from(index % INFO_LEN as u32);
        let copy = start + geometry.info2_offset();
        let map = geometry.map_entry_offset(index % geometry.external_nlba());
        let group = geometry.flog_group_offset(index % geometry.nfree());
        let end = start + geometry.end();
        match kind & 0x0f {
            0 => patch_info(medium, start, start, at, bytes),
            1 => patch_info(medium, copy, copy, at, bytes),
            // The first info block becomes a copy of the second one, with the damage.
            2 => patch_info(medium, copy, start, at, bytes),
            3 => medium.patch(start + at, bytes),
            4 => medium.patch(copy + at, bytes),
            5..=8 => medium.patch(start + map.unwrap_or_default(), bytes),
            9..=12 => {
                let within = u64::from(index >> 16) % 8 * 8;
                medium.patch(start + group.unwrap_or_default() + within, bytes);
            }
            13 => medium.patch(u64::from(index) % self.size, bytes),
            14 => {
                let offset = start + u64::from(index) * 512 % (end - start);
                medium.poison(offset..offset + bytes.len().max(1) as u64);
            }
            _ => {
                let places = [start, copy, start + geometry.flog_offset()];
                let offset = places[index as usize % places.len()];
                medium.poison(offset..offset + 1);
            }
        }
    }
}

/// Reads the info block at `from`, changes it, corrects its checksum and writes it to `to`.
fn patch_info(medium: &Sparse, from: u64, to: u64, at: u64, bytes: &[u8]) {
    let mut block = [0; INFO_LEN];
    medium.peek(from, &mut block);
    for (byte, new) in block.iter_mut().skip(at as usize).zip(bytes) {
        *byte = *new;
    }
    seal(&mut block);
    medium.patch(to, &block);
}

/// Checks that a BTT may be created where none was found: nothing there is an info block of this
/// namespace.
fn check_permission(medium: &Sparse, params: &OpenParams) {
    let start = params.version.initial_offset();
    let place = Place {
        version: params.version,
        namespace_uuid: params.namespace_uuid,
        available: medium.size() - start,
    };
    assert!(!medium.is_bad(start, INFO_SIZE), "it cannot be read");
    let (mut block, mut copy) = ([0; INFO_LEN], [0; INFO_LEN]);
    medium.peek(start, &mut block);
    match Info::decode(&block, &place) {
        Err(InfoError::ParentUuid { .. }) => return,
        Err(InfoError::Signature) => {}
        other => panic!("there is one: {other:?}"),
    }
    if block.iter().all(|&byte| byte == 0) {
        return;
    }
    let span = ArenaSpan::at(0, place.available).unwrap_or_else(|| panic!("there is no room"));
    let offset = span.size - span.size % INFO_SIZE - INFO_SIZE;
    if medium.is_bad(start + offset, INFO_SIZE) {
        return;
    }
    medium.peek(start + offset, &mut copy);
    let info = Info::decode(&copy, &place);
    assert!(info.is_err() || info.is_ok_and(|info| info.geometry.info2_offset() != offset));
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let which = input.u8();
    let (index, cut) = (usize::from(which & 0x0f) % BASES.len(), which >> 4);
    let base = BASES[index];
    let medium = Sparse::new(base.cut_size(cut), Base::pages(index));
    let damages = input.u8() % 16;
    for _ in 0..damages {
        let (kind, index, len) = (input.u8(), input.u32(), input.u8());
        base.damage(&medium, kind, index, input.take(len.into()));
    }
    let params = OpenParams {
        version: base.version,
        namespace_uuid: Uuid::NIL,
        groups: 3,
    };
    let probed = probe(&&medium, &params);
    assert_eq!(medium.stores(), 0, "looking has changed the medium");
    let opened = match (Btt::open(&medium, &params), probed) {
        (Ok(opened), Ok(probed)) => {
            assert_eq!(*opened.btt.detected(), probed);
            opened
        }
        (Err(error), Err(probed)) => {
            assert_eq!(error, probed);
            assert_eq!(medium.stores(), 0, "a refusal has changed the medium");
            if error.permits_creation() {
                check_permission(&medium, &params);
            }
            assert!(
                damages > 0 || matches!(error, OpenError::BadArena { arena: 0, .. }),
                "{error}"
            );
            return drop(error.to_string());
        }
        (opened, probed) => panic!("probed: {probed:?}, opened: {}", opened.is_ok()),
    };
    let again = Btt::open(&medium, &params).unwrap_or_else(|error| panic!("again: {error}"));
    assert_eq!((again.restored, again.finished_writes), (None, 0));
    use_it(&opened.btt, input);
}

/// Submits requests.
fn use_it(btt: &Btt<&Sparse>, mut input: Input<'_>) {
    let sectors = btt.sector_count();
    for number in 0..16 {
        if input.is_empty() {
            return;
        }
        let kind = input.u8();
        // Some are beyond the last sector.
        let lba = u64::from(input.u32()) % (sectors + 2);
        let count = u64::from(input.u8() % 70);
        let len = (count * u64::from(btt.sector_size())) as usize;
        let read = || {
            let mut sink = Bytes::default();
            btt.read(lba, count, &mut sink, number).map(|()| sink.0)
        };
        let (result, expected) = match kind % 3 {
            0 => match read() {
                Ok(bytes) => {
                    assert_eq!(bytes.len(), len);
                    continue;
                }
                Err(error) => (Err(error), 0),
            },
            1 => (btt.discard(lba, count), 0),
            _ => (btt.write(lba, count, &mut Fill(kind), number), kind),
        };
        if let Err(error) = result {
            drop(error.to_string());
            continue;
        }
        let found = read();
        assert!(
            found.is_ok_and(|bytes| bytes == vec![expected; len]),
            "{count} sectors at {lba} are not what was just written"
        );
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let requests: [&[u8]; 4] = [
        &[2, 7, 0, 0, 0, 3],
        &[0, 6, 0, 0, 0, 5],
        &[1, 8, 0, 0, 0, 40],
        &[5, 0xff, 0xff, 0, 0, 69],
    ];
    let requests = requests.concat();
    let damages: [&[u8]; 8] = [
        &[0],
        // An info block with another map offset, one of zeroes, one that cannot be read.
        &[1, 0, 96, 0, 0, 0, 3, 0, 0x20, 0],
        &[1, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0],
        &[1, 15, 0, 0, 0, 0, 1, 0],
        // Map entries: one block twice, one out of range.
        &[
            2, 5, 7, 0, 0, 0, 4, 9, 0, 0, 0xc0, 5, 8, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff,
        ],
        // The second slot of a lane: an interrupted write of sector 7.
        &[
            1, 9, 0, 0, 2, 0, 16, 7, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0,
        ],
        // The third slot of a lane, as older drivers use it.
        &[
            1, 9, 0, 0, 4, 0, 16, 7, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0,
        ],
        // A media error in a block.
        &[1, 14, 16, 0, 0, 0, 1, 0],
    ];
    (0..BASES.len() as u8)
        .flat_map(|base| {
            let requests = &requests;
            // Whole, one page less, and half of it.
            [0, 1, 9].into_iter().flat_map(move |cut| {
                damages.map(|damage| [&[base | cut << 4], damage, requests].concat())
            })
        })
        .collect()
}
