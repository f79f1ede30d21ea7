// SPDX-License-Identifier: GPL-2.0

//! Namespace labels: which namespaces there are, kept in a small area of each DIMM (UEFI 2.10, section 13.19).
//!
//! * [`Geometry`] and [`Layout`]: where indexes and labels are, and which index counts. The owner of an area reads
//!   [`Geometry::discovery_len`] bytes, calls [`Layout::discover`], and keeps the whole area in memory beside the
//!   layout.
//! * [`LabelArea`]: reading it.
//! * [`Store`] and [`Plan`]: changing it. The writes come one by one; their user performs them in that order.
//! * [`Set`]: the namespaces that the labels of all DIMMs of an interleave set make up. One that is defective is
//!   refused alone, and nothing becomes of its labels. What an interrupted update has left of a namespace is that namespace as it
//!   was, and is written again when it is changed.
//! * [`publish`] and [`retract`]: the update of the labels of one namespace on all DIMMs of its set.
//! * [`dpa`]: reserved addresses of a DIMM; [`room`]: free ones, on all DIMMs of a set.
//!
//! Everything works on bytes that its user owns, and under a lock that its user holds: one that covers all DIMMs of
//! a set.

mod area;
mod class;
mod defect;
pub mod dpa;
mod extent;
mod geometry;
mod index;
mod layout;
mod namespace;
mod offset;
mod plan;
mod publish;
mod record;
pub mod room;
mod set;
mod slots;

pub use self::{
    area::{
        LabelArea,
        Stored, //
    },
    class::Class,
    defect::Defect,
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
    namespace::{
        by_address,
        Namespace,
        Place,
        Refused,
        State, //
    },
    plan::{
        Plan,
        Store,
        UpdateError,
        Write, //
    },
    publish::{
        publish,
        retract,
        Cause,
        Contents,
        Failure,
        Left,
        Medium,
        Target, //
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
    set::{
        Identity,
        Member,
        Set, //
    },
    slots::Slots,
};

#[cfg(test)]
mod tests;
