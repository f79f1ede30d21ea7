// SPDX-License-Identifier: GPL-2.0

//! The release of nodes, which happens when the last reference to one is dropped.
//!
//! Any task may drop it. The release callback then frees the node, and the data with it, in that
//! task. A node with an [`Owner`] is different: the callback only signals the owner, which waits
//! for that when it is dropped, and frees the node itself. So a module knows that the data of its
//! nodes have been dropped before its text is freed.
//!
//! The release callback is one function for nodes of all types. It is in the text of the module
//! that this crate is linked into, and signals when it has left the text of other modules. Only the
//! module with this crate must wait until it has returned ([`wait_until_released`]).

use super::{
    DeviceData,
    TypedDevice, //
};
use crate::{
    sys,
    wait::{
        wait_for_returns,
        wait_until, //
    }, //
};
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
    },
    time::msecs_to_jiffies,
    types::Opaque, //
};

/// Number of nodes of all types that were created and not freed yet.
static LIVE: Atomic<usize> = Atomic::new(0);

/// Counts a new node, which the release callback will find.
pub(super) fn count_new() {
    LIVE.fetch_add(1, Full);
}

/// Waits until all nodes are freed and the release callback of the last one has returned. The
/// module with this crate must call it before it is unloaded. May sleep.
pub fn wait_until_released() {
    wait_until(
        || LIVE.load(Acquire) == 0,
        || {
            pr_warn!(
                "waiting for {} devices that are still in use\n",
                LIVE.load(Acquire)
            );
        },
    );
    // The callback removes a node from the count before it returns.
    wait_for_returns();
}

/// A `device_type` and the function that releases the nodes of one type of data.
///
/// # Invariants
///
/// `release` is [`TypedDevice::release`] of the type whose nodes have this `device_type`.
#[repr(C)]
pub(super) struct ReleaseTable {
    /// `Opaque`, so that each table is a static of its own. Constants with equal contents may be
    /// merged, and tables tell types apart by their addresses.
    device_type: Opaque<sys::device_type>,
    release: unsafe fn(*mut sys::device) -> Option<NonNull<sys::completion>>,
}

impl ReleaseTable {
    /// Returns a table for nodes of `T`. `device_type` has no release callback.
    pub(super) const fn new<T: DeviceData>(device_type: sys::device_type) -> Self {
        // INVARIANT: The function is that of `T`.
        Self {
            device_type: Opaque::new(sys::device_type {
                release: Some(release_callback),
                ..device_type
            }),
            release: TypedDevice::<T>::release,
        }
    }

    /// Returns the C part, from which the release callback gets back to the table.
    pub(super) const fn as_ptr(&self) -> *const sys::device_type {
        // `device_type` is the first field.
        ptr::from_ref(self).cast()
    }
}

/// Releases a node of any type.
///
/// # Safety
///
/// `device` must be that of a node whose last reference is gone. Only the driver core may call
/// this.
// Not inlined, so that there is one copy, in the text of the module that this crate is linked into.
#[inline(never)]
unsafe extern "C" fn release_callback(device: *mut sys::device) {
    // SAFETY: The caller passes the device of a node, so its type is the first field of a static
    // `ReleaseTable`.
    let release = unsafe { (*(*device).type_.cast::<ReleaseTable>()).release };
    // SAFETY: By the type invariant of the table the function is that of the type of the node. The
    // last reference is gone, and this is the only call.
    match unsafe { release(device) } {
        // SAFETY: The completion is valid: its owner frees it after it was signalled. `complete`
        // does not access it after it has released the lock that the owner takes before that.
        Some(completion) => unsafe { sys::complete(completion.as_ptr()) },
        None => {
            LIVE.fetch_sub(1, Full);
        }
    }
}

/// The owner of a node, in the node.
#[pin_data]
pub(super) struct Ownership {
    /// `true` if there is an [`Owner`].
    owned: Atomic<bool>,
    /// Completed by the release callback, if there is an owner.
    #[pin]
    released: Opaque<sys::completion>,
}

impl Ownership {
    /// Returns that of a node without owner.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            owned: Atomic::new(false),
            released <- Opaque::ffi_init(|slot| {
                // SAFETY: The slot is valid for writes, and is where the completion stays.
                unsafe { sys::init_completion(slot) };
            }),
        })
    }

    /// Makes the caller the owner. `EBUSY`: there is one.
    fn claim(&self) -> Result {
        if self.owned.xchg(true, Relaxed) {
            return Err(EBUSY);
        }
        Ok(())
    }

    /// Returns what the owner waits for, if there is one.
    ///
    /// To be called when the last reference is gone. The owner had one, and dropping it ordered the
    /// claim before this call.
    pub(super) fn waiting(&self) -> Option<NonNull<sys::completion>> {
        self.owned
            .load(Relaxed)
            .then(|| NonNull::new(self.released.get()))
            .flatten()
    }

    /// Waits until the release callback has signalled, and logs about every ten seconds that this
    /// takes long. May sleep.
    fn wait(&self, name: &CStr) {
        const WARN_EVERY_MS: u32 = 10_000;

        // SAFETY: `new` has initialised the completion, and it is pinned. The function may sleep,
        // as this one may.
        while unsafe {
            sys::wait_for_completion_timeout(self.released.get(), msecs_to_jiffies(WARN_EVERY_MS))
        } == 0
        {
            pr_warn!("{name} is gone, but still in use: waiting\n");
        }
    }
}

/// The owner of a node. Dropping it waits until there is no other reference, and frees the node.
///
/// The node must be unregistered before, and the owner must not hold a lock that another user needs
/// before it drops its reference, such as that of a device on the same bus. As a node refers to its
/// parent until its data have been dropped, those of all children have been dropped as well.
///
/// # Invariants
///
/// The node's [`Ownership`] was claimed for this owner.
pub struct Owner<T: DeviceData> {
    node: ManuallyDrop<ARef<TypedDevice<T>>>,
    name: CString,
}

impl<T: DeviceData> Owner<T> {
    /// Makes the caller the owner of `node`. `EBUSY`: it has one. `ENOMEM`: out of memory.
    pub fn new(node: ARef<TypedDevice<T>>) -> Result<Self> {
        let name = CString::try_from(node.device().name())?;
        node.ownership.claim()?;
        // INVARIANT: The claim has succeeded.
        Ok(Self {
            node: ManuallyDrop::new(node),
            name,
        })
    }
}

impl<T: DeviceData> Deref for Owner<T> {
    type Target = TypedDevice<T>;

    fn deref(&self) -> &TypedDevice<T> {
        &self.node
    }
}

impl<T: DeviceData> Drop for Owner<T> {
    fn drop(&mut self) {
        // SAFETY: The field is taken once and not used afterwards.
        let node = ARef::into_raw(unsafe { ManuallyDrop::take(&mut self.node) }).as_ptr();
        // SAFETY: `into_raw` has left a reference to the caller, which is dropped here. The device
        // is the first field of the node. The function may sleep, as the owner may.
        unsafe { sys::put_device(node.cast()) };
        // SAFETY: By the type invariant the node has an owner, so the release callback does not
        // free it, and it is valid until that is done below.
        let ownership = unsafe { &(*node).ownership };
        ownership.wait(&self.name);
        // SAFETY: The release callback has signalled, so the last reference is gone, and the
        // callback accesses the node no more. `TypedDevice::create` has allocated it in a box,
        // which is taken back once. The content is pinned, and is dropped in place.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(node)) });
        LIVE.fetch_sub(1, Full);
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_release)]
mod tests {
    use super::*;
    use crate::{
        class::Class,
        device::DeviceType,
        sysfs::GroupList, //
    };
    use kernel::{
        faux,
        sync::{
            atomic::Release,
            Arc, //
        },
        time::{
            delay::fsleep,
            Delta, //
        },
        workqueue, //
    };

    static CLASS: Class = Class::new(c"nd_kunit_release");
    static TYPE: DeviceType<Counted> = DeviceType::unnamed(GroupList::EMPTY);

    /// Counts how often it was dropped.
    struct Counted(Arc<Atomic<u32>>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Full);
        }
    }

    impl DeviceData for Counted {
        fn types() -> &'static [&'static DeviceType<Self>] {
            static TABLES: [&DeviceType<Counted>; 1] = [&TYPE];
            &TABLES
        }
    }

    /// A device, and how often its data were dropped.
    type CountedDevice = (ARef<TypedDevice<Counted>>, Arc<Atomic<u32>>);

    fn node(parent: &faux::Registration, name: &CStr) -> Result<CountedDevice> {
        let drops = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let data = Counted(drops.clone());
        let node = TypedDevice::in_class(
            &CLASS,
            &TYPE,
            parent.as_ref(),
            0,
            fmt!("{name}"),
            Ok::<_, Error>(data),
        )?;
        Ok((node, drops))
    }

    #[test]
    fn the_last_reference_frees_a_node_without_owner() -> Result {
        let parent = faux::Registration::new(c"nd_kunit_release", None)?;
        let _class = CLASS.register()?;
        let (first, drops) = node(&parent, c"nd_kunit_free")?;
        first.register()?;
        let second = first.clone();
        first.unregister();
        drop(first);
        assert_eq!(drops.load(Acquire), 0);
        drop(second);
        assert_eq!(drops.load(Acquire), 1);
        Ok(())
    }

    #[test]
    fn an_owner_waits_for_all_references_and_frees_the_node() -> Result {
        let parent = faux::Registration::new(c"nd_kunit_release", None)?;
        let _class = CLASS.register()?;
        let (reference, drops) = node(&parent, c"nd_kunit_owned")?;
        let owner = Owner::new(reference.clone())?;
        assert!(Owner::new(reference.clone()).err() == Some(EBUSY));
        owner.register()?;
        owner.unregister();

        let seen = drops.clone();
        let early = Arc::new(Atomic::new(1u32), GFP_KERNEL)?;
        let report = early.clone();
        workqueue::system().try_spawn(GFP_KERNEL, move || {
            fsleep(Delta::from_millis(50));
            report.store(seen.load(Acquire), Release);
            drop(reference);
        })?;
        drop(owner);
        assert_eq!(early.load(Acquire), 0);
        assert_eq!(drops.load(Acquire), 1);
        Ok(())
    }
}
