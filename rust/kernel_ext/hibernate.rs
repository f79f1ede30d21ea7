// SPDX-License-Identifier: GPL-2.0

//! Hibernation: running code while the system is quiescent (`hibernate_quiet_exec()`), and
//! notifying objects of the snapshot and of the resume from it.
//!
//! A [`Registration`] owns a root device and the [`Sleeper`]. Callbacks of power management run
//! under the lock of that device.
//!
//! C headers: [`include/linux/suspend.h`](srctree/include/linux/suspend.h),
//! [`include/linux/pm.h`](srctree/include/linux/pm.h)

use crate::sys;
use core::ptr::NonNull;
use kernel::{
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    fmt,
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// Runs `work` while user space is frozen and devices are suspended, as before the creation of a
/// hibernation image.
///
/// The caller must not hold a lock that a process may wait for, as that process could not be
/// frozen. `EBUSY`: hibernation is in progress, or a process or device could not be stopped.
/// `ENOTSUPP`: the kernel lacks hibernation.
pub fn quiet_exec<F: FnOnce() -> Result>(work: F) -> Result {
    let mut work = Some(work);
    let data = (&raw mut work).cast::<c_void>();
    // SAFETY: `data` points to the `Option<F>` above, which is what the callback expects and which
    // is not used otherwise during the call. The function calls the callback before it returns, if
    // at all. It may sleep, as this function may.
    to_result(unsafe { sys::hibernate_quiet_exec(Some(callback::<F>), data) })
}

/// Runs the work.
///
/// # Safety
///
/// `data` must point to an `Option<F>` that nothing else uses during the call.
unsafe extern "C" fn callback<F: FnOnce() -> Result>(data: *mut c_void) -> c_int {
    // SAFETY: The caller passes a pointer to an `Option<F>` that nothing else uses during the call.
    let work = unsafe { &mut *data.cast::<Option<F>>() };
    from_result(|| {
        work.take().ok_or(EINVAL)?()?;
        Ok(0)
    })
}

/// An object whose memory reflects the state of a medium or device. A hibernation image contains
/// that memory as of the snapshot, but the medium changes after it: the image is written, perhaps
/// to that very medium.
///
/// All methods may sleep. Allocations behave as with `GFP_NOIO` in them.
pub trait Sleeper: Send + Sync + 'static {
    /// A snapshot of memory is about to be taken, or memory is about to be replaced by one. From
    /// now on the object must not change the medium until one of the methods below is called.
    fn freeze(&self);

    /// The system continues with the same memory.
    fn thaw(&self);

    /// The system continues with the memory of a snapshot. The medium may have changed since
    /// [`freeze`](Self::freeze).
    fn restore(&self);

    /// The image has been written and the power is about to be turned off. Called after
    /// [`freeze`](Self::freeze).
    fn power_off(&self);
}

/// Notifies a [`Sleeper`] of hibernation until it is dropped. May sleep when dropped.
///
/// It has a device in `/sys/devices`, as power management notifies devices only. Devices that were
/// registered later are frozen earlier, so the devices that the sleeper needs should be registered
/// before it.
///
/// # Invariants
///
/// - `device` is a registered root device without a driver. `inner` comes from a `KBox`, is owned,
///   and is only borrowed shared.
/// - The power domain of the device is that of `inner`.
pub struct Registration<T: Sleeper> {
    device: NonNull<sys::device>,
    inner: NonNull<Inner<T>>,
}

/// A power domain and the sleeper behind it.
#[repr(C)]
struct Inner<T: Sleeper> {
    domain: Opaque<sys::dev_pm_domain>,
    /// Whether `freeze` was the last method called.
    frozen: Atomic<bool>,
    sleeper: T,
}

// SAFETY: A root device may be unregistered by any thread, and a `T` is `Send`, so the registration
// may be dropped by any thread.
unsafe impl<T: Sleeper> Send for Registration<T> {}
// SAFETY: A shared reference gives access to nothing.
unsafe impl<T: Sleeper> Sync for Registration<T> {}

impl<T: Sleeper> Registration<T> {
    /// Notifies `sleeper` from now on. `name` is that of the new device.
    ///
    /// `EEXIST`: there is a device of that name. `ENOMEM`: out of memory.
    pub fn new(name: fmt::Arguments<'_>, sleeper: T) -> Result<Self> {
        let name = CString::try_from_fmt(name)?;
        let inner = KBox::new(
            Inner {
                domain: Opaque::new(sys::dev_pm_domain {
                    ops: sys::dev_pm_ops {
                        freeze: Some(Inner::<T>::freeze_callback),
                        thaw: Some(Inner::<T>::thaw_callback),
                        poweroff: Some(Inner::<T>::power_off_callback),
                        restore: Some(Inner::<T>::restore_callback),
                        ..pin_init::zeroed()
                    },
                    ..pin_init::zeroed()
                }),
                frozen: Atomic::new(false),
                sleeper,
            },
            GFP_KERNEL,
        )?;
        let device = register(&name)?;
        // SAFETY: `KBox::into_raw` never returns null.
        let inner = unsafe { NonNull::new_unchecked(KBox::into_raw(inner)) };
        // SAFETY: The device was just registered and has no driver. The domain is the first field
        // of `inner`, which `drop` frees after it has reset the domain of the device.
        unsafe { set_domain(device, inner.as_ptr().cast()) };
        // INVARIANT: The device was registered and its domain set above; the box is owned.
        Ok(Self { device, inner })
    }
}

impl<T: Sleeper> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is registered and has no driver. Null is a valid
        // argument. Callbacks run under the lock of the device, which the function takes, so none
        // is running afterwards and none will be called.
        unsafe { set_domain(self.device, core::ptr::null_mut()) };
        // SAFETY: By the type invariant this is a registered root device. It is unregistered once,
        // as `drop` runs once. The function may sleep, as the owner of a registration may.
        unsafe { sys::root_device_unregister(self.device.as_ptr()) };
        // SAFETY: By the type invariant this comes from a `KBox` and is owned. It is taken back
        // once, and no callback can reach it any more.
        let inner = unsafe { KBox::from_raw(self.inner.as_ptr()) };
        if inner.frozen.load(Relaxed) {
            inner.sleeper.thaw();
        }
    }
}

/// Registers a root device.
//
// Not generic: generic functions are instantiated in modules to which the helpers below are not
// exported.
#[inline(never)]
fn register(name: &CStr) -> Result<NonNull<sys::device>> {
    // SAFETY: The name is a C string, which the function copies. Null stands for no owner; the
    // device then has no link to a module. The function may sleep, as this one may.
    let device = unsafe { sys::__root_device_register(name.as_char_ptr(), core::ptr::null_mut()) };
    NonNull::new(from_err_ptr(device)?).ok_or(ENOMEM)
}

/// Changes the power domain of a device.
///
/// # Safety
///
/// `device` must be registered and have no driver. `domain` must be null, or stay valid until
/// another domain is set. The caller may sleep and does not hold the lock of `device`.
#[inline(never)]
unsafe fn set_domain(device: NonNull<sys::device>, domain: *mut sys::dev_pm_domain) {
    let device = device.as_ptr();
    // SAFETY: The caller guarantees that `device` is registered, so it is valid, that its lock is
    // not held by this task, and that `domain` is null or stays valid. The domain may change only
    // under the lock of a device without a driver, which is the case.
    unsafe {
        sys::device_lock(device);
        sys::dev_pm_domain_set(device, domain);
        sys::device_unlock(device);
    }
}

impl<T: Sleeper> Inner<T> {
    /// Returns the value whose domain `device` has.
    ///
    /// # Safety
    ///
    /// `device` must be the argument of a callback of this type's power domain, and the reference
    /// must not be used after the callback has returned.
    unsafe fn of<'a>(device: *mut sys::device) -> &'a Self {
        // SAFETY: Power management holds the lock of the device during a callback. Until it is
        // released, the domain stays the one with these callbacks, which is the first field of an
        // `Inner<T>`. `drop` frees that only after it has held the lock.
        unsafe { &*(*device).pm_domain.cast::<Self>() }
    }

    fn freeze(&self) {
        if !self.frozen.load(Relaxed) {
            self.frozen.store(true, Relaxed);
            self.sleeper.freeze();
        }
    }

    /// Calls `wake` if the sleeper is frozen.
    fn wake(&self, wake: impl FnOnce(&T)) {
        if self.frozen.load(Relaxed) {
            wake(&self.sleeper);
            self.frozen.store(false, Relaxed);
        }
    }

    /// # Safety
    ///
    /// `device` must have the power domain of an `Inner<T>`. Only power management may call this,
    /// with the lock of `device` held.
    unsafe extern "C" fn freeze_callback(device: *mut sys::device) -> c_int {
        // SAFETY: Power management calls this callback with a device that has its domain, and holds
        // the lock of the device. The reference is not used after this returns.
        unsafe { Self::of(device) }.freeze();
        0
    }

    /// # Safety
    ///
    /// `device` must have the power domain of an `Inner<T>`. Only power management may call this,
    /// with the lock of `device` held.
    unsafe extern "C" fn thaw_callback(device: *mut sys::device) -> c_int {
        // SAFETY: Power management calls this callback with a device that has its domain, and holds
        // the lock of the device. The reference is not used after this returns.
        unsafe { Self::of(device) }.wake(T::thaw);
        0
    }

    /// # Safety
    ///
    /// `device` must have the power domain of an `Inner<T>`. Only power management may call this,
    /// with the lock of `device` held.
    unsafe extern "C" fn restore_callback(device: *mut sys::device) -> c_int {
        // SAFETY: Power management calls this callback with a device that has its domain, and holds
        // the lock of the device. The reference is not used after this returns.
        unsafe { Self::of(device) }.wake(T::restore);
        0
    }

    /// # Safety
    ///
    /// `device` must have the power domain of an `Inner<T>`. Only power management may call this,
    /// with the lock of `device` held.
    unsafe extern "C" fn power_off_callback(device: *mut sys::device) -> c_int {
        // SAFETY: Power management calls this callback with a device that has its domain, and holds
        // the lock of the device. The reference is not used after this returns.
        let inner = unsafe { Self::of(device) };
        inner.freeze();
        inner.sleeper.power_off();
        0
    }
}
