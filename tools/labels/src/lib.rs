// SPDX-License-Identifier: GPL-2.0

//! What a power failure can do to the label areas of an interleave set.
//!
//! A history is a short list of operations on namespaces. All but the last one are performed. The power then fails
//! before, within and after every write of the last one, and what is left on the media is mounted as a driver
//! would: the namespaces must be those from before or those from after the operation, nothing may be reserved
//! twice, and once the driver has mended what it found, no slot may be lost. The power may fail again while it
//! does.
//!
//! A DIMM may have labels of somebody else, which must stay. Namespaces as Linux places them beside such labels are at another
//! offset of each DIMM: these may be refused after a power failure, but nothing else may become of them.
//!
//! A write is torn at aligned words of eight bytes: any subset of the words that it changes may have reached the
//! medium. Up to [`cuts::EXHAUSTIVE`] such words all subsets are tried, above it the likely ones.

pub mod cuts;
pub mod explore;
pub mod history;
pub mod wire;
pub mod world;
