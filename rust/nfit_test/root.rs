// SPDX-License-Identifier: GPL-2.0

//! Simulated firmware of the root device (ACPI 6.5, section 9.20.7).

use crate::{
    activation::Activation,
    dimm::TestDimm,
    media_errors::MediaErrors,
    output::OutputBuilder,
    scrub::Scrub,
    topology::Topology,
    translate, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use kernel_ext::acpi::DeviceSpecificMethod;
use nd_format::{
    nfit::{
        activation::bus_function,
        dsm::{
            BusFamily,
            Functions,
            QUERY, //
        },
    },
    uuid::Guid, //
};
use nfit::{
    DsmOutput,
    FirmwareDevice, //
};

const ARS_CAPABILITIES: u32 = 1;
const ARS_START: u32 = 2;
const ARS_STATUS: u32 = 3;
const CLEAR_ERROR: u32 = 4;
const TRANSLATE: u32 = 5;
const INJECT: u32 = 7;
const INJECT_CLEAR: u32 = 8;
const INJECT_QUERY: u32 = 9;

/// Status: invalid input.
pub(crate) const INVALID_INPUT: u32 = 2;

/// Notification: an unconsumed uncorrectable memory error was detected.
const UNCORRECTABLE_MEMORY_ERROR: u32 = 0x81;

/// A simulated root device.
#[pin_data]
pub(crate) struct TestRoot {
    topology: &'static Topology,
    activation: Arc<Activation>,
    /// The DIMMs whose firmware is activated.
    members: KVec<Arc<TestDimm>>,
    #[pin]
    errors: MediaErrors,
    #[pin]
    scrub: Scrub,
    /// `true` if errors were injected and the driver is to be notified.
    notify: Atomic<bool>,
}

impl TestRoot {
    /// Creates the root device of `topology`, whose DIMMs are `members`.
    pub(crate) fn new(
        topology: &'static Topology,
        activation: Arc<Activation>,
        members: KVec<Arc<TestDimm>>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                topology,
                activation,
                members,
                errors <- MediaErrors::new(),
                scrub <- Scrub::new(),
                notify: Atomic::new(false),
            }),
            GFP_KERNEL,
        )
    }

    /// Injects errors. The input is first address, length (8 bytes each) and options (a byte).
    fn inject(&self, input: &[u8]) -> Result<KVVec<u8>> {
        /// Option: notify the driver.
        const NOTIFY: u8 = 1 << 0;

        let Some((range, rest)) = self.topology.range_input(input) else {
            return OutputBuilder::new(INVALID_INPUT)?.finish();
        };
        self.errors.add(range)?;
        if rest.first().is_some_and(|options| options & NOTIFY != 0) {
            self.notify.store(true, Relaxed);
        }
        OutputBuilder::new(0)?.finish()
    }

    /// Removes injected errors. The input is first address and length.
    fn clear_injected(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let Some((range, _)) = self.topology.range_input(input) else {
            return OutputBuilder::new(INVALID_INPUT)?.finish();
        };
        self.errors.forget(range);
        OutputBuilder::new(0)?.finish()
    }
}

impl TestRoot {
    fn nfit_function(&self, function: u32, input: &[u8]) -> Result<KVVec<u8>> {
        match function {
            ARS_CAPABILITIES => Scrub::capabilities(self.topology, input),
            ARS_START => self.scrub.start(self.topology, &self.errors, input),
            ARS_STATUS => self.scrub.status(),
            CLEAR_ERROR => self.errors.clear(self.topology, input),
            TRANSLATE => translate::translate(self.topology, input),
            INJECT => self.inject(input),
            INJECT_CLEAR => self.clear_injected(input),
            INJECT_QUERY => self.errors.list(),
            _ => Err(ENOTTY),
        }
    }

    fn intel_function(&self, function: u32) -> Result<KVVec<u8>> {
        match function {
            bus_function::INFO => self.activation.bus_info(),
            bus_function::ACTIVATE => self.activation.activate(|number| {
                self.members
                    .get(number)
                    .is_some_and(|dimm| dimm.update.take_staged())
            }),
            _ => Err(ENOTTY),
        }
    }
}

fn mask(functions: &[u32]) -> u64 {
    functions
        .iter()
        .fold(0, |mask, function| mask | 1 << function)
}

impl FirmwareDevice for TestRoot {
    fn functions(&self, method: DeviceSpecificMethod) -> u64 {
        let family = Guid::from_bytes(method.guid);
        if family == BusFamily::Nfit.guid() {
            let commands = [QUERY, ARS_CAPABILITIES, ARS_START, ARS_STATUS, CLEAR_ERROR];
            mask(&commands) | self.callable(method)
        } else if family == BusFamily::Intel.guid() && self.topology.activates {
            mask(&[QUERY, bus_function::INFO, bus_function::ACTIVATE])
        } else {
            0
        }
    }

    fn callable(&self, method: DeviceSpecificMethod) -> u64 {
        if Guid::from_bytes(method.guid) != BusFamily::Nfit.guid() {
            self.functions(method)
        } else if self.topology.injects {
            mask(&[TRANSLATE, INJECT, INJECT_CLEAR, INJECT_QUERY])
        } else {
            0
        }
    }

    fn evaluate_function(
        &self,
        method: DeviceSpecificMethod,
        function: u32,
        input: &[u8],
    ) -> Result<DsmOutput> {
        if !Functions::from_mask(self.functions(method)).contains(function) {
            return Err(ENOTTY);
        }
        let output = if Guid::from_bytes(method.guid) == BusFamily::Nfit.guid() {
            self.nfit_function(function, input)
        } else {
            self.intel_function(function)
        };
        output.map(DsmOutput::Bytes)
    }

    fn take_notification(&self) -> Option<u32> {
        self.notify
            .xchg(false, Relaxed)
            .then_some(UNCORRECTABLE_MEMORY_ERROR)
    }
}
