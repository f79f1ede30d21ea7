// SPDX-License-Identifier: GPL-2.0

//! Simulated NVDIMMs, `nfit_test.ko`: two buses with interleaved and failed DIMMs, for tests
//! without hardware.
//!
//! ```text
//! nfit_test.0, nfit_test.1  platform devices, which this module registers and drives
//!  ├─ SimulatedProvider     of nfit.ko: the production code, from the table parser upwards
//!  │   └─ platform          table, memory, DIMMs
//!  │       ├─ root          root device: scrubs, media errors, translation, activation
//!  │       └─ dimm          DIMM: labels, health, security, update
//!  └─ test_dimmN            fault injection
//! ```
//!
//! Regions are backed by kernel memory, or by physical memory at the address that the parameter
//! `memory` gives. The physical addresses in the table are fictitious. Real memory at these
//! addresses is not accessed.
//!
//! # Lock order
//!
//! The locks of this module are taken in firmware functions, below the locks of the core. That of
//! [`activation`] nests outside those of [`update`], and that of [`scrub`] outside that of
//! [`media_errors`]. All others are leaves.

#![forbid(unsafe_code)]

mod activation;
mod dimm;
mod fault_injection;
mod health;
mod labels;
mod media_errors;
mod output;
mod platform;
mod root;
mod scrub;
mod security;
mod table;
mod topology;
mod translate;
mod update;

use crate::{
    fault_injection::FaultInjectionRegistration,
    platform::TestPlatform, //
};
use kernel::{
    device::{
        Core,
        Device, //
    },
    driver,
    platform as platform_bus,
    prelude::*, //
};
use kernel_ext::{
    class,
    platform_device, //
};
use nfit::SimulatedProvider;

/// Name of the driver and, with a number, of its devices.
const NAME: &CStr = c"nfit_test";

/// Driver of the platform devices.
struct TestDriver;

/// Driver data.
struct Simulation {
    _fault_injection: KVec<FaultInjectionRegistration>,
    _provider: SimulatedProvider,
}

impl platform_bus::Driver for TestDriver {
    type IdInfo = ();
    type Data<'bound> = Simulation;

    fn probe<'bound>(
        device: &'bound platform_bus::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Simulation, Error> + 'bound {
        Simulation::new(kernel_ext::device::normal(device.as_ref()))
    }
}

impl Simulation {
    fn new(device: &Device) -> Result<Self> {
        let topology = topology::BUSES
            .iter()
            .find(|topology| topology.name == device.name())
            .ok_or(ENODEV)?;
        let platform = TestPlatform::new(topology)?;
        let mut fault_injection = KVec::new();
        for dimm in platform.dimms() {
            fault_injection.push(
                FaultInjectionRegistration::new(device, dimm.clone())?,
                GFP_KERNEL,
            )?;
        }
        Ok(Self {
            _fault_injection: fault_injection,
            _provider: SimulatedProvider::new(device, platform)?,
        })
    }
}

/// The module's registrations, in the order in which they are dropped.
#[pin_data]
struct NfitTest {
    devices: KVec<platform_device::Registration>,
    #[pin]
    driver: driver::Registration<platform_bus::Adapter<TestDriver>>,
    class: class::Registration,
}

impl kernel::InPlaceModule for NfitTest {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // Fields are initialised in the order of this list.
        try_pin_init!(Self {
            class: fault_injection::CLASS.register()?,
            driver <- driver::Registration::new(NAME, module),
            devices: {
                let mut devices = KVec::new();
                for number in (0..).take(topology::BUSES.len()) {
                    devices.push(platform_device::Registration::new(NAME, number)?, GFP_KERNEL)?;
                }
                devices
            },
        })
    }
}

module! {
    type: NfitTest,
    name: "nfit_test",
    authors: ["The nvdimm-rust developers"],
    description: "Simulated NVDIMM buses for tests",
    license: "GPL",
    params: {
        memory: u64 {
            default: 0,
            description: "Physical address of 96 MiB of unused memory for the first bus; 0 for kernel memory",
        },
        cd_excess: u64 {
            default: 0,
            description: "Size of the virtual CD beyond 4 MiB, in bytes",
        },
        bad_hint: i32 {
            default: -1,
            description: "Number of the DIMM with bad flush hints; -1 for none",
        },
        bad_hint_at: u64 {
            default: 0,
            description: "Simulated address of the first bad flush hint; 0 for unaligned addresses",
        },
        bad_hints: u16 {
            default: 8,
            description: "Number of bad flush hints, from the first one on",
        },
        noio_clear: u8 {
            default: 0,
            description: "Clear media errors only for callers that start no I/O to reclaim memory",
        },
        clear_unit: u32 {
            default: 256,
            description: "Unit in which media errors are cleared, in bytes",
        },
        clear_max: u64 {
            default: 0,
            description: "Longest range that can be cleared, in bytes; 0 for any",
        },
        clear_part: u64 {
            default: 0,
            description: "Bytes that are cleared of a longer range; 0 for all",
        },
        labelled: u32 {
            default: 0,
            description: "Bit mask of DIMMs whose label area has an index block",
        },
        unreadable: u32 {
            default: 0,
            description: "Bit mask of DIMMs whose labels cannot be read at first (fail_cmd is 0x20)",
        },
    },
}
