// SPDX-License-Identifier: GPL-2.0

//! What the core does for the command that clears media errors.
//!
//! Clearing loses the contents of the range, so a range that contains all of a namespace in use is
//! refused. What was cleared is removed from the lists of bad ranges.

use crate::{
    bus::BusLock,
    personality::Personality as _,
    Bus,
    Kind,
    Namespace, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::{
    block::SECTOR_SIZE,
    device::{
        has_driver,
        TypedDevice, //
    },
};
use nd_format::{
    pfn::DaxMode,
    uapi::ClearError, //
};

/// Checks a command that is about to be executed under `_lock`. The lock was taken while no device
/// was being probed, so a namespace that is not in use now stays so until the lock is released.
///
/// Fails with `EBUSY` if a namespace that a driver uses, raw or through a personality, lies wholly
/// within the range. Namespaces of `dax` devices are exempt: the processes that map them are
/// notified of what happens to them.
pub(super) fn check(bus: &TypedDevice<Bus>, payload: &[u8], _lock: &BusLock<'_>) -> Result {
    let (request, _) = ClearError::ref_from_prefix(payload).map_err(|_| EINVAL)?;
    let (start, len) = (request.address.get(), request.length.get());
    let end = start.saturating_add(len);
    bus.for_each_child(|region| {
        kernel_ext::device::for_each_child(region, |child| {
            let Some(namespace) = used_namespace(child) else {
                return Ok(());
            };
            let namespace_end = namespace.start().saturating_add(namespace.size());
            if namespace.size() != 0 && start <= namespace.start() && namespace_end <= end {
                dev_err!(
                    bus,
                    "errors in {:#x}+{:#x} are not cleared: the range contains all of {}, which is in use\n",
                    start,
                    len,
                    namespace.device().name()
                );
                return Err(EBUSY);
            }
            Ok(())
        })
    })
}

/// Returns the namespace that `child` of a region is or claims, if `child` has a driver. A driver
/// that is being unbound counts.
fn used_namespace(child: &Device) -> Option<ARef<TypedDevice<Namespace>>> {
    let namespace = match Kind::of(child)? {
        Kind::Namespace(namespace) => ARef::from(namespace),
        Kind::Btt(btt) => btt.claimed_namespace()?,
        Kind::Pfn(pfn) if pfn.mode() == DaxMode::FsDax => pfn.claimed_namespace()?,
        _ => return None,
    };
    has_driver(child).then_some(namespace)
}

/// Records what a successful command has cleared.
pub(super) fn account(bus: &TypedDevice<Bus>, payload: &[u8]) {
    let Ok((answer, _)) = ClearError::ref_from_prefix(payload) else {
        return;
    };
    let (start, len) = (answer.address.get(), answer.length.get());
    // The firmware is not trusted to have cleared at most what was requested.
    let cleared = answer.cleared.get().min(len);
    if cleared >= SECTOR_SIZE {
        bus.poison_cleared(&(start..start.saturating_add(cleared)));
    }
}
