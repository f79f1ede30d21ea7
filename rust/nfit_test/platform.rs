// SPDX-License-Identifier: GPL-2.0

//! A simulated root device: the table, the DIMMs, and the memory that plays the addresses of the table.

use crate::{
    activation::Activation,
    dimm::TestDimm,
    table,
    topology::Topology, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
    ThisModule, //
};
use kernel_ext::memory::{
    ProviderMemory,
    ProviderRange, //
};
use nd_format::{
    nfit::{
        activation::bus_function,
        dsm::{
            BusFamily,
            QUERY, //
        },
        DeviceHandle, //
    },
    uuid::Guid, //
};
use nfit::{
    SimulatedDevice,
    SimulatedPlatform, //
};

/// A simulated root device.
pub(crate) struct TestPlatform {
    topology: &'static Topology,
    structures: KVec<u8>,
    root: Arc<TestRoot>,
    dimms: KVec<Arc<TestDimm>>,
    windows: KVec<Window>,
}

/// Memory that plays physical addresses.
struct Window {
    start: u64,
    memory: Arc<ProviderMemory>,
}

impl Window {
    fn new(start: u64, len: u64) -> Result<Self> {
        Ok(Self {
            start,
            memory: ProviderMemory::new(usize::try_from(len)?)?,
        })
    }

    fn part(&self, start: u64, len: u64) -> Option<ProviderRange> {
        let offset = usize::try_from(start.checked_sub(self.start)?).ok()?;
        ProviderRange::new(self.memory.clone(), offset, usize::try_from(len).ok()?)
    }
}

impl TestPlatform {
    /// Makes what `topology` describes.
    pub(crate) fn new(topology: &'static Topology) -> Result<Arc<Self>> {
        let mut windows = KVec::new();
        for range in topology.ranges {
            windows.push(Window::new(range.start, range.size)?, GFP_KERNEL)?;
        }
        let activation = Activation::new(topology.dimms.len())?;
        let mut dimms = KVec::new();
        let mut members = KVec::new();
        for (number, dimm) in topology.dimms.iter().enumerate() {
            if topology.flushes {
                let hints = Window::new(table::hint_page(dimm), PAGE_SIZE as u64)?;
                windows.push(hints, GFP_KERNEL)?;
            }
            let dimm = TestDimm::new(dimm, activation.clone(), number)?;
            members.push(dimm.clone(), GFP_KERNEL)?;
            dimms.push(dimm, GFP_KERNEL)?;
        }
        Ok(Arc::new(
            Self {
                topology,
                structures: table::build(topology)?,
                root: Arc::new(
                    TestRoot {
                        topology,
                        activation,
                        members,
                    },
                    GFP_KERNEL,
                )?,
                dimms,
                windows,
            },
            GFP_KERNEL,
        )?)
    }

    /// The DIMMs, those included that are not in the table.
    pub(crate) fn dimms(&self) -> &[Arc<TestDimm>] {
        &self.dimms
    }
}

impl SimulatedPlatform for TestPlatform {
    fn name(&self) -> &'static CStr {
        self.topology.name
    }

    fn module(&self) -> &'static ThisModule {
        &crate::THIS_MODULE
    }

    fn structures(&self) -> &[u8] {
        &self.structures
    }

    fn root(&self) -> Arc<dyn SimulatedDevice> {
        self.root.clone()
    }

    fn dimm(&self, handle: DeviceHandle) -> Option<Arc<dyn SimulatedDevice>> {
        let found = self
            .dimms
            .iter()
            .find(|dimm| dimm.description.handle == handle.0)?;
        Some(found.clone())
    }

    fn memory_at(&self, start: u64, len: u64) -> Option<ProviderRange> {
        self.windows
            .iter()
            .find_map(|window| window.part(start, len))
    }
}

/// The functions of the root device.
struct TestRoot {
    topology: &'static Topology,
    activation: Arc<Activation>,
    /// The DIMMs that firmware is activated on.
    members: KVec<Arc<TestDimm>>,
}

impl SimulatedDevice for TestRoot {
    fn functions(&self, family: Guid) -> u64 {
        if family == BusFamily::Intel.guid() && self.topology.activates {
            1 << QUERY | 1 << bus_function::INFO | 1 << bus_function::ACTIVATE
        } else {
            0
        }
    }

    fn evaluate(&self, family: Guid, function: u32, _input: &[u8]) -> Result<KVVec<u8>> {
        if family != BusFamily::Intel.guid() || !self.topology.activates {
            return Err(ENOTTY);
        }
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
