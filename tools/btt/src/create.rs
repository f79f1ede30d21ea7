// SPDX-License-Identifier: GPL-2.0

//! `create`: writes a BTT directly to the file and in the engine's order, so that a power failure
//! leaves a whole BTT or none.

use crate::{
    arguments::{
        CreateOrder,
        Place, //
    },
    find,
    progress,
    Verdict, //
};
use anyhow::{
    anyhow,
    bail,
    Result, //
};
use btt::{
    check,
    image::Image, //
};
use btt_engine::{
    CreateParams,
    Media as _, //
};
use nd_format::{
    btt::{
        ArenaGeometry,
        ArenaSpan,
        Version, //
    },
    uuid::Uuid, //
};

pub(crate) fn create(place: &Place, order: &CreateOrder) -> Result<Verdict> {
    let path = order.image.display();
    let image = Image::open(&order.image, true)?;
    if !order.force {
        let found = check::open(&image, place.version(), place.namespace());
        if let Some(error) = image.take_error() {
            return Err(error);
        }
        match found {
            Ok(opened) => bail!(
                "{path}: there is BTT {}; --force overwrites it",
                opened.btt.detected().uuid
            ),
            // Without a BTT, opening has changed nothing.
            Err(error) if find::is_none(&error) => {}
            Err(error) => bail!("{path}: {error}; --force overwrites it"),
        }
    }
    image.forget_changes();
    let params = CreateParams {
        version: place.version().unwrap_or(Version::V1_1),
        uuid: order.uuid.unwrap_or_else(random_uuid),
        parent_uuid: place.namespace(),
        lba_size: order.sector_size,
        lanes: order.lanes,
    };
    let bar = progress::of_bytes(table_bytes(&image, &params));
    let counting = bar.clone();
    image.write_through(move |bytes| counting.inc(bytes));
    let made = btt_engine::create(&image, &params);
    bar.finish_and_clear();
    if let Some(error) = image.take_error() {
        return Err(error);
    }
    made.map_err(|error| anyhow!("{path}: {error}"))?;
    println!(
        "{path}: created BTT {}, version {}",
        params.uuid, params.version
    );
    Ok(Verdict::Good)
}

/// Returns the bytes of maps and flogs, which are nearly all that is written.
fn table_bytes(image: &Image, params: &CreateParams) -> u64 {
    let size = image.size().saturating_sub(params.version.initial_offset());
    ArenaSpan::split(size)
        .filter_map(|span| ArenaGeometry::new(span.size, params.lba_size).ok())
        .map(|geometry| geometry.info2_offset() - geometry.map_offset())
        .sum()
}

/// Returns a random UUID (version 4, RFC 9562).
fn random_uuid() -> Uuid {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}
