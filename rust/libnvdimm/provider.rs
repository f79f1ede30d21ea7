// SPDX-License-Identifier: GPL-2.0

//! The interface between the core and the providers of NVDIMMs (NFIT, e820, …).
//!
//! A provider registers a bus with [`Bus::register`](crate::Bus::register), then DIMMs and regions
//! on it. The core owns all that a description contains, and keeps it as long as the object.
//! Provider data go into `private`; [`Bus::private`](crate::Bus::private) and its counterparts
//! return them by type.

use crate::{
    activation::Activation,
    security::Security,
    Bus,
    Dimm,
    Region, //
};
use core::any::Any;
use kernel::{
    prelude::*,
    str::CString,
    ThisModule, //
};
use kernel_ext::{
    acpi::FirmwareAddress,
    device::TypedDevice,
    memory::SimulatedRange,
    sysfs::GroupList, //
};
use nd_format::uuid::Guid;

/// Provider data. They are returned by type.
pub type Private = KBox<dyn Any + Send + Sync>;

/// Maximum number of mappings of a region.
pub const MAX_MAPPINGS: usize = 32;

/// A command for the provider. [`nd_format::uapi`] describes its payload.
pub struct Command<'a> {
    /// Number, from [`bus_command`](nd_format::uapi::bus_command) or
    /// [`dimm_command`](nd_format::uapi::dimm_command).
    pub number: u32,
    /// Input, followed by space for the output.
    pub payload: &'a mut [u8],
}

/// Status with which the firmware answered a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Success. `CALL` always succeeds: where its output has a status depends on the function.
    Success,
    /// Failure of a label command, with this status: the memory of the DIMM or its label area is
    /// locked. A locked DIMM returns the size of its label area all the same.
    Locked(u32),
    /// Any other failure, with this status.
    Failed(u32),
}

/// The operations of a provider that the core calls.
pub trait BusOperations: Send + Sync + 'static {
    /// Executes `command` on `dimm`, or on the bus itself.
    ///
    /// Returns the status of the firmware, which the payload contains as well, for user space. An
    /// error means that the command did not reach the firmware, or that its answer does not fit;
    /// `ENOTTY` stands for an unknown command.
    fn execute(
        &self,
        bus: &TypedDevice<Bus>,
        dimm: Option<&TypedDevice<Dimm>>,
        command: Command<'_>,
    ) -> Result<Status> {
        let _ = (bus, dimm, command);
        Err(ENOTTY)
    }

    /// Checks whether user space may send a command; an error rejects it. For `CALL`, `number` is
    /// the function within the command family. See `nd_cmd_clear_to_send()` in
    /// `drivers/nvdimm/bus.c`.
    fn clear_to_send(
        &self,
        bus: &TypedDevice<Bus>,
        dimm: Option<&TypedDevice<Dimm>>,
        number: u32,
    ) -> Result {
        let _ = (bus, dimm, number);
        Ok(())
    }

    /// Waits until the provider has registered everything, for `wait_probe`.
    fn flush_probe(&self, bus: &TypedDevice<Bus>) -> Result {
        let _ = bus;
        Ok(())
    }

    /// Returns the memory that simulates the `len` bytes at the physical address `start`: a range
    /// of a region that is to be mapped, or a [`Hint::Simulated`]. `None`: nothing is simulated at
    /// these addresses.
    fn memory_at(&self, bus: &TypedDevice<Bus>, start: u64, len: u64) -> Option<SimulatedRange> {
        let _ = (bus, start, len);
        None
    }

    /// Returns the operations for firmware activation, if the provider supports it.
    fn activation(&self) -> Option<&dyn Activation> {
        None
    }

    /// Returns the operations for the security of DIMMs, if the provider supports them.
    fn security(&self) -> Option<&dyn Security> {
        None
    }

    /// Returns `true` if poison is cleared by a command. Otherwise a store clears it.
    fn clears_poison_by_command(&self) -> bool {
        false
    }
}

/// A bus to register.
pub struct BusDescription {
    /// The provider's module. It is pinned while a region is enabled.
    pub module: &'static ThisModule,
    /// The text of the attribute `provider`.
    pub provider_name: &'static CStr,
    /// Bit mask of [`bus_command`](nd_format::uapi::bus_command)s.
    pub commands: u64,
    /// Bit mask of the command families that a `CALL` to the bus may name.
    pub bus_families: u64,
    /// Further attributes.
    pub groups: GroupList<Bus>,
    /// Operations of the provider.
    pub operations: KBox<dyn BusOperations>,
    /// Provider data, if there are any.
    pub private: Option<Private>,
}

/// State of a DIMM when it is registered.
#[derive(Clone, Copy, Default)]
pub struct DimmFlags {
    /// The DIMM does not save its contents on power loss: its regions are read-only.
    pub unarmed: bool,
    /// The DIMM is locked: its contents cannot be read.
    pub locked: bool,
    /// Labels describe its regions, even while it has none. For other DIMMs this is so once labels
    /// were found.
    pub labelled: bool,
}

/// A flush hint of a DIMM (ACPI 6.5, 5.2.25.8).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A register, at an address that the firmware has supplied.
    Firmware(FirmwareAddress),
    /// Memory of the provider, at an address that [`BusOperations::memory_at`] knows.
    Simulated(u64),
}

impl Hint {
    /// Returns the physical address, which may be simulated.
    pub(crate) fn address(self) -> u64 {
        match self {
            Self::Firmware(address) => address.get(),
            Self::Simulated(address) => address,
        }
    }
}

/// A DIMM to register.
pub struct DimmDescription {
    /// Its state.
    pub flags: DimmFlags,
    /// Bit mask of [`dimm_command`](nd_format::uapi::dimm_command)s.
    pub commands: u64,
    /// Bit mask of the command families that the DIMM supports. A `CALL` to any DIMM of the bus may
    /// name a family that at least one of them supports.
    pub families: u64,
    /// Its flush hints, any of which will do.
    pub flush_hints: KVec<Hint>,
    /// Globally unique identifier, as text.
    pub unique_id: Option<CString>,
    /// Further attributes.
    pub groups: GroupList<Dimm>,
    /// Provider data, if there are any.
    pub private: Option<Private>,
}

/// Kind of memory of a region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RegionKind {
    /// Contents survive power loss.
    Persistent,
    /// Contents do not survive power loss.
    Volatile,
}

/// How far software must flush stores for them to survive power loss (ACPI 6.5, 5.2.25.9).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PersistenceDomain {
    /// The platform flushes CPU caches.
    CpuCache,
    /// The platform flushes what has reached the memory controller.
    MemoryController,
}

/// The part of a DIMM that a region uses.
pub struct MappingDescription {
    /// The DIMM.
    pub dimm: kernel::sync::aref::ARef<TypedDevice<Dimm>>,
    /// First DIMM physical address.
    pub dpa: u64,
    /// Size in bytes.
    pub size: u64,
    /// Position of the DIMM in the interleave set.
    pub position: u32,
}

/// Identifies the DIMMs of a region and their order (NVDIMM Namespace Specification, interleave set
/// cookie).
#[derive(Clone, Copy)]
pub struct InterleaveSet {
    /// Cookie for labels of version 1.1.
    pub cookie_v1_1: u64,
    /// Cookie for labels of version 1.2.
    pub cookie_v1_2: u64,
    /// Cookie for labels of version 1.1 that early kernels wrote.
    pub alternate_cookie: u64,
    /// GUID of the kind of memory.
    pub type_guid: Guid,
}

/// A region to register.
pub struct RegionDescription {
    /// Kind of memory.
    pub kind: RegionKind,
    /// First physical address, a multiple of the page size.
    pub start: u64,
    /// Size in bytes: a multiple of the page size, unless the region has no DIMMs. A virtual disk
    /// is as long as its image, and `memmap=` takes any length.
    pub size: u64,
    /// The parts of DIMMs that it consists of, at most [`MAX_MAPPINGS`].
    pub mappings: KVec<MappingDescription>,
    /// Identifies the DIMMs and their order, if the provider knows.
    pub interleave_set: Option<InterleaveSet>,
    /// NUMA node, negative for none.
    pub numa_node: i32,
    /// NUMA node that the memory would belong to as system memory, negative for none.
    pub target_node: i32,
    /// Whether the raw namespace may have a memmap.
    pub memmap: bool,
    /// How far stores must be flushed, if the platform says.
    pub persistence: Option<PersistenceDomain>,
    /// Further attributes.
    pub groups: GroupList<Region>,
    /// Provider data, if there are any.
    pub private: Option<Private>,
}
