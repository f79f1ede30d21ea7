// SPDX-License-Identifier: GPL-2.0

//! The DIMMs of all buses as other drivers of the kernel look them up: `nfit_get_smbios_id`.
//!
//! A merge lists what its table says of each DIMM, before it registers any. DIMMs without an ACPI
//! device, which get no device here, are listed as well. Simulated buses are listed like real ones.
//!
//! # Ownership
//!
//! A [`Listing`] is in the inventory of its provider. Dropping it removes the DIMMs.
//!
//! # Lock order
//!
//! The lock of the directory is a leaf, below the lock of the
//! [`Provider`](crate::provider::Provider) and [`InitLock`](crate::bus::InitLock). A caller from
//! outside takes it alone, so it does not wait for a merge.

use kernel::prelude::*;
use kernel_ext::{
    acpi::SmbiosId,
    static_mutex::StaticMutex, //
};
use nd_format::nfit::{
    DeviceHandle,
    Nfit, //
};

static DIRECTORY: StaticMutex<Directory> = StaticMutex::new();

/// The buses in the order of their registration.
#[derive(Default)]
struct Directory {
    buses: KVec<ListedBus>,
    next_number: u64,
}

struct ListedBus {
    number: u64,
    dimms: KVec<ListedDimm>,
}

struct ListedDimm {
    handle: DeviceHandle,
    id: SmbiosId,
}

/// The DIMMs of a bus in the directory.
pub(crate) struct Listing {
    number: u64,
}

impl Listing {
    /// Adds a bus without DIMMs to the directory.
    pub(crate) fn new() -> Result<Self> {
        let mut directory = DIRECTORY.lock();
        let number = directory.next_number;
        let dimms = KVec::new();
        directory
            .buses
            .push(ListedBus { number, dimms }, GFP_KERNEL)?;
        directory.next_number = number.wrapping_add(1);
        Ok(Self { number })
    }

    /// Lists the DIMMs of `table` in place of those before.
    pub(crate) fn replace(&self, table: &Nfit<'_>) -> Result {
        let mut dimms = KVec::new();
        // The merge reports the unusable ones.
        for dimm in table.dimms().flatten() {
            let id = SmbiosId {
                physical_id: dimm.physical_id,
                flags: dimm.flags.bits(),
            };
            let handle = dimm.handle;
            dimms.push(ListedDimm { handle, id }, GFP_KERNEL)?;
        }
        self.set(dimms);
        Ok(())
    }

    fn set(&self, dimms: KVec<ListedDimm>) {
        let mut directory = DIRECTORY.lock();
        let mut buses = directory.buses.iter_mut();
        if let Some(bus) = buses.find(|bus| bus.number == self.number) {
            bus.dimms = dimms;
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let mut directory = DIRECTORY.lock();
        directory.buses.retain(|bus| bus.number != self.number);
        if directory.buses.is_empty() {
            // A static is not dropped with its module, so its memory is freed here.
            directory.buses = KVec::new();
        }
    }
}

/// Returns what the tables say of the DIMM `handle`. Of several buses that have it, the one that
/// was registered first decides.
fn find(handle: u32) -> Option<SmbiosId> {
    let directory = DIRECTORY.lock();
    let mut dimms = directory.buses.iter().flat_map(|bus| bus.dimms.iter());
    dimms
        .find(|dimm| dimm.handle == DeviceHandle(handle))
        .map(|dimm| dimm.id)
}

kernel_ext::nfit_get_smbios_id!(find);

#[kernel::prelude::kunit_tests(nd_nfit_smbios)]
mod tests {
    use super::*;

    /// A handle with reserved bits, which no firmware uses.
    const HANDLE: u32 = 0xf00d_0001;

    /// Returns a list of this DIMM.
    fn one(physical_id: u16, flags: u16) -> Result<KVec<ListedDimm>> {
        let mut dimms = KVec::new();
        dimms.push(
            ListedDimm {
                handle: DeviceHandle(HANDLE),
                id: SmbiosId { physical_id, flags },
            },
            GFP_KERNEL,
        )?;
        Ok(dimms)
    }

    #[test]
    fn the_bus_that_was_registered_first_decides() -> Result {
        let first = Listing::new()?;
        let second = Listing::new()?;
        assert!(find(HANDLE).is_none());
        second.set(one(2, 0)?);
        assert_eq!(find(HANDLE).map(|id| id.physical_id), Some(2));
        first.set(one(1, 0)?);
        assert_eq!(find(HANDLE).map(|id| id.physical_id), Some(1));
        assert!(find(HANDLE + 1).is_none());
        drop(first);
        assert_eq!(find(HANDLE).map(|id| id.physical_id), Some(2));
        drop(second);
        assert!(find(HANDLE).is_none());
        Ok(())
    }

    #[test]
    fn a_later_table_replaces_what_an_earlier_one_said() -> Result {
        let listing = Listing::new()?;
        listing.set(one(5, 0)?);
        listing.set(one(5, 1 << 6)?);
        assert_eq!(find(HANDLE).map(|id| id.flags), Some(1 << 6));
        listing.set(KVec::new());
        assert!(find(HANDLE).is_none());
        Ok(())
    }
}
