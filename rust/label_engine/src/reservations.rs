// SPDX-License-Identifier: GPL-2.0

//! Reserved addresses of a DIMM.

use nd_format::label::{
    Extent,
    LabelArea, //
};

/// Returns the ranges that the taken slots of a DIMM reserve, in the order of the slots.
///
/// A label reserves its range whichever set it belongs to, and whether or not its namespace is
/// refused: restoring the missing labels brings such a namespace back. A damaged label reserves the
/// range that it names.
pub fn reservations(area: LabelArea<'_>) -> impl Iterator<Item = Extent> + '_ {
    area.entries().filter_map(|(_, entry)| match entry {
        Ok(label) => Some(label.extent),
        Err(damaged) => damaged.extent,
    })
}
