// SPDX-License-Identifier: GPL-2.0

//! A BTT on such a medium, the contents that its sectors may have, and the verdict on what a power
//! failure leaves.

use super::medium::{
    Image,
    Medium,
    Words, //
};
use btt_engine::{
    create,
    Btt,
    CreateParams,
    IoError,
    OpenError,
    OpenParams,
    Opened, //
};
use nd_format::{
    btt::{
        LbaSize,
        Version, //
    },
    uuid::Uuid, //
};
use std::{
    collections::BTreeSet,
    ops::Range, //
};

/// The sectors that the tests use. The map words of the first half and those of the second half are
/// in two units of the map that can be lost separately, and have different locks.
pub(crate) const SECTORS: Range<u64> = 124..132;

/// Number of lanes of the arena.
const LANES: u32 = 6;

pub(crate) type Disk = Btt<Medium>;

pub(crate) fn params() -> OpenParams {
    OpenParams {
        version: Version::V1_1,
        namespace_uuid: Uuid::NIL,
        groups: 2,
    }
}

pub(crate) fn open(medium: &Medium) -> Result<Opened<Medium>, OpenError> {
    Btt::open(medium.clone(), &params())
}

/// Returns a new BTT whose [`SECTORS`] hold their numbers.
pub(crate) fn fresh() -> Image {
    let medium = Medium::new(&Image::new(), &[]);
    let params = CreateParams {
        version: Version::V1_1,
        uuid: Uuid::from_bytes([7; 16]),
        parent_uuid: Uuid::NIL,
        lba_size: LbaSize::from_bytes(4096).unwrap(),
        lanes: LANES,
    };
    create(&medium, &params).unwrap();
    let disk = open(&medium).unwrap().btt;
    for lba in SECTORS {
        write(&disk, lba, &[lba], 0).unwrap();
    }
    disk.write_back().unwrap();
    medium.image(|choices| choices - 1)
}

pub(crate) fn write(disk: &Disk, lba: u64, words: &[u64], cpu: usize) -> Result<(), IoError> {
    let mut source = Words::new(words.to_vec());
    disk.write(lba, words.len() as u64, &mut source, cpu)
}

pub(crate) fn read(disk: &Disk, lba: u64) -> Result<u64, IoError> {
    let mut sink = Words::new(Vec::new());
    disk.read(lba, 1, &mut sink, 0)?;
    Ok(sink.words()[0])
}

/// Returns the offset of the map word of a sector.
pub(crate) fn map_word(disk: &Disk, lba: u64) -> u64 {
    let arena = disk.arenas().next().unwrap();
    let premap = u32::try_from(lba).unwrap();
    4096 + arena.info.geometry.map_entry_offset(premap).unwrap()
}

/// The contents that each of the [`SECTORS`] may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Allowed(Vec<BTreeSet<u64>>);

impl Allowed {
    /// Returns what [`fresh`] has written.
    pub(crate) fn fresh() -> Self {
        Self(SECTORS.map(|lba| BTreeSet::from([lba])).collect())
    }

    fn sector(&mut self, lba: u64) -> &mut BTreeSet<u64> {
        &mut self.0[(lba - SECTORS.start) as usize]
    }

    /// Notes the result of a request that stores these words to sectors from `lba` on.
    pub(crate) fn note(&mut self, lba: u64, words: &[u64], result: Result<(), IoError>) {
        for (lba, &word) in (lba..).zip(words) {
            let sector = self.sector(lba);
            match result {
                Ok(()) => *sector = BTreeSet::from([word]),
                // Nothing was stored for it.
                Err(IoError::ReadOnly { .. }) => {}
                Err(_) => drop(sector.insert(word)),
            }
        }
    }

    pub(crate) fn set(&mut self, lba: u64, words: BTreeSet<u64>) {
        *self.sector(lba) = words;
    }

    /// Checks the sectors that can be read.
    pub(crate) fn check(&self, disk: &Disk) -> Result<(), String> {
        for (lba, allowed) in SECTORS.zip(&self.0) {
            match read(disk, lba) {
                Ok(word) if allowed.contains(&word) => {}
                Ok(word) => {
                    return Err(format!(
                        "sector {lba} holds {word}, expected one of {allowed:?}"
                    ))
                }
                // Without media errors every sector can be read.
                Err(error @ IoError::Media(_)) if disk.media().bad().is_empty() => {
                    return Err(format!("sector {lba}: {error}"))
                }
                Err(IoError::Media(_)) => {}
                Err(error) => return Err(format!("sector {lba}: {error}")),
            }
        }
        Ok(())
    }

    /// Opens what a power failure has left, without errors. Checks that each block has one owner,
    /// that sectors hold what they may, and that they still do after others were written through
    /// each lane.
    pub(crate) fn judge(&self, image: &Image) -> Result<(), String> {
        let medium = Medium::new(image, &[]);
        let disk = open(&medium).map_err(|error| error.to_string())?.btt;
        if disk.is_read_only() {
            return Err("it is read-only".into());
        }
        self.check(&disk)?;
        let report = disk.check().map_err(|error| format!("{error:?}"))?;
        if report.defects != 0 {
            return Err(report.to_string());
        }
        for round in 0..u64::from(LANES) {
            for cpu in 0..2 {
                let lba = SECTORS.end + 2 * round + cpu;
                write(&disk, lba, &[5000 + lba], cpu as usize)
                    .map_err(|error| error.to_string())?;
            }
        }
        self.check(&disk)
    }

    /// The same with the errors left as they are: the BTT opens, or the medium keeps it from
    /// opening.
    pub(crate) fn judge_bad(&self, image: &Image, bad: &[Range<u64>]) -> Result<(), String> {
        match open(&Medium::new(image, bad)) {
            Ok(opened) => self.check(&opened.btt),
            Err(OpenError::Media(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
