// SPDX-License-Identifier: GPL-2.0

//! Module parameters.

pub(crate) use crate::module_parameters::{
    default_dsm_family,
    override_dsm_mask, //
};

kernel_ext::bool_params! {
    FORCE_ENABLE_DIMMS: "force_enable_dimms" = false, "Register DIMMs without an ACPI device";
    DISABLE_VENDOR_SPECIFIC: "disable_vendor_specific" = false, "Disable vendor specific commands";
    NO_INIT_ARS: "no_init_ars" = false, "Skip the long scrub of new ranges";
    FORCE_LABELS: "force_labels" = false, "Use labels that cannot be written";
}
