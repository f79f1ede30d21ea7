// SPDX-License-Identifier: GPL-2.0

//! Changes of a labelled namespace.
//!
//! A change is made to a copy, written to the labels of all DIMMs, and becomes true only then. So a change that fails
//! leaves everything as it was. While the namespace has no UUID there is nothing to write; while it has no size, only labels
//! to drop: those that a creation which failed has left.
//!
//! A namespace whose labels are refused can be given up, by size 0, and not be changed otherwise: `ENXIO`.
//!
//! All of this happens under the device lock and the lock of the bus, with no device of the bus being probed.

use super::{
    Content,
    Namespace, //
};
use crate::{
    async_work::Removal,
    bus::BusLock,
    claim::ClaimClass,
    page_map::DaxMode,
    personality::Personality as _,
    seeds::is_seed,
    text::Foreign,
    Kind,
    Region, //
};
use kernel::prelude::*;
use kernel_ext::device::{
    DeviceLock,
    Node, //
};
use nd_format::{
    label::{
        Contents,
        Extent,
        Name, //
    },
    uuid::Uuid, //
};

/// A namespace that may be changed: no driver is bound, and nobody claims it.
pub(super) struct Configurable<'a> {
    namespace: &'a Node<Namespace>,
    lock: BusLock<'a>,
    _device_lock: DeviceLock<'a>,
}

impl<'a> Configurable<'a> {
    /// Waits until `namespace` may be changed; `EBUSY` if it is in use. `ENODEV`: it is going, since its labels were
    /// taken away, or its region is being disabled.
    pub(super) fn new(namespace: &'a Node<Namespace>) -> Result<Self> {
        let region = namespace.region();
        let (device_lock, lock) = region.bus().lock_idle(namespace.device());
        // New labels would outlive it, and take space that no device shows.
        if namespace.is_dead() {
            return Err(ENODEV);
        }
        if device_lock.is_bound() || namespace.holder().is_some() {
            return Err(EBUSY);
        }
        Ok(Self {
            namespace,
            lock,
            _device_lock: device_lock,
        })
    }

    fn region(&self) -> &'a Node<Region> {
        self.namespace.region()
    }

    fn content(&self) -> Content {
        *self.namespace.content.lock()
    }

    /// Sets the size in bytes. 0 takes the labels away, and with them the UUID.
    ///
    /// `ENXIO`: there is no UUID or no DIMM, a DIMM is disabled, or the namespace cannot grow in one piece. `EINVAL`: not a
    /// multiple of the region's alignment. `ENOSPC`: too large.
    pub(super) fn set_size(mut self, size: u64) -> Result {
        let region = self.region();
        let mut content = self.content();
        let uuid = content.uuid.ok_or(ENXIO)?;
        if region.mappings().is_empty() {
            return Err(ENXIO);
        }
        if !size.is_multiple_of(region.align()) {
            return Err(EINVAL);
        }
        if !region.has_all_labels(&self.lock) {
            return Err(ENXIO);
        }
        if size == 0 {
            return self.remove(uuid);
        }
        self.expect_good()?;
        let most = region
            .max_available_extent(&self.lock)
            .saturating_add(content.size);
        if size > most {
            dev_err!(
                self.namespace,
                "size {size:#x}: at most {most:#x} expected\n"
            );
            return Err(ENOSPC);
        }
        if content.size == 0 {
            self.delete_leftovers(uuid)?;
        } else {
            region.recover_labels(uuid, &mut self.lock)?;
        }
        let extents = if size == content.size {
            region.extents(uuid, &self.lock)?
        } else {
            region.place(uuid, size, &self.lock)?
        };
        let first = extents.first().copied().flatten().ok_or(ENXIO)?;
        content.start = region.namespace_start(first).ok_or(ENXIO)?;
        content.size = size;
        let class = self.namespace.claim_class();
        self.write_and_accept(content, class, &extents, None)
    }

    /// Takes the labels away. What is left is an empty namespace, which goes unless somebody may still want it.
    ///
    /// `ENOMEM`: all is as it was.
    fn remove(&mut self, uuid: Uuid) -> Result {
        let region = self.region();
        // No other becomes the seed, nor ceases to be, while nothing is being probed.
        let goes = self.namespace.index() != 0 && !is_seed(self.namespace);
        let removal = goes.then(|| Removal::new(self.namespace)).transpose()?;
        if !self.content().is_refused {
            // Some labels may have another UUID already.
            region.recover_labels(uuid, &mut self.lock)?;
        }
        if let Err(failure) = region.delete_labels(uuid, &mut self.lock) {
            // What is left can still be given up.
            self.namespace.content.lock().is_refused |= failure.is_partial;
            return Err(failure.error);
        }
        {
            let mut content = self.namespace.content.lock();
            *content = Content {
                name: content.name,
                sector_size: content.sector_size,
                ..Content::EMPTY
            };
        }
        if let Some(removal) = removal {
            removal.begin();
        }
        Ok(())
    }

    /// Sets the UUID.
    ///
    /// `EINVAL`: a namespace or a personality on the bus has it, or a label of the region. `EBUSY`: the old one may be in labels
    /// that cannot be read.
    pub(super) fn set_uuid(mut self, uuid: Uuid) -> Result {
        let region = self.region();
        if is_taken(region, uuid) {
            return Err(EINVAL);
        }
        let mut content = self.content();
        let old = content.uuid;
        if old.is_some() && !region.has_all_labels(&self.lock) {
            return Err(EBUSY);
        }
        self.expect_good()?;
        if let Some(old) = old {
            if content.size == 0 {
                self.delete_leftovers(old)?;
            } else {
                // The labels may name the new one because it was to be set before.
                region.recover_labels(old, &mut self.lock)?;
            }
        }
        if region.is_named_by_labels(uuid, &self.lock)? {
            dev_err!(
                self.namespace,
                "uuid {}: labels have it, expected one that none has\n",
                Foreign(uuid)
            );
            return Err(EINVAL);
        }
        content.uuid = Some(uuid);
        self.apply(content, self.namespace.claim_class(), old)
    }

    /// Sets the name.
    pub(super) fn set_name(mut self, name: Name) -> Result {
        let content = Content {
            name,
            ..self.content()
        };
        self.apply(content, self.namespace.claim_class(), None)
    }

    /// Sets the size of sectors.
    pub(super) fn set_sector_size(mut self, sector_size: u64) -> Result {
        let content = Content {
            sector_size,
            ..self.content()
        };
        self.apply(content, self.namespace.claim_class(), None)
    }

    /// Sets the class.
    ///
    /// `ENXIO` on a namespace without labels: the class holds until the namespace goes, but cannot be kept.
    pub(super) fn set_class(mut self, class: ClaimClass) -> Result {
        if !self.namespace.is_labelled() {
            self.namespace.claim.lock().class = class;
            return Err(ENXIO);
        }
        self.apply(self.content(), class, None)
    }

    /// Returns the class for BTTs, whose version depends on that of the labels; `ENXIO` if those differ.
    pub(super) fn btt_class(&self) -> Result<ClaimClass> {
        let mut class = None;
        for mapping in self.region().mappings() {
            let Some(area) = mapping.dimm().area(&self.lock) else {
                return Ok(ClaimClass::Btt1_1);
            };
            let wanted = if area.layout().has_v1_1_cookies() {
                ClaimClass::Btt1_1
            } else {
                ClaimClass::Btt2_0
            };
            if class.is_some_and(|class| class != wanted) {
                return Err(ENXIO);
            }
            class = Some(wanted);
        }
        Ok(class.unwrap_or(ClaimClass::Btt1_1))
    }

    /// `ENXIO` if the labels are refused.
    fn expect_good(&self) -> Result {
        if self.content().is_refused {
            dev_err!(
                self.namespace,
                "its labels are refused: they can be given up by size 0, but not changed\n"
            );
            return Err(ENXIO);
        }
        Ok(())
    }

    /// Drops the labels of `uuid`, which is that of this namespace, while it has no size: the UUID was in no label when it was set,
    /// so a creation that failed since has left them. They must not turn up as a part of the new namespace.
    fn delete_leftovers(&mut self, uuid: Uuid) -> Result {
        let region = self.region();
        if region.is_named_by_labels(uuid, &self.lock)? {
            region.delete_labels(uuid, &mut self.lock)?;
        }
        Ok(())
    }

    /// Makes a change true that leaves size and place alone. `old` is the UUID that the labels have, if it changes.
    fn apply(&mut self, content: Content, class: ClaimClass, old: Option<Uuid>) -> Result {
        self.expect_good()?;
        let Some(uuid) = content.uuid else {
            self.accept(content, class);
            return Ok(());
        };
        if content.size == 0 {
            // Linux writes the indexes here although no label is dropped. So do we, as what is on media can be compared then.
            self.region().delete_labels(uuid, &mut self.lock)?;
            self.accept(content, class);
            return Ok(());
        }
        self.region()
            .recover_labels(old.unwrap_or(uuid), &mut self.lock)?;
        let extents = self.region().extents(old.unwrap_or(uuid), &self.lock)?;
        self.write_and_accept(content, class, &extents, old)
    }

    /// Writes the labels, and accepts the change if that succeeds.
    fn write_and_accept(
        &mut self,
        content: Content,
        class: ClaimClass,
        extents: &[Option<Extent>],
        old: Option<Uuid>,
    ) -> Result {
        let contents = Contents {
            uuid: content.uuid.ok_or(ENXIO)?,
            name: content.name,
            lba_size: content.sector_size,
            class,
        };
        self.region()
            .write_labels(&contents, extents, old, &mut self.lock)?;
        self.accept(content, class);
        Ok(())
    }

    fn accept(&self, content: Content, class: ClaimClass) {
        *self.namespace.content.lock() = content;
        self.namespace.claim.lock().class = class;
    }
}

/// Tells whether a namespace or a personality on the bus of `region` has `uuid`. Device DAX may share one.
fn is_taken(region: &Region, uuid: Uuid) -> bool {
    let mut taken = false;
    // The closures never fail.
    let _ = region.bus().for_each_child(|child| {
        kernel_ext::device::for_each_child(child, |device| {
            let found = match Kind::of(device) {
                Some(Kind::Namespace(namespace)) => namespace.content.lock().uuid,
                Some(Kind::Btt(btt)) => btt.identity().lock().uuid,
                Some(Kind::PageMap(page_map)) if page_map.mode() == DaxMode::FsDax => {
                    page_map.identity().lock().uuid
                }
                _ => None,
            };
            taken |= found == Some(uuid);
            Ok(())
        })
    });
    taken
}
