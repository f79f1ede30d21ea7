// SPDX-License-Identifier: GPL-2.0

//! Notifications of ACPI devices.

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

/// Gets the notifications of a device.
pub trait NotifyHandler: Send + Sync + 'static {
    /// Handles the notification of number `event`. Called from a worker thread; it may sleep.
    fn notify(&self, event: u32);
}

/// Passes the notifications of a device to a handler until it is dropped.
///
/// A handler type can be registered once for a device. The drop waits for all notifications that
/// are being handled, of whatever device, so no handler may drop a registration, its own or
/// another, nor wait for somebody who does.
///
/// # Invariants
///
/// The callback of `H` is installed on `device`, and its context is the value that `handler` keeps
/// alive.
pub struct NotifyRegistration<H: NotifyHandler> {
    device: ARef<AcpiDevice>,
    // Dropped after the callback was removed, as `drop` comes before the fields.
    _handler: Arc<H>,
    _callback: PhantomData<fn(H)>,
}

impl<H: NotifyHandler> NotifyRegistration<H> {
    /// Starts to pass the notifications of `device` to `handler`. `ENODEV`: the interpreter
    /// refuses.
    pub fn new(device: &AcpiDevice, handler: Arc<H>) -> Result<Self> {
        let context: *const H = &*handler;
        // SAFETY: The device is valid. The context is what the callback expects, and lives until
        // the callback was removed and has returned everywhere.
        to_result(unsafe {
            sys::acpi_dev_install_notify_handler(
                device.as_raw(),
                sys::ACPI_DEVICE_NOTIFY,
                Some(Self::callback),
                context.cast_mut().cast(),
            )
        })?;
        // INVARIANT: The callback was just installed.
        Ok(Self {
            device: device.into(),
            _handler: handler,
            _callback: PhantomData,
        })
    }

    /// # Safety
    ///
    /// `context` must be the handler given to [`Self::new`].
    unsafe extern "C" fn callback(_device: sys::acpi_handle, event: u32, context: *mut c_void) {
        // SAFETY: By the requirements of this function; the handler lives as long as the callback
        // is installed or runs.
        let handler = unsafe { &*context.cast::<H>() };
        handler.notify(event);
    }
}

impl<H: NotifyHandler> Drop for NotifyRegistration<H> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the callback is installed. The function waits for calls
        // that are running.
        unsafe {
            sys::acpi_dev_remove_notify_handler(
                self.device.as_raw(),
                sys::ACPI_DEVICE_NOTIFY,
                Some(Self::callback),
            )
        };
    }
}
