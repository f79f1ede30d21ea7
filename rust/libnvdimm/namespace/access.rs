// SPDX-License-Identifier: GPL-2.0

//! Access of drivers to the memory of namespaces.

use super::Namespace;
use crate::{
    personality::Personality,
    Kind, //
};
use core::ops::Deref;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::{
    device::TypedDevice,
    memory::{
        MapError,
        PmemRange, //
    },
};

/// A namespace that the driver of a device may use: the device is the namespace, or claims it.
#[derive(Clone)]
pub struct OpenNamespace(ARef<TypedDevice<Namespace>>);

impl OpenNamespace {
    /// Opens the namespace that `device` is or claims. Drivers call this in `probe`.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device is no namespace and claims none, or the namespace has labels but no
    ///   UUID, or is smaller than a page.
    /// - `EBUSY`: the device claims the namespace, but a driver is bound to it.
    /// - `ENXIO`: another device claims the namespace, or its labels are refused.
    /// - `EACCES`: a DIMM is locked.
    pub fn of(device: Kind<'_>) -> Result<Self> {
        let namespace = match device {
            Kind::Namespace(namespace) => {
                if let Some(holder) = namespace.holder() {
                    dev_dbg!(namespace, "is claimed by {holder:?}\n");
                    return Err(ENXIO);
                }
                ARef::from(namespace)
            }
            Kind::Btt(btt) => claimed(btt)?,
            Kind::Pfn(pfn) => claimed(pfn)?,
            _ => return Err(ENODEV),
        };
        if namespace.is_refused() {
            // The message was printed when the labels were read.
            dev_dbg!(namespace, "its labels are refused\n");
            return Err(ENXIO);
        }
        for mapping in namespace.region().mappings() {
            if mapping.dimm().is_locked() {
                dev_err!(namespace, "{} is locked\n", mapping.dimm().device().name());
                return Err(EACCES);
            }
        }
        // A UUID of all zeros is one, too.
        if namespace.is_labelled() && namespace.content.lock().uuid.is_none() {
            return Err(ENODEV);
        }
        if namespace.size() < PAGE_SIZE as u64 {
            dev_err!(
                namespace,
                "size is {:#x}, at least {PAGE_SIZE:#x} expected\n",
                namespace.size()
            );
            return Err(ENODEV);
        }
        Ok(Self(namespace))
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &TypedDevice<Namespace> {
        &self.0
    }

    /// Reserves and maps the memory of the namespace.
    pub fn map(&self) -> Result<PmemRange, MapError> {
        let (start, size) = (self.start(), self.size());
        let bus = self.region().bus();
        match bus.operations().memory_at(bus, start, size) {
            Some(memory) => PmemRange::borrowed(start, memory),
            None => PmemRange::new(self.device().name(), start, size),
        }
    }
}

impl Deref for OpenNamespace {
    type Target = TypedDevice<Namespace>;

    fn deref(&self) -> &TypedDevice<Namespace> {
        &self.0
    }
}

/// Returns the namespace that `personality` claims, if no driver is bound to it. Errors are those
/// of [`OpenNamespace::of`].
fn claimed<T: Personality>(personality: &TypedDevice<T>) -> Result<ARef<TypedDevice<Namespace>>> {
    let namespace = personality.claimed_namespace().ok_or(ENODEV)?;
    if namespace.lock_device().is_bound() {
        dev_err!(
            personality,
            "{} is in use as a raw namespace: unbind it first\n",
            namespace.device().name()
        );
        return Err(EBUSY);
    }
    if namespace.holder() != Some(personality.holder()) {
        return Err(ENXIO);
    }
    Ok(namespace)
}

/// The name of the disk of a namespace: `pmem<region>`, followed by `.<index>` unless the index is
/// 0.
pub struct DiskName<'a>(pub &'a Namespace);

impl kernel::fmt::Display for DiskName<'_> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        write!(f, "pmem{}", self.0.region().id())?;
        match self.0.index() {
            0 => Ok(()),
            index => write!(f, ".{index}"),
        }
    }
}
