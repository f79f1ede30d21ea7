// SPDX-License-Identifier: GPL-2.0

//! A medium in memory that can be given errors, and buffers of whole sectors.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use btt_engine::{
    create,
    Btt,
    CreateParams,
    Media,
    MediaError,
    OpenError,
    OpenParams,
    Opened,
    Sink,
    Source, //
};
use nd_format::{
    btt::{
        ArenaGeometry,
        LbaSize,
        MapEntry,
        Version,
        NFREE, //
    },
    uuid::Uuid, //
};
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc,
        Mutex, //
    },
};

pub const MIB: u64 = 1 << 20;

pub const UUID: Uuid = Uuid::from_bytes([0x42; 16]);

/// A medium in memory. Clones share the bytes.
#[derive(Clone)]
pub struct Ram(Arc<Mutex<State>>);

struct State {
    bytes: Vec<u8>,
    poison: Vec<Range<u64>>,
    clearable: bool,
    fences: usize,
    failing_fence: Option<usize>,
    failing_word: Option<u64>,
    stores: usize,
    read_only: bool,
}

impl State {
    fn range(&self, offset: u64, len: u64) -> Result<Range<usize>, MediaError> {
        let end = offset
            .checked_add(len)
            .filter(|&end| end <= self.bytes.len() as u64);
        let end = end.ok_or(MediaError::OutOfRange { offset, len })?;
        Ok(offset as usize..end as usize)
    }

    fn good_to_store(&self, offset: u64, len: u64) -> Result<Range<usize>, MediaError> {
        if self.failing_word == Some(offset) {
            return Err(MediaError::Poison { offset, len });
        }
        self.good(offset, len)
    }

    fn is_bad(&self, offset: u64, len: u64) -> bool {
        self.poison
            .iter()
            .any(|bad| bad.start < offset + len && offset < bad.end)
    }

    fn good(&self, offset: u64, len: u64) -> Result<Range<usize>, MediaError> {
        let range = self.range(offset, len)?;
        if self.is_bad(offset, len) {
            return Err(MediaError::Poison { offset, len });
        }
        Ok(range)
    }

    fn heal(&mut self, offset: u64, len: u64) -> Result<Range<usize>, MediaError> {
        let range = self.range(offset, len)?;
        if self.is_bad(offset, len) && !self.clearable {
            return Err(MediaError::Poison { offset, len });
        }
        self.poison
            .retain(|bad| !(offset <= bad.start && bad.end <= offset + len));
        Ok(range)
    }
}

impl Ram {
    pub fn new(size: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes: vec![0; size as usize],
            poison: Vec::new(),
            clearable: true,
            fences: 0,
            failing_fence: None,
            failing_word: None,
            stores: 0,
            read_only: false,
        })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn poison(&self, range: Range<u64>) {
        self.state().poison.push(range);
    }

    /// Makes everything readable again, as it was.
    pub fn forget_poison(&self) {
        self.state().poison.clear();
    }

    /// Makes the medium report that it is read-only, or writable.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    pub fn set_clearable(&self, clearable: bool) {
        self.state().clearable = clearable;
    }

    /// Makes a fence fail, after `count` others.
    pub fn fail_fence(&self, count: usize) {
        let mut state = self.state();
        state.failing_fence = Some(state.fences + count);
    }

    /// Makes stores of the word at `offset` fail, or none any more.
    pub fn fail_stores(&self, offset: Option<u64>) {
        self.state().failing_word = offset;
    }

    pub fn fences(&self) -> usize {
        self.state().fences
    }

    /// Returns the number of stores of metadata and data so far.
    pub fn stores(&self) -> usize {
        self.state().stores
    }

    pub fn is_bad_at(&self, offset: u64) -> bool {
        self.state().is_bad(offset, 1)
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    pub fn fill(&self, range: Range<u64>, byte: u8) {
        self.state().bytes[range.start as usize..range.end as usize].fill(byte);
    }

    pub fn put(&self, offset: u64, bytes: &[u8]) {
        self.state().bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn get<const N: usize>(&self, offset: u64) -> [u8; N] {
        self.state().bytes[offset as usize..][..N]
            .try_into()
            .unwrap()
    }

    pub fn word(&self, offset: u64) -> u32 {
        u32::from_le_bytes(self.get(offset))
    }

    pub fn long(&self, offset: u64) -> u64 {
        u64::from_le_bytes(self.get(offset))
    }
}

impl Media for Ram {
    fn is_read_only(&self) -> bool {
        self.state().read_only
    }

    fn size(&self) -> u64 {
        self.state().bytes.len() as u64
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        assert_eq!(offset % 4, 0);
        let state = self.state();
        let range = state.good(offset, 4)?;
        Ok(u32::from_le_bytes(state.bytes[range].try_into().unwrap()))
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        assert_eq!(offset % 4, 0);
        let mut state = self.state();
        let range = state.good_to_store(offset, 4)?;
        state.stores += 1;
        state.bytes[range].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        assert_eq!(offset % 8, 0);
        let mut state = self.state();
        let range = state.good_to_store(offset, 8)?;
        state.stores += 1;
        state.bytes[range].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        let state = self.state();
        let range = state.good(offset, bytes.len() as u64)?;
        bytes.copy_from_slice(&state.bytes[range]);
        Ok(())
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let mut state = self.state();
        let range = state.heal(offset, bytes.len() as u64)?;
        state.stores += 1;
        state.bytes[range].copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        let mut state = self.state();
        let range = state.heal(offset, len)?;
        state.stores += 1;
        state.bytes[range].fill(0);
        Ok(())
    }

    fn is_bad(&self, offset: u64, len: u64) -> bool {
        self.state().is_bad(offset, len)
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.zero(offset, len)
    }

    fn flush(&self, offset: u64, len: u64) {
        self.state().range(offset, len).unwrap();
    }

    fn fence(&self) -> Result<(), MediaError> {
        let mut state = self.state();
        state.fences += 1;
        if state.failing_fence == Some(state.fences - 1) {
            return Err(MediaError::Flush);
        }
        Ok(())
    }
}

/// Data of sectors, to be written or read.
pub struct Buffer {
    pub bytes: Vec<u8>,
    position: usize,
}

impl Buffer {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, position: 0 }
    }

    fn next(&mut self, len: u32) -> &mut [u8] {
        let start = self.position;
        self.position += len as usize;
        &mut self.bytes[start..self.position]
    }
}

impl Source<Ram> for Buffer {
    fn copy_to(&mut self, media: &Ram, offset: u64, len: u32) -> Result<(), MediaError> {
        let bytes = self.next(len);
        let mut state = media.state();
        let range = state.range(offset, len.into())?;
        state.stores += 1;
        state.bytes[range].copy_from_slice(bytes);
        Ok(())
    }
}

impl Sink<Ram> for Buffer {
    fn copy_from(&mut self, media: &Ram, offset: u64, len: u32) -> Result<(), MediaError> {
        let bytes = self.next(len);
        media.read_bytes(offset, bytes)
    }

    fn fill_zero(&mut self, len: u32) {
        self.next(len).fill(0);
    }
}

/// How a BTT is created and opened.
#[derive(Clone, Copy)]
pub struct Setup {
    pub version: Version,
    pub lba_size: u32,
    pub groups: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            version: Version::V1_1,
            lba_size: 4096,
            groups: 2,
        }
    }
}

impl Setup {
    pub fn lba_size(&self) -> LbaSize {
        LbaSize::from_bytes(self.lba_size).unwrap()
    }

    pub fn params(&self) -> OpenParams {
        OpenParams {
            version: self.version,
            namespace_uuid: Uuid::NIL,
            groups: self.groups,
        }
    }

    /// Creates a BTT.
    pub fn create(&self, media: &Ram) {
        let params = CreateParams {
            version: self.version,
            uuid: UUID,
            parent_uuid: Uuid::NIL,
            lba_size: self.lba_size(),
            lanes: NFREE,
        };
        create(media, &params).unwrap();
    }

    /// Creates a BTT and opens it.
    pub fn fresh(&self, size: u64) -> Btt<Ram> {
        let media = Ram::new(size);
        self.create(&media);
        self.open(&media).unwrap().btt
    }

    pub fn open(&self, media: &Ram) -> Result<Opened<Ram>, OpenError> {
        Btt::open(media.clone(), &self.params())
    }
}

/// Returns contents of `count` sectors that differ from all others.
pub fn pattern(btt: &Btt<Ram>, lba: u64, count: u64, generation: u8) -> Vec<u8> {
    let size = btt.sector_size() as usize;
    (lba..lba + count)
        .flat_map(|lba| {
            let stamp = lba.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(generation) << 56;
            stamp.to_le_bytes().into_iter().cycle().take(size)
        })
        .collect()
}

pub fn write(btt: &Btt<Ram>, lba: u64, count: u64, generation: u8, cpu: usize) {
    let mut source = Buffer::new(pattern(btt, lba, count, generation));
    btt.write(lba, count, &mut source, cpu).unwrap();
}

pub fn read(btt: &Btt<Ram>, lba: u64, count: u64) -> Vec<u8> {
    let mut sink = Buffer::new(vec![0xee; (count * u64::from(btt.sector_size())) as usize]);
    btt.read(lba, count, &mut sink, 0).unwrap();
    sink.bytes
}

/// Returns where the only arena is on the medium, and its geometry.
pub fn parts(btt: &Btt<Ram>) -> (u64, ArenaGeometry) {
    let arena = btt.arenas().next().unwrap();
    (btt.detected().version.initial_offset(), arena.info.geometry)
}

pub fn map_offset(btt: &Btt<Ram>, premap: u32) -> u64 {
    let (origin, geometry) = parts(btt);
    origin + geometry.map_entry_offset(premap).unwrap()
}

pub fn block_offset(btt: &Btt<Ram>, block: u32) -> u64 {
    let (origin, geometry) = parts(btt);
    origin + geometry.block_offset(block).unwrap()
}

pub fn entry(btt: &Btt<Ram>, premap: u32) -> MapEntry {
    MapEntry::decode(btt.media().word(map_offset(btt, premap)), premap)
}

/// Opens the medium again and checks that every block is mapped or free, once.
pub fn assert_permutation(setup: &Setup, media: &Ram) {
    let btt = setup.open(media).unwrap().btt;
    for arena in btt.arenas() {
        let start = setup.version.initial_offset() + arena.offset;
        let geometry = arena.info.geometry;
        let word = |premap| media.word(start + geometry.map_entry_offset(premap).unwrap());
        let mut blocks: BTreeSet<u32> = (0..geometry.external_nlba())
            .map(|premap| MapEntry::decode(word(premap), premap).block)
            .collect();
        for lane in 0..geometry.nfree() {
            let group = start + geometry.flog_group_offset(lane).unwrap();
            let slot = |slot: usize| (0..4).map(move |field| group + slot as u64 * 16 + field * 4);
            let group = [0, 1, 2, 3].map(|number| {
                let fields: Vec<u32> = slot(number).map(|offset| media.word(offset)).collect();
                nd_format::btt::flog::RawSlot {
                    lba: fields[0],
                    old_map: fields[1],
                    new_map: fields[2],
                    seq: fields[3],
                }
            });
            blocks.insert(arena.flog_layout.newest(&group).unwrap().entry.old);
        }
        assert_eq!(blocks.len(), geometry.internal_nlba() as usize);
        assert_eq!(blocks.last(), Some(&(geometry.internal_nlba() - 1)));
    }
}
