// SPDX-License-Identifier: GPL-2.0

//! Namespace labels: the descriptions of namespaces in the label storage area of each DIMM (UEFI
//! 2.10, section 13.19).
//!
//! * [`Geometry`] and [`Layout`]: the places of indexes and labels in an area, and its current
//!   index. The owner of an area reads all of it, calls [`Layout::discover`], and keeps both the
//!   bytes and the layout in memory.
//! * [`LabelArea`]: reads an area.
//!
//! What is done with areas, finding and updating namespaces, is in the crate `label_engine`.
//!
//! The module owns no memory and takes no lock. The caller owns the bytes.

mod area;
pub mod bytes;
mod class;
mod cookies;
mod extent;
mod geometry;
pub mod index;
mod layout;
mod record;
pub mod slots;

pub use self::{
    area::{
        Entries,
        LabelArea,
        StaleLabels,
        Stored, //
    },
    class::ClaimClass,
    cookies::Cookies,
    extent::Extent,
    geometry::{
        AreaTooSmall,
        Geometry,
        IndexCopy,
        LabelFormat, //
    },
    index::{
        Index,
        IndexError,
        IndexField,
        Sequence, //
    },
    layout::{
        inspect,
        AreaDamage,
        Current,
        Layout, //
    },
    record::{
        Damaged,
        Flags,
        Label,
        LabelError,
        Name,
        Types,
        NAME_LEN, //
    },
    slots::Slots,
};

#[cfg(test)]
mod tests;
