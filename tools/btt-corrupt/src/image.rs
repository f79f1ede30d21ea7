// SPDX-License-Identifier: GPL-2.0

//! An image with one arena, and functions that damage it.

use anyhow::{
    anyhow,
    bail,
    Result, //
};
use btt::{
    image::Image,
    tables, //
};
use btt_engine::{
    create,
    ArenaInfo,
    Btt,
    CreateParams,
    Media,
    MediaError,
    OpenParams,
    Source, //
};
use nd_format::{
    btt::{
        flog::{
            RawSlot,
            SLOT_SIZE, //
        },
        info::{
            checksum,
            INFO_LEN, //
        },
        FlogEntry,
        FlogLayout,
        LbaSize,
        MapEntry,
        Version,
        NFREE, //
    },
    uuid::Uuid, //
};
use rand::{
    rngs::SmallRng,
    RngExt, //
};
use std::{
    fs::File,
    path::Path, //
};

/// Source of sectors in which all bytes are the same.
struct Fill(u8);

impl Source<Image> for Fill {
    fn copy_to(&mut self, media: &Image, offset: u64, len: u32) -> Result<(), MediaError> {
        media.write_bytes(offset, &vec![self.0; len as usize])
    }
}

/// An image with a BTT that has been written to.
pub(crate) struct Subject {
    image: Image,
    start: u64,
    arena: ArenaInfo,
}

impl Subject {
    /// Creates an image with a BTT and writes to it.
    pub(crate) fn make(path: &Path, size: u64, random: &mut SmallRng) -> Result<Self> {
        File::create(path)?.set_len(size)?;
        let image = Image::open(path, true)?;
        image.write_through(|_| ());
        let lba_size = if random.random() { 512 } else { 4096 };
        let params = CreateParams {
            version: Version::V1_1,
            uuid: Uuid::from_bytes([7; 16]),
            parent_uuid: Uuid::NIL,
            lba_size: LbaSize::from_bytes(lba_size).ok_or_else(|| anyhow!("no such size"))?,
            lanes: NFREE,
        };
        create(&image, &params).map_err(|error| anyhow!("{error}"))?;
        if random.random_range(0..4) == 0 {
            make_legacy(&image)?;
        }
        let btt = open(&image)?;
        for request in 0..random.random_range(1..40u8) {
            let count = random.random_range(1..20);
            let lba = random.random_range(0..btt.sector_count() - count);
            let done = if random.random_range(0..6) == 0 {
                btt.discard(lba, count)
            } else {
                btt.write(lba, count, &mut Fill(request), 0)
            };
            done.map_err(|error| anyhow!("{error}"))?;
        }
        let (start, arena) = only_arena(&btt)?;
        Ok(Self {
            image,
            start,
            arena,
        })
    }

    pub(crate) fn sectors(&self) -> u32 {
        self.arena.info.geometry.external_nlba()
    }

    pub(crate) fn lanes(&self) -> u32 {
        self.arena.info.geometry.nfree()
    }

    /// Returns the offset of the first info block.
    pub(crate) fn first(&self) -> u64 {
        self.start
    }

    /// Returns the offset of its copy.
    pub(crate) fn copy(&self) -> u64 {
        self.start + self.arena.info.geometry.info2_offset()
    }

    pub(crate) fn put(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        put(&self.image, offset, bytes)
    }

    /// Changes eight bytes of an info block, but not its whole signature or its whole UUID.
    pub(crate) fn scribble(&self, offset: u64, random: &mut SmallRng) -> Result<()> {
        let within = random.random_range(40..INFO_LEN as u64 - 16);
        let mut bytes = [0; 8];
        tables::read(&self.image, offset + within, &mut bytes)?;
        self.put(offset + within, &bytes.map(|byte| byte ^ 0x5a))
    }

    /// Changes both info blocks and corrects their checksums.
    pub(crate) fn edit_infos(&self, edit: impl Fn(&mut [u8; INFO_LEN])) -> Result<()> {
        let mut block = [0; INFO_LEN];
        tables::read(&self.image, self.first(), &mut block)?;
        edit(&mut block);
        let sum = checksum(&block);
        block[INFO_LEN - 8..].copy_from_slice(&sum.to_le_bytes());
        self.put(self.copy(), &block)?;
        self.put(self.first(), &block)
    }

    fn map_offset(&self, sector: u32) -> u64 {
        let offset = self.arena.info.geometry.map_entry_offset(sector);
        self.start + offset.unwrap_or_default()
    }

    pub(crate) fn set_map(&self, sector: u32, word: u32) -> Result<()> {
        self.put(self.map_offset(sector), &word.to_le_bytes())
    }

    /// Returns the block that holds a sector.
    pub(crate) fn block_of(&self, sector: u32) -> Result<u32> {
        let mut word = [0; 4];
        tables::read(&self.image, self.map_offset(sector), &mut word)?;
        Ok(MapEntry::decode(u32::from_le_bytes(word), sector).block)
    }

    /// Sets all map entries to those of a new BTT.
    pub(crate) fn lose_map(&self) -> Result<()> {
        let len = self.arena.info.geometry.map_size() as usize;
        self.put(self.map_offset(0), &vec![0; len])
    }

    /// Returns the newest entry of a lane.
    fn newest(&self, lane: u32) -> Result<FlogEntry> {
        tables::flog_entry(&self.image, self.start, &self.arena, lane)
    }

    pub(crate) fn free_block(&self, lane: u32) -> Result<u32> {
        Ok(self.newest(lane)?.old)
    }

    /// Writes a slot of a lane's group.
    fn put_slot(&self, lane: u32, slot: usize, raw: RawSlot) -> Result<()> {
        let group = self.arena.info.geometry.flog_group_offset(lane);
        let offset = self.start + group.unwrap_or_default() + slot as u64 * SLOT_SIZE;
        let bytes: Vec<u8> = raw
            .halves()
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        self.put(offset, &bytes)
    }

    /// Returns the used slots of a lane, as they are on the image.
    fn used(&self, lane: u32) -> Result<[RawSlot; 2]> {
        let group = tables::flog_group(&self.image, self.start, &self.arena.info.geometry, lane)?;
        Ok(self.arena.flog_layout.slots().map(|slot| group[slot]))
    }

    /// Begins a write of sector `lane` on a lane and stops before the map is updated.
    pub(crate) fn interrupt(&self, lane: u32) -> Result<()> {
        let newest = self.newest(lane)?;
        let old = self.block_of(lane)?;
        let next = FlogEntry {
            lba: lane,
            old,
            old_bad: false,
            new: newest.old,
            seq: newest.seq.next(),
        };
        let [first, _] = self.used(lane)?;
        let older = usize::from(first.seq == newest.seq.number());
        self.put_slot(lane, self.arena.flog_layout.slots()[older], next.encode())
    }

    /// Changes `lba`, `old_map` and `new_map` of the newest entry of a lane.
    pub(crate) fn edit_newest(&self, lane: u32, edit: impl Fn(&mut [u32; 3])) -> Result<()> {
        let newest = self.newest(lane)?.seq.number();
        let used = self.used(lane)?;
        let Some(index) = used.iter().position(|slot| slot.seq == newest) else {
            bail!("lane {lane} has no newest entry");
        };
        let RawSlot {
            lba,
            old_map,
            new_map,
            seq,
        } = used[index];
        let mut fields = [lba, old_map, new_map];
        edit(&mut fields);
        let [lba, old_map, new_map] = fields;
        let raw = RawSlot {
            lba,
            old_map,
            new_map,
            seq,
        };
        self.put_slot(lane, self.arena.flog_layout.slots()[index], raw)
    }

    /// Sets the sequence numbers of a lane's used slots.
    pub(crate) fn set_numbers(&self, lane: u32, numbers: [u32; 2]) -> Result<()> {
        let newest = self.newest(lane)?.encode();
        let slots = self.arena.flog_layout.slots();
        for (slot, seq) in slots.into_iter().zip(numbers) {
            self.put_slot(lane, slot, RawSlot { seq, ..newest })?;
        }
        Ok(())
    }

    /// Writes to all slots of a lane.
    pub(crate) fn use_all_slots(&self, lane: u32) -> Result<()> {
        let newest = self.newest(lane)?.encode();
        (1..4).try_for_each(|slot| self.put_slot(lane, slot, RawSlot { seq: 2, ..newest }))
    }
}

fn put(image: &Image, offset: u64, bytes: &[u8]) -> Result<()> {
    let written = image.write_bytes(offset, bytes);
    written.map_err(|error| anyhow!("{error}"))
}

fn open(image: &Image) -> Result<Btt<Image>> {
    let params = OpenParams {
        version: Version::V1_1,
        namespace_uuid: Uuid::NIL,
        groups: 1,
    };
    let opened = Btt::open(image.clone(), &params);
    Ok(opened.map_err(|error| anyhow!("{error}"))?.btt)
}

fn only_arena(btt: &Btt<Image>) -> Result<(u64, ArenaInfo)> {
    let mut arenas = btt.arenas();
    match (arenas.next(), arenas.next()) {
        (Some(arena), None) => Ok((Version::V1_1.initial_offset() + arena.offset, arena)),
        _ => bail!("the image has more than one arena"),
    }
}

/// Converts a new BTT to the layout of Linux before 4.15, which used the first and the third slot
/// of a flog group.
fn make_legacy(image: &Image) -> Result<()> {
    let (start, arena) = only_arena(&open(image)?)?;
    let geometry = &arena.info.geometry;
    let entry = FlogEntry::initial(0, geometry.external_nlba());
    let written = FlogEntry {
        seq: entry.seq.next(),
        ..entry
    };
    let group = start + geometry.flog_group_offset(0).unwrap_or_default();
    let slot = FlogLayout::Legacy.slots()[1] as u64 * SLOT_SIZE;
    let halves = written.encode().halves();
    for (offset, half) in (group + slot..).step_by(8).zip(halves) {
        put(image, offset, &half.to_le_bytes())?;
    }
    Ok(())
}
