// SPDX-License-Identifier: GPL-2.0

//! A bus that a module owns: its type, its drivers, and events that reach them.
//!
//! A module implements [`Bus`] for a marker type and holds a [`Registration`]. Drivers implement
//! [`Driver`] and are registered with `kernel::driver::Registration<Adapter<B, D>>`. They keep the
//! bus registered: dropping its [`Registration`] waits for them.
//!
//! The driver core calls a driver with the lock of its device held. [`notify`] takes that lock as
//! well, so a driver sees no event before its `probe` is done or after its `unbind` began.
//!
//! C header: [`include/linux/device/bus.h`](srctree/include/linux/device/bus.h)

use crate::{
    device::DeviceLock,
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

/// The C part of the bus `B`: a static of the module that owns it.
///
/// # Invariants
///
/// - The callbacks in `raw` are those of `B`.
/// - All drivers on it are the C part of a [`RawDriver<B>`] with a role, and were registered by an
///   [`Adapter`] of `B`; `raw` is given to nothing else that registers drivers.
pub struct BusType<B: Bus> {
    raw: Opaque<sys::bus_type>,
    drivers: Drivers,
    _bus: PhantomData<fn() -> B>,
}

// SAFETY: The driver core reads the structure only, from any thread; the count is atomic.
unsafe impl<B: Bus> Sync for BusType<B> {}

impl<B: Bus> BusType<B> {
    /// Returns a bus whose devices and drivers are judged by `B`.
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

/// The drivers that keep a bus registered: how many there are, or that there may be none.
///
/// The driver core lets a bus go that has drivers. It would then forget to take them off their
/// devices when they are unregistered, and go on to call them.
struct Drivers(Atomic<i32>);

impl Drivers {
    /// The bus is not registered: there may be no drivers.
    const CLOSED: i32 = -1;

    const fn new() -> Self {
        Self(Atomic::new(Self::CLOSED))
    }

    /// Lets drivers come; `false` if they may come already.
    fn open(&self) -> bool {
        self.0.cmpxchg(Self::CLOSED, 0, Full).is_ok()
    }

    /// Lets no drivers come any more; `false` while there are some.
    fn close(&self) -> bool {
        self.0.cmpxchg(0, Self::CLOSED, Full).is_ok()
    }

    /// Counts one more driver; `false` if it may not come, or there is no number for it.
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

    /// Counts a driver less, which was counted before.
    fn leave(&self) {
        self.0.fetch_sub(1, Full);
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
    fn bus_type() -> &'static BusType<Self>;

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
        // SAFETY: The driver core gave the environment for the time of the call; the format takes
        // one string.
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
    // SAFETY: The driver core calls this with a driver on a bus that has this callback, which is a
    // `BusType<B>`. By its invariant the driver is that of a `RawDriver<B>`, which the driver core
    // keeps registered during the call.
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
/// To be called by the driver core alone, with a device of the bus `B` and the environment of an
/// event.
unsafe extern "C" fn uevent_callback<B: Bus>(
    device: *const sys::device,
    env: *mut sys::kobj_uevent_env,
) -> c_int {
    // SAFETY: The driver core calls this with a device of the bus, which it keeps alive.
    let device = unsafe { Device::from_raw(device.cast_mut()) };
    from_result(|| B::uevent(device, &mut Uevent(env, PhantomData)).map(|()| 0))
}

/// Keeps a bus registered.
///
/// Dropping it waits until the drivers of the bus are unregistered.
///
/// # Invariants
///
/// `bus` is registered, and its drivers may come since it is.
pub struct Registration<B: Bus> {
    bus: &'static BusType<B>,
}

impl<B: Bus> Registration<B> {
    /// Makes the bus known. Fails with `EEXIST` if there is one of that name, such as that of
    /// another implementation, or if it is registered already.
    pub fn new() -> Result<Self> {
        let bus = B::bus_type();

        if !bus.drivers.open() {
            return Err(EEXIST);
        }
        // SAFETY: The bus type is static. It is not registered, or else `open` would have failed.
        let registered = to_result(unsafe { sys::bus_register(bus.as_ptr()) });
        if let Err(error) = registered {
            Self::close(bus);
            return Err(error);
        }
        // INVARIANT: It was just registered, and opened for drivers before.
        Ok(Self { bus })
    }

    /// Waits until there are no drivers, and lets no more come.
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
        // SAFETY: By the type invariant the bus is registered. Its drivers are gone, and none can
        // come.
        unsafe { sys::bus_unregister(self.bus.as_ptr()) };
    }
}

/// What the bus must know of a driver.
struct Role<B: Bus> {
    /// The bus that it was registered on.
    bus: &'static BusType<B>,
    takes: B::Match,
    notify: fn(&Device<CoreInternal<'_>>, B::Event),
}

/// A `device_driver` with its role, which it has as long as it is registered.
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
        // SAFETY: By the invariants of `BusType` it is the C part, that is the first field, of a
        // value of this type. The value is pinned while it is registered, and `Adapter` changes it
        // before and after that only.
        unsafe { &*driver.cast::<Self>() }
    }
}

/// A driver of devices on the bus `B`.
///
/// As for other buses, what [`Self::probe`] returns lives while the driver is bound and may borrow
/// from the device.
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

// SAFETY: `RawDriver` is `repr(C)` and embeds a `device_driver` at the given offset; `D::Data` is
// what `probe_callback` stores.
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
        let bus = B::bus_type();

        if !bus.drivers.enter() {
            pr_err!("{name} is not registered: there is no bus {}\n", B::NAME);
            return Err(EINVAL);
        }
        // SAFETY: The driver is valid, and it is not registered yet, so nothing else refers to it.
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
        // SAFETY: The caller keeps the driver pinned until `unregister`; its fields were set just
        // above, and the bus type is static. INVARIANT: The driver is that of a `RawDriver<B>` with
        // a role.
        to_result(unsafe { sys::driver_register(&raw mut (*raw).driver) })
            .inspect_err(|_| bus.drivers.leave())
    }

    unsafe fn unregister(registration: &Opaque<RawDriver<B>>) {
        let raw = registration.get();
        // SAFETY: The caller says that the driver was registered with `register`. That counted it,
        // so the bus is there.
        unsafe { sys::driver_unregister(&raw mut (*raw).driver) };
        // SAFETY: The driver is not registered any more, so nothing else refers to it.
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
    /// To be called by the driver core alone, with a device of the bus `B` whose lock it holds.
    unsafe extern "C" fn probe_callback(device: *mut sys::device) -> c_int {
        // SAFETY: By the requirements of this function the device is valid during the call, and its
        // lock is held.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        from_result(|| {
            B::before_probe(device)?;
            // The driver begins when there is memory for its data: afterwards nothing fails that it
            // would have to undo.
            let result = device.set_drvdata(pin_init::pin_init_scope(|| Ok(D::probe(device))));
            B::after_probe(device, result);
            result.map(|()| 0)
        })
    }

    /// Prepares the driver to leave.
    ///
    /// # Safety
    ///
    /// To be called by the driver core alone, with a device that the driver is bound to and whose
    /// lock it holds.
    unsafe extern "C" fn remove_callback(device: *mut sys::device) -> c_int {
        // SAFETY: By the requirements of this function the device is valid during the call, and its
        // lock is held.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        // SAFETY: The driver is bound, so `probe_callback` has stored data of this type, which go
        // when this has returned.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::unbind(device, data);
        0
    }

    /// Tells the driver of the system's shutdown.
    ///
    /// # Safety
    ///
    /// To be called by the driver core alone, with a device that the driver is bound to and whose
    /// lock it holds.
    unsafe extern "C" fn shutdown_callback(device: *mut sys::device) {
        // SAFETY: By the requirements of this function the device is valid during the call, and its
        // lock is held.
        let device = unsafe { Device::<CoreInternal<'_>>::from_raw(device) };
        // SAFETY: The driver is bound, so `probe_callback` has stored data of this type, which go
        // when this has returned.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::shutdown(device, data);
    }

    fn notify(device: &Device<CoreInternal<'_>>, event: B::Event) {
        // SAFETY: `notify` below calls this for the driver that is bound to the device, with the
        // lock of the device held: `probe_callback` is done, and stored data of this type.
        let data = unsafe { device.drvdata_borrow::<D::Data<'_>>() };
        D::notify(device, data, event);
    }
}

/// Tells the driver of `device`, if one is bound, of `event`.
///
/// Does nothing for a device of another bus. Takes the lock of `device`.
pub fn notify<B: Bus>(device: &Device, event: B::Event) {
    let raw = ptr::from_ref(device).cast::<sys::device>().cast_mut();
    // SAFETY: `device` is valid; its bus does not change once it is initialised.
    if !ptr::eq(unsafe { (*raw).bus }, B::bus_type().as_ptr()) {
        return;
    }
    let lock = DeviceLock::new(device);
    if !lock.is_bound() {
        return;
    }
    // SAFETY: A driver is bound to the device, and stays registered while the lock is held, as it
    // would first have to leave the device. It is a driver of the device's bus, which is a
    // `BusType<B>`.
    let driver = unsafe { RawDriver::<B>::from_raw((*raw).driver) };
    if let Some(role) = &driver.role {
        // SAFETY: `raw` is valid, its lock is held, and its driver, which this is, has bound.
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
    /// `data` must be a [`Search`] that nothing else uses during the call, and `device` a valid
    /// device.
    unsafe extern "C" fn callback(device: *mut sys::device, data: *mut c_void) -> c_int {
        // SAFETY: By the requirements of this function; the walk makes one call at a time.
        let search = unsafe { &mut *data.cast::<Search<'_>>() };
        // SAFETY: By the requirements of this function: the driver core holds a reference to the
        // device during the call.
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
    // SAFETY: The bus type is static; a bus that is not registered is refused. The callback expects
    // a search, which outlives the walk and is not used otherwise meanwhile.
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

        // Not registered: no driver.
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
        // That one failed changes nothing.
        assert!(LONELY.drivers.enter());
        LONELY.drivers.leave();
    }
}
