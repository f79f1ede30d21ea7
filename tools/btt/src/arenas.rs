// SPDX-License-Identifier: GPL-2.0

//! The arenas of a BTT, found by their info blocks alone, so that damaged tables can be inspected.

use crate::{
    image::Image,
    tables::read, //
};
use anyhow::Result;
use btt_engine::Media as _;
use nd_format::{
    btt::{
        info::{
            Place,
            INFO_LEN, //
        },
        ArenaSpan,
        Info,
        InfoError,
        Version,
        INFO_SIZE, //
    },
    uuid::Uuid, //
};

/// An arena that has an info block.
pub struct Site {
    /// Offset of the arena in the image.
    pub start: u64,
    /// Its info block.
    pub info: Info,
    /// Error of the first info block, if `info` is the copy.
    pub damage: Option<InfoError>,
}

/// The arenas of a BTT, in order.
#[derive(Default)]
pub struct Arenas {
    /// The arenas found.
    pub sites: Vec<Site>,
    /// Offset of a missing arena, after which there may be more, and the error of its info block.
    pub missing: Option<(u64, InfoError)>,
}

impl Arenas {
    /// Finds the arenas on an image, of either version if `version` is `None`.
    pub fn find(image: &Image, version: Option<Version>, namespace_uuid: Uuid) -> Result<Self> {
        let mut found = Self::default();
        for version in versions(version) {
            found = Self::of_version(image, version, namespace_uuid)?;
            if !found.sites.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    fn of_version(image: &Image, version: Version, namespace_uuid: Uuid) -> Result<Self> {
        let mut arenas = Self::default();
        let mut next = Some(version.initial_offset());
        while let Some(start) = next {
            let Some(available) = image.size().checked_sub(start) else {
                break;
            };
            let place = Place {
                version,
                namespace_uuid,
                available,
            };
            let found = match info_at(image, start, &place)? {
                Ok(info) => Ok((info, None)),
                Err(error) => copy_of(image, start, &place)?
                    .map(|(info, _)| (info, Some(error)))
                    .ok_or(error),
            };
            match found {
                Ok((info, damage)) => {
                    next = Some(info.next_offset)
                        .filter(|&offset| offset != 0)
                        .and_then(|offset| start.checked_add(offset));
                    arenas.sites.push(Site {
                        start,
                        info,
                        damage,
                    });
                }
                Err(error) => {
                    arenas.missing = Some((start, error));
                    break;
                }
            }
        }
        Ok(arenas)
    }
}

/// Returns the versions to look for.
pub(crate) fn versions(version: Option<Version>) -> impl Iterator<Item = Version> {
    [Version::V1_1, Version::V2_0]
        .into_iter()
        .filter(move |&candidate| version.is_none_or(|version| version == candidate))
}

/// Returns the first info block of the arena at `start`, or its error.
pub(crate) fn info_at(image: &Image, start: u64, place: &Place) -> Result<Result<Info, InfoError>> {
    if place.available < INFO_SIZE {
        return Ok(Err(InfoError::Signature));
    }
    let mut block = [0; INFO_LEN];
    read(image, start, &mut block)?;
    Ok(Info::decode(&block, place))
}

/// Returns the copy of the info block of the arena at `start`, and its bytes. The copy is looked
/// for where it is in an arena that has the size of a new one.
pub(crate) fn copy_of(
    image: &Image,
    start: u64,
    place: &Place,
) -> Result<Option<(Info, [u8; INFO_LEN])>> {
    let Some(span) = ArenaSpan::at(0, place.available) else {
        return Ok(None);
    };
    let offset = (span.size - span.size % INFO_SIZE) - INFO_SIZE;
    let mut block = [0; INFO_LEN];
    read(image, start + offset, &mut block)?;
    let info = Info::decode(&block, place).ok();
    let info = info.filter(|info| info.geometry.info2_offset() == offset);
    Ok(info.map(|info| (info, block)))
}
