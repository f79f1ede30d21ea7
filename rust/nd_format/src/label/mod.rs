// SPDX-License-Identifier: GPL-2.0

//! Namespace labels: the descriptions of namespaces in the label storage area of each DIMM (UEFI
//! 2.10, section 13.19).
//!
//! * [`Geometry`] and [`Layout`]: the places of indexes and labels in an area, and its current
//!   index. The owner of an area reads all of it, calls [`Layout::discover`], and keeps both the
//!   bytes and the layout in memory.
//! * [`LabelArea`]: reads an area.
//! * [`Store`] and [`Plan`]: update an area. A plan yields writes one by one; the caller performs
//!   them in that order.
//! * [`Set`]: the namespaces that the labels of all DIMMs of an interleave set describe. A
//!   defective namespace is refused alone, and its labels stay. A namespace whose update was
//!   interrupted is shown as it was before; its labels are written again when the namespace is
//!   changed.
//! * [`publish`] and [`retract`]: update the labels of one namespace on all DIMMs of its set.
//! * [`dpa`]: the reserved addresses of a DIMM. [`room`]: the addresses that are free on all DIMMs
//!   of a set.
//!
//! The module owns no memory and takes no lock. The caller owns the bytes, and holds a lock that
//! covers all DIMMs of a set.

mod area;
mod class;
mod cookies;
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
    cookies::Cookies,
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
