// SPDX-License-Identifier: GPL-2.0

//! What a provider of NVDIMMs (NFIT, e820, …) tells the core, and what the core asks of it.
//!
//! A provider registers a bus with [`Bus::register`](crate::Bus::register), then DIMMs and regions on it. Everything that
//! it hands over is owned by the core from then on and lives as long as the object; what the provider wants to find again
//! from an attribute goes into `private`, which [`Bus::private`](crate::Bus::private) and its like give back by type.

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
    device::Node,
    memory::ProviderRange,
    sysfs::GroupList, //
};
use nd_format::uuid::Guid;

/// Data of the provider's own, found again by their type.
pub type Private = KBox<dyn Any + Send + Sync>;

/// Most mappings that a region can have.
pub const MAX_MAPPINGS: usize = 32;

/// Commands of the ioctl interface that go to the bus, by number (spec 3.1).
pub mod bus_command {
    /// Query the ability to scrub a range.
    pub const ARS_CAP: u32 = 1;
    /// Start a scrub.
    pub const ARS_START: u32 = 2;
    /// Query a scrub.
    pub const ARS_STATUS: u32 = 3;
    /// Clear poison.
    pub const CLEAR_ERROR: u32 = 4;
    /// Pass a function of a command family through.
    pub const CALL: u32 = 10;
}

/// Commands of the ioctl interface that go to a DIMM, by number (spec 3.1).
pub mod dimm_command {
    /// Health.
    pub const SMART: u32 = 1;
    /// Health thresholds.
    pub const SMART_THRESHOLD: u32 = 2;
    /// Flags.
    pub const FLAGS: u32 = 3;
    /// Size of the label area.
    pub const GET_CONFIG_SIZE: u32 = 4;
    /// Read of the label area.
    pub const GET_CONFIG_DATA: u32 = 5;
    /// Write of the label area.
    pub const SET_CONFIG_DATA: u32 = 6;
    /// Vendor specific.
    pub const VENDOR: u32 = 9;
    /// Pass a function of a command family through.
    pub const CALL: u32 = 10;
}

/// A command for the provider, with its payload in the layout of the ioctl interface (spec 3.2).
pub struct Command<'a> {
    /// Its number, of [`bus_command`] or [`dimm_command`].
    pub number: u32,
    /// Input first, then room for output.
    pub payload: &'a mut [u8],
}

/// What the core asks of a provider.
pub trait BusOperations: Send + Sync + 'static {
    /// Executes `command` on `dimm`, or on the bus itself.
    ///
    /// Returns how many bytes at the end of the payload were left unfilled. What the firmware has to say is in the payload;
    /// an error means that the command did not get there, or that its answer does not fit. `ENOTTY`: unknown command.
    fn execute(
        &self,
        bus: &Node<Bus>,
        dimm: Option<&Node<Dimm>>,
        command: Command<'_>,
    ) -> Result<usize> {
        let _ = (bus, dimm, command);
        Err(ENOTTY)
    }

    /// Judges the status that a label command gave. `EACCES`: the DIMM is locked.
    fn label_status(&self, dimm: &Node<Dimm>, number: u32, status: u32) -> Result {
        let _ = (dimm, number);
        if status == 0 {
            Ok(())
        } else {
            Err(ENXIO)
        }
    }

    /// Vetoes a command that user space sends. `number` is the DSM function for `CALL` (spec 3.3).
    fn clear_to_send(&self, bus: &Node<Bus>, dimm: Option<&Node<Dimm>>, number: u32) -> Result {
        let _ = (bus, dimm, number);
        Ok(())
    }

    /// Waits until the provider has nothing more to register, for `wait_probe`.
    fn flush_probe(&self, bus: &Node<Bus>) -> Result {
        let _ = bus;
        Ok(())
    }

    /// Returns the memory of the provider's own that plays `len` bytes of physical addresses from `start` on: a range of a
    /// region that is to be used, or a flush hint. `None`: the addresses are what they seem.
    fn memory_at(&self, bus: &Node<Bus>, start: u64, len: u64) -> Option<ProviderRange> {
        let _ = (bus, start, len);
        None
    }

    /// Returns what activates staged firmware, if the provider knows how.
    fn activation(&self) -> Option<&dyn Activation> {
        None
    }

    /// Returns what manages the security of DIMMs, if the provider knows how.
    fn security(&self) -> Option<&dyn Security> {
        None
    }

    /// Tells whether poison can be cleared by command; if not, writes count as clearing it.
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
    /// Bit mask of [`bus_command`]s.
    pub commands: u64,
    /// Bit mask of the families that a `CALL` to the bus may name.
    pub bus_families: u64,
    /// Further attributes.
    pub groups: GroupList<Bus>,
    /// The provider's side.
    pub operations: KBox<dyn BusOperations>,
    /// The provider's own data.
    pub private: Private,
}

/// What is known of the state of a DIMM when it is registered.
#[derive(Clone, Copy, Default)]
pub struct DimmFlags {
    /// The DIMM does not save its contents on power loss: its regions are read-only.
    pub unarmed: bool,
    /// The DIMM is locked: its contents cannot be read.
    pub locked: bool,
    /// Labels say what its regions hold, even while there are none. Other DIMMs are like that once labels were found.
    pub labelled: bool,
}

/// A DIMM to register.
pub struct DimmDescription {
    /// State.
    pub flags: DimmFlags,
    /// Bit mask of [`dimm_command`]s.
    pub commands: u64,
    /// Bit mask of the families that it answers to. A `CALL` to any DIMM of the bus may name what one of them has.
    pub families: u64,
    /// Physical addresses of its flush hints (ACPI 6.5, 5.2.25.8).
    pub flush_hints: KVec<u64>,
    /// A text that tells it from all other DIMMs of the world.
    pub unique_id: Option<CString>,
    /// Further attributes.
    pub groups: GroupList<Dimm>,
    /// The provider's own data.
    pub private: Private,
}

/// Kind of memory of a region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RegionKind {
    /// Contents survive power loss.
    Persistent,
    /// Contents do not.
    Volatile,
}

/// How far stores must be pushed by software to survive power loss (ACPI 6.5, 5.2.25.9).
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
    pub dimm: kernel::sync::aref::ARef<Node<Dimm>>,
    /// First address, in the DIMM's own address space.
    pub dpa: u64,
    /// Bytes.
    pub size: u64,
    /// Place of the DIMM in the interleave set.
    pub position: u32,
}

/// What identifies the DIMMs of a region, in their order (NVDIMM Namespace Specification, interleave set cookie).
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
    /// Bytes: a multiple of the page size, unless it is a region without DIMMs. A disk in memory is as long as the image in it, and
    /// `memmap=` takes any length.
    pub size: u64,
    /// The DIMMs behind it, at most [`MAX_MAPPINGS`].
    pub mappings: KVec<MappingDescription>,
    /// What identifies their order, if the provider can tell.
    pub interleave_set: Option<InterleaveSet>,
    /// NUMA node, negative for none.
    pub numa_node: i32,
    /// NUMA node that the memory would get if it became system memory, negative for none.
    pub target_node: i32,
    /// Whether the kernel may keep page structures for the raw namespace.
    pub page_map: bool,
    /// How far stores must be pushed, if the platform says.
    pub persistence: Option<PersistenceDomain>,
    /// Further attributes.
    pub groups: GroupList<Region>,
    /// The provider's own data.
    pub private: Private,
}
