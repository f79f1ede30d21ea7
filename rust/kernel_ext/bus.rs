// SPDX-License-Identifier: GPL-2.0

//! A bus that a module owns: its type, its drivers, and events for them.
//!
//! A module implements [`Bus`] for a marker type and holds a [`Registration`]. Drivers implement
//! [`Driver`] and are registered with `kernel::driver::Registration<Adapter<B, D>>`. Drivers keep
//! the bus registered: dropping its [`Registration`] waits for them.
//!
//! # Locks
//!
//! The driver core calls a driver with the lock of its device held. [`notify`] takes that lock,
//! too, so a driver sees no event before its `probe` has returned or after its `unbind` has begun.
//!
//! # Example
//!
//! ```ignore
//! struct NdBus;
//!
//! static BUS_TYPE: BusType<NdBus> = BusType::new();
//!
//! impl Bus for NdBus {
//!     const NAME: &'static CStr = c"nd";
//!     type Match = Kind;
//!     type Event = Event;
//!
//!     fn bus_type() -> &'static BusType<Self> {
//!         &BUS_TYPE
//!     }
//!     // matches(), uevent()
//! }
//! ```
//!
//! C header: [`include/linux/device/bus.h`](srctree/include/linux/device/bus.h)

use crate::{
    device::{
        as_raw,
        DeviceLock, //
    },
    sys,
    wait::wait_until, //
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
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        }, //
    },
    types::Opaque, //
};

/// The C part of the bus `B`, for use in a static of the module that owns the bus.
///
/// # Invariants
///
/// - The callbacks in `raw` are those of `B`.
/// - All drivers on it are the C part of a [`RawDriver<B>`] with a role, and were registered by an
///   [`Adapter`] of `B`. `raw` is passed to no other code that registers drivers.
pub struct BusType<B: Bus> {
    raw: Opaque<sys::bus_type>,
    drivers: Drivers,
    _bus: PhantomData<fn() -> B>,
}

// SAFETY: The driver core only reads the structure, from any thread, and the count is atomic.
unsafe impl<B: Bus> Sync for BusType<B> {}

impl<B: Bus> BusType<B> {
    /// Returns a bus type with the callbacks of `B`.
    #[expect(
        clippy::new_without_default,
        reason = "it is only of use in a static, which cannot be made from a default"
    )]
    pub const fn new() -> Self {
        // INVARIANT: The callbacks are those of `B`, and there are no drivers.
        Self {
            raw: Opaque::new(sys::bus_type {
                name: as_char_ptr_in_const_context(B::NAME),
                match_: Some(match_callback::<B>),
                uevent: Some(uevent_callback::<B>),
                ..pin_init::zeroed()
            }),
            drivers: Drivers::new(),
            _bus: PhantomData,
        }
    }

    pub(crate) fn as_ptr(&self) -> *const sys::bus_type {
        self.raw.get()
    }
}

/// The number of drivers that keep a bus registered, or [`Self::CLOSED`].
///
/// The driver core unregisters a bus that still has drivers. When they are unregistered later, it
/// does not unbind them from their devices and goes on to call them.
struct Drivers(Atomic<i32>);

impl Drivers {
    /// The bus is not registered, so no driver may be registered.
    const CLOSED: i32 = -1;

    const fn new() -> Self {
        Self(Atomic::new(Self::CLOSED))
    }

    /// Allows drivers. Returns `false` if they are allowed already.
    fn open(&self) -> bool {
        self.0.cmpxchg(Self::CLOSED, 0, Full).is_ok()
    }

    /// Refuses drivers from now on. Returns `false` and does nothing while there are drivers.
    fn close(&self) -> bool {
        self.0.cmpxchg(0, Self::CLOSED, Full).is_ok()
    }

    /// Counts a new driver. Returns `false` if drivers are refused or the count would overflow.
    fn enter(&self) -> bool {
        let mut count = self.0.load(Relaxed);
        while count != Self::CLOSED {
            let Some(more) = count.checked_add(1) else {
                return false;
            };
            match self.0.cmpxchg(count, more, Full) {
                Ok(_) => return true,
                Err(found) => count = found,
            }
        }
        false
    }

    /// Removes a driver from the count, which [`Self::enter`] has counted.
    fn leave(&self) {
        self.0.fetch_sub(1, Full);
    }
}

/// The callbacks of a bus.
pub trait Bus: Sized + 'static {
    /// Its name in `/sys/bus`.
    const NAME: &'static CStr;

    /// The description of the devices that a driver supports.
    type Match: Copy + Send + Sync;

    /// An event that drivers are notified of.
    type Event: Copy;

    /// Returns the one static [`BusType`] of this bus.
    fn bus_type() -> &'static BusType<Self>;

    /// Returns `true` if a driver with the description `driver` supports `device`.
    fn matches(device: &Device, driver: &Self::Match) -> bool;

    /// Adds variables to a uevent of `device`.
    fn uevent(device: &Device, event: &mut Uevent<'_>) -> Result;

    /// Called before a driver's `probe`. The driver is not probed if this fails.
    fn before_probe(device: &Device) -> Result {
        let _ = device;
        Ok(())
    }

    /// Called after a driver's `probe`, unless [`Self::before_probe`] failed.
    fn after_probe(device: &Device, result: Result) {
        let _ = (device, result);
    }
}

/// The environment of a uevent.
pub struct Uevent<'a>(*mut sys::kobj_uevent_env, PhantomData<&'a mut ()>);

impl Uevent<'_> {
    /// Adds the variable `MODALIAS=alias`. `ENOMEM`: the environment is full.
    pub fn add_modalias(&mut self, alias: &CStr) -> Result {
        // SAFETY: The environment is the one that the driver core has passed to `uevent_callback`,
        // which has not returned, and it is borrowed mutably. The format takes one string, which is
        // passed.
        to_result(unsafe {
            sys::add_uevent_var(self.0, c"MODALIAS=%s".as_char_ptr(), alias.as_char_ptr())
        })
    }
}

/// Tells the driver core whether `driver` supports `device`.
///
/// # Safety
///
/// `device` and `driver` must be on the bus `B`, valid and registered during the call. Only the
/// driver core may call this.
unsafe extern "C" fn match_callback<B: Bus>(
    device: *mut sys::device,
    driver: *const sys::device_driver,
) -> c_int {
    // SAFETY: The driver core passes a valid device of the bus and keeps it alive during the call.
    let device = unsafe { Device::from_raw(device) };
    // SAFETY: The driver core passes a driver on a bus with this callback, which is a `BusType<B>`,
    // and keeps the driver registered during the call.
    let driver = unsafe { RawDriver::<B>::from_raw(driver) };
    driver
        .role
        .as_ref()
        .is_some_and(|role| B::matches(device, &role.takes))
        .into()
}

/// Adds variables to a uevent.
///
/// # Safety
///
/// `device` must be a valid device of the bus `B`, and `env` the environment of a uevent that
/// nothing else uses during the call. Only the driver core may call this.
unsafe extern "C" fn uevent_callback<B: Bus>(
    device: *const sys::device,
    env: *mut sys::kobj_uevent_env,
) -> c_int {
    // SAFETY: The driver core passes a valid device of the bus and keeps it alive during the call.
    let device = unsafe { Device::from_raw(device.cast_mut()) };
    from_result(|| B::uevent(device, &mut Uevent(env, PhantomData)).map(|()| 0))
}

/// Keeps a bus registered. Dropping it waits until all drivers of the bus are unregistered. May
/// sleep.
///
/// # Invariants
///
/// `bus` is registered and allows drivers.
pub struct Registration<B: Bus> {
    bus: &'static BusType<B>,
}

impl<B: Bus> Registration<B> {
    /// Registers the bus. `EEXIST`: a bus of that name exists, such as that of another
    /// implementation, or the bus is registered already.
    pub fn new() -> Result<Self> {
        let bus = B::bus_type();

        if !bus.drivers.open() {
            return Err(EEXIST);
        }
        // SAFETY: The bus type is a static and complete. It is not registered, or `open` would have
        // failed. The function may sleep, as this one may.
        let registered = to_result(unsafe { sys::bus_register(bus.as_ptr()) });
        if let Err(error) = registered {
            Self::close(bus);
            return Err(error);
        }
        // INVARIANT: The bus was just registered, and `open` has allowed drivers.
        Ok(Self { bus })
    }

    /// Waits until there are no drivers, and refuses drivers from then on.
    fn close(bus: &BusType<B>) {
        wait_until(
            || bus.drivers.close(),
            || pr_warn!("waiting for the drivers of the bus {}\n", B::NAME),
        );
    }
}

impl<B: Bus> Drop for Registration<B> {
    fn drop(&mut self) {
        Self::close(self.bus);
        // SAFETY: By the type invariant the bus is registered. It has no drivers, and `close` has
        // refused new ones. It is unregistered once. The function may sleep, as the owner of a
        // registration may.
        unsafe { sys::bus_unregister(self.bus.as_ptr()) };
    }
}

/// The bus's view of a driver.
struct Role<B: Bus> {
    /// The bus on which it was registered.
    bus: &'static BusType<B>,
    takes: B::Match,
    notify: fn(&Device<CoreInternal<'_>>, B::Event),
}

/// A `device_driver` and its role, which is `Some` while it is registered.
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
    /// `driver` must be on a [`BusType<B>`], and stay registered as long as the returned reference
    /// is used.
    unsafe fn from_raw<'a>(driver: *const sys::device_driver) -> &'a Self {
        // SAFETY: By the invariants of `BusType` this is the C part, that is, the first field, of a
        // value of this type. The caller guarantees that it stays registered while the reference is
        // used. Until then it is pinned, and `Adapter` does not change it.
        unsafe { &*driver.cast::<Self>() }
    }
}

/// A driver of devices on the bus `B`.
///
/// The result of [`Self::probe`] lives while the driver is bound, and may borrow from the device.
pub trait Driver<B: Bus> {
    /// The driver's data for a bound device.
    type Data<'bound>: Send + 'bound;

    /// The devices that the driver supports.
    const TAKES: B::Match;

    /// Whether the driver lacks the attributes `bind` and `unbind` in sysfs.
    const SUPPRESS_BIND: bool = false;

    /// Binds to `device`.
    fn probe<'bound>(
        device: &'bound Device<Core<'_>>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    /// Called before the driver's data are dropped.
    fn unbind<'bound>(device: &'bound Device<Core<'_>>, data: Pin<&Self::Data<'bound>>) {
        let _ = (device, data);
    }

    /// Called at system shutdown.
    fn shutdown<'bound>(device: &'bound Device<Core<'_>>, data: Pin<&Self::Data<'bound>>) {
        let _ = (device, data);
    }

    /// Called for an event while the driver is bound.
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

// SAFETY: `RawDriver` is `repr(C)` and has a `device_driver` at the given offset. `probe_callback`
// stores a `D::Data` as driver data.
unsafe impl<B: Bus, D: Driver<B>> driver::DriverLayout for Adapter<B, D> {
    type DriverType = RawDriver<B>;
    type DriverData<'bound> = D::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(RawDriver<B>, driver);
}

// SAFETY: After a successful `register` the driver is registered with the driver core and counted,
// which `unregister` undoes. A `register` that failed has done neither, and `unregister` must not
// follow it.
unsafe impl<B: Bus, D: Driver<B>> driver::RegistrationOps for Adapter<B, D> {
    unsafe fn register(
        registration: &Opaque<RawDriver<B>>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let raw = registration.get();
        let bus = B::bus_type();

        if !bus.drivers.enter() {
            pr_err!("{name} is not registered: there is no bus {}\n", B::NAME);
            return Err(EINVAL);
        }
        // SAFETY: The caller passes a valid driver that is not registered, so nothing else accesses
        // it.
        unsafe {
            (*raw).role = Some(Role {
                bus,
                takes: D::TAKES,
                notify: Self::notify,
            });
            (*raw).driver.name = name.as_char_ptr();
            (*raw).driver.owner = module.as_ptr();
            (*raw).driver.bus = bus.as_ptr();
            (*raw).driver.suppress_bind_attrs = D::SUPPRESS_BIND;
            (*raw).driver.probe = Some(Self::probe_callback);
            (*raw).driver.remove = Some(Self::remove_callback);
            (*raw).driver.shutdown = Some(Self::shutdown_callback);
        }
        // SAFETY: The caller keeps the driver pinned until `unregister`. Its fields were set above;
        // names, module and bus type are static, and `enter` keeps the bus registered. The function
        // may sleep, as the registration of a driver may. INVARIANT: The driver is the C part of a
        // `RawDriver<B>` with a role.
        to_result(unsafe { sys::driver_register(&raw mut (*raw).driver) })
            .inspect_err(|_| bus.drivers.leave())
    }

    unsafe fn unregister(registration: &Opaque<RawDriver<B>>) {
        let raw = registration.get();
        // SAFETY: The caller guarantees that `register` has registered the driver and that it is
        // unregistered once. It is counted until `leave` below, so the bus is registered.
        unsafe { sys::driver_unregister(&raw mut (*raw).driver) };
        // SAFETY: The driver is not registered any more, so nothing else accesses it.
        if let Some(role) = unsafe { (*raw).role.take() } {
            role.bus.drivers.leave();
        }
    }
}

impl<B: Bus, D: Driver<B>> Adapter<B, D> {
    /// Binds the driver.
    ///
    /// # Safety
    ///
    /// `device` must be a valid device of the bus `B`, whose lock is held. Only the driver core may
    /// call this.
    unsafe extern "C" fn probe_callback(device: *mut sys::device) -> c_int {
        // SAFETY: The caller passes a device that is valid during the call, and holds its lock, as
        // the context `CoreInternal` demands.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        from_result(|| {
            B::before_probe(device)?;
            // The driver's `probe` runs after the memory for its data was allocated, so nothing
            // that it would have to undo can fail afterwards.
            let result = device.set_drvdata(pin_init::pin_init_scope(|| Ok(D::probe(device))));
            B::after_probe(device, result);
            result.map(|()| 0)
        })
    }

    /// Unbinds the driver.
    ///
    /// # Safety
    ///
    /// `device` must be a valid device to which the driver is bound, and whose lock is held. Only
    /// the driver core may call this.
    unsafe extern "C" fn remove_callback(device: *mut sys::device) -> c_int {
        // SAFETY: The caller passes a device that is valid during the call, and holds its lock, as
        // the context `CoreInternal` demands.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        // SAFETY: The driver is bound, so `probe_callback` has stored data of this type. The driver
        // core drops them after this has returned.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::unbind(device, data);
        0
    }

    /// Notifies the driver of the system's shutdown.
    ///
    /// # Safety
    ///
    /// `device` must be a valid device to which the driver is bound, and whose lock is held. Only
    /// the driver core may call this.
    unsafe extern "C" fn shutdown_callback(device: *mut sys::device) {
        // SAFETY: The caller passes a device that is valid during the call, and holds its lock, as
        // the context `CoreInternal` demands.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        // SAFETY: The driver is bound, so `probe_callback` has stored data of this type. The lock
        // of the device is held, so they are not dropped during the call.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::shutdown(device, data);
    }

    fn notify(device: &Device<CoreInternal<'_>>, event: B::Event) {
        // SAFETY: `notify` below calls this for the driver that is bound to the device, with the
        // lock of the device held. So `probe_callback` has returned and stored data of this type,
        // which are not dropped during the call.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::notify(device, data, event);
    }
}

/// Notifies the driver of `device`, if one is bound, of `event`.
///
/// Does nothing for a device of another bus. Takes the lock of `device`, so it may sleep.
pub fn notify<B: Bus>(device: &Device, event: B::Event) {
    let raw = as_raw(device);
    // SAFETY: `device` is valid, and its bus does not change after its initialisation.
    if !ptr::eq(unsafe { (*raw).bus }, B::bus_type().as_ptr()) {
        return;
    }
    let lock = DeviceLock::new(device);
    if !lock.is_bound() {
        return;
    }
    // SAFETY: A driver is bound to the device. Unregistering it would unbind it first, which takes
    // the lock, so it stays registered while the lock is held. It is on the device's bus, which is
    // a `BusType<B>`.
    let driver = unsafe { RawDriver::<B>::from_raw((*raw).driver) };
    if let Some(role) = &driver.role {
        // SAFETY: `raw` is valid and its lock is held, as the context `CoreInternal` demands.
        (role.notify)(unsafe { Device::<CoreInternal<'_>>::from_raw(raw) }, event);
    }
}

/// Returns the first device of the bus that satisfies `condition`; `None` also if the bus is not
/// registered.
pub fn find_device<B: Bus>(mut condition: impl FnMut(&Device) -> bool) -> Option<ARef<Device>> {
    struct Search<'a> {
        condition: &'a mut dyn FnMut(&Device) -> bool,
        found: Option<ARef<Device>>,
    }

    /// Tests one device.
    ///
    /// # Safety
    ///
    /// `data` must be a [`Search`] that nothing else uses during the call, and `device` a device
    /// that is valid during the call.
    unsafe extern "C" fn callback(device: *mut sys::device, data: *mut c_void) -> c_int {
        // SAFETY: The caller passes a `Search` that nothing else uses during the call. The driver
        // core makes one call at a time.
        let search = unsafe { &mut *data.cast::<Search<'_>>() };
        // SAFETY: The caller passes a device that is valid during the call.
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
    // SAFETY: The bus type is static, and the function refuses a bus that is not registered. Null
    // stands for the first device. The context is the `Search` that the callback expects; it
    // outlives the call and is not used otherwise during it. The function may sleep, as this one
    // may.
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

#[kernel::prelude::kunit_tests(nd_kernel_ext_bus)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_stays_while_it_has_drivers() {
        let drivers = Drivers::new();

        // A bus that is not registered refuses drivers.
        assert!(!drivers.enter());
        assert!(drivers.open());
        assert!(!drivers.open());
        assert!(drivers.enter());
        assert!(drivers.enter());
        drivers.leave();
        assert!(!drivers.close());
        drivers.leave();
        assert!(drivers.close());
        assert!(!drivers.enter());
    }

    struct Lonely;

    static LONELY: BusType<Lonely> = BusType::new();

    impl Bus for Lonely {
        const NAME: &'static CStr = c"nd_kunit_bus";

        type Match = ();
        type Event = ();

        fn bus_type() -> &'static BusType<Self> {
            &LONELY
        }

        fn matches(_device: &Device, (): &()) -> bool {
            false
        }

        fn uevent(_device: &Device, _event: &mut Uevent<'_>) -> Result {
            Ok(())
        }
    }

    #[test]
    fn a_bus_is_registered_once() {
        let registration = Registration::<Lonely>::new();

        assert!(registration.is_ok());
        assert!(Registration::<Lonely>::new().is_err_and(|error| error == EEXIST));
        // The failure has changed nothing.
        assert!(LONELY.drivers.enter());
        LONELY.drivers.leave();
    }
}
