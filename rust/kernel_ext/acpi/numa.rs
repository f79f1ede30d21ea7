// SPDX-License-Identifier: GPL-2.0

//! Proximity domains, which are ACPI's name for NUMA nodes.

use crate::resource::online_node;

/// The NUMA node of a proximity domain, negative if there is none.
pub fn proximity_node(domain: u32) -> i32 {
    #[cfg(CONFIG_ACPI_NUMA)]
    {
        // A number that does not fit is one that the kernel does not know.
        let domain = i32::try_from(domain).unwrap_or(-1);
        // SAFETY: The function checks its argument.
        unsafe { crate::sys::pxm_to_node(domain) }
    }
    #[cfg(not(CONFIG_ACPI_NUMA))]
    {
        let _ = domain;
        0
    }
}

/// The NUMA node of a proximity domain, or the nearest one that is online; negative if there is
/// none.
pub fn proximity_online_node(domain: u32) -> i32 {
    online_node(proximity_node(domain))
}
