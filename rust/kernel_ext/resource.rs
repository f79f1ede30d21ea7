// SPDX-License-Identifier: GPL-2.0

//! The resource tree of physical addresses, which `/proc/iomem` shows, and the NUMA nodes of
//! addresses.
//!
//! An [`InsertedRange`] owns its resource. The tree has a lock of its own, which the C functions
//! take.
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

/// The description of a range (`IORES_DESC_*`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Description {
    /// "Persistent Memory".
    PersistentMemory,
    /// "Persistent Memory (legacy)": e820 type 12.
    LegacyPersistentMemory,
}

impl Description {
    const fn as_raw(self) -> c_ulong {
        // CAST: Small constants that bindgen gives other types.
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

/// Calls `f` for each memory range with this description in ascending order, until it fails.
/// Returns that error.
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
    /// `resource` must be valid, and `walk` a [`Walk`] of an `F` that nothing else uses during the
    /// call.
    unsafe extern "C" fn callback<F: FnMut(AddressRange) -> Result>(
        resource: *mut sys::resource,
        walk: *mut c_void,
    ) -> c_int {
        // SAFETY: The caller passes a `Walk` of an `F` that nothing else uses during the call. The
        // C function makes one call at a time.
        let walk = unsafe { &mut *walk.cast::<Walk<'_, F>>() };
        // SAFETY: The caller passes a valid resource. It is a copy on the stack of the C function,
        // so it does not change.
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
    // SAFETY: The context is what the callback expects, outlives the call and is not used otherwise
    // during it. The function takes any bounds. It may sleep, as this function may, and holds no
    // lock during a callback. Its result is ignored: it is an error if there is no such range;
    // `outcome` has the error of `f`.
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

/// Returns `true` if a part of the range has this description and no memory in it has another.
pub fn has_description(range: AddressRange, description: Description) -> bool {
    let Ok(size) = usize::try_from(range.last.saturating_sub(range.first).saturating_add(1)) else {
        return false;
    };
    // SAFETY: The function takes any numbers and reads the tree under its spinning lock, so it may
    // be called in any context.
    let answer = unsafe { sys::region_intersects(range.first, size, MEMORY, description.as_raw()) };
    // CAST: A small constant that bindgen gives another type.
    answer == sys::REGION_INTERSECTS as c_int
}

/// A range that was inserted into the tree. Dropping it removes the range.
///
/// # Invariants
///
/// The resource is in the tree. Only the C side accesses it, under the lock of the tree, and keeps
/// pointers to it.
pub struct InsertedRange(Pin<KBox<Opaque<sys::resource>>>);

// SAFETY: By the type invariant only the C side accesses the resource, from any thread, and any
// thread may remove it.
unsafe impl Send for InsertedRange {}

// SAFETY: A shared reference gives access to nothing.
unsafe impl Sync for InsertedRange {}

impl InsertedRange {
    /// Inserts `range` with a description into the tree, below the resources that cover it and
    /// above those that it covers.
    ///
    /// [`MapError::Invalid`]: the range is empty or too long. [`MapError::Busy`]: it is reserved,
    /// or it overlaps another resource in part. [`MapError::NotMemory`]: it belongs to a device or
    /// to the firmware, and so must not be described as memory. [`MapError::NoMemory`]: out of
    /// memory.
    pub fn new(range: AddressRange, description: Description) -> Result<Self, MapError> {
        let len = range
            .last
            .checked_sub(range.first)
            .and_then(|last| last.checked_add(1))
            .ok_or(MapError::Invalid)?;
        // The range is reserved until it is described, so nothing else can be in it.
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
        // SAFETY: The root of the tree is a static of the kernel. The resource is initialised, has
        // a static name, is in no tree, and is pinned until it is removed. The function takes the
        // lock of the tree, which this task does not hold.
        to_result(unsafe { sys::insert_resource(&raw mut sys::iomem_resource, resource.get()) })
            .map_err(|_| MapError::Busy)?;
        // INVARIANT: The resource was just inserted, and is accessed by the C side only from now
        // on.
        Ok(Self(resource))
    }
}

impl Drop for InsertedRange {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the resource is in the tree. It is removed once, before its
        // memory is freed.
        unsafe { sys::remove_resource(self.0.get()) };
    }
}

/// Returns the NUMA node of memory at `address` that is not system memory; negative if there is
/// none.
pub fn address_node(address: u64) -> i32 {
    // SAFETY: The function takes any number and looks it up in a table that does not change after
    // boot. It may be called in any context.
    unsafe { sys::memory_add_physaddr_to_nid(address) }
}

/// Returns the NUMA node that memory at `address` would have as system memory; negative if there is
/// none.
pub fn target_node(address: u64) -> i32 {
    // SAFETY: The function takes any number and looks it up in tables that do not change after
    // boot. It may be called in any context.
    unsafe { sys::phys_to_target_node(address) }
}

/// Returns `node` if it is online, else the nearest online node; negative if there is no such node.
pub fn online_node(node: i32) -> i32 {
    match u32::try_from(node) {
        #[cfg(CONFIG_NUMA)]
        Ok(number) if number < sys::MAX_NUMNODES => {
            // SAFETY: The node is within the bounds of the kernel's tables, and the state is one of
            // the kernel's. The function may be called in any context.
            unsafe { sys::numa_nearest_node(node, sys::node_states_N_ONLINE) }
        }
        #[cfg(not(CONFIG_NUMA))]
        Ok(0) => 0,
        _ => -1,
    }
}
