// SPDX-License-Identifier: GPL-2.0

//! A bus of one's own: its type, its drivers, and events that reach them.
//!
//! A module implements [`Bus`] for a marker type and holds a [`Registration`]. Drivers implement [`Driver`] and are
//! registered with `kernel::driver::Registration<Adapter<B, D>>`.
//!
//! The driver core calls a driver with the lock of its device held. [`notify`] takes that lock as well, so a driver sees
//! no event before its `probe` is done or after its `unbind` began.
//!
//! C header: [`include/linux/device/bus.h`](srctree/include/linux/device/bus.h)

use crate::{
    device::DeviceLock,
    sys, //
};
use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr, //
};
use kernel::{
    device::{
        Bound,
        Core,
        CoreInternal,
        Device, //
    },
    driver,
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::aref::ARef,
    types::Opaque, //
};

/// The C part of a bus: a static of the module that owns it.
#[repr(transparent)]
pub struct BusType(Opaque<sys::bus_type>);

// SAFETY: The driver core reads the structure only, from any thread.
unsafe impl Sync for BusType {}

impl BusType {
    /// A bus whose devices and drivers are judged by `B`.
    pub const fn new<B: Bus>() -> Self {
        Self(Opaque::new(sys::bus_type {
            name: as_char_ptr_in_const_context(B::NAME),
            match_: Some(match_callback::<B>),
            uevent: Some(uevent_callback::<B>),
            ..pin_init::zeroed()
        }))
    }

    pub(crate) fn as_ptr(&self) -> *const sys::bus_type {
        self.0.get()
    }
}

/// What a bus decides.
pub trait Bus: Sized + 'static {
    /// Its name, below `/sys/bus`.
    const NAME: &'static CStr;

    /// What a driver says of the devices that it takes.
    type Match: Copy + Send + Sync;

    /// What drivers can be told of.
    type Event: Copy;

    /// Returns the one static [`BusType`] of this bus.
    fn bus_type() -> &'static BusType;

    /// Tells whether a driver that says `driver` of itself takes `device`.
    fn matches(device: &Device, driver: &Self::Match) -> bool;

    /// Adds variables to the events of `device`.
    fn uevent(device: &Device, event: &mut Uevent<'_>) -> Result;

    /// Called before a driver's `probe`; an error keeps the driver away.
    fn before_probe(device: &Device) -> Result {
        let _ = device;
        Ok(())
    }

    /// Called after a driver's `probe`, unless [`Self::before_probe`] failed.
    fn after_probe(device: &Device, result: Result) {
        let _ = (device, result);
    }
}

/// The variables of an event that is being put together.
pub struct Uevent<'a>(*mut sys::kobj_uevent_env, PhantomData<&'a mut ()>);

impl Uevent<'_> {
    /// Adds the variable `MODALIAS=alias`. Fails with `ENOMEM` if there is no more room.
    pub fn add_modalias(&mut self, alias: &CStr) -> Result {
        // SAFETY: The driver core gave the environment for the time of the call; the format takes one string.
        to_result(unsafe {
            sys::add_uevent_var(self.0, c"MODALIAS=%s".as_char_ptr(), alias.as_char_ptr())
        })
    }
}

/// Tells the driver core whether `driver` takes `device`.
///
/// # Safety
///
/// To be called by the driver core alone, with a device and a driver of the bus `B`.
unsafe extern "C" fn match_callback<B: Bus>(
    device: *mut sys::device,
    driver: *const sys::device_driver,
) -> c_int {
    // SAFETY: The driver core calls this with a device of the bus, which it keeps alive.
    let device = unsafe { Device::from_raw(device) };
    // SAFETY: All drivers of the bus were registered by an `Adapter` of `B`.
    let driver = unsafe { RawDriver::<B>::from_raw(driver) };
    driver
        .role
        .as_ref()
        .is_some_and(|role| B::matches(device, &role.takes))
        .into()
}

/// Adds variables to an event.
///
/// # Safety
///
/// To be called by the driver core alone, with a device of the bus `B` and the environment of an event.
unsafe extern "C" fn uevent_callback<B: Bus>(
    device: *const sys::device,
    env: *mut sys::kobj_uevent_env,
) -> c_int {
    // SAFETY: The driver core calls this with a device of the bus, which it keeps alive.
    let device = unsafe { Device::from_raw(device.cast_mut()) };
    from_result(|| B::uevent(device, &mut Uevent(env, PhantomData)).map(|()| 0))
}

/// Keeps a bus registered.
pub struct Registration<B: Bus>(PhantomData<B>);

impl<B: Bus> Registration<B> {
    /// Makes the bus known. Fails with `EEXIST` if there is one of that name, such as that of another implementation.
    pub fn new() -> Result<Self> {
        // SAFETY: The bus type is static.
        to_result(unsafe { sys::bus_register(B::bus_type().as_ptr()) })?;
        Ok(Self(PhantomData))
    }
}

impl<B: Bus> Drop for Registration<B> {
    fn drop(&mut self) {
        // SAFETY: The bus was registered in `Self::new`.
        unsafe { sys::bus_unregister(B::bus_type().as_ptr()) };
    }
}

/// What the bus must know of a driver.
struct Role<B: Bus> {
    takes: B::Match,
    notify: fn(&Device<CoreInternal<'_>>, B::Event),
}

/// A `device_driver` with its role.
///
/// # Invariants
///
/// Drivers of the bus `B` are all of this type.
#[repr(C)]
pub struct RawDriver<B: Bus> {
    driver: sys::device_driver,
    role: Option<Role<B>>,
}

impl<B: Bus> Default for RawDriver<B> {
    fn default() -> Self {
        Self {
            driver: pin_init::zeroed(),
            role: None,
        }
    }
}

impl<B: Bus> RawDriver<B> {
    /// Returns the driver whose C part is `driver`.
    ///
    /// # Safety
    ///
    /// `driver` must be a registered driver of the bus `B`.
    unsafe fn from_raw<'a>(driver: *const sys::device_driver) -> &'a Self {
        // SAFETY: By the type invariant; the C part is the first field.
        unsafe { &*driver.cast::<Self>() }
    }
}

/// A driver of devices on the bus `B`.
///
/// As for other buses, what [`Self::probe`] returns lives while the driver is bound and may borrow from the device.
pub trait Driver<B: Bus> {
    /// What the driver keeps for a bound device.
    type Data<'bound>: Send + 'bound;

    /// The devices that it takes.
    const TAKES: B::Match;

    /// Whether `bind` and `unbind` in sysfs are left out.
    const SUPPRESS_BIND: bool = false;

    /// Binds to `device`.
    fn probe<'bound>(
        device: &'bound Device<Core<'_>>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    /// Called before the data are dropped.
    fn unbind<'bound>(device: &'bound Device<Core<'_>>, data: Pin<&Self::Data<'bound>>) {
        let _ = (device, data);
    }

    /// Called at system shutdown.
    fn shutdown<'bound>(device: &'bound Device<Core<'_>>, data: Pin<&Self::Data<'bound>>) {
        let _ = (device, data);
    }

    /// Tells of an event while the driver is bound.
    fn notify<'bound>(
        device: &'bound Device<Bound>,
        data: Pin<&Self::Data<'bound>>,
        event: B::Event,
    ) {
        let _ = (device, data, event);
    }
}

/// Connects a [`Driver`] to the driver core.
pub struct Adapter<B: Bus, D: Driver<B>>(PhantomData<(B, D)>);

// SAFETY: `RawDriver` is `repr(C)` and embeds a `device_driver` at the given offset; `D::Data` is what `probe_callback`
// stores.
unsafe impl<B: Bus, D: Driver<B>> driver::DriverLayout for Adapter<B, D> {
    type DriverType = RawDriver<B>;
    type DriverData<'bound> = D::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(RawDriver<B>, driver);
}

// SAFETY: `unregister` undoes what `register` did and asks for nothing else.
unsafe impl<B: Bus, D: Driver<B>> driver::RegistrationOps for Adapter<B, D> {
    unsafe fn register(
        registration: &Opaque<RawDriver<B>>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let raw = registration.get();
        // SAFETY: The driver is not registered yet, so nobody else looks at it.
        unsafe {
            (*raw).role = Some(Role {
                takes: D::TAKES,
                notify: Self::notify,
            });
            (*raw).driver.name = name.as_char_ptr();
            (*raw).driver.owner = module.as_ptr();
            (*raw).driver.bus = B::bus_type().as_ptr();
            (*raw).driver.suppress_bind_attrs = D::SUPPRESS_BIND;
            (*raw).driver.probe = Some(Self::probe_callback);
            (*raw).driver.remove = Some(Self::remove_callback);
            (*raw).driver.shutdown = Some(Self::shutdown_callback);
        }
        // SAFETY: The caller keeps the driver pinned until `unregister`.
        to_result(unsafe { sys::driver_register(&raw mut (*raw).driver) })
    }

    unsafe fn unregister(registration: &Opaque<RawDriver<B>>) {
        // SAFETY: The caller says that the driver was registered.
        unsafe { sys::driver_unregister(&raw mut (*registration.get()).driver) };
    }
}

impl<B: Bus, D: Driver<B>> Adapter<B, D> {
    /// Binds the driver.
    ///
    /// # Safety
    ///
    /// To be called by the driver core alone, with a device of the bus `B` whose lock it holds.
    unsafe extern "C" fn probe_callback(device: *mut sys::device) -> c_int {
        // SAFETY: The driver core calls this with a device of the bus, whose lock it holds.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        from_result(|| {
            B::before_probe(device)?;
            // The driver begins when there is memory for its data: afterwards nothing fails that it would have to undo.
            let result = device.set_drvdata(pin_init::pin_init_scope(|| Ok(D::probe(device))));
            B::after_probe(device, result);
            result.map(|()| 0)
        })
    }

    /// Prepares the driver to leave.
    ///
    /// # Safety
    ///
    /// To be called by the driver core alone, with a device that the driver is bound to and whose lock it holds.
    unsafe extern "C" fn remove_callback(device: *mut sys::device) -> c_int {
        // SAFETY: The driver core calls this with a device of the bus that this driver is bound to, with its lock held.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        // SAFETY: The driver is bound, so `probe_callback` stored data of this type.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::unbind(device, data);
        0
    }

    /// Tells the driver of the system's shutdown.
    ///
    /// # Safety
    ///
    /// To be called by the driver core alone, with a device that the driver is bound to and whose lock it holds.
    unsafe extern "C" fn shutdown_callback(device: *mut sys::device) {
        // SAFETY: The driver core calls this with a device of the bus that this driver is bound to, with its lock held.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        // SAFETY: The driver is bound, so `probe_callback` stored data of this type.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::shutdown(device, data);
    }

    fn notify(device: &Device<CoreInternal<'_>>, event: B::Event) {
        // SAFETY: `notify` below calls this for the driver that is bound to the device, with the lock of the device held:
        // `probe_callback` is done.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::notify(device, data, event);
    }
}

/// Tells the driver of `device`, if one is bound, of `event`.
///
/// Does nothing for a device of another bus. Takes the lock of `device`.
pub fn notify<B: Bus>(device: &Device, event: B::Event) {
    let raw = ptr::from_ref(device).cast::<sys::device>().cast_mut();
    // SAFETY: `device` is valid; its bus never changes.
    if !ptr::eq(unsafe { (*raw).bus }, B::bus_type().as_ptr()) {
        return;
    }
    let lock = DeviceLock::new(device);
    if !lock.is_bound() {
        return;
    }
    // SAFETY: A driver is bound to the device and stays while the lock is held; on this bus it is a `RawDriver<B>`.
    let driver = unsafe { RawDriver::<B>::from_raw((*raw).driver) };
    if let Some(role) = &driver.role {
        // SAFETY: The device is bound and its lock is held.
        (role.notify)(unsafe { Device::<CoreInternal<'_>>::from_raw(raw) }, event);
    }
}

/// Returns the first device of the bus that meets `condition`.
pub fn find_device<B: Bus>(mut condition: impl FnMut(&Device) -> bool) -> Option<ARef<Device>> {
    struct Search<'a> {
        condition: &'a mut dyn FnMut(&Device) -> bool,
        found: Option<ARef<Device>>,
    }

    /// Looks at one device.
    ///
    /// # Safety
    ///
    /// `data` must be a search of which nobody else knows, and `device` a valid device.
    unsafe extern "C" fn callback(device: *mut sys::device, data: *mut c_void) -> c_int {
        // SAFETY: `data` is the search below, and nobody else uses it during the walk.
        let search = unsafe { &mut *data.cast::<Search<'_>>() };
        // SAFETY: The driver core holds a reference to the device during the call.
        let device = unsafe { Device::from_raw(device) };
        if !(search.condition)(device) {
            return 0;
        }
        search.found = Some(ARef::from(device));
        1
    }

    let mut search = Search {
        condition: &mut condition,
        found: None,
    };
    // SAFETY: The bus type is static, and the search outlives the walk.
    unsafe {
        sys::bus_for_each_dev(
            B::bus_type().as_ptr(),
            ptr::null_mut(),
            (&raw mut search).cast(),
            Some(callback),
        );
    }
    search.found
}
