// SPDX-License-Identifier: GPL-2.0

//! The NVDIMM Firmware Interface Table (ACPI 6.5, section 5.2.25), from bytes to typed views.
//!
//! The table is a header followed by structures, each with a type and a length of its own:
//!
//! ```text
//!        0        36      40
//! NFIT = | header | 0 0 0 0 | structure | structure | ...     (static table)
//! _FIT =                    | structure | structure | ...     (method of the root device)
//!
//!              0      2        4
//! structure =  | type | length | fields ...                    length counts the header, too
//!
//! type 0 system range ──index──┐                 type 6 flush hints ──handle──┐
//! type 4 control region ─index─┤                                              │
//!                              └─ type 1 mapping (range, control region, handle) = a part of a DIMM in a range
//! ```
//!
//! * [`structures`] walks the bytes and checks every length against the rule of its type and the
//!   end of the table.
//! * A structure whose length breaks the rule of its type is left out. What it may be a part of is
//!   refused if it would look complete without the structure ([`Malformed`],
//!   [`Nfit::malformed_mapping_of`], [`DimmError`]).
//! * [`Nfit`] is a table that was walked to its end; its views (ranges, mappings, DIMMs, hints)
//!   borrow from the bytes.
//! * [`interleave`] computes the cookies that namespace labels carry from the mappings of a range.
//! * [`dsm`] has the `_DSM` families of the root device and of the DIMMs; [`health`], [`ars`],
//!   [`activation`] and [`security`] are codecs of the payloads of some of their functions.
//!
//! The bytes are not trusted, and nothing here allocates. Every view walks the table again: the
//! table is short and is used only when devices are enumerated.

pub mod activation;
pub mod ars;
pub mod dsm;
pub mod health;
pub mod interleave;
pub mod security;

mod dimm;
mod error;
mod layout;
mod range;
mod structures;
mod table;

#[cfg(test)]
mod tests;

pub use dimm::{
    Dimm,
    DimmError,
    DimmId, //
};
pub use error::{
    Error,
    LengthRule, //
};
pub use layout::{
    Capabilities,
    ControlRegion,
    DataWindow,
    DeviceHandle,
    FlushHintsHeader,
    InterleaveHeader,
    Mapping,
    MappingFlags,
    PersistenceDomain,
    StructureHeader,
    SystemRange,
    TableHeader, //
};
pub use range::RangeKind;
pub use structures::{
    structures,
    FlushHints,
    Interleave,
    Malformed,
    Structure,
    Structures, //
};
pub use table::Nfit;
