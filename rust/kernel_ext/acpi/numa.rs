// SPDX-License-Identifier: GPL-2.0

//! Proximity domains, ACPI's equivalent of NUMA nodes.

use crate::resource::online_node;

/// Returns the NUMA node of a proximity domain; negative if there is none.
pub fn proximity_node(domain: u32) -> i32 {
    #[cfg(CONFIG_ACPI_NUMA)]
    {
        // The kernel knows no domain whose number does not fit.
        let domain = i32::try_from(domain).unwrap_or(-1);
        // SAFETY: The function checks its argument and reads a table that does not change after
        // boot.
        unsafe { crate::sys::pxm_to_node(domain) }
    }
    #[cfg(not(CONFIG_ACPI_NUMA))]
    {
        let _ = domain;
        0
    }
}

/// Returns the NUMA node of a proximity domain if it is online, else the nearest online node;
/// negative if the domain has no node.
pub fn proximity_online_node(domain: u32) -> i32 {
    online_node(proximity_node(domain))
}
