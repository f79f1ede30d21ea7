// SPDX-License-Identifier: GPL-2.0

//! Device nodes: a `struct device` and the object that it stands for.
//!
//! A node is created with [`Node::new`], appears in sysfs with [`Node::register`] and leaves it
//! with [`Node::unregister`]. It lives until the last reference to it is gone, which may be long
//! after that: an open disk, a pending job or an open sysfs file may hold one. Its release function
//! is part of this module's text, and references to devices do not pin modules; so nodes are
//! counted, and the module must not go before [`wait_until_released`] returned.

use super::presence::Presence;
use crate::{
    bus::{
        Bus,
        BusType, //
    },
    class::Class,
    device::DeviceLock,
    resource::online_node,
    sys,
    sysfs::GroupList,
    wait::{
        wait_for_returns,
        wait_until, //
    },
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    device::{
        Device,
        DeviceContext, //
    },
    error::to_result,
    fmt,
    prelude::*,
    str::{
        as_char_ptr_in_const_context,
        CString, //
    },
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Acquire,
            Atomic,
            Full, //
        }, //
    },
    types::Opaque, //
};

/// Nodes of all types that were created and not released yet.
static LIVE: Atomic<usize> = Atomic::new(0);

/// Waits until no node is left, and the release function of the last one has returned. To be called
/// before the module goes that holds their release function.
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
    // A node is not counted any more while its release function has still to return.
    wait_for_returns();
}

/// What a [`Node`] stands for.
pub trait DeviceType: Sized + Send + Sync + 'static {
    /// Returns the static tables of this type. They tell its devices from others.
    fn tables() -> &'static [&'static Table<Self>];
}

/// The `device_type` of nodes of `T`.
#[repr(transparent)]
pub struct Table<T: DeviceType>(sys::device_type, PhantomData<fn() -> T>);

// SAFETY: The table is immutable.
unsafe impl<T: DeviceType> Sync for Table<T> {}

impl<T: DeviceType> Table<T> {
    /// A type that appears as `DEVTYPE=name` in events.
    pub const fn named(name: &'static CStr, groups: GroupList<T>) -> Self {
        let mut table = Self::unnamed(groups);
        table.0.name = as_char_ptr_in_const_context(name);
        table
    }

    /// A type without a `DEVTYPE`.
    pub const fn unnamed(groups: GroupList<T>) -> Self {
        Self(
            sys::device_type {
                groups: groups.as_ptr().cast_mut(),
                release: Some(Node::<T>::release_callback),
                ..pin_init::zeroed()
            },
            PhantomData,
        )
    }
}

/// A device of type `T`: always reference counted, held through [`ARef`].
///
/// # Invariants
///
/// - `device` is initialised, its type is one of the tables of `T`, and it was allocated by
///   [`Node::new`].
/// - The parent of `device`, if there is one, is kept alive by `parent`.
#[repr(C)]
#[pin_data]
pub struct Node<T: DeviceType> {
    #[pin]
    pub(super) device: Opaque<sys::device>,
    #[pin]
    pub(super) presence: Presence,
    #[pin]
    data: T,
    /// Dropped last: who waits for the parent to be [unshared](Self::wait_until_unshared) has
    /// waited for the data of its children.
    parent: Option<ARef<Device>>,
}

// SAFETY: `struct device` may be used and released on any thread, and so may `T` and the atomics.
unsafe impl<T: DeviceType> Send for Node<T> {}
// SAFETY: All methods of a node are safe to call on several threads at once; `T` is `Sync`.
unsafe impl<T: DeviceType> Sync for Node<T> {}

/// What a new node is to be, besides its data.
pub struct NodeParameters<'a, T: DeviceType, B: Bus> {
    /// The bus that it is put on.
    pub bus: &'static BusType<B>,
    /// Its parent in the device tree.
    pub parent: Option<&'a Device>,
    /// One of [`DeviceType::tables`].
    pub table: &'static Table<T>,
    /// Further groups of attributes.
    pub groups: GroupList<T>,
    /// NUMA node, negative for none. One that is not online is replaced by the nearest one that is.
    pub numa_node: i32,
    /// Number of its node in `/dev` (see [`device_number`](crate::class::device_number)), 0 for
    /// none.
    pub device_number: u32,
}

/// Initialises a device, which power management is to leave alone: there is nothing to do for it.
///
/// Not a part of the generic function that calls it: the helper is not exported to the modules in
/// which that is instantiated.
///
/// # Safety
///
/// `device` is zeroed, and nobody else knows of it.
#[inline(never)]
unsafe fn initialise(device: *mut sys::device) {
    // SAFETY: By the requirements of this function; the second one wants an initialised device that
    // was not added.
    unsafe {
        sys::device_initialize(device);
        sys::device_set_pm_not_required(device);
    }
}

impl<T: DeviceType> Node<T> {
    /// Makes a node named `name` that is not in sysfs yet.
    pub fn new<B: Bus>(
        parameters: &NodeParameters<'_, T, B>,
        name: fmt::Arguments<'_>,
        data: impl PinInit<T, Error>,
    ) -> Result<ARef<Self>> {
        // Allocators take the node of a device for an index.
        let numa_node = online_node(parameters.numa_node);
        Self::create(
            parameters.table,
            parameters.parent,
            name,
            data,
            // SAFETY: The caller passes an initialised device that nobody else knows of yet, and
            // all that is put in is static. The NUMA node is one that the kernel has, or negative.
            |device| unsafe {
                (*device).bus = parameters.bus.as_ptr();
                (*device).groups = parameters.groups.as_ptr().cast_mut();
                (*device).devt = parameters.device_number;
                sys::set_dev_node(device, numa_node);
            },
        )
    }

    /// Makes a node named `name` in `class`, on no bus, that is not in sysfs yet.
    ///
    /// `device_number` is that of its node in `/dev`, 0 for none.
    pub fn in_class(
        class: &'static Class,
        table: &'static Table<T>,
        parent: &Device,
        device_number: u32,
        name: fmt::Arguments<'_>,
        data: impl PinInit<T, Error>,
    ) -> Result<ARef<Self>> {
        // SAFETY: The caller passes an initialised device that nobody else knows of yet, and the
        // class is static.
        Self::create(table, Some(parent), name, data, |device| unsafe {
            (*device).class = class.as_ptr();
            (*device).devt = device_number;
        })
    }

    /// Makes a node; `place` decides where its initialised device, which nobody else knows of, is
    /// going to be.
    fn create(
        table: &'static Table<T>,
        parent: Option<&Device>,
        name: fmt::Arguments<'_>,
        data: impl PinInit<T, Error>,
        place: impl FnOnce(*mut sys::device),
    ) -> Result<ARef<Self>> {
        let name = CString::try_from_fmt(name)?;
        let parent = parent.map(ARef::from);
        let node = KBox::try_pin_init(
            try_pin_init!(Self {
                device: Opaque::zeroed(),
                presence <- Presence::new(),
                data <- data,
                parent,
            }? Error),
            GFP_KERNEL,
        )?;
        LIVE.fetch_add(1, Full);

        // SAFETY: The node is not moved: from here on its memory is owned by the reference count of
        // the device, and freed by the release callback.
        let node = unsafe { Pin::into_inner_unchecked(node) };
        let node = KBox::into_raw(node);
        // SAFETY: `node` was just allocated.
        let device = unsafe { (*node).device.get() };
        // SAFETY: The device is zeroed and nobody else knows of it.
        unsafe { initialise(device) };
        // SAFETY: As above; the table is static, and the parent is kept by the node. After this,
        // dropping the reference runs the release callback.
        unsafe {
            (*device).type_ = &raw const table.0;
            (*device).parent = (*node).parent.as_deref().map_or(ptr::null_mut(), raw);
        }
        place(device);
        // SAFETY: `node` is valid, and the reference that `device_initialize` made becomes ours.
        // INVARIANT: The device was initialised with a table of `T`.
        let node = unsafe { ARef::from_raw(NonNull::new_unchecked(node)) };
        // SAFETY: `device` is initialised; the format takes one string.
        to_result(unsafe { sys::dev_set_name(device, c"%s".as_char_ptr(), name.as_char_ptr()) })?;
        Ok(node)
    }

    /// Returns the node that `device` belongs to, if it is one of `T`.
    pub fn from_device(device: &Device) -> Option<&Self> {
        let raw = raw(device);
        // SAFETY: `raw` is a valid device; its type does not change once it is initialised.
        let table = unsafe { (*raw).type_ };
        if !T::tables()
            .iter()
            .any(|known| ptr::eq(&raw const known.0, table))
        {
            return None;
        }
        // SAFETY: The type of the device is a table of `T`, and only `Node::<T>::new` puts those
        // into devices.
        Some(unsafe { Self::from_raw(raw) })
    }

    /// Returns the node whose device is `raw`.
    ///
    /// # Safety
    ///
    /// `raw` must be the device of a `Node<T>` that lives at least as long as the returned
    /// reference.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut sys::device) -> &'a Self {
        // SAFETY: By the requirements of this function; the device is the first field of the node.
        unsafe { &*raw.cast::<Self>() }
    }

    /// Returns the device of this node.
    pub fn device(&self) -> &Device {
        // SAFETY: By the type invariant the device is initialised, and it lives as long as the
        // node.
        unsafe { Device::from_raw(self.device.get()) }
    }

    /// Returns what the device stands for, for as long as the node is borrowed.
    pub fn data(node: &Self) -> &T {
        &node.data
    }

    /// Returns the name that events carry as `DEVTYPE`, if its table has one.
    pub fn type_name(&self) -> Option<&'static CStr> {
        // SAFETY: By the type invariant the device is initialised and its type is a table, all of
        // which are static.
        let name = unsafe { (*(*self.device.get()).type_).name };
        // SAFETY: `Table::named`, the only one who sets a name, takes it from a static C string.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
    }

    /// Returns the parent in the device tree.
    pub fn parent(&self) -> Option<&Device> {
        self.parent.as_deref()
    }

    /// Returns the NUMA node, negative for none.
    pub fn numa_node(&self) -> i32 {
        // SAFETY: By the type invariant the device is initialised.
        unsafe { sys::dev_to_node(self.device.get()) }
    }

    /// Takes the lock of the device.
    pub fn lock_device(&self) -> DeviceLock<'_> {
        DeviceLock::new(self.device())
    }

    /// Waits until nobody but the caller, who has this one reference, refers to an unregistered
    /// node or to a child of it. To be called before the module goes that its release function is
    /// part of, or that of its data or of those of its children.
    ///
    /// Never call it with a lock that somebody needs to let go of the node: that of a device on the
    /// same bus, say.
    pub fn wait_until_unshared(node: &ARef<Self>) {
        // SAFETY: The count is a field of the device, which lives as long as `node`, and only ever
        // accessed atomically.
        let count: &Atomic<i32> = unsafe {
            Atomic::from_ptr(&raw mut (*node.device.get()).kobj.kref.refcount.refs.counter)
        };
        // Nobody can find the node any more, so the count does not grow again.
        wait_until(
            || count.load(Acquire) <= 1,
            || dev_warn!(node.device(), "is gone, but still in use: waiting\n"),
        );
    }

    /// Calls `f` for each child in sysfs until it fails. Children that come or go meanwhile may be
    /// left out.
    pub fn for_each_child<F: FnMut(&Device) -> Result>(&self, f: F) -> Result {
        for_each_child(self.device(), f)
    }

    /// Returns the first child in sysfs that is a node of `U` and meets `condition`.
    pub fn find_child<U: DeviceType>(
        &self,
        mut condition: impl FnMut(&Node<U>) -> bool,
    ) -> Option<ARef<Node<U>>> {
        let mut found = None;
        // The walk ends with an error once something is found; there are no other errors.
        let _ = self.for_each_child(|child| match Node::<U>::from_device(child) {
            Some(node) if condition(node) => {
                found = Some(ARef::from(node));
                Err(EEXIST)
            }
            _ => Ok(()),
        });
        found
    }

    /// Frees a node.
    ///
    /// # Safety
    ///
    /// To be called by the driver core alone, when the last reference to the device of a `Node<T>`
    /// is gone.
    unsafe extern "C" fn release_callback(device: *mut sys::device) {
        // SAFETY: The last reference is gone, so nobody uses the node any more. It was allocated in
        // `Self::new`, whose box is taken back here; the pinned contents are dropped in place.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(device.cast::<Self>())) });
        LIVE.fetch_sub(1, Full);
    }
}

/// Calls `f` for each child of `device` in sysfs until it fails.
pub fn for_each_child<F: FnMut(&Device) -> Result>(device: &Device, mut f: F) -> Result {
    /// Passes one child on.
    ///
    /// # Safety
    ///
    /// `data` must be a closure of type `F` of which nobody else knows, and `child` a valid device.
    unsafe extern "C" fn callback<F: FnMut(&Device) -> Result>(
        child: *mut sys::device,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: `data` is the closure that `for_each_child` passed, and nobody else uses it
        // during the walk.
        let f = unsafe { &mut *data.cast::<F>() };
        // SAFETY: The driver core holds a reference to the child during the call.
        match f(unsafe { Device::from_raw(child) }) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    // SAFETY: `device` is valid, and the closure outlives the call.
    to_result(unsafe {
        sys::device_for_each_child(raw(device), (&raw mut f).cast(), Some(callback::<F>))
    })
}

/// Forgets in which context a device is.
pub fn normal<Ctx: DeviceContext>(device: &Device<Ctx>) -> &Device {
    // SAFETY: `device` is valid as long as it is borrowed, and every device may be seen without a
    // context.
    unsafe { Device::from_raw(ptr::from_ref(device).cast::<sys::device>().cast_mut()) }
}

fn raw(device: &Device) -> *mut sys::device {
    ptr::from_ref(device).cast::<sys::device>().cast_mut()
}

impl<T: DeviceType> Deref for Node<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: DeviceType> AsRef<Device> for Node<T> {
    fn as_ref(&self) -> &Device {
        self.device()
    }
}

// SAFETY: A node lives until the reference count of its device is zero.
unsafe impl<T: DeviceType> AlwaysRefCounted for Node<T> {
    fn inc_ref(&self) {
        // SAFETY: The existence of a shared reference guarantees that the count is not zero.
        unsafe { sys::get_device(self.device.get()) };
    }

    unsafe fn dec_ref(node: NonNull<Self>) {
        // SAFETY: The caller owns a reference, so the node is valid; its device is its first field.
        unsafe { sys::put_device(node.cast().as_ptr()) };
    }
}
