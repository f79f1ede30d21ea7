// SPDX-License-Identifier: GPL-2.0

//! Explores what a power failure can do to the label areas of an interleave set.
//!
//! A history is a short list of operations on namespaces. All but the last one are performed. The
//! power then fails before, within and after every write of the last one, and the media are read as
//! a driver reads them when a region is enabled, which writes nothing. The explorer checks that:
//!
//! * Usable namespaces are those from before the operation or those from after it.
//! * No labels are refused but those of the namespace that was being created or removed, if the set
//!   has several DIMMs. Its addresses and slots stay taken until it is given up, which changes
//!   nothing else.
//! * Any next operation takes effect or changes nothing, and may be interrupted in turn.
//! * Once all visible namespaces are removed, no slot is taken.
//!
//! [`loss`] explores complete labels that are lost on one DIMM and restored from a backup.
//!
//! A DIMM may have labels of another set, which must stay. Linux places namespaces beside such
//! labels at a different offset on each DIMM: these may be refused after a power failure, but must
//! not change otherwise.
//!
//! A write is torn at aligned words of eight bytes: any subset of the words that it changes may
//! have reached the medium. All subsets are tried of up to [`cuts::EXHAUSTIVE`] such words, and the
//! likely ones of more.

pub mod cuts;
pub mod explore;
pub mod history;
pub mod loss;
pub mod recorder;
pub mod world;
