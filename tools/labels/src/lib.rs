// SPDX-License-Identifier: GPL-2.0

//! What a power failure can do to the label areas of an interleave set.
//!
//! A history is a short list of operations on namespaces. All but the last one are performed. The power then fails
//! before, within and after every write of the last one, and what is left on the media is read as a driver
//! would when a region is enabled, which writes nothing. Judged is:
//!
//! * Namespaces that can be used are those from before or those from after the operation.
//! * Labels are refused of no namespace but the one that was being created or removed, if the set has several DIMMs. Its
//!   addresses and slots stay taken until it is given up. That changes nothing else.
//! * Whichever operation comes next does what it should, or nothing, and may be interrupted in turn.
//! * When all that can be seen is removed, no slot is taken.
//!
//! Labels that were complete may also get lost on one DIMM, and come back with a backup: see [`loss`].
//!
//! A DIMM may have labels of somebody else, which must stay. Namespaces as Linux places them beside such labels are at another
//! offset of each DIMM: these may be refused after a power failure, but nothing else may become of them.
//!
//! A write is torn at aligned words of eight bytes: any subset of the words that it changes may have reached the
//! medium. Up to [`cuts::EXHAUSTIVE`] such words all subsets are tried, above it the likely ones.

pub mod cuts;
pub mod explore;
pub mod history;
pub mod loss;
pub mod recorder;
pub mod world;
