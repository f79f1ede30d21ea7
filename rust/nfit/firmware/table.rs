// SPDX-License-Identifier: GPL-2.0

//! Sources of the table: the static NFIT, the method `_FIT`, which includes hotplugged devices, and
//! simulated firmware.

use crate::simulated::SimulatedPlatform;
use kernel::{
    device::Device,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::acpi::{
    AcpiDevice,
    MethodError,
    Object,
    Table, //
};
use nd_format::nfit::{
    Error as TableError,
    Nfit,
    Structure, //
};

/// Revision if there is no valid static table, and so no header.
const REVISION_WITHOUT_HEADER: u8 = 1;

/// Revision of a simulated table, which has no header.
const SIMULATED_REVISION: u8 = 0;

/// Bytes of a table.
pub(crate) enum TableSource {
    /// The static table.
    Static(Table),
    /// The result of `_FIT`, with the revision of the static table.
    Method {
        /// Result of the method.
        answer: Object,
        /// Revision of the static table.
        revision: u8,
    },
    /// The table of a simulated platform.
    Simulated(Arc<dyn SimulatedPlatform>),
}

/// A parsed table and its revision.
pub(crate) struct Parsed<'a> {
    pub(crate) revision: u8,
    pub(crate) table: Nfit<'a>,
}

impl TableSource {
    /// Returns the table at boot. `None`: there is no table. This is no error, DIMMs may be plugged
    /// later.
    ///
    /// `_FIT` takes precedence over the static table.
    pub(crate) fn at_boot(device: &Device, root: &AcpiDevice) -> Option<Self> {
        let table = Table::get(c"NFIT")?;
        // The revision of an invalid static table does not matter: the table is refused when it is
        // parsed.
        let revision = Nfit::from_table(table.bytes())
            .map_or(REVISION_WITHOUT_HEADER, |(header, _)| header.revision);
        match root.evaluate(c"_FIT", &[]) {
            Ok(answer) if answer.value().buffer().is_some() => {
                Some(Self::Method { answer, revision })
            }
            Ok(_) => {
                dev_err!(device, "_FIT returned no buffer, using the static table\n");
                Some(Self::Static(table))
            }
            Err(error) => {
                if error != MethodError::Absent {
                    dev_err!(device, "_FIT: {}, using the static table\n", error);
                }
                Some(Self::Static(table))
            }
        }
    }

    /// Returns the table after the firmware notified of a change. `ENXIO`: `_FIT` failed, or
    /// returned no buffer.
    pub(crate) fn after_change(device: &Device, root: &AcpiDevice) -> Result<Self> {
        let answer = root
            .evaluate(c"_FIT", &[])
            .inspect_err(|error| dev_err!(device, "_FIT: {}, the change is ignored\n", error))
            .map_err(|_| ENXIO)?;
        if answer.value().buffer().is_none() {
            dev_err!(device, "_FIT returned no buffer, the change is ignored\n");
            return Err(ENXIO);
        }
        let revision = Table::get(c"NFIT")
            .and_then(|table| {
                Nfit::from_table(table.bytes())
                    .ok()
                    .map(|(header, _)| header.revision)
            })
            .unwrap_or(REVISION_WITHOUT_HEADER);
        Ok(Self::Method { answer, revision })
    }

    /// Parses the table. Logs malformed and unknown structures.
    pub(crate) fn parse(&self, device: &Device) -> Result<Parsed<'_>> {
        let parsed = match self {
            Self::Static(table) => Nfit::from_table(table.bytes()).map(|(header, table)| Parsed {
                revision: header.revision,
                table,
            }),
            Self::Method { answer, revision } => {
                Nfit::from_structures(answer.value().buffer().unwrap_or_default()).map(|table| {
                    Parsed {
                        revision: *revision,
                        table,
                    }
                })
            }
            Self::Simulated(platform) => {
                Nfit::from_structures(platform.structures()).map(|table| Parsed {
                    revision: SIMULATED_REVISION,
                    table,
                })
            }
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
