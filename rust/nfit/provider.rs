// SPDX-License-Identifier: GPL-2.0

//! The registered bus, DIMMs and ranges of a root device, and the merge of a table into them.
//!
//! A table is merged at boot and whenever the firmware notifies of a change. Known DIMMs and ranges
//! stay as they are, new ones are registered. A table that lacks a known one is refused: nothing
//! can be unplugged. Each DIMM and each range is checked alone: an unusable one is ignored, with a
//! message, and the others are registered.

use crate::{
    bus::{
        InitLock,
        NfitBus, //
    },
    dimm::{
        HealthWatch,
        NfitDimm, //
    },
    firmware::{
        table::{
            self,
            Parsed, //
        },
        Platform,
        TableBytes, //
    },
    region::{
        self,
        RegionPlan,
        RegisteredRange, //
    },
    scrub::ScrubGuard,
    smbios, //
};
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
};
use kernel_ext::{
    acpi::{
        AcpiDevice,
        NotifyHandler,
        NotifyRegistration, //
    },
    device::TypedDevice, //
};
use nd::{
    Bus,
    BusRegistration,
    Dimm, //
};
use nd_format::nfit::{
    Capabilities,
    DeviceHandle,
    Nfit,
    SystemRange, //
};

/// Notification of the root device: the table has changed.
const TABLE_CHANGED: u32 = 0x80;

/// A root device and the devices below it.
#[pin_data]
pub(crate) struct Provider {
    device: ARef<Device>,
    platform: Arc<dyn Platform>,
    init_lock: Arc<InitLock>,
    #[pin]
    inventory: Mutex<Inventory>,
}

/// Registered devices. Fields are dropped in this order: the listing for other drivers,
/// notification handlers, scrubs, references to DIMMs, the bus with everything on it, then the
/// ranges in the resource tree.
#[derive(Default)]
struct Inventory {
    smbios: Option<smbios::Listing>,
    watches: KVec<NotifyRegistration<HealthWatch>>,
    scrub: Option<ScrubGuard>,
    dimms: KVec<KnownDimm>,
    bus: Option<BusRegistration>,
    ranges: KVec<KnownRange>,
}

struct KnownDimm {
    handle: DeviceHandle,
    device: ARef<TypedDevice<Dimm>>,
}

struct KnownRange {
    identity: RangeIdentity,
    _region: RegisteredRange,
}

/// Identity of a range. All three values must match.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RangeIdentity {
    index: u16,
    base: u64,
    length: u64,
}

impl RangeIdentity {
    fn of(range: &SystemRange) -> Self {
        Self {
            index: range.index.get(),
            base: range.base.get(),
            length: range.length.get(),
        }
    }
}

impl Provider {
    pub(crate) fn new(device: &Device, platform: Arc<dyn Platform>) -> Result<Arc<Self>> {
        let init_lock = InitLock::new()?;
        Arc::pin_init(
            pin_init!(Self {
                device: device.into(),
                platform,
                init_lock,
                inventory <- new_mutex!(Inventory::default()),
            }),
            GFP_KERNEL,
        )
    }

    /// Merges the table that is present at boot. Without a table there is nothing to do until the
    /// firmware notifies.
    pub(crate) fn merge_at_boot(&self) -> Result {
        let mut inventory = self.inventory.lock();
        self.platform
            .table_at_boot(&self.device, &mut |bytes| self.merge(&mut inventory, bytes))
    }

    /// Returns the bus, once a table was merged.
    pub(crate) fn bus(&self) -> Option<ARef<TypedDevice<Bus>>> {
        let inventory = self.inventory.lock();
        inventory.bus.as_ref().map(|bus| bus.bus().into())
    }

    fn merge_after_change(&self) -> Result {
        let mut inventory = self.inventory.lock();
        self.platform
            .table_after_change(&self.device, &mut |bytes| self.merge(&mut inventory, bytes))
    }

    fn merge(&self, inventory: &mut Inventory, bytes: TableBytes<'_>) -> Result {
        let _guard = self.init_lock.lock();
        let Parsed { revision, table } = table::parse(&self.device, bytes)?;
        inventory.check_nothing_removed(&self.device, &table)?;
        let found = self.find_new_dimms(inventory, &table)?;
        let plans = self.plan_ranges(inventory, &found, &table)?;

        // The table has been checked. An error from here on, such as lack of memory, stops the
        // merge. What it registered before is in the inventory: it goes with the provider, and a
        // later merge leaves it alone.
        let bus = match &mut inventory.bus {
            Some(bus) => bus,
            none => none.insert(NfitBus::register(
                &self.device,
                &self.platform,
                revision,
                self.init_lock.clone(),
            )?),
        };
        let bus = ARef::from(bus.bus());
        let ours = bus.private::<NfitBus>().ok_or(ENXIO)?;
        if inventory.scrub.is_none() {
            inventory.scrub = ours.scrub_guard();
        }
        match &mut inventory.smbios {
            Some(listing) => listing,
            none => none.insert(smbios::Listing::new()?),
        }
        .replace(&table)?;
        // Reserve first: what is registered must be recorded, or a later merge registers it again.
        // A handler of notifications must not drop a registration for notifications either.
        inventory.watches.reserve(found.len(), GFP_KERNEL)?;
        inventory.dimms.reserve(found.len(), GFP_KERNEL)?;
        inventory.ranges.reserve(plans.len(), GFP_KERNEL)?;
        for dimm in found {
            let handle = dimm.handle;
            let acpi = dimm
                .firmware
                .as_ref()
                .and_then(|firmware| firmware.device.acpi().map(ARef::from));
            let device = match dimm.register(&bus, bytes, table.flush_hints(handle)) {
                Ok(device) => device,
                Err(error) => {
                    dev_err!(
                        self.device,
                        "DIMM {} ignored: cannot be registered ({error:?})\n",
                        format_args!("{handle}")
                    );
                    continue;
                }
            };
            inventory.dimms.push(
                KnownDimm {
                    handle,
                    device: device.clone(),
                },
                GFP_KERNEL,
            )?;
            if let Some(acpi) = acpi {
                match watch_health(&acpi, &device) {
                    Ok(watch) => inventory.watches.push(watch, GFP_KERNEL)?,
                    Err(error) => dev_warn!(
                        device,
                        "cannot register for health notifications ({error:?})\n"
                    ),
                }
            }
        }
        if let Some(registration) = &inventory.bus {
            registration.wait_for_dimms();
        }
        let persistence = table
            .capabilities()
            .and_then(Capabilities::persistence_domain);
        let owns_addresses = self.platform.owns_addresses();
        for (identity, plan) in plans {
            let scrub_range = plan
                .scrub_range()
                .filter(|scrub_range| ours.collect_known_errors(&bus, scrub_range));
            let registered = plan.register(&bus, persistence, owns_addresses, |handle| {
                inventory.dimm(handle).map(ARef::from)
            });
            // `register` has logged the reason.
            let Ok((registered, region)) = registered else {
                continue;
            };
            inventory.ranges.push(
                KnownRange {
                    identity,
                    _region: registered,
                },
                GFP_KERNEL,
            )?;
            if let Some(scrub_range) = scrub_range {
                if let Err(error) = ours.scrub_region(scrub_range, region) {
                    dev_warn!(
                        self.device,
                        "cannot scrub range {} ({error:?})\n",
                        identity.index
                    );
                }
            }
        }
        Ok(())
    }

    /// Returns the new ranges of `table` that become regions. Unusable ones are ignored.
    fn plan_ranges<'t>(
        &self,
        inventory: &Inventory,
        found: &[NfitDimm],
        table: &Nfit<'t>,
    ) -> Result<KVec<(RangeIdentity, RegionPlan<'t>)>> {
        let find = |handle| {
            let known = inventory
                .dimm(handle)
                .and_then(|dimm| dimm.private::<NfitDimm>());
            known.or_else(|| found.iter().find(|dimm| dimm.handle == handle))
        };
        let mut plans = KVec::new();
        for range in table.ranges() {
            let identity = RangeIdentity::of(range);
            if inventory
                .ranges
                .iter()
                .any(|known| known.identity == identity)
            {
                continue;
            }
            if let Some(kind) = region::kind_of(range) {
                // `new` has logged the reason. The other ranges are not affected.
                match RegionPlan::new(&self.device, table, range, kind, find) {
                    Ok(plan) => plans.push((identity, plan), GFP_KERNEL)?,
                    Err(ENOMEM) => return Err(ENOMEM),
                    Err(_) => {}
                }
            }
        }
        Ok(plans)
    }

    /// Returns the new DIMMs of `table`, ascending by handle. Unusable ones are ignored, and with
    /// them the ranges that they are a part of.
    fn find_new_dimms(&self, inventory: &Inventory, table: &Nfit<'_>) -> Result<KVec<NfitDimm>> {
        let mut found = KVec::new();
        for dimm in table.dimms() {
            let dimm = match dimm {
                Ok(dimm) => dimm,
                Err(error) => {
                    dev_err!(
                        self.device,
                        "NFIT: DIMM ignored: {}\n",
                        format_args!("{error}")
                    );
                    continue;
                }
            };
            if inventory
                .dimms
                .iter()
                .any(|known| known.handle == dimm.handle)
            {
                continue;
            }
            if let Some(dimm) = NfitDimm::find(&self.device, &*self.platform, &dimm)? {
                found.push(dimm, GFP_KERNEL)?;
            }
        }
        Ok(found)
    }
}

/// Forwards health notifications of `acpi`, the ACPI device of `dimm`.
fn watch_health(
    acpi: &AcpiDevice,
    dimm: &TypedDevice<Dimm>,
) -> Result<NotifyRegistration<HealthWatch>> {
    let watch = Arc::new(HealthWatch(dimm.into()), GFP_KERNEL)?;
    NotifyRegistration::new(acpi, watch)
}

impl Inventory {
    /// Returns the registered DIMM of a handle.
    fn dimm(&self, handle: DeviceHandle) -> Option<&TypedDevice<Dimm>> {
        self.dimms
            .iter()
            .find(|known| known.handle == handle)
            .map(|known| &*known.device)
    }

    /// Returns `ENXIO` if the table lacks a registered DIMM or range.
    fn check_nothing_removed(&self, device: &Device, table: &Nfit<'_>) -> Result {
        for known in &self.dimms {
            if !table
                .mappings()
                .any(|mapping| mapping.device() == known.handle)
            {
                dev_err!(
                    device,
                    "NFIT refused: DIMM {} was removed, expected all registered DIMMs\n",
                    format_args!("{}", known.handle)
                );
                return Err(ENXIO);
            }
        }
        for known in &self.ranges {
            if !table
                .ranges()
                .any(|range| RangeIdentity::of(range) == known.identity)
            {
                dev_err!(
                    device,
                    "NFIT refused: range {} at {:#x} was removed, expected all registered ranges\n",
                    known.identity.index,
                    known.identity.base
                );
                return Err(ENXIO);
            }
        }
        Ok(())
    }
}

impl NotifyHandler for Provider {
    fn notify(&self, event: u32) {
        if event != TABLE_CHANGED {
            if let Some(bus) = self.bus() {
                if let Some(ours) = bus.private::<NfitBus>() {
                    ours.handle_notification(event);
                }
            }
        } else if self.merge_after_change().is_err() {
            dev_err!(self.device, "cannot merge the changed NFIT\n");
        }
    }
}
