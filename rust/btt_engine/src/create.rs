// SPDX-License-Identifier: GPL-2.0

//! Creating a BTT, so that a power failure leaves either a complete one or none.
//!
//! Order of the stores:
//!
//! 1. erase the places of all info blocks, then a fence;
//! 2. write the maps and flogs of all arenas, then a fence;
//! 3. write the info blocks, from the last arena to the first one, and in each arena the copy
//!    before the first info block, with a fence after each of them.
//!
//! A driver that finds the first info block of the first arena therefore finds everything else.

use crate::{
    discover::InfoBuffer,
    error::OpenError,
    media::{
        Media,
        MediaError, //
    },
};
use core::fmt;
use nd_format::{
    btt::{
        flog::{
            HALF_SIZE,
            SLOT_SIZE, //
        },
        ArenaGeometry,
        ArenaSpan,
        FlogEntry,
        GeometryError,
        Info,
        LbaSize,
        Version,
        INFO_SIZE, //
    },
    uuid::Uuid, //
};

/// Number of bytes that are zeroed at a time.
const CHUNK: u64 = 2 << 20;

/// Parameters of a new BTT.
#[derive(Clone, Copy, Debug)]
pub struct CreateParams {
    /// Version of the layout, which depends on the class of the namespace.
    pub version: Version,
    /// UUID of the BTT.
    pub uuid: Uuid,
    /// UUID of the namespace; nil if it has none.
    pub parent_uuid: Uuid,
    /// Size of a sector in bytes, with its metadata.
    pub lba_size: LbaSize,
    /// Number of lanes of an arena: [`NFREE`](nd_format::btt::NFREE). Tests use fewer, so that
    /// writers have to share them.
    pub lanes: u32,
}

/// Why a BTT could not be created.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CreateError {
    /// The namespace is too small for an arena.
    TooSmall {
        /// Number of bytes that a BTT could use.
        size: u64,
    },
    /// An arena cannot be laid out.
    Geometry(GeometryError),
    /// The medium failed.
    Media(MediaError),
    /// There is not enough memory.
    NoMemory,
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSmall { size } => OpenError::TooSmall { size }.fmt(f),
            Self::Geometry(error) => error.fmt(f),
            Self::Media(error) => error.fmt(f),
            Self::NoMemory => OpenError::NoMemory.fmt(f),
        }
    }
}

impl From<MediaError> for CreateError {
    fn from(error: MediaError) -> Self {
        Self::Media(error)
    }
}

/// Creates a BTT on `media`, whatever is there, with all sectors in their initial state.
///
/// Data blocks are not touched: until a sector is written it reads as what the medium held before.
pub fn create<M: Media>(media: &M, params: &CreateParams) -> Result<(), CreateError> {
    let origin = params.version.initial_offset();
    let size = media.size().saturating_sub(origin);
    let arenas = || {
        ArenaSpan::split(size).map(|span| {
            let geometry = ArenaGeometry::new(span.size, params.lba_size)
                .map_err(CreateError::Geometry)?
                .with_lanes(params.lanes);
            Ok::<_, CreateError>((origin + span.offset, span, geometry))
        })
    };
    if arenas().next().is_none() {
        return Err(CreateError::TooSmall { size });
    }
    let mut block = InfoBuffer::new().map_err(|_| CreateError::NoMemory)?;

    for arena in arenas() {
        let (start, _, geometry) = arena?;
        media.zero(start, INFO_SIZE)?;
        media.zero(start + geometry.info2_offset(), INFO_SIZE)?;
    }
    media.fence()?;

    for arena in arenas() {
        let (start, _, geometry) = arena?;
        write_tables(media, start, &geometry)?;
    }
    media.fence()?;

    for arena in arenas().rev() {
        let (start, span, geometry) = arena?;
        let info = Info {
            uuid: params.uuid,
            parent_uuid: params.parent_uuid,
            error: false,
            version: params.version,
            geometry,
            next_offset: span.next_offset(),
        };
        let Some(block) = block.as_array() else {
            return Err(CreateError::NoMemory);
        };
        info.encode(block);
        for offset in [start + geometry.info2_offset(), start] {
            media.write_bytes(offset, block)?;
            media.fence()?;
        }
    }
    Ok(())
}

/// Writes the map and the flog of a new arena, without a fence.
fn write_tables<M: Media>(
    media: &M,
    start: u64,
    geometry: &ArenaGeometry,
) -> Result<(), MediaError> {
    let (mut offset, end) = (geometry.map_offset(), geometry.info2_offset());
    while offset < end {
        let len = CHUNK.min(end - offset);
        media.zero(start + offset, len)?;
        offset += len;
    }
    for lane in 0..geometry.nfree() {
        let Some(group) = geometry.flog_group_offset(lane) else {
            break;
        };
        let halves = FlogEntry::initial(lane, geometry.external_nlba())
            .encode()
            .halves();
        for (offset, half) in (start + group..).step_by(HALF_SIZE as usize).zip(halves) {
            media.store64(offset, half)?;
        }
        media.flush(start + group, SLOT_SIZE);
    }
    Ok(())
}
