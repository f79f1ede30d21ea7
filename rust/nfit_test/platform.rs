// SPDX-License-Identifier: GPL-2.0

//! A simulated root device: the table, the DIMMs, and the memory that backs the addresses in the
//! table.

use crate::{
    activation::Activation,
    dimm::TestDimm,
    module_parameters,
    root::TestRoot,
    table,
    topology::Topology, //
};
use kernel::{
    device::Device,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
    ThisModule, //
};
use kernel_compat::parameter;
use kernel_ext::memory::{
    SimulatedMemory,
    SimulatedRange, //
};
use nd_format::nfit::DeviceHandle;
use nfit::{
    FirmwareDevice,
    Platform,
    TableBytes, //
};

/// Revision of the table, which has no header.
const TABLE_REVISION: u8 = 0;

/// A simulated root device.
pub(crate) struct TestPlatform {
    topology: &'static Topology,
    structures: KVec<u8>,
    root: Arc<TestRoot>,
    dimms: KVec<Arc<TestDimm>>,
    windows: KVec<Window>,
}

/// Memory that backs a range of simulated physical addresses.
struct Window {
    start: u64,
    memory: Arc<SimulatedMemory>,
}

impl Window {
    fn new(start: u64, len: u64) -> Result<Self> {
        Ok(Self {
            start,
            memory: SimulatedMemory::new(usize::try_from(len)?)?,
        })
    }

    /// Backs the simulated addresses from `start` with physical memory at `place`.
    fn at(place: u64, name: &CStr, start: u64, len: u64) -> Result<Self> {
        let memory =
            SimulatedMemory::physical(name, place, usize::try_from(len)?).inspect_err(|error| {
                pr_err!("memory={place:#x}: cannot map {len:#x} bytes ({error:?})\n");
            })?;
        Ok(Self { start, memory })
    }

    fn part(&self, start: u64, len: u64) -> Option<SimulatedRange> {
        let offset = usize::try_from(start.checked_sub(self.start)?).ok()?;
        SimulatedRange::new(self.memory.clone(), offset, usize::try_from(len).ok()?)
    }
}

impl TestPlatform {
    /// Creates the platform that `topology` describes.
    pub(crate) fn new(topology: &'static Topology) -> Result<Arc<Self>> {
        let mut windows = KVec::new();
        // The parameter applies to the first bus.
        let mut place = match parameter!(module_parameters::memory) {
            place if place != 0 && topology.injects => Some(place),
            _ => None,
        };
        for range in topology.ranges {
            let (start, size) = (range.start, range.len());
            let window = match place {
                Some(place) => Window::at(place, topology.name, start, size)?,
                None => Window::new(start, size)?,
            };
            windows.push(window, GFP_KERNEL)?;
            place = place.and_then(|place| place.checked_add(size));
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
                root: TestRoot::new(topology, activation, members)?,
                dimms,
                windows,
            },
            GFP_KERNEL,
        )?)
    }

    /// Returns all DIMMs, including those that are not in the table.
    pub(crate) fn dimms(&self) -> &[Arc<TestDimm>] {
        &self.dimms
    }
}

impl Platform for TestPlatform {
    fn provider_name(&self) -> &'static CStr {
        self.topology.name
    }

    fn module(&self) -> &'static ThisModule {
        kernel_compat::this_module!()
    }

    fn table_at_boot(
        &self,
        _reporter: &Device,
        merge: &mut dyn FnMut(TableBytes<'_>) -> Result,
    ) -> Result {
        merge(TableBytes::Simulated {
            structures: &self.structures,
            revision: TABLE_REVISION,
        })
    }

    fn root(&self) -> Arc<dyn FirmwareDevice> {
        self.root.clone()
    }

    fn dimm(&self, handle: DeviceHandle) -> Result<Option<Arc<dyn FirmwareDevice>>> {
        let found = self
            .dimms
            .iter()
            .find(|dimm| dimm.description.handle == handle.0);
        let Some(dimm) = found else {
            return Ok(None);
        };
        Ok(Some(dimm.clone()))
    }

    fn always_has_call(&self) -> bool {
        false
    }

    fn owns_addresses(&self) -> bool {
        true
    }

    fn memory_at(&self, start: u64, len: u64) -> Option<SimulatedRange> {
        self.windows
            .iter()
            .find_map(|window| window.part(start, len))
    }
}
