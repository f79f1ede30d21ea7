// SPDX-License-Identifier: GPL-2.0

//! Tests that images of other implementations are opened, read, checked and written, or refused for
//! a reason.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use btt::{
    check,
    image::Image, //
};
use btt_engine::{
    Btt,
    Media as _,
    MediaError,
    Sink,
    Source, //
};
use nd_format::{
    btt::Version,
    uuid::Uuid, //
};
use std::{
    path::PathBuf,
    process::Command, //
};
use tempfile::TempDir;

const NAMESPACE: &str = "12345678-1234-4234-8234-123456789abc";

/// Sectors as bytes.
struct Buffer(Vec<u8>);

impl Sink<Image> for Buffer {
    fn copy_from(&mut self, media: &Image, offset: u64, len: u32) -> Result<(), MediaError> {
        let start = self.0.len();
        self.0.resize(start + len as usize, 0);
        media.read_bytes(offset, &mut self.0[start..])
    }

    fn fill_zero(&mut self, len: u32) {
        self.0.resize(self.0.len() + len as usize, 0);
    }
}

impl Source<Image> for Buffer {
    fn copy_to(&mut self, media: &Image, offset: u64, len: u32) -> Result<(), MediaError> {
        media.write_bytes(offset, &self.0[..len as usize])
    }
}

struct Left {
    directory: TempDir,
}

impl Left {
    fn by(writer: &str, sector_size: u32) -> Self {
        let left = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let status = Command::new(env!("CARGO_BIN_EXE_btt-corrupt"))
            .arg(writer)
            .arg(left.path())
            .args(["--sector-size", &sector_size.to_string()])
            .args(["--namespace", NAMESPACE])
            .output()
            .unwrap();
        assert!(status.status.success(), "{writer}: {status:?}");
        assert_eq!(status.stdout, format!("{writer}\n").as_bytes());
        left
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn open(&self, version: Option<Version>) -> Result<btt_engine::Opened<Image>, String> {
        let image = Image::open(&self.path(), false).unwrap();
        let namespace = Uuid::parse(NAMESPACE.as_bytes()).unwrap();
        check::open(&image, version, namespace).map_err(|error| error.to_string())
    }
}

fn read(btt: &Btt<Image>, sector: u64) -> Option<Vec<u8>> {
    let mut buffer = Buffer(Vec::new());
    btt.read(sector, 1, &mut buffer, 0).ok().map(|()| buffer.0)
}

#[test]
fn what_others_leave_is_good() {
    for (writer, slots, lanes, has_marks) in [
        ("linux", [0, 1], 256, false),
        ("early-linux", [0, 2], 256, false),
        ("zero-flags", [0, 1], 256, false),
        ("pmemblk", [0, 1], 256, true),
        ("firmware", [0, 1], 256, true),
        ("many-lanes", [0, 1], 1024, false),
        ("few-lanes", [0, 1], 16, false),
    ] {
        for sector_size in [512, 520, 4096, 4224] {
            let left = Left::by(writer, sector_size);
            let opened = left.open(None).unwrap();
            let version = if writer == "firmware" { "2.0" } else { "1.1" };
            let report = check::report(&opened, true, |_| ()).unwrap();
            assert!(
                !report.is_damaged(),
                "{writer}: {:?}",
                report.arenas[0].problems
            );
            assert!(!report.recovery.is_needed(), "{writer}");
            assert_eq!(
                (report.version.as_str(), report.lba_size),
                (version, sector_size)
            );
            let arena = &report.arenas[0];
            assert_eq!((arena.flog_slots, arena.free_blocks), (slots, lanes));
            let marks = u32::from(has_marks);
            assert_eq!(
                (arena.map.normal, arena.map.zero, arena.map.error),
                (4, marks, marks)
            );

            let btt = &opened.btt;
            let sector = |byte| Some(vec![byte; btt.sector_size() as usize]);
            for (number, byte) in [(0, 1), (1, 2), (7, 8), (300, 50)] {
                assert_eq!(read(btt, number), sector(byte), "{writer}: sector {number}");
            }
            if has_marks {
                assert_eq!(read(btt, 5), sector(0));
                assert_eq!(read(btt, 9), None);
            }
            // Write on all lanes, so that the original entries are gone, and open the result once
            // more.
            let image = btt.media().clone();
            for turn in 0..u64::from(lanes) + 3 {
                let mut data = Buffer(vec![turn as u8; sector_size as usize]);
                btt.write(turn % 20, 1, &mut data, turn as usize).unwrap();
            }
            let namespace = Uuid::parse(NAMESPACE.as_bytes()).unwrap();
            let opened = check::open(&image, None, namespace).unwrap();
            let report = check::report(&opened, true, |_| ()).unwrap();
            assert!(
                !report.is_damaged(),
                "{writer}: {:?}",
                report.arenas[0].problems
            );
            assert_eq!(report.arenas[0].flog_slots, slots);
            assert_eq!(read(&opened.btt, 300), sector(50));
            let turn = (u64::from(lanes) + 2) as u8;
            assert_eq!(read(&opened.btt, (u64::from(lanes) + 2) % 20), sector(turn));
        }
    }
}

#[test]
fn what_is_not_where_it_belongs_is_refused() {
    let left = Left::by("misplaced", 4096);
    let words = "arena 0: version is 2.0, expected 1.1";
    assert_eq!(left.open(Some(Version::V1_1)).err().as_deref(), Some(words));
    assert_eq!(left.open(None).err().as_deref(), Some(words));

    // The parent of a pool is the pool, not a namespace.
    let left = Left::by("pmemblk", 512);
    let image = Image::open(&left.path(), false).unwrap();
    let error = check::open(&image, None, Uuid::NIL).err().unwrap();
    assert!(
        error.to_string().starts_with("parent_uuid is 12345678-"),
        "{error}"
    );
}
