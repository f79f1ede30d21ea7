// SPDX-License-Identifier: GPL-2.0

//! Driver of the ACPI NVDIMM root device, `nfit.ko`: reads the NFIT and registers its DIMMs and
//! ranges with the core.
//!
//! ```text
//! ACPI0012 ── platform device ── NfitDriver    probe, unbind
//!                                 └─ Provider  what is registered; merges a table into it
//!                                     ├─ bus       root device: commands, firmware activation
//!                                     ├─ dimm      a DIMM: identity, commands, labels, security
//!                                     ├─ region    a range: mappings, interleave set, NUMA node
//!                                     ├─ scrub     address range scrub: media errors of ranges
//!                                     ├─ smbios    DIMMs as other drivers of the kernel find them
//!                                     └─ firmware  table and functions (_DSM), for all of these
//! ```
//!
//! The root device and the DIMMs are ACPI devices, or another module simulates them: it implements
//! [`Platform`] and [`FirmwareDevice`], and registers with [`SimulatedProvider`]. Everything above
//! these traits is the same for both.
//!
//! The pure crate [`nd_format::nfit`] parses the table and trusts none of it. A DIMM or a range
//! with contradictory structures is ignored, with one message. A table whose structures cannot be
//! told apart is refused as a whole.
//!
//! # Ownership
//!
//! The [`provider::Provider`] owns the bus, its regions and the notification handlers. The core
//! owns the private data of bus, DIMMs and regions and drops it with the object.
//!
//! # Lock order
//!
//! The lock of the [`provider::Provider`] is outermost, above all locks of the core. It is held
//! while a table is merged, and never in an attribute or a command. The lock of
//! [`bus::InitLock`] nests inside it. The attribute `wait_probe` takes that one as well, with
//! no other lock held. The lock of the directory in [`smbios`] is a leaf below both; callers of
//! `nfit_get_smbios_id` take it with none of ours held.

#![forbid(unsafe_code)]

mod bus;
mod dimm;
mod firmware;
mod parameters;
mod provider;
mod region;
mod scrub;
mod smbios;

pub use firmware::{
    DsmOutput,
    FirmwareDevice,
    Platform,
    TableBytes, //
};

use firmware::acpi::AcpiPlatform;
use kernel::{
    acpi,
    device::{
        Core,
        Device, //
    },
    driver,
    platform,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::acpi::{
    AcpiDevice,
    NotifyRegistration, //
};
use provider::Provider;

/// Driver of the root device's platform device.
struct NfitDriver;

/// Driver data. Notifications are unregistered first, so that no merge registers devices during
/// teardown.
struct Bound {
    _notifications: NotifyRegistration<Provider>,
    _provider: Arc<Provider>,
}

kernel_compat::acpi_device_table!(
    ACPI_TABLE,
    <NfitDriver as platform::Driver>::IdInfo,
    [(acpi::DeviceId::new(c"ACPI0012"), ())]
);

impl platform::Driver for NfitDriver {
    type IdInfo = ();
    type Data<'bound> = Bound;
    const ACPI_ID_TABLE: Option<acpi::IdTable<Self::IdInfo>> = Some(&ACPI_TABLE);

    fn probe<'bound>(
        device: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Bound, Error> + 'bound {
        Bound::new(device)
    }
}

impl Bound {
    fn new(device: &platform::Device<Core<'_>>) -> Result<Self> {
        let root = AcpiDevice::companion_of(device.as_ref()).ok_or(ENODEV)?;
        let provider = Provider::new(
            kernel_ext::device::normal(device.as_ref()),
            AcpiPlatform::new(root, kernel_compat::this_module!())?,
        )?;
        // Either this probe or a notification of the firmware merges the table first. The second
        // merge then finds everything registered.
        let notifications = NotifyRegistration::new(root, provider.clone())?;
        provider.merge_at_boot()?;
        Ok(Self {
            _notifications: notifications,
            _provider: provider,
        })
    }
}

/// Registration of the bus of a platform other than ACPI, and of everything on it. Once it is
/// dropped, nothing refers to the platform.
pub struct SimulatedProvider {
    _provider: Arc<Provider>,
}

impl SimulatedProvider {
    /// Registers the bus of `platform` below `device`. Fails as the probe of a real table does.
    pub fn new(device: &Device, platform: Arc<dyn Platform>) -> Result<Self> {
        let provider = Provider::new(device, platform)?;
        provider.merge_at_boot()?;
        Ok(Self {
            _provider: provider,
        })
    }
}

/// The module's registrations.
#[pin_data]
struct NfitModule {
    #[pin]
    driver: driver::Registration<platform::Adapter<NfitDriver>>,
}

impl kernel::InPlaceModule for NfitModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            driver <- driver::Registration::new(c"acpi-nfit", module),
        })
    }
}

module! {
    type: NfitModule,
    name: "nfit",
    authors: ["The nvdimm-rust developers"],
    description: "ACPI NVDIMM Firmware Interface Table (NFIT) provider",
    license: "GPL",
    params: {
        override_dsm_mask: u64 {
            default: 0,
            description: "Bit mask of allowed DIMM functions; 0 for the documented ones",
        },
        default_dsm_family: i32 {
            default: -1,
            description: "Preferred command family of DIMMs that support several",
        },
    },
}
