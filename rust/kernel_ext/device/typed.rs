// SPDX-License-Identifier: GPL-2.0

//! Typed devices: a `struct device` and the object that it represents.
//!
//! [`TypedDevice::new`] creates a device, [`TypedDevice::register`] adds it to sysfs, and
//! [`TypedDevice::unregister`] removes it. A device lives until its last reference is dropped,
//! which may be long after that: an open disk, a pending job or an open sysfs file may hold one.
//!
//! The release of a device runs code of the modules that its data come from, but a reference to a
//! device does not pin modules. A module whose code would be unloaded before is the [`Owner`] of
//! the device. All devices are counted, and the module that this crate is linked into must not be
//! unloaded before [`wait_until_released`] has returned.
//!
//! [`Owner`]: super::Owner
//! [`wait_until_released`]: super::wait_until_released
//!
//! # Example
//!
//! ```ignore
//! struct Region { /* data */ }
//!
//! static TYPE: DeviceType<Region> = DeviceType::named(c"nd_pmem", GROUPS.list());
//!
//! impl DeviceData for Region {
//!     fn types() -> &'static [&'static DeviceType<Self>] {
//!         static TYPES: [&DeviceType<Region>; 1] = [&TYPE];
//!         &TYPES
//!     }
//! }
//!
//! let parameters = DeviceParameters { device_type: &TYPE, /* … */ };
//! let device = TypedDevice::new(&parameters, fmt!("region{id}"), region)?;
//! device.register()?;
//! ```

use super::{
    as_raw,
    registration::RegistrationState,
    release::{
        self,
        Ownership,
        ReleaseTable, //
    }, //
};
use crate::{
    bus::{
        Bus,
        BusType, //
    },
    class::Class,
    device::DeviceLock,
    resource::online_node,
    sys,
    sysfs::GroupList, //
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
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

/// The data of a [`TypedDevice`].
pub trait DeviceData: Sized + Send + Sync + 'static {
    /// Returns the static device types of this data, which distinguish its devices from others.
    fn types() -> &'static [&'static DeviceType<Self>];
}

/// The `device_type` of devices with data of type `T`, for use in a static. Its address stands for
/// `T`: no constant can refer to one.
#[repr(transparent)]
pub struct DeviceType<T: DeviceData>(ReleaseTable, PhantomData<fn() -> T>);

// SAFETY: Nothing writes to it.
unsafe impl<T: DeviceData> Sync for DeviceType<T> {}

impl<T: DeviceData> DeviceType<T> {
    /// Returns a type that appears as `DEVTYPE=name` in uevents.
    pub const fn named(name: &'static CStr, groups: GroupList<T>) -> Self {
        Self::new(as_char_ptr_in_const_context(name), groups)
    }

    /// Returns a type without `DEVTYPE`.
    pub const fn unnamed(groups: GroupList<T>) -> Self {
        Self::new(ptr::null(), groups)
    }

    const fn new(name: *const c_char, groups: GroupList<T>) -> Self {
        Self(
            ReleaseTable::new::<T>(sys::device_type {
                name,
                groups: groups.as_ptr().cast_mut(),
                ..pin_init::zeroed()
            }),
            PhantomData,
        )
    }
}

/// A device with data of type `T`. It is reference counted and held through [`ARef`].
///
/// # Invariants
///
/// - `device` is initialised, its type is a [`DeviceType<T>`], and the object was allocated by
///   [`TypedDevice::create`].
/// - `parent` holds a reference to the parent of `device`, if there is one.
#[repr(C)]
#[pin_data]
pub struct TypedDevice<T: DeviceData> {
    #[pin]
    pub(super) device: Opaque<sys::device>,
    #[pin]
    pub(super) ownership: Ownership,
    #[pin]
    pub(super) registration: RegistrationState,
    #[pin]
    data: T,
    /// Dropped last: when the parent is released, the data of its children have been dropped.
    parent: Option<ARef<Device>>,
}

// SAFETY: A `struct device` may be used and released by any thread, `T` is `Send` and `Sync`, and
// so are the other fields.
unsafe impl<T: DeviceData> Send for TypedDevice<T> {}
// SAFETY: All methods may be called by several threads concurrently, and `T` is `Sync`.
unsafe impl<T: DeviceData> Sync for TypedDevice<T> {}

/// The properties of a new device, apart from its data.
pub struct DeviceParameters<'a, T: DeviceData, B: Bus> {
    /// Its bus.
    pub bus: &'static BusType<B>,
    /// Its parent in the device tree.
    pub parent: Option<&'a Device>,
    /// One of [`DeviceData::types`].
    pub device_type: &'static DeviceType<T>,
    /// Attribute groups in addition to those of the type.
    pub groups: GroupList<T>,
    /// NUMA node, negative for none. One that is not online is replaced by the nearest one that is.
    pub numa_node: i32,
    /// Number of its node in `/dev` (see [`device_number`](crate::class::device_number)), 0 for
    /// none.
    pub device_number: u32,
}

/// Initialises a device and excludes it from power management, which has nothing to do for it.
///
/// Not a part of its generic caller, which is instantiated in modules to which the helper is not
/// exported.
///
/// # Safety
///
/// `device` must be zeroed, pinned, and not accessed by anything else.
#[inline(never)]
unsafe fn initialise(device: *mut sys::device) {
    // SAFETY: The caller passes a zeroed and pinned device that nothing else accesses. The second
    // function expects an initialised device that was not added, which the first has made it.
    unsafe {
        sys::device_initialize(device);
        sys::device_set_pm_not_required(device);
    }
}

impl<T: DeviceData> TypedDevice<T> {
    /// Creates a device called `name`, which is not in sysfs yet. `ENOMEM`: out of memory.
    /// Otherwise the error of `data`.
    pub fn new<B: Bus>(
        parameters: &DeviceParameters<'_, T, B>,
        name: fmt::Arguments<'_>,
        data: impl PinInit<T, Error>,
    ) -> Result<ARef<Self>> {
        // Allocators use the NUMA node of a device as an index.
        let numa_node = online_node(parameters.numa_node);
        Self::create(
            parameters.device_type,
            parameters.parent,
            name,
            data,
            // SAFETY: `create` passes an initialised device that nothing else accesses yet. Bus and
            // groups are static; the groups are of `T`. The NUMA node exists or is negative.
            |device| unsafe {
                (*device).bus = parameters.bus.as_ptr();
                (*device).groups = parameters.groups.as_ptr().cast_mut();
                (*device).devt = parameters.device_number;
                sys::set_dev_node(device, numa_node);
            },
        )
    }

    /// Creates a device called `name` in `class` and on no bus, which is not in sysfs yet.
    /// `ENOMEM`: out of memory. Otherwise the error of `data`.
    ///
    /// `device_number` is the number of its node in `/dev`, 0 for none.
    pub fn in_class(
        class: &'static Class,
        device_type: &'static DeviceType<T>,
        parent: &Device,
        device_number: u32,
        name: fmt::Arguments<'_>,
        data: impl PinInit<T, Error>,
    ) -> Result<ARef<Self>> {
        // SAFETY: `create` passes an initialised device that nothing else accesses yet. The class
        // is static.
        Self::create(device_type, Some(parent), name, data, |device| unsafe {
            (*device).class = class.as_ptr();
            (*device).devt = device_number;
        })
    }

    /// Creates the object. `place` receives its initialised device, which nothing else accesses
    /// yet, and puts it on a bus or into a class.
    fn create(
        device_type: &'static DeviceType<T>,
        parent: Option<&Device>,
        name: fmt::Arguments<'_>,
        data: impl PinInit<T, Error>,
        place: impl FnOnce(*mut sys::device),
    ) -> Result<ARef<Self>> {
        let name = CString::try_from_fmt(name)?;
        let parent = parent.map(ARef::from);
        let object = KBox::try_pin_init(
            try_pin_init!(Self {
                device: Opaque::zeroed(),
                ownership <- Ownership::new(),
                registration <- RegistrationState::new(),
                data <- data,
                parent,
            }? Error),
            GFP_KERNEL,
        )?;
        release::count_new();

        // SAFETY: The object is not moved out of its box. From here on its memory is owned by the
        // reference count of the device, and the release callback frees it.
        let object = unsafe { Pin::into_inner_unchecked(object) };
        let object = KBox::into_raw(object);
        // SAFETY: `object` was just allocated, so it is valid.
        let device = unsafe { (*object).device.get() };
        // SAFETY: The device is zeroed, pinned in its box, and not accessed by anything else.
        unsafe { initialise(device) };
        // SAFETY: The device is valid and not accessed by anything else. The type is static, and
        // the object holds a reference to the parent. From here on, dropping the last reference
        // runs the release callback of `T`.
        unsafe {
            (*device).type_ = device_type.0.as_ptr();
            (*device).parent = (*object).parent.as_deref().map_or(ptr::null_mut(), as_raw);
        }
        place(device);
        // SAFETY: `object` comes from a box, so it is valid and not null. The `ARef` takes over the
        // reference that `device_initialize` has made.
        // INVARIANT: The device is initialised and has a type of `T`, and its parent is that in
        // `parent`.
        let object = unsafe { ARef::from_raw(NonNull::new_unchecked(object)) };
        // SAFETY: `device` is initialised and not added. The format takes one string, which is
        // passed; both are C strings and are copied.
        to_result(unsafe { sys::dev_set_name(device, c"%s".as_char_ptr(), name.as_char_ptr()) })?;
        Ok(object)
    }

    /// Returns the typed device that `device` is part of, if its data are of type `T`.
    pub fn from_device(device: &Device) -> Option<&Self> {
        let raw = as_raw(device);
        // SAFETY: `raw` is a valid device. Its type does not change after its initialisation.
        let device_type = unsafe { (*raw).type_ };
        if !T::types()
            .iter()
            .any(|known| ptr::eq(known.0.as_ptr(), device_type))
        {
            return None;
        }
        // SAFETY: The type of the device is one of `T`, which only `TypedDevice::<T>::create`
        // sets, so this is the device of a `TypedDevice<T>`. It lives as long as `device` is
        // borrowed.
        Some(unsafe { Self::from_raw(raw) })
    }

    /// Returns the typed device that `raw` is part of.
    ///
    /// # Safety
    ///
    /// `raw` must be the device of a `TypedDevice<T>` that outlives the returned reference.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut sys::device) -> &'a Self {
        // SAFETY: The caller passes the device of a `TypedDevice<T>`, which is its first field. The
        // object outlives the reference, and objects are only borrowed shared.
        unsafe { &*raw.cast::<Self>() }
    }

    /// Returns the device without its data.
    pub fn device(&self) -> &Device {
        // SAFETY: By the type invariant the device is initialised. It is a part of `self`, which
        // is borrowed, so it is valid as long as the result.
        unsafe { Device::from_raw(self.device.get()) }
    }

    /// Returns the `DEVTYPE` of the device's uevents, if its type has one.
    pub fn type_name(&self) -> Option<&'static CStr> {
        // SAFETY: By the type invariant the device is initialised and its type is a
        // `DeviceType`, which is static and immutable.
        let name = unsafe { (*(*self.device.get()).type_).name };
        // SAFETY: Only `DeviceType::named` sets a name, from a static C string.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
    }

    /// Returns the parent in the device tree.
    pub fn parent(&self) -> Option<&Device> {
        self.parent.as_deref()
    }

    /// Returns the NUMA node; negative if there is none.
    pub fn numa_node(&self) -> i32 {
        // SAFETY: By the type invariant the device is initialised, and it is valid while `self`
        // is borrowed. Its NUMA node was set before the object was shared.
        unsafe { sys::dev_to_node(self.device.get()) }
    }

    /// Takes the lock of the device. May sleep.
    pub fn lock_device(&self) -> DeviceLock<'_> {
        DeviceLock::new(self.device())
    }

    /// Calls `f` for each child in sysfs until it fails. Children that are added or removed
    /// concurrently may be skipped.
    pub fn for_each_child<F: FnMut(&Device) -> Result>(&self, f: F) -> Result {
        for_each_child(self.device(), f)
    }

    /// Returns the first child in sysfs that has data of type `U` and satisfies `condition`.
    pub fn find_child<U: DeviceData>(
        &self,
        mut condition: impl FnMut(&TypedDevice<U>) -> bool,
    ) -> Option<ARef<TypedDevice<U>>> {
        /// Ends the iteration.
        const FOUND: c_int = 1;

        let mut found = None;
        visit_children(self.device(), |child| {
            match TypedDevice::<U>::from_device(child) {
                Some(child) if condition(child) => {
                    found = Some(ARef::from(child));
                    FOUND
                }
                _ => 0,
            }
        });
        found
    }

    /// Releases the object: frees it, or, if it has an owner, returns what the owner waits for.
    ///
    /// # Safety
    ///
    /// `device` must be that of a `TypedDevice<T>` whose last reference is gone. This must be
    /// called once.
    pub(super) unsafe fn release(device: *mut sys::device) -> Option<NonNull<sys::completion>> {
        let object = device.cast::<Self>();
        // SAFETY: The caller passes the device of a `TypedDevice<T>`, which is its first field and
        // has not been freed.
        let waiting = unsafe { &(*object).ownership }.waiting();
        if waiting.is_none() {
            // SAFETY: The last reference is gone and there is no owner, so nothing uses the object
            // any more. `Self::create` has allocated it in a box, which is taken back once. The
            // content is pinned, and is dropped in place.
            drop(unsafe { Pin::new_unchecked(KBox::from_raw(object)) });
        }
        waiting
    }
}

/// Calls `f` for each child of `device` in sysfs until it fails. Returns that error. May sleep.
pub fn for_each_child<F: FnMut(&Device) -> Result>(device: &Device, mut f: F) -> Result {
    to_result(visit_children(device, |child| {
        f(child).err().map_or(0, Error::to_errno)
    }))
}

/// Calls `f` for each child of `device` in sysfs until it returns another number than 0. Returns
/// the last number.
fn visit_children<F: FnMut(&Device) -> c_int>(device: &Device, mut f: F) -> c_int {
    /// Passes a child to the closure.
    ///
    /// # Safety
    ///
    /// `data` must be a closure of type `F` that nothing else uses during the call, and `child` a
    /// device that is valid during the call.
    unsafe extern "C" fn callback<F: FnMut(&Device) -> c_int>(
        child: *mut sys::device,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: The caller passes a closure of type `F` that nothing else uses during the call.
        // The driver core makes one call at a time.
        let f = unsafe { &mut *data.cast::<F>() };
        // SAFETY: The caller passes a child that is valid during the call: the driver core holds a
        // reference to it.
        f(unsafe { Device::from_raw(child) })
    }

    // SAFETY: `device` is valid. The closure is what the callback expects, outlives the call and is
    // not used otherwise during it. The function may sleep, as this one may.
    unsafe { sys::device_for_each_child(as_raw(device), (&raw mut f).cast(), Some(callback::<F>)) }
}

/// Returns the device without its context.
pub fn normal<Ctx: DeviceContext>(device: &Device<Ctx>) -> &Device {
    // SAFETY: `device` is valid while it is borrowed. The context `Normal` demands nothing else.
    unsafe { Device::from_raw(as_raw(device)) }
}

impl<T: DeviceData> Deref for TypedDevice<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: DeviceData> AsRef<Device> for TypedDevice<T> {
    fn as_ref(&self) -> &Device {
        self.device()
    }
}

// SAFETY: By the type invariant `TypedDevice::create` has allocated every object. It is freed by
// the release callback of its device, which is called when the reference count of the device is
// zero, or by its owner after that. `inc_ref` and `dec_ref` change that count.
unsafe impl<T: DeviceData> AlwaysRefCounted for TypedDevice<T> {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant the device is initialised. The shared reference guarantees
        // that its count is not zero.
        unsafe { sys::get_device(self.device.get()) };
    }

    unsafe fn dec_ref(object: NonNull<Self>) {
        // SAFETY: The caller owns a reference, so the object is valid, and gives it up. The device
        // is the first field. The release function may sleep, as the caller of `dec_ref` may.
        unsafe { sys::put_device(object.cast().as_ptr()) };
    }
}
