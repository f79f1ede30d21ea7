// SPDX-License-Identifier: GPL-2.0

//! First info blocks and their copies: comparing and restoring them.

use crate::{
    arenas::{
        copy_of,
        info_at,
        versions, //
    },
    image::Image,
    tables::{
        explain,
        read,
        start, //
    },
};
use anyhow::Result;
use btt_engine::{
    Media as _,
    Opened, //
};
use nd_format::{
    btt::{
        info::{
            Place,
            INFO_LEN, //
        },
        Version, //
    },
    uuid::Uuid, //
};

/// A copy that differs from its first info block.
pub struct Difference {
    /// Offset of the first info block.
    pub offset: u64,
    /// Offset of the copy.
    pub copy: u64,
    block: [u8; INFO_LEN],
}

/// Returns the copies of an open BTT that differ from the first info blocks, which are good.
pub fn differences(image: &Image, opened: &Opened<Image>) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for arena in opened.btt.arenas() {
        let offset = start(opened, &arena);
        let copy = offset + arena.info.geometry.info2_offset();
        let (mut block, mut found) = ([0; INFO_LEN], [0; INFO_LEN]);
        read(image, offset, &mut block)?;
        read(image, copy, &mut found)?;
        if block != found {
            differences.push(Difference {
                offset,
                copy,
                block,
            });
        }
    }
    Ok(differences)
}

/// Overwrites copies that differ with the first info blocks.
pub fn rewrite(image: &Image, opened: &Opened<Image>) -> Result<()> {
    for difference in differences(image, opened)? {
        image
            .write_bytes(difference.copy, &difference.block)
            .map_err(|error| explain(image, error))?;
    }
    Ok(())
}

/// Restores the first info block from its copy, if there is a good copy and the first one is not
/// intact.
///
/// The reason for the loss is not considered. A zeroed info block means that the BTT was deleted,
/// so the caller must know that the user wants it back. Whether the rest of the BTT is good is not
/// checked.
pub fn restore_first(image: &Image, version: Option<Version>, namespace_uuid: Uuid) -> Result<()> {
    for version in versions(version) {
        let origin = version.initial_offset();
        let Some(available) = image.size().checked_sub(origin) else {
            continue;
        };
        let place = Place {
            version,
            namespace_uuid,
            available,
        };
        // An intact block is not replaced, whether it is of another size or of another namespace:
        // the copy may be older.
        if info_at(image, origin, &place)?.map_or_else(|error| error.is_whole(), |_| true) {
            return Ok(());
        }
        if let Some((_, block)) = copy_of(image, origin, &place)? {
            return image
                .write_bytes(origin, &block)
                .map_err(|error| explain(image, error));
        }
    }
    Ok(())
}
