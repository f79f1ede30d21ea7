// SPDX-License-Identifier: GPL-2.0

//! Where tables come from: the static NFIT, and the method `_FIT`, which knows what was plugged since.

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

/// Revision of a table that nobody gave a header to.
const REVISION_WITHOUT_HEADER: u8 = 1;

/// Revision of a table that nobody but this module will ever see.
const SIMULATED_REVISION: u8 = 0;

/// Bytes of a table, wherever they are.
pub(crate) enum Source {
    /// Of the static table.
    Static(Table),
    /// Of `_FIT`, with the revision of the static table.
    Method {
        /// What the method gave back.
        answer: Object,
        /// The revision of the static table.
        revision: u8,
    },
    /// Of somebody who plays the firmware.
    Simulated(Arc<dyn SimulatedPlatform>),
}

/// A table and its revision.
pub(crate) struct Parsed<'a> {
    pub(crate) revision: u8,
    pub(crate) table: Nfit<'a>,
}

impl Source {
    /// What there is at boot; `None` if there is no table, which is fine: DIMMs may be plugged later.
    ///
    /// `_FIT` wins over the static table where both are.
    pub(crate) fn at_boot(device: &Device, root: &AcpiDevice) -> Option<Self> {
        let table = Table::get(c"NFIT")?;
        // A static table that cannot be read has no revision that matters, and is reported when it is used.
        let revision = Nfit::from_table(table.bytes())
            .map_or(REVISION_WITHOUT_HEADER, |(header, _)| header.revision);
        match root.evaluate(c"_FIT", &[]) {
            Ok(answer) if answer.value().buffer().is_some() => {
                Some(Self::Method { answer, revision })
            }
            Ok(_) => {
                dev_err!(
                    device,
                    "_FIT gave something else than a buffer, the static table is used\n"
                );
                Some(Self::Static(table))
            }
            Err(error) => {
                if error != MethodError::Absent {
                    dev_err!(device, "_FIT: {}, the static table is used\n", error);
                }
                Some(Self::Static(table))
            }
        }
    }

    /// What there is after the firmware has notified of a change.
    pub(crate) fn after_change(device: &Device, root: &AcpiDevice) -> Result<Self> {
        let answer = root
            .evaluate(c"_FIT", &[])
            .inspect_err(|error| dev_err!(device, "_FIT: {}, nothing is changed\n", error))
            .map_err(|_| ENXIO)?;
        if answer.value().buffer().is_none() {
            dev_err!(
                device,
                "_FIT gave something else than a buffer, nothing is changed\n"
            );
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

    /// Parses the table, and reports what is wrong with it or not known of it.
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
                        "NFIT: structure of unknown type {} is skipped\n",
                        kind
                    );
                }
                Structure::Malformed(malformed) => {
                    dev_err!(
                        device,
                        "NFIT: {}, it is skipped\n",
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
        // Not what one would choose, but what the probe of such a table has always failed with.
        TableError::WrongLength { .. } => ENOMEM,
        TableError::NoHeader { .. }
        | TableError::Signature { .. }
        | TableError::TableLength { .. }
        | TableError::HeaderCut { .. }
        | TableError::LengthTooShort { .. }
        | TableError::PastEnd { .. } => EINVAL,
    }
}
