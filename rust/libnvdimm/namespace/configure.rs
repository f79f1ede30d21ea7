// SPDX-License-Identifier: GPL-2.0

//! Changes of labelled namespaces.
//!
//! A change is made to a copy, written to the labels of all DIMMs, and takes effect only then. So a
//! change that fails leaves everything as it was. While the namespace has no UUID, nothing is
//! written. While it has no size, labels are only deleted: those that a failed creation has left.
//!
//! Labels that are refused can be deleted, by setting the size of their namespace to 0. All other
//! changes of that namespace fail with `ENXIO`.
//!
//! All changes are made under the device lock and the bus lock, while no device of the bus is being
//! probed.

use super::{
    Content,
    Namespace, //
};
use crate::{
    async_work::Removal,
    bus::BusLock,
    claim::ClaimClass,
    personality::Personality as _,
    seeds::is_seed,
    text::Foreign,
    Kind,
    Region, //
};
use kernel::prelude::*;
use kernel_ext::device::{
    DeviceLock,
    TypedDevice, //
};
use label_engine::LabelFields;
use nd_format::{
    label::{
        Extent,
        Name, //
    },
    pfn::DaxMode,
    uuid::Uuid, //
};

/// A namespace that may be changed: no driver is bound, and no personality claims it.
pub(super) struct Configurable<'a> {
    namespace: &'a TypedDevice<Namespace>,
    lock: BusLock<'a>,
    _device_lock: DeviceLock<'a>,
}

impl<'a> Configurable<'a> {
    /// Takes the locks while no device is being probed. Fails with `EBUSY` if `namespace` is in
    /// use, and with `ENODEV` if it is being removed: its labels were deleted, or its region is
    /// being disabled.
    pub(super) fn new(namespace: &'a TypedDevice<Namespace>) -> Result<Self> {
        let region = namespace.region();
        let (device_lock, lock) = region.bus().lock_idle(namespace.device());
        // New labels would outlive the device, and occupy space that no device shows.
        if namespace.is_unregistering() {
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

    fn region(&self) -> &'a TypedDevice<Region> {
        self.namespace.region()
    }

    fn content(&self) -> Content {
        *self.namespace.content.lock()
    }

    /// Sets the size in bytes. 0 deletes the labels, and with them the UUID.
    ///
    /// # Errors
    ///
    /// - `ENXIO`: there is no UUID or no DIMM, a DIMM is disabled, the labels are refused, or the
    ///   namespace cannot grow in one piece.
    /// - `EINVAL`: `size` is not a multiple of the alignment of the region.
    /// - `ENOSPC`: `size` is too large.
    pub(super) fn set_size(mut self, size: u64) -> Result {
        let region = self.region();
        let mut content = self.content();
        let uuid = content.uuid.ok_or(ENXIO)?;
        if region.mappings().is_empty() {
            return Err(ENXIO);
        }
        if size.checked_rem(region.align()) != Some(0) {
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

    /// Deletes the labels, which leaves an empty namespace. It is removed unless it is the seed or
    /// the first namespace of the region.
    ///
    /// Fails with `ENOMEM` without any change.
    fn remove(&mut self, uuid: Uuid) -> Result {
        let region = self.region();
        // The seed does not change while no device is being probed.
        let goes = self.namespace.index() != 0 && !is_seed(self.namespace);
        let removal = goes.then(|| Removal::new(self.namespace)).transpose()?;
        if !self.content().is_refused {
            // Some labels may have another UUID already.
            region.recover_labels(uuid, &mut self.lock)?;
        }
        if let Err(failure) = region.delete_labels(uuid, &mut self.lock) {
            // The remaining labels can still be deleted.
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
    /// Fails with `EINVAL` if a namespace or a personality on the bus, or a label of the region,
    /// has the UUID, and with `EBUSY` if the old UUID may be in labels that cannot be read.
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
                // The labels may have the new UUID already, from an interrupted change to it.
                region.recover_labels(old, &mut self.lock)?;
            }
        }
        if region.is_named_by_labels(uuid, &self.lock)? {
            dev_err!(
                self.namespace,
                "uuid {}: labels have it, expected one that no label has\n",
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

    /// Sets the sector size in bytes.
    pub(super) fn set_sector_size(mut self, sector_size: u64) -> Result {
        let content = Content {
            sector_size,
            ..self.content()
        };
        self.apply(content, self.namespace.claim_class(), None)
    }

    /// Sets the class.
    ///
    /// Without labels the class cannot be stored: it is set until the namespace is removed, and the
    /// call fails with `ENXIO`.
    pub(super) fn set_class(mut self, class: ClaimClass) -> Result {
        if !self.namespace.is_labelled() {
            self.namespace.claim.lock().class = class;
            return Err(ENXIO);
        }
        self.apply(self.content(), class, None)
    }

    /// Returns the class for BTTs. Their version depends on that of the labels; fails with `ENXIO`
    /// if DIMMs have labels of different versions.
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

    /// Fails with `ENXIO` if the labels are refused.
    fn expect_good(&self) -> Result {
        if self.content().is_refused {
            dev_err!(
                self.namespace,
                "its labels are refused: they can be deleted by size 0, but not changed\n"
            );
            return Err(ENXIO);
        }
        Ok(())
    }

    /// Deletes the labels of `uuid`, the UUID of this namespace, which has no size. The UUID was in
    /// no label when it was set, so a failed creation has left them since. They must not become a
    /// part of the new namespace.
    fn delete_leftovers(&mut self, uuid: Uuid) -> Result {
        let region = self.region();
        if region.is_named_by_labels(uuid, &self.lock)? {
            region.delete_labels(uuid, &mut self.lock)?;
        }
        Ok(())
    }

    /// Applies a change that affects neither size nor place. `old` is the UUID in the labels, if
    /// the UUID changes.
    fn apply(&mut self, content: Content, class: ClaimClass, old: Option<Uuid>) -> Result {
        self.expect_good()?;
        let Some(uuid) = content.uuid else {
            self.accept(content, class);
            return Ok(());
        };
        if content.size == 0 {
            // The C driver writes the indexes here although no label is deleted. This driver does
            // the same, so that the contents of media can be compared.
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
        let fields = LabelFields {
            uuid: content.uuid.ok_or(ENXIO)?,
            name: content.name,
            lba_size: content.sector_size,
            class,
        };
        self.region()
            .write_labels(&fields, extents, old, &mut self.lock)?;
        self.accept(content, class);
        Ok(())
    }

    fn accept(&self, content: Content, class: ClaimClass) {
        *self.namespace.content.lock() = content;
        self.namespace.claim.lock().class = class;
    }
}

/// Returns `true` if a namespace or a personality on the bus of `region` has `uuid`. `dax` devices
/// may share a UUID.
fn is_taken(region: &Region, uuid: Uuid) -> bool {
    let mut taken = false;
    // The closures never fail.
    let _ = region.bus().for_each_child(|child| {
        kernel_ext::device::for_each_child(child, |device| {
            let found = match Kind::of(device) {
                Some(Kind::Namespace(namespace)) => namespace.content.lock().uuid,
                Some(Kind::Btt(btt)) => btt.identity().lock().uuid,
                Some(Kind::Pfn(pfn)) if pfn.mode() == DaxMode::FsDax => pfn.identity().lock().uuid,
                _ => None,
            };
            taken |= found == Some(uuid);
            Ok(())
        })
    });
    taken
}
