// SPDX-License-Identifier: GPL-2.0

//! Reserved addresses of a DIMM.

use super::{
    area::LabelArea,
    extent::Extent, //
};

/// The ranges that the slots of a DIMM reserve which are not free, in the order of the slots.
///
/// A label reserves its range whoever it is of, and whether or not it is a part of a namespace: one that is refused comes back with
/// the labels that it lacks. What is damaged reserves the range that is named there.
pub fn reservations(area: LabelArea<'_>) -> impl Iterator<Item = Extent> + '_ {
    area.entries().filter_map(|(_, entry)| match entry {
        Ok(label) => Some(label.extent),
        Err(damaged) => damaged.extent,
    })
}
