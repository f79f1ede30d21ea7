// SPDX-License-Identifier: GPL-2.0

//! Notifications of ACPI devices.
//!
//! A [`NotifyRegistration`] owns the installed callback and references to the device and to the
//! handler. There are no locks here.

use super::AcpiDevice;
use crate::sys;
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// A handler of the notifications of a device.
pub trait NotifyHandler: Send + Sync + 'static {
    /// Handles notification number `event`. Called in a worker thread; may sleep.
    fn notify(&self, event: u32);
}

/// Passes the notifications of a device to a handler until it is dropped.
///
/// Each handler type can be registered once per device. Dropping the registration waits for all
/// notifications that are being handled, of any device. A handler must therefore neither drop a
/// registration nor wait for code that does.
///
/// # Invariants
///
/// The callback of `H` is installed on `device`. Its context is the value in `handler`.
pub struct NotifyRegistration<H: NotifyHandler> {
    device: ARef<AcpiDevice>,
    // Dropped after the callback was removed, as fields are dropped after `drop` has run.
    _handler: Arc<H>,
    _callback: PhantomData<fn(H)>,
}

impl<H: NotifyHandler> NotifyRegistration<H> {
    /// Installs `handler` for the notifications of `device`. `ENODEV`: the interpreter has refused
    /// it. May sleep.
    pub fn new(device: &AcpiDevice, handler: Arc<H>) -> Result<Self> {
        let context: *const H = &*handler;
        // SAFETY: The device is valid. The context is the handler that the callback expects. It
        // lives until `drop` has removed the callback and waited for its calls. The function may
        // sleep, as this one may.
        to_result(unsafe {
            sys::acpi_dev_install_notify_handler(
                device.as_raw(),
                sys::ACPI_DEVICE_NOTIFY,
                Some(Self::callback),
                context.cast_mut().cast(),
            )
        })?;
        // INVARIANT: The callback was just installed, with the value in `handler` as its context.
        Ok(Self {
            device: device.into(),
            _handler: handler,
            _callback: PhantomData,
        })
    }

    /// Passes a notification to the handler.
    ///
    /// # Safety
    ///
    /// `context` must be a `H` that is valid during the call.
    unsafe extern "C" fn callback(_device: sys::acpi_handle, event: u32, context: *mut c_void) {
        // SAFETY: The caller passes an `H` that is valid during the call: the registration keeps
        // the handler until the callback was removed and has returned. It is only borrowed shared.
        let handler = unsafe { &*context.cast::<H>() };
        handler.notify(event);
    }
}

impl<H: NotifyHandler> Drop for NotifyRegistration<H> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the callback is installed on the device, which is valid.
        // The function removes it and waits until its calls have returned. It may sleep, as the
        // owner of a registration may.
        unsafe {
            sys::acpi_dev_remove_notify_handler(
                self.device.as_raw(),
                sys::ACPI_DEVICE_NOTIFY,
                Some(Self::callback),
            )
        };
    }
}
