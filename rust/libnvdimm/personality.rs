// SPDX-License-Identifier: GPL-2.0

//! What personalities have in common: a UUID, a claim on a namespace of their region, and a life as a seed.
//!
//! A personality without a claim is idle. An idle one that is not the seed has no use, so it goes.

use crate::text::line;
use crate::{
    async_work,
    claim::{
        Claim,
        Holder,
        HolderKind, //
    },
    ids::ChildId,
    seeds::Seeds,
    text,
    Namespace,
    Region, //
};
use core::ptr;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Mutex, //
    },
};
use kernel_ext::{
    device::{
        DeviceType,
        Node, //
    },
    sysfs::Attribute, //
};
use nd_format::uuid::Uuid;

/// A device that claims a namespace to use it in its own way.
pub(crate) trait Personality: DeviceType {
    /// Returns its number, and with that its region.
    fn id(&self) -> &ChildId;

    /// Returns its kind.
    fn kind(&self) -> HolderKind;

    /// Returns what user space configures on all kinds.
    fn identity(&self) -> &Mutex<Identity>;

    /// Forgets what user space configured, beside the identity.
    fn reset(&self);

    /// Returns the seed of the kind of `self`.
    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a Node<Self>>;

    /// Returns its region.
    fn region_node(&self) -> &Node<Region> {
        self.id().region()
    }

    /// Returns how it is named as the holder of a namespace.
    fn holder(&self) -> Holder {
        Holder {
            kind: self.kind(),
            region: self.region_node().id(),
            index: self.id().get(),
        }
    }

    /// Returns the namespace that it claims.
    fn claimed_namespace(&self) -> Option<ARef<Node<Namespace>>> {
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

/// Tells whether `personality` is the seed of its kind.
pub(crate) fn is_seed<T: Personality>(personality: &Node<T>) -> bool {
    let region = personality.region_node();
    let seeds = region.seeds().lock();
    personality
        .seed(&seeds)
        .is_some_and(|seed| ptr::eq(seed, personality))
}

/// `uuid`.
pub(crate) const fn uuid<T: Personality>() -> Attribute<T> {
    Attribute::read_write(
        c"uuid",
        |personality: &Node<T>, out| text::show_uuid(out, personality.identity().lock().uuid),
        |personality: &Node<T>, input| {
            let device_lock = personality.lock_device();
            if device_lock.is_bound() {
                return Err(EBUSY);
            }
            personality.identity().lock().uuid = Some(text::parse_uuid(input)?);
            Ok(())
        },
    )
}

/// `namespace`.
pub(crate) const fn namespace<T: Personality>() -> Attribute<T> {
    Attribute::read_write(
        c"namespace",
        |personality: &Node<T>, out| {
            let _bus_lock = personality.region_node().bus().lock();
            match personality.claimed_namespace() {
                Some(namespace) => line!(out, "{}", namespace.device().name()),
                None => line!(out),
            }
        },
        store_namespace,
    )
}

/// Claims the namespace that `input` names, or releases the one that is claimed if it names none.
fn store_namespace<T: Personality>(personality: &Node<T>, input: &[u8]) -> Result {
    let region = personality.region_node();
    let device_lock = personality.lock_device();
    let bus_lock = region.bus().lock();
    if device_lock.is_bound() {
        return Err(EBUSY);
    }
    let name = text::without_trailing_space(input);
    if name.is_empty() {
        return release(personality);
    }
    if !name.starts_with(b"namespace") {
        return Err(EINVAL);
    }
    if personality.claimed_namespace().is_some() {
        return Err(EBUSY);
    }
    let namespace = region
        .find_child::<Namespace>(|namespace| namespace.device().name().to_bytes() == name)
        .ok_or(ENODEV)?;
    let claim = Claim::take(namespace, personality.holder(), &bus_lock)?;
    personality.identity().lock().claim = Some(claim);
    Ok(())
}

/// Drops the claim of `personality`, and itself if there is no more use for it.
fn release<T: Personality>(personality: &Node<T>) -> Result {
    let released = core::mem::take(&mut *personality.identity().lock());
    personality.reset();
    if released.claim.is_some() && !is_seed(personality) {
        async_work::unregister(personality)?;
    }
    Ok(())
}
