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
    /// Prepares to register `node`.
    pub(crate) fn new(node: ARef<TypedDevice<T>>) -> Result<Self> {
        Ok(Self {
            numa_node: node.numa_node(),
            job: Prepared::new(Register(node))?,
        })
    }

    /// Registers the device in the background; `wait_probe` waits for it.
    pub(crate) fn begin(self) {
        self.job.schedule(self.numa_node);
    }
}

/// Registers `node` in the background; `wait_probe` waits for it.
pub(crate) fn register<T: DeviceData>(node: ARef<TypedDevice<T>>) -> Result {
    Registration::new(node)?.begin();
    Ok(())
}

/// A prepared removal of a device. Starting it cannot fail. It serves callers that hold the lock of
/// the device or run in one of its attributes. A caller that releases something together with the
/// device prepares the removal first.
pub(crate) struct Removal<T: DeviceData> {
    job: Prepared<Unregister<T>>,
    node: ARef<TypedDevice<T>>,
}

impl<T: DeviceData> Removal<T> {
    /// Prepares to unregister `node`.
    pub(crate) fn new(node: &TypedDevice<T>) -> Result<Self> {
        let node = ARef::from(node);
        Ok(Self {
            job: Prepared::new(Unregister(node.clone()))?,
            node,
        })
    }

    /// Unregisters the device in the background, unless another thread does or did.
    pub(crate) fn begin(self) {
        if self.node.claim_unregister() {
            self.job.schedule(self.node.numa_node());
        }
    }
}
