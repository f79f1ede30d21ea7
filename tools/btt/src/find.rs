// SPDX-License-Identifier: GPL-2.0

//! Opens the BTT of an image, or prints why there is none.

use crate::{
    arguments::Place,
    Verdict, //
};
use anyhow::Result;
use btt::{
    check,
    image::Image, //
};
use btt_engine::{
    Absence,
    OpenError,
    Opened, //
};
use nd_format::btt::InfoError;
use std::path::Path;

/// Opens the BTT of the image at `path` and calls `then`, or prints why there is no BTT. The file
/// does not change.
pub(crate) fn with_btt(
    place: &Place,
    path: &Path,
    json: bool,
    then: impl FnOnce(&Image, &Opened<Image>) -> Result<Verdict>,
) -> Result<Verdict> {
    let image = Image::open(path, false)?;
    on_image(place, &image, json, then)
}

/// Opens the BTT of `image` and calls `then`, or prints why there is no BTT.
pub(crate) fn on_image(
    place: &Place,
    image: &Image,
    json: bool,
    then: impl FnOnce(&Image, &Opened<Image>) -> Result<Verdict>,
) -> Result<Verdict> {
    let opened = check::open(image, place.version(), place.namespace());
    if let Some(error) = image.take_error() {
        return Err(error);
    }
    let error = match opened {
        Ok(opened) => return then(image, &opened),
        Err(error) => error,
    };
    let verdict = if is_none(&error) {
        Verdict::NoBtt
    } else {
        Verdict::Damaged
    };
    let advice = if matches!(
        error,
        OpenError::NotFound(Absence::Erased | Absence::Overwritten { .. })
    ) {
        "; its copy is good: `btt repair --restore-info` restores the BTT"
    } else {
        ""
    };
    if json {
        let error = format!("{error}{advice}");
        let found = verdict != Verdict::NoBtt;
        println!("{}", serde_json::json!({ "error": error, "btt": found }));
    } else {
        eprintln!("btt: {}: {error}{advice}", image.path().display());
    }
    Ok(verdict)
}

/// Returns `true` if an error says that there is no BTT, rather than a damaged one or one that does
/// not belong here.
///
/// A block with the signature was meant to be an info block. If its checksum is wrong, it is
/// damaged; if its numbers do not fit, the image is truncated or of another namespace.
pub(crate) fn is_none(error: &OpenError) -> bool {
    match error {
        OpenError::TooSmall { .. } => true,
        OpenError::NotFound(Absence::NoInfo(error)) => matches!(error, InfoError::Signature),
        OpenError::NotFound(absence) => absence.permits_creation(),
        _ => false,
    }
}
