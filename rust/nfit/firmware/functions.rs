// SPDX-License-Identifier: GPL-2.0

//! Command families: the functions of a device, and those of them that user space may call.

use super::FirmwareDevice;
use crate::parameters;
use kernel_compat::parameter;
use kernel_ext::acpi::DeviceSpecificMethod;
use nd_format::{
    nfit::dsm::{
        BusFamily,
        DimmFamily,
        Functions,
        LABEL_FUNCTIONS,
        QUERY, //
    },
    uuid::Guid, //
};

/// Revisions of functions that families use.
const REVISIONS: [u64; 2] = [1, 2];

/// Callable functions of a DIMM.
#[derive(Clone, Copy)]
pub(crate) struct DimmFunctions {
    pub(crate) family: DimmFamily,
    pub(crate) functions: Functions,
    /// `true` if the family's own label functions take precedence over the ACPI label methods.
    pub(crate) prefers_own_labels: bool,
}

/// Rank of a family among those that a DIMM supports, ascending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fitness {
    /// The query is the only function.
    NoFunctions,
    /// There are functions besides the query.
    Functions,
    /// The administrator prefers this family (`default_dsm_family`).
    Preferred,
}

impl DimmFunctions {
    /// Queries a DIMM. Also returns a bit mask of the families that it supports.
    ///
    /// The family is the preferred one, else the first one with a function besides the query, else
    /// the first one at all. Some firmware answers the query, and nothing else, for any GUID.
    pub(crate) fn of(device: &dyn FirmwareDevice) -> (Option<Self>, u64) {
        let preferred = parameter!(parameters::default_dsm_family);
        let mut families = 0;
        let mut chosen = None;
        let mut best = Fitness::NoFunctions;
        for family in DimmFamily::ALL {
            let functions = advertised(device, family.guid(), 1);
            if !functions.contains(QUERY) {
                continue;
            }
            families |= 1 << family.number();
            let fitness = if i64::from(family.number()) == i64::from(preferred) {
                Fitness::Preferred
            } else if functions != Functions::span(QUERY, QUERY) {
                Fitness::Functions
            } else {
                Fitness::NoFunctions
            };
            if chosen.is_none() || fitness > best {
                chosen = Some(family);
                best = fitness;
            }
        }
        (chosen.map(|family| Self::within(device, family)), families)
    }

    /// Returns the GUID and the revision to call `function` with.
    pub(crate) fn method(&self, function: u32) -> DeviceSpecificMethod {
        DeviceSpecificMethod {
            guid: *self.family.guid().as_bytes(),
            revision: self.family.revision(function),
        }
    }

    fn within(device: &dyn FirmwareDevice, family: DimmFamily) -> Self {
        let allowed = allowed(family);
        let functions = REVISIONS
            .iter()
            .map(|&revision| {
                let of_revision = Functions::from_mask(
                    allowed
                        .iter()
                        .filter(|&function| family.revision(function) == revision)
                        .fold(0, |mask, function| mask | (1 << function)),
                );
                if of_revision == Functions::NONE {
                    return Functions::NONE;
                }
                of_revision.intersection(advertised(device, family.guid(), revision))
            })
            .fold(Functions::NONE, Functions::union);
        Self {
            family,
            functions,
            prefers_own_labels: family == DimmFamily::Intel
                && allowed.contains_all(LABEL_FUNCTIONS),
        }
    }
}

/// Returns the functions of a family that may be called if the device has them.
fn allowed(family: DimmFamily) -> Functions {
    let without_vendor = parameters::DISABLE_VENDOR_SPECIFIC.is_on();
    let forced = Functions::from_mask(parameter!(parameters::override_dsm_mask));
    if forced != Functions::NONE && !without_vendor {
        return forced.without(Functions::span(QUERY, QUERY));
    }
    if without_vendor {
        family.documented().without(family.vendor_specific())
    } else {
        family.documented()
    }
}

/// Functions of the root device, by family.
#[derive(Clone, Copy)]
pub(crate) struct RootFunctions {
    /// Documented functions that the root device has.
    pub(crate) known: [Functions; BusFamily::ALL.len()],
    /// Functions of these that user space may call by number.
    pub(crate) callable: [Functions; BusFamily::ALL.len()],
}

/// Queries the root device.
pub(crate) fn of_root(device: &dyn FirmwareDevice) -> RootFunctions {
    let known = BusFamily::ALL.map(|family| {
        let functions = advertised(device, family.guid(), BusFamily::REVISION)
            .intersection(family.documented());
        match family {
            // Firmware activation needs all functions of the family.
            BusFamily::Intel if functions != family.documented() => Functions::NONE,
            BusFamily::Intel | BusFamily::Nfit => functions,
        }
    });
    let callable = BusFamily::ALL.map(|family| {
        let callable = Functions::from_mask(device.callable(method(family)));
        known
            .get(family.number() as usize)
            .map_or(Functions::NONE, |known| known.intersection(callable))
    });
    RootFunctions { known, callable }
}

/// Returns the GUID and the revision to call functions of a root device's family with.
pub(crate) fn method(family: BusFamily) -> DeviceSpecificMethod {
    DeviceSpecificMethod {
        guid: *family.guid().as_bytes(),
        revision: BusFamily::REVISION,
    }
}

fn advertised(device: &dyn FirmwareDevice, guid: Guid, revision: u64) -> Functions {
    let guid = *guid.as_bytes();
    Functions::from_mask(device.functions(DeviceSpecificMethod { guid, revision }))
}
