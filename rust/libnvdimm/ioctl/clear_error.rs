// SPDX-License-Identifier: GPL-2.0

//! What the core adds to the command that clears media errors.
//!
//! The content of what is cleared is lost, so nobody may clear all of a namespace that is in use. What was cleared is taken
//! off the lists of bad ranges.

use super::cmd_layout::{
    field,
    wide_field, //
};
use crate::{
    bus::BusLock,
    page_map::DaxMode,
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
        Node, //
    },
};

/// Low half of a status: what the firmware has to say; 0 is success.
const STATUS_MASK: usize = 0xffff;

/// Checks a command that is about to be executed under `_lock`, which was taken while no device was being probed:
/// a namespace that is not in use now does not come to be used before the lock is released.
///
/// `EBUSY`: a namespace that a driver uses, as it is or through a personality, lies wholly within the range. A namespace of
/// a `dax` device may be: the processes that map it hear of what happens to it.
pub(super) fn check(bus: &Node<Bus>, payload: &[u8], _lock: &BusLock<'_>) -> Result {
    let (Some(start), Some(len)) = (wide_field(payload, 0), wide_field(payload, 8)) else {
        return Ok(());
    };
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
                    "errors of {:#x}+{:#x} are not cleared: all of {} is in it, and in use\n",
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

/// The namespace that `child` of a region uses, if it has a driver. One that is just leaving counts.
fn used_namespace(child: &Device) -> Option<ARef<Node<Namespace>>> {
    let namespace = match Kind::of(child)? {
        Kind::Namespace(namespace) => ARef::from(namespace),
        Kind::Btt(btt) => btt.claimed_namespace()?,
        Kind::PageMap(page_map) if page_map.mode() == DaxMode::FsDax => {
            page_map.claimed_namespace()?
        }
        _ => return None,
    };
    has_driver(child).then_some(namespace)
}

/// Notes what a command has cleared.
pub(super) fn account(bus: &Node<Bus>, payload: &[u8]) {
    let (Some(start), Some(len)) = (wide_field(payload, 0), wide_field(payload, 8)) else {
        return;
    };
    let (Some(status), Some(cleared)) = (field(payload, 16), wide_field(payload, 24)) else {
        return;
    };
    // The firmware is not believed to have cleared more than it was told to.
    let cleared = cleared.min(len);
    if status & STATUS_MASK == 0 && cleared >= SECTOR_SIZE {
        bus.poison_cleared(&(start..start.saturating_add(cleared)));
    }
}
