// SPDX-License-Identifier: GPL-2.0

//! Parsing of the table.

use super::TableBytes;
use kernel::{
    device::Device,
    prelude::*, //
};
use nd_format::nfit::{
    Error as TableError,
    Nfit,
    Structure, //
};

/// A parsed table and its revision.
pub(crate) struct Parsed<'a> {
    pub(crate) revision: u8,
    pub(crate) table: Nfit<'a>,
}

/// Parses a table. Logs malformed and unknown structures.
pub(crate) fn parse<'a>(device: &Device, bytes: TableBytes<'a>) -> Result<Parsed<'a>> {
    let parsed = match bytes {
        TableBytes::Static(table) => {
            Nfit::from_table(table.bytes()).map(|(header, table)| Parsed {
                revision: header.revision,
                table,
            })
        }
        TableBytes::Fit { buffer, revision } => {
            let structures = buffer.value().buffer().unwrap_or_default();
            Nfit::from_structures(structures).map(|table| Parsed { revision, table })
        }
        TableBytes::Simulated {
            structures,
            revision,
        } => Nfit::from_structures(structures).map(|table| Parsed { revision, table }),
    };
    let parsed = parsed.map_err(|error| {
        dev_err!(device, "NFIT refused: {}\n", format_args!("{error}"));
        errno(error)
    })?;
    for structure in parsed.table.structures() {
        match structure {
            Structure::Unknown { kind, .. } => {
                dev_warn!(
                    device,
                    "NFIT: skipping structure of unknown type {}\n",
                    kind
                );
            }
            Structure::Malformed(malformed) => {
                dev_err!(
                    device,
                    "NFIT: {}, skipping it\n",
                    format_args!("{malformed}")
                );
            }
            _ => {}
        }
    }
    Ok(parsed)
}

fn errno(error: TableError) -> Error {
    match error {
        // Not the obvious errno, but the one that the C driver fails with.
        TableError::WrongLength { .. } => ENOMEM,
        TableError::NoHeader { .. }
        | TableError::Signature { .. }
        | TableError::TableLength { .. }
        | TableError::HeaderCut { .. }
        | TableError::LengthTooShort { .. }
        | TableError::PastEnd { .. } => EINVAL,
    }
}
