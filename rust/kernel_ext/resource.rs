// SPDX-License-Identifier: GPL-2.0

//! The tree of physical addresses that `/proc/iomem` shows, and which NUMA node an address belongs
//! to.
//!
//! C headers: [`include/linux/ioport.h`](srctree/include/linux/ioport.h),
//! [`include/linux/numa.h`](srctree/include/linux/numa.h)

use crate::{
    memory::{
        MapError,
        Reservation,
        Use, //
    },
    sys, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// What a range is described as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Description {
    /// "Persistent Memory".
    PersistentMemory,
    /// "Persistent Memory (legacy)": e820 type 12.
    LegacyPersistentMemory,
}

impl Description {
    const fn as_raw(self) -> c_ulong {
        // CAST: Small constants that C happens to type otherwise.
        match self {
            Self::PersistentMemory => sys::IORES_DESC_PERSISTENT_MEMORY as c_ulong,
            Self::LegacyPersistentMemory => sys::IORES_DESC_PERSISTENT_MEMORY_LEGACY as c_ulong,
        }
    }

    const fn name(self) -> &'static CStr {
        match self {
            Self::PersistentMemory => c"Persistent Memory",
            Self::LegacyPersistentMemory => c"Persistent Memory (legacy)",
        }
    }
}

// CAST: The flags of a resource are a `c_ulong` with room for all constants.
const MEMORY: c_ulong = sys::IORESOURCE_MEM as c_ulong;

/// A range of physical addresses, not empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressRange {
    /// The first address.
    pub first: u64,
    /// The last address.
    pub last: u64,
}

/// Calls `f` for each range of memory with this description, ascending, until it fails.
pub fn for_each_range<F: FnMut(AddressRange) -> Result>(
    description: Description,
    mut f: F,
) -> Result {
    struct Walk<'f, F> {
        f: &'f mut F,
        outcome: Result,
    }

    /// # Safety
    ///
    /// `resource` must be valid, and `walk` a [`Walk`] with an `F` that nothing else uses during
    /// the call.
    unsafe extern "C" fn callback<F: FnMut(AddressRange) -> Result>(
        resource: *mut sys::resource,
        walk: *mut c_void,
    ) -> c_int {
        // SAFETY: By the requirements of this function; the walk makes one call at a time.
        let walk = unsafe { &mut *walk.cast::<Walk<'_, F>>() };
        // SAFETY: By the requirements of this function the resource is valid: it is a copy that the
        // walk has made.
        let range = unsafe {
            AddressRange {
                first: (*resource).start,
                last: (*resource).end,
            }
        };
        walk.outcome = (walk.f)(range);
        walk.outcome.err().map_or(0, Error::to_errno)
    }

    let mut walk = Walk {
        f: &mut f,
        outcome: Ok(()),
    };
    // SAFETY: The callback and its context are as the callback expects, and outlive the call. What
    // it returns is an error also if there is no range at all, so it is `outcome` that counts.
    unsafe {
        sys::walk_iomem_res_desc(
            description.as_raw(),
            MEMORY,
            0,
            u64::MAX,
            (&raw mut walk).cast(),
            Some(callback::<F>),
        )
    };
    walk.outcome
}

/// Tells whether some of the range has this description already, and nothing in it has another.
pub fn has_description(range: AddressRange, description: Description) -> bool {
    let Ok(size) = usize::try_from(range.last.saturating_sub(range.first).saturating_add(1)) else {
        return false;
    };
    // SAFETY: The function takes numbers, and reads the tree under its lock, which spins.
    let answer = unsafe { sys::region_intersects(range.first, size, MEMORY, description.as_raw()) };
    // CAST: Small constants that C happens to type otherwise.
    answer == sys::REGION_INTERSECTS as c_int
}

/// A range that this module put into the tree; taken out when dropped.
///
/// # Invariants
///
/// The resource is in the tree. It is accessed under the lock of the tree alone, by the C side,
/// which keeps pointers to it.
pub struct InsertedRange(Pin<KBox<Opaque<sys::resource>>>);

// SAFETY: By the type invariant only the C side accesses the resource, from any thread; it may be
// removed on any.
unsafe impl Send for InsertedRange {}

// SAFETY: There is nothing that can be done through a shared reference.
unsafe impl Sync for InsertedRange {}

impl InsertedRange {
    /// Describes `range`, below whatever covers it and above whatever it covers.
    ///
    /// [`MapError::Busy`]: it overlaps something in part, or is reserved. [`MapError::Foreign`]: it
    /// belongs to a device or the firmware; a description makes memory of a range, so nothing else
    /// may get one.
    pub fn new(range: AddressRange, description: Description) -> Result<Self, MapError> {
        let len = range
            .last
            .checked_sub(range.first)
            .and_then(|last| last.checked_add(1))
            .ok_or(MapError::Invalid)?;
        // Nothing else can be there, nor come to be there, until it is described.
        let _reservation = Reservation::new(description.name(), range.first, len, Use::Memory)?;
        let resource = KBox::pin(
            Opaque::new(sys::resource {
                start: range.first,
                end: range.last,
                name: description.name().as_char_ptr(),
                flags: MEMORY,
                desc: description.as_raw(),
                ..pin_init::zeroed()
            }),
            GFP_KERNEL,
        )
        .map_err(|_| MapError::NoMemory)?;
        // SAFETY: The root of the tree is a static of the kernel. The resource is initialised, with
        // a static name, is in no tree, and stays in place until it is removed.
        to_result(unsafe { sys::insert_resource(&raw mut sys::iomem_resource, resource.get()) })
            .map_err(|_| MapError::Busy)?;
        // INVARIANT: It was just inserted.
        Ok(Self(resource))
    }
}

impl Drop for InsertedRange {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the resource is in the tree, from which it is removed once.
        unsafe { sys::remove_resource(self.0.get()) };
    }
}

/// The NUMA node of memory at `address` that is not system memory, negative if there is none.
pub fn address_node(address: u64) -> i32 {
    // SAFETY: The function takes a number, and looks it up in a table that does not change after
    // boot.
    unsafe { sys::memory_add_physaddr_to_nid(address) }
}

/// The NUMA node that memory at `address` would get as system memory, negative if there is none.
pub fn target_node(address: u64) -> i32 {
    // SAFETY: The function takes a number, and looks it up in tables that do not change after boot.
    unsafe { sys::phys_to_target_node(address) }
}

/// This node, or the nearest one that is online; negative if there is no such node.
pub fn online_node(node: i32) -> i32 {
    match u32::try_from(node) {
        #[cfg(CONFIG_NUMA)]
        Ok(number) if number < sys::MAX_NUMNODES => {
            // SAFETY: The node is within the bounds of the kernel's tables.
            unsafe { sys::numa_nearest_node(node, sys::node_states_N_ONLINE) }
        }
        #[cfg(not(CONFIG_NUMA))]
        Ok(0) => 0,
        _ => -1,
    }
}
