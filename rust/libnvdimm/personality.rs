// SPDX-License-Identifier: GPL-2.0

//! Personalities: devices that claim a namespace and put a format of their own on it (UEFI: address
//! abstractions). This module has what BTT, pfn and dax devices share: a UUID, a claim on a
//! namespace of their region, and seeds.
//!
//! A personality without a claim is idle. An idle personality that is not the seed is removed.

use crate::{
    async_work::Removal,
    bus::BusLock,
    claim::{
        Claim,
        Holder,
        HolderKind, //
    },
    ids::ChildId,
    seeds::{
        is_seed,
        RegionChild, //
    },
    text::{
        self,
        line, //
    },
    Namespace, //
};
use core::{
    mem,
    ops::Deref, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Mutex, //
    },
};
use kernel_ext::{
    device::{
        DeviceLock,
        TypedDevice, //
    },
    sysfs::Attribute, //
};
use nd_format::uuid::Uuid;

/// A device that claims a namespace.
pub(crate) trait Personality: RegionChild {
    /// Returns its kind.
    fn kind(&self) -> HolderKind;

    /// Returns the part of the configuration that all kinds have.
    fn identity(&self) -> &Mutex<Identity>;

    /// Resets the configuration, except for the identity.
    fn reset(&self);

    /// Returns the personality as the holder of a namespace.
    fn holder(&self) -> Holder {
        Holder {
            kind: self.kind(),
            region: self.parent_region().id(),
            index: self.id().get(),
        }
    }

    /// Returns the namespace that it claims.
    fn claimed_namespace(&self) -> Option<ARef<TypedDevice<Namespace>>> {
        self.identity()
            .lock()
            .claim
            .as_ref()
            .map(|claim| claim.namespace().clone())
    }
}

/// The part of the configuration that all kinds have.
#[derive(Default)]
pub(crate) struct Identity {
    pub(crate) uuid: Option<Uuid>,
    pub(crate) claim: Option<Claim>,
}

impl Identity {
    /// Claims `namespace` for a personality that was detected on it and has this `kind`, `id` and
    /// `uuid`. Errors are those of [`Claim::take`].
    pub(crate) fn detected(
        namespace: &TypedDevice<Namespace>,
        kind: HolderKind,
        id: &ChildId,
        uuid: Uuid,
    ) -> Result<Self> {
        let region = id.region();
        let holder = Holder {
            kind,
            region: region.id(),
            index: id.get(),
        };
        let claim = Claim::take(namespace.into(), holder, &region.bus().lock())?;
        Ok(Self {
            uuid: Some(uuid),
            claim: Some(claim),
        })
    }
}

/// A personality that may be configured: no driver is bound, and none can be while this exists.
pub(crate) struct UnboundPersonality<'a, T: Personality> {
    personality: &'a TypedDevice<T>,
    lock: BusLock<'a>,
    _device_lock: DeviceLock<'a>,
}

impl<'a, T: Personality> UnboundPersonality<'a, T> {
    /// Takes the device lock and the bus lock. Fails with `EBUSY` if a driver is bound, and with
    /// `ENODEV` if the device is being removed: its claim was released, or its region is being
    /// disabled.
    pub(crate) fn new(personality: &'a TypedDevice<T>) -> Result<Self> {
        let device_lock = personality.lock_device();
        if device_lock.is_bound() {
            return Err(EBUSY);
        }
        let lock = personality.parent_region().bus().lock();
        // A claim of a device that is being removed would only block others.
        if personality.is_unregistering() {
            return Err(ENODEV);
        }
        Ok(Self {
            personality,
            lock,
            _device_lock: device_lock,
        })
    }

    /// Claims the namespace `name` of the region. Fails with `EBUSY` if the personality has a claim
    /// already, and with `ENODEV` if there is no such namespace. Other errors are those of
    /// [`Claim::take`].
    fn claim(&self, name: &[u8]) -> Result {
        if self.claimed_namespace().is_some() {
            return Err(EBUSY);
        }
        let namespace = self
            .parent_region()
            .find_child::<Namespace>(|namespace| namespace.device().name().to_bytes() == name)
            .ok_or(ENODEV)?;
        let claim = Claim::take(namespace, self.holder(), &self.lock)?;
        self.identity().lock().claim = Some(claim);
        Ok(())
    }

    /// Drops the claim and resets the configuration. A device that had a claim and is not the seed
    /// is removed.
    ///
    /// Fails with `ENOMEM` without any change.
    fn release(&self) -> Result {
        // Neither changes while the device lock is held and no driver is bound.
        let goes = self.claimed_namespace().is_some() && !is_seed(self.personality);
        let removal = goes.then(|| Removal::new(self.personality)).transpose()?;
        let released = mem::take(&mut *self.identity().lock());
        self.reset();
        drop(released);
        if let Some(removal) = removal {
            removal.begin();
        }
        Ok(())
    }
}

impl<T: Personality> Deref for UnboundPersonality<'_, T> {
    type Target = TypedDevice<T>;

    fn deref(&self) -> &TypedDevice<T> {
        self.personality
    }
}

/// Returns the attribute `uuid`.
pub(crate) const fn uuid<T: Personality>() -> Attribute<T> {
    Attribute::<T>::read_write(
        c"uuid",
        |personality: &TypedDevice<T>, out| {
            text::show_uuid(out, personality.identity().lock().uuid)
        },
        |personality: &TypedDevice<T>, input| {
            let personality = UnboundPersonality::new(personality)?;
            personality.identity().lock().uuid = Some(text::parse_uuid(input)?);
            Ok(())
        },
    )
    .expecting("a UUID")
}

/// Returns the attribute `namespace`.
pub(crate) const fn namespace<T: Personality>() -> Attribute<T> {
    Attribute::<T>::read_write(
        c"namespace",
        |personality: &TypedDevice<T>, out| {
            let _bus_lock = personality.parent_region().bus().lock();
            match personality.claimed_namespace() {
                Some(namespace) => line!(out, "{}", namespace.device().name()),
                None => line!(out),
            }
        },
        |personality: &TypedDevice<T>, input| {
            let personality = UnboundPersonality::new(personality)?;
            match text::without_trailing_space(input) {
                b"" => personality.release(),
                name if name.starts_with(b"namespace") => personality.claim(name),
                _ => Err(EINVAL),
            }
        },
    )
    .expecting("the name of a namespace or nothing")
}
