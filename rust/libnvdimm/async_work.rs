// SPDX-License-Identifier: GPL-2.0

//! Registration and removal of devices in the background.
//!
//! A job holds a reference to its device, and with it to the device's ancestors, until it is done.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::{
    device::{
        DeviceData,
        TypedDevice, //
    },
    jobs::{
        Job,
        Prepared, //
    },
};

struct Register<T: DeviceData>(ARef<TypedDevice<T>>);

impl<T: DeviceData> Job for Register<T> {
    fn run(self) {
        match self.0.register() {
            Ok(()) => (),
            // The device was unregistered before this job ran.
            Err(error) if error == EBUSY && self.0.is_unregistering() => (),
            Err(error) => dev_err!(self.0, "registration failed: {error:?}\n"),
        }
    }
}

struct Unregister<T: DeviceData>(ARef<TypedDevice<T>>);

impl<T: DeviceData> Job for Unregister<T> {
    fn run(self) {
        self.0.delete();
    }
}

/// A prepared registration of a device. Starting it cannot fail.
pub(crate) struct Registration<T: DeviceData> {
    job: Prepared<Register<T>>,
    numa_node: i32,
}

impl<T: DeviceData> Registration<T> {
    /// Prepares to register `device`.
    pub(crate) fn new(device: ARef<TypedDevice<T>>) -> Result<Self> {
        Ok(Self {
            numa_node: device.numa_node(),
            job: Prepared::new(Register(device))?,
        })
    }

    /// Registers the device in the background; `wait_probe` waits for it.
    pub(crate) fn begin(self) {
        self.job.schedule(self.numa_node);
    }
}

/// Registers `device` in the background; `wait_probe` waits for it.
pub(crate) fn register<T: DeviceData>(device: ARef<TypedDevice<T>>) -> Result {
    Registration::new(device)?.begin();
    Ok(())
}

/// A prepared removal of a device. Starting it cannot fail. It serves callers that hold the lock of
/// the device or run in one of its attributes. A caller that releases something together with the
/// device prepares the removal first.
pub(crate) struct Removal<T: DeviceData> {
    job: Prepared<Unregister<T>>,
    device: ARef<TypedDevice<T>>,
}

impl<T: DeviceData> Removal<T> {
    /// Prepares to unregister `device`.
    pub(crate) fn new(device: &TypedDevice<T>) -> Result<Self> {
        let device = ARef::from(device);
        Ok(Self {
            job: Prepared::new(Unregister(device.clone()))?,
            device,
        })
    }

    /// Unregisters the device in the background, unless another thread does or did.
    pub(crate) fn begin(self) {
        if self.device.claim_unregister() {
            self.job.schedule(self.device.numa_node());
        }
    }
}
