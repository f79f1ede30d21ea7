// SPDX-License-Identifier: GPL-2.0

//! A power failure while a BTT is created or its info block restored leaves no BTT or a whole one.

#![cfg(not(loom))]

mod support;

use btt_engine::{
    create,
    Btt,
    CreateParams,
    Media,
    MediaError, //
};
use nd_format::{
    btt::{
        Version,
        NFREE, //
    },
    uuid::Uuid, //
};
use rand::{
    rngs::SmallRng,
    RngExt,
    SeedableRng, //
};
use std::cell::RefCell;
use support::*;

/// The stores between two fences, as offsets and bytes.
type Epoch = Vec<(u64, Vec<u8>)>;

/// A medium that records every store, in epochs that end with a fence.
struct Recorder {
    ram: Ram,
    epochs: RefCell<Vec<Epoch>>,
}

impl Recorder {
    fn new(ram: &Ram) -> Self {
        Self {
            ram: ram.clone(),
            epochs: RefCell::new(vec![Vec::new()]),
        }
    }

    fn record(&self, offset: u64, bytes: &[u8]) {
        let mut epochs = self.epochs.borrow_mut();
        epochs.last_mut().unwrap().push((offset, bytes.to_vec()));
    }
}

impl Media for Recorder {
    fn size(&self) -> u64 {
        self.ram.size()
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        self.ram.load32(offset)
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.record(offset, &value.to_le_bytes());
        self.ram.store32(offset, value)
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.record(offset, &value.to_le_bytes());
        self.ram.store64(offset, value)
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        self.ram.read_bytes(offset, bytes)
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        self.record(offset, bytes);
        self.ram.write_bytes(offset, bytes)
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.record(offset, &vec![0; len as usize]);
        self.ram.zero(offset, len)
    }

    fn is_bad(&self, offset: u64, len: u64) -> bool {
        self.ram.is_bad(offset, len)
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.zero(offset, len)
    }

    fn flush(&self, _: u64, _: u64) {}

    fn fence(&self) -> Result<(), MediaError> {
        self.epochs.borrow_mut().push(Vec::new());
        self.ram.fence()
    }
}

/// Calls `check` with media as a power failure leaves them: all epochs up to some point are
/// complete, and any words of the next one are there. `check` also gets the number of that epoch.
fn power_failures(
    before: &[u8],
    epochs: &[Epoch],
    random: &mut SmallRng,
    check: impl Fn(&Ram, usize),
) {
    const IMAGES: usize = 12;
    let media = Ram::new(before.len() as u64);
    media.put(0, before);
    for (number, epoch) in epochs.iter().enumerate() {
        let whole = media.bytes();
        for image in 0..IMAGES {
            for (offset, bytes) in epoch {
                // Nothing of a store, all of it, or some of its words.
                match (image, random.random_range(0..3)) {
                    (0, _) | (_, 0) => {}
                    (1, _) | (_, 1) => media.put(*offset, bytes),
                    _ => {
                        for (word, bytes) in (*offset..).step_by(8).zip(bytes.chunks(8)) {
                            if random.random::<bool>() {
                                media.put(word, bytes);
                            }
                        }
                    }
                }
            }
            // Opening may restore and so change the image: each image is opened once and then
            // replaced.
            check(&media, number);
            media.put(0, &whole);
        }
        for (offset, bytes) in epoch {
            media.put(*offset, bytes);
        }
    }
}

#[test]
fn creation_leaves_none_or_a_whole_one() {
    let mut random = SmallRng::seed_from_u64(1);
    for version in [Version::V1_1, Version::V2_0] {
        let setup = Setup {
            version,
            ..Setup::default()
        };
        let params = CreateParams {
            version,
            uuid: Uuid::from_bytes([9; 16]),
            parent_uuid: Uuid::NIL,
            lba_size: setup.lba_size(),
            lanes: NFREE,
        };
        // An older BTT is there whose blocks are in no order, given up as by ndctl.
        let btt = setup.fresh(16 * MIB + version.initial_offset());
        for generation in 0..4 {
            write(&btt, 0, 500, generation, generation.into());
        }
        let media = btt.media().clone();
        media.fill(0..8192, 0);
        let before = media.bytes();
        let recorder = Recorder::new(&media);
        create(&recorder, &params).unwrap();
        let epochs = recorder.epochs.into_inner();
        let last = epochs.len() - 1;
        assert!(epochs[last].is_empty(), "everything is fenced");
        power_failures(&before, &epochs, &mut random, |media, epoch| {
            match setup.open(media) {
                Ok(opened) => {
                    assert!(epoch + 2 >= last, "open after epoch {epoch} of {last}");
                    assert_eq!(opened.btt.detected().uuid, params.uuid);
                    assert_eq!(opened.finished_writes, 0);
                    let sectors = opened.btt.sector_count();
                    read(&opened.btt, 0, sectors);
                }
                Err(error) => assert!(
                    error.permits_creation() && epoch < last,
                    "epoch {epoch}: {error}"
                ),
            }
        });
    }
}

#[test]
fn restoring_can_be_interrupted() {
    let mut random = SmallRng::seed_from_u64(2);
    let setup = Setup::default();
    let btt = setup.fresh(16 * MIB + 4096);
    write(&btt, 3, 50, 1, 0);
    let media = btt.media().clone();
    media.fill(4096..4096 + 512, 0xff);
    let before = media.bytes();
    let recorder = Recorder::new(&media);
    let opened = Btt::open(recorder, &setup.params()).unwrap();
    assert!(opened.restored.is_some());
    let epochs = opened.btt.media().epochs.borrow().clone();
    power_failures(&before, &epochs, &mut random, |media, _| {
        let opened = setup.open(media).unwrap();
        assert_eq!(read(&opened.btt, 3, 50), pattern(&opened.btt, 3, 50, 1));
    });
}
