// SPDX-License-Identifier: GPL-2.0

//! Images as other implementations leave them: early kernels, libpmemblk, firmware, and some that
//! no implementation should write.
//!
//! All images have one arena that fills the available space, and the same history: sectors 0, 1, 0,
//! 7 and 300 were written by lanes 0, 1, 2, 3 and 2. Every byte of a written sector is the sector
//! number modulo 251, plus 1.
//!
//! The images differ as [`Writer::style`] says. A test proves that of libpmemblk: its metadata
//! equal those of pools that the library created, byte for byte. The others follow the sources that
//! are cited at each.

use anyhow::{
    anyhow,
    Context,
    Result, //
};
use clap::ValueEnum;
use nd_format::{
    btt::{
        geometry::{
            MediaGeometry,
            FLOG_GROUP_SIZE,
            MAP_ENTRY_SIZE, //
        },
        info::INFO_LEN,
        ArenaGeometry,
        Info,
        LbaSize,
        Version,
        INFO_SIZE,
        NFREE, //
    },
    uuid::Uuid, //
};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path, //
};

/// Flag of a map word, and of a block number in the flog: the sector reads as zeroes.
const ZERO: u32 = 0b10 << 30;

/// Flag of a map word, and of a block number in the flog: the sector was lost to a media error.
const ERROR: u32 = 0b01 << 30;

/// Both flags: a sector with data.
const NORMAL: u32 = ZERO | ERROR;

/// Lane and sector of each write, in order.
const HISTORY: [(u32, u32); 5] = [(0, 0), (1, 1), (2, 0), (3, 7), (2, 300)];

/// Sectors that libpmemblk was told to zero, and to mark as bad, and their flags.
const MARKED: [(u32, u32); 2] = [(5, ZERO), (9, ERROR)];

/// The implementation that left an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Writer {
    /// Linux since 4.15.
    Linux,
    /// Linux before 4.15: 32 bytes for a log entry, so slots 0 and 2 are used. (Linux, commit
    /// 24e3a7fb60a9 "libnvdimm, btt: Fix an incompatibility in the log layout".)
    EarlyLinux,
    /// Systems that set the flag "zero" in block numbers of the log, which UEFI does not forbid.
    /// (Linux, commit 9dedc73a4658 "libnvdimm/btt: Fix LBA masking during 'free list' population".)
    ZeroFlags,
    /// libpmemblk 1.12.1 of PMDK, without the pool's header: flags in the log, and the pool's UUID
    /// as the parent.
    Pmemblk,
    /// Firmware whose BTT driver is derived from that of PMDK: the same with version 2.0 at the
    /// start. (ipmctl, DcpmPkg/driver/Core/Btt.c.)
    Firmware,
    /// More free blocks than any implementation creates: UEFI sets no limit but the number of
    /// blocks.
    ManyLanes,
    /// Fewer free blocks than the C driver accepts.
    FewLanes,
    /// Version 2.0 at the offset of version 1.1.
    Misplaced,
}

/// Properties in which implementations differ.
struct Style {
    version: Version,
    /// Bytes in front of the arena.
    origin: u64,
    lanes: u32,
    /// Indexes of the flog slots that are used.
    slots: [u64; 2],
    /// Flags of block numbers in the flog: in entries of a new arena, and in those of writes.
    flags: [u32; 2],
    /// `true` if there are [`MARKED`] sectors.
    marks: bool,
}

impl Writer {
    fn style(self) -> Style {
        let linux = Style {
            version: Version::V1_1,
            origin: Version::V1_1.initial_offset(),
            lanes: NFREE,
            slots: [0, 1],
            flags: [0, 0],
            marks: false,
        };
        let pmemblk = Style {
            flags: [ZERO, NORMAL],
            marks: true,
            ..linux
        };
        match self {
            Self::Linux => linux,
            Self::EarlyLinux => Style {
                slots: [0, 2],
                ..linux
            },
            Self::ZeroFlags => Style {
                flags: [ZERO, ZERO],
                ..linux
            },
            Self::Pmemblk => pmemblk,
            Self::Firmware => Style {
                version: Version::V2_0,
                origin: Version::V2_0.initial_offset(),
                ..pmemblk
            },
            Self::ManyLanes => Style {
                lanes: 1024,
                ..linux
            },
            Self::FewLanes => Style { lanes: 16, ..linux },
            Self::Misplaced => Style {
                version: Version::V2_0,
                ..linux
            },
        }
    }

    /// Creates an image of `size` bytes.
    pub(crate) fn make(
        self,
        path: &Path,
        size: u64,
        lba_size: LbaSize,
        [uuid, parent_uuid]: [Uuid; 2],
    ) -> Result<()> {
        let style = self.style();
        let geometry = style.geometry(size, lba_size)?;
        let file = File::create(path).with_context(|| path.display().to_string())?;
        file.set_len(size)?;
        let put = |offset: u64, bytes: &[u8]| file.write_all_at(bytes, style.origin + offset);

        let mut map = vec![0; geometry.external_nlba() as usize];
        let mut flog = style.new_flog(&geometry);
        for (lane, sector) in HISTORY {
            let block = flog.write(lane, sector, &mut map);
            // CAST: At most 251.
            let data = vec![(sector % 251 + 1) as u8; lba_size.bytes() as usize];
            put(geometry.block_offset(block).unwrap_or_default(), &data)?;
        }
        if style.marks {
            for (sector, flag) in MARKED {
                map[sector as usize] = flag | sector;
            }
        }
        put(geometry.map_offset(), &little_endian(&map))?;
        put(geometry.flog_offset(), &little_endian(&flog.words))?;

        let info = Info {
            uuid,
            parent_uuid,
            error: false,
            version: style.version,
            geometry,
            next_offset: 0,
        };
        let mut block = [0; INFO_LEN];
        info.encode(&mut block);
        put(geometry.info2_offset(), &block)?;
        put(0, &block)?;
        Ok(())
    }
}

impl Style {
    /// Returns the layout that all implementations use in this space, except for the number of
    /// lanes.
    fn geometry(&self, size: u64, lba_size: LbaSize) -> Result<ArenaGeometry> {
        let available = size.saturating_sub(self.origin);
        let flog_size = (FLOG_GROUP_SIZE * u64::from(self.lanes)).next_multiple_of(INFO_SIZE);
        let end = available - available % INFO_SIZE;
        let info2_offset = end.checked_sub(INFO_SIZE).context("there is no room")?;
        let flog_offset = info2_offset
            .checked_sub(flog_size)
            .filter(|&offset| offset > 2 * INFO_SIZE)
            .context("there is no room")?;
        let block_size = u64::from(lba_size.internal()) + MAP_ENTRY_SIZE;
        let blocks = u32::try_from((flog_offset - 2 * INFO_SIZE) / block_size)?;
        let sectors = blocks.checked_sub(self.lanes).context("there is no room")?;
        let map_size = (u64::from(sectors) * MAP_ENTRY_SIZE).next_multiple_of(INFO_SIZE);
        let media = MediaGeometry {
            external_lba_size: lba_size.bytes(),
            external_nlba: sectors,
            internal_lba_size: lba_size.internal(),
            internal_nlba: blocks,
            nfree: self.lanes,
            info_size: INFO_LEN as u32,
            data_offset: INFO_SIZE,
            map_offset: flog_offset - map_size,
            flog_offset,
            info2_offset,
        };
        ArenaGeometry::from_media(&media, available).map_err(|error| anyhow!("{error}"))
    }

    fn new_flog(&self, geometry: &ArenaGeometry) -> Flog {
        let mut flog = Flog {
            words: vec![0; (self.lanes as u64 * FLOG_GROUP_SIZE / 4) as usize],
            slots: self.slots,
            flags: self.flags[1],
            lanes: Vec::new(),
        };
        for lane in 0..self.lanes {
            let free = geometry.external_nlba() + lane;
            let block = free | self.flags[0];
            flog.put(lane, self.slots[0], [lane, block, block, 1]);
            flog.lanes.push((free, 1));
        }
        flog
    }
}

/// The flog as it will be on the medium, and the state of its lanes.
struct Flog {
    words: Vec<u32>,
    slots: [u64; 2],
    flags: u32,
    /// Free block and newest sequence number of each lane.
    lanes: Vec<(u32, u32)>,
}

impl Flog {
    fn put(&mut self, lane: u32, slot: u64, entry: [u32; 4]) {
        let first = (u64::from(lane) * FLOG_GROUP_SIZE / 4 + slot * 4) as usize;
        self.words[first..first + 4].copy_from_slice(&entry);
    }

    /// Writes a sector on a lane. Returns the block that holds it.
    fn write(&mut self, lane: u32, sector: u32, map: &mut [u32]) -> u32 {
        let word = &mut map[sector as usize];
        let old = if *word == 0 { sector } else { *word & !NORMAL };
        let (free, number) = self.lanes[lane as usize];
        let next = number % 3 + 1;
        *word = free | NORMAL;
        // The first write of a lane goes to its second slot; from then on the slots alternate.
        let older = self
            .slots
            .into_iter()
            .find(|&slot| self.words[(u64::from(lane) * 16 + slot * 4 + 3) as usize] != number);
        let entry = [sector, old | self.flags, free | self.flags, next];
        self.put(lane, older.unwrap_or_default(), entry);
        self.lanes[lane as usize] = (old, next);
        free
    }
}

fn little_endian(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{
        Digest as _,
        Sha256, //
    };

    /// Pools of 17 MiB of libpmemblk 1.12.1 (Debian 12) with the same history, created on a machine
    /// with 4 lanes: sector size, UUID and parent UUID, SHA-256 of info block, map, flog and copy.
    #[test]
    fn metadata_of_libpmemblk() {
        let pools = [
            (
                4096,
                "b4af903d-92f7-bc49-8d45-faad80898c12",
                "8afc57b4-701e-434b-98c6-86a0944ceab4",
                "11b74b6a0d9f87dee760b60a211a25d87400baf3e1c0ec92b5adee9d92e410d2",
            ),
            (
                512,
                "ecf94fe5-c688-ce4d-a1a1-41d75520ca2a",
                "14a2f246-1543-c34b-8b4f-090af94df235",
                "ef48bb5faddeb234e3d4931be1d984e6c063d9e2b54677850beeed42368b27a9",
            ),
        ];
        for (sector, uuid, parent, expected) in pools {
            // The bytes of a UUID in memory are those of its text.
            let uuids = [uuid, parent].map(|text| {
                let digits = text.replace('-', "");
                let byte = |index| u8::from_str_radix(&digits[2 * index..][..2], 16).unwrap();
                Uuid::from_bytes(std::array::from_fn(byte))
            });
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("image");
            // The image is a pool without its header. The 4096 bytes in front of the arena stand
            // for the header.
            let size = (17 << 20) - 4096;
            let lba_size = LbaSize::from_bytes(sector).unwrap();
            Writer::Pmemblk.make(&path, size, lba_size, uuids).unwrap();
            let image = std::fs::read(&path).unwrap();
            let geometry = Writer::Pmemblk.style().geometry(size, lba_size).unwrap();
            let arena = &image[4096..];
            let mut sum = Sha256::new();
            sum.update(&arena[..INFO_LEN]);
            sum.update(&arena[geometry.map_offset() as usize..geometry.end() as usize]);
            let found: String = sum
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(found, expected, "sectors of {sector} bytes");
        }
    }
}
