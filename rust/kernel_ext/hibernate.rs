// SPDX-License-Identifier: GPL-2.0

//! Hibernation: work for which the machine must stand still, and objects that have to know that it
//! is started again from an image.
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

/// Runs `work` while processes are frozen and devices are suspended, as they are before a
/// hibernation image is made.
///
/// Holders of locks that a process may wait for must not call this: that process could not be
/// frozen. `EBUSY`: the machine is being hibernated, or a process or device did not stop.
/// `ENOTSUPP`: the kernel cannot hibernate.
pub fn quietly<F: FnOnce() -> Result>(work: F) -> Result {
    let mut work = Some(work);
    let data = (&raw mut work).cast::<c_void>();
    // SAFETY: `data` points to the `Option<F>` above, which outlives the call; the callback is
    // called within it, if at all.
    to_result(unsafe { sys::hibernate_quiet_exec(Some(callback::<F>), data) })
}

/// Runs the work.
///
/// # Safety
///
/// `data` must point to an `Option<F>` of which nobody else knows.
unsafe extern "C" fn callback<F: FnOnce() -> Result>(data: *mut c_void) -> c_int {
    // SAFETY: By the requirements of this function.
    let work = unsafe { &mut *data.cast::<Option<F>>() };
    from_result(|| {
        work.take().ok_or(EINVAL)?()?;
        Ok(0)
    })
}

/// Keeps something in memory that belongs to what is outside of it. In a hibernation image that is
/// as of the moment at which the image was made, while the outside goes on: the image is written,
/// perhaps to this very device.
///
/// All calls may sleep. Memory is allocated without I/O meanwhile.
pub trait Sleeper: Send + Sync + 'static {
    /// An image is about to be made of this memory, or about to replace it. From now on nothing may
    /// change until one of the functions below is called.
    fn freeze(&self);

    /// The machine goes on with the same memory.
    fn thaw(&self);

    /// The machine goes on with the memory of an image: the outside is not as it was when
    /// [`freeze`](Self::freeze) was called.
    fn restore(&self);

    /// The image is written, and the power goes off. This comes after [`freeze`](Self::freeze).
    fn power_off(&self);
}

/// Tells a [`Sleeper`] of hibernation, until dropped.
///
/// There is a device for it in `/sys/devices`, as power management knows of nothing but devices.
/// Those that are registered later are told earlier, so what the sleeper needs should be there
/// before.
///
/// # Invariants
///
/// - `device` is a registered root device. `inner` is a box to which there is no mutable reference.
/// - The device's power domain is that of `inner`.
pub struct Registration<T: Sleeper> {
    device: NonNull<sys::device>,
    inner: NonNull<Inner<T>>,
}

/// A power domain with the sleeper behind it.
#[repr(C)]
struct Inner<T: Sleeper> {
    domain: Opaque<sys::dev_pm_domain>,
    /// Whether `freeze` was the last call.
    frozen: Atomic<bool>,
    sleeper: T,
}

// SAFETY: A registration may be dropped on any thread, and so may a sleeper.
unsafe impl<T: Sleeper> Send for Registration<T> {}
// SAFETY: There is nothing that could be done with a shared registration.
unsafe impl<T: Sleeper> Sync for Registration<T> {}

impl<T: Sleeper> Registration<T> {
    /// Tells `sleeper` from now on. `name` is that of a device that there is not yet.
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
        // SAFETY: A box is not null.
        let inner = unsafe { NonNull::new_unchecked(KBox::into_raw(inner)) };
        // SAFETY: The device was just registered. The domain is the first field of `inner`, which
        // `drop` frees after it has taken the domain away.
        unsafe { set_domain(device, inner.as_ptr().cast()) };
        // INVARIANT: As just done.
        Ok(Self { device, inner })
    }
}

impl<T: Sleeper> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Callbacks are called with the lock of the device held,
        // which is taken for this: none is under way afterwards, and none comes.
        unsafe { set_domain(self.device, core::ptr::null_mut()) };
        // SAFETY: By the type invariant, and `drop` is called once.
        unsafe { sys::root_device_unregister(self.device.as_ptr()) };
        // SAFETY: The box was given away in `new`, and no callback knows of it any more.
        let inner = unsafe { KBox::from_raw(self.inner.as_ptr()) };
        if inner.frozen.load(Relaxed) {
            inner.sleeper.thaw();
        }
    }
}

/// Registers a root device.
//
// Not generic, as the generic functions are instantiated in modules that the helpers below are not
// exported to.
#[inline(never)]
fn register(name: &CStr) -> Result<NonNull<sys::device>> {
    // SAFETY: The name is copied; a root device without an owner has no link to a module.
    let device = unsafe { sys::__root_device_register(name.as_char_ptr(), core::ptr::null_mut()) };
    NonNull::new(from_err_ptr(device)?).ok_or(ENOMEM)
}

/// Changes the power domain of a device.
///
/// # Safety
///
/// `device` must be registered and without a driver. `domain` must be valid until another one is
/// set, or null.
#[inline(never)]
unsafe fn set_domain(device: NonNull<sys::device>, domain: *mut sys::dev_pm_domain) {
    let device = device.as_ptr();
    // SAFETY: By the requirements of this function; the lock is held for the change.
    unsafe {
        sys::device_lock(device);
        sys::dev_pm_domain_set(device, domain);
        sys::device_unlock(device);
    }
}

impl<T: Sleeper> Inner<T> {
    /// # Safety
    ///
    /// To be called in a callback of power management, with the device that it was called with.
    unsafe fn of<'a>(device: *mut sys::device) -> &'a Self {
        // SAFETY: Callbacks come with the lock of the device held. Until it is released its domain
        // stays the one with these callbacks, the first field of an `Inner<T>`.
        unsafe { &*(*device).pm_domain.cast::<Self>() }
    }

    fn freeze(&self) {
        if !self.frozen.load(Relaxed) {
            self.frozen.store(true, Relaxed);
            self.sleeper.freeze();
        }
    }

    /// Calls `wake` if it was frozen.
    fn wake(&self, wake: impl FnOnce(&T)) {
        if self.frozen.load(Relaxed) {
            wake(&self.sleeper);
            self.frozen.store(false, Relaxed);
        }
    }

    /// # Safety
    ///
    /// To be called by power management alone, with the lock of `device` held.
    unsafe extern "C" fn freeze_callback(device: *mut sys::device) -> c_int {
        // SAFETY: By the requirements of this function.
        unsafe { Self::of(device) }.freeze();
        0
    }

    /// # Safety
    ///
    /// As for [`Self::freeze_callback`].
    unsafe extern "C" fn thaw_callback(device: *mut sys::device) -> c_int {
        // SAFETY: By the requirements of this function.
        unsafe { Self::of(device) }.wake(T::thaw);
        0
    }

    /// # Safety
    ///
    /// As for [`Self::freeze_callback`].
    unsafe extern "C" fn restore_callback(device: *mut sys::device) -> c_int {
        // SAFETY: By the requirements of this function.
        unsafe { Self::of(device) }.wake(T::restore);
        0
    }

    /// # Safety
    ///
    /// As for [`Self::freeze_callback`].
    unsafe extern "C" fn power_off_callback(device: *mut sys::device) -> c_int {
        // SAFETY: By the requirements of this function.
        let inner = unsafe { Self::of(device) };
        inner.freeze();
        inner.sleeper.power_off();
        0
    }
}
