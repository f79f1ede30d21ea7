// SPDX-License-Identifier: GPL-2.0

//! Namespaces in labels: finding them, and updating them so that a power failure at any time leaves
//! either the old or the new state (UEFI 2.10, section 13.19).
//!
//! The engine is to namespace labels what `btt_engine` is to a BTT. The layouts of indexes and
//! labels are in [`nd_format::label`].
//!
//! * [`Set`]: the namespaces that the labels of all DIMMs of an interleave set describe. A
//!   defective namespace is refused alone, and its labels stay. A namespace whose update was
//!   interrupted is shown as it was before; its labels are written again when the namespace is
//!   changed.
//! * [`write_labels`] and [`delete_labels`]: update the labels of one namespace on all DIMMs of its
//!   set.
//! * [`Store`] and [`AreaUpdate`]: update one label area. An update yields writes one by one; the
//!   caller performs them in that order.
//! * [`reservations`]: the reserved addresses of a DIMM. [`free_space`]: the addresses that are
//!   free on all DIMMs of a set.
//!
//! The crate is pure: it does not allocate, lock or print, and reaches label areas only through
//! [`Medium`]. The caller owns the bytes of each area, keeps them in memory with their
//! [`Layout`](nd_format::label::Layout), and holds a lock that covers all DIMMs of a set. The same
//! code therefore runs in the kernel (built by kbuild), and in the tests and the crash explorer
//! (built by cargo).

#![cfg_attr(not(CONFIG_RUST), no_std)]
#![forbid(unsafe_code)]

mod area_update;
mod defect;
pub mod free_space;
mod namespace;
mod offset;
mod reservations;
mod set;
mod set_update;

pub use self::{
    area_update::{
        AreaUpdate,
        Store,
        UpdateError,
        Write, //
    },
    defect::Defect,
    namespace::{
        linux_sort_key,
        LabelledNamespace,
        Place,
        Refused,
        State, //
    },
    reservations::reservations,
    set::{
        Set, //
        SetIdentity,
        SetMember,
    },
    set_update::{
        delete_labels,
        write_labels,
        Cause,
        Failure,
        LabelFields,
        Medium,
        Outcome,
        UpdateTarget, //
    },
};

#[cfg(test)]
mod tests;
