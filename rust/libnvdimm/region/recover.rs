// SPDX-License-Identifier: GPL-2.0

//! Recovery of labels whose update was interrupted, by a power failure or because a DIMM failed.
//!
//! Enabling a region writes no labels. The remains of an interrupted update are shown as the
//! namespace was before ([`State`](label_engine::State)), or are refused; either way their
//! addresses stay reserved. The labels of a namespace that is shown are written again before it is
//! changed, and only then.

use super::Region;
use crate::{
    bus::BusLock,
    text::Foreign, //
};
use kernel::prelude::*;
use kernel_ext::device::TypedDevice;
use label_engine::{
    LabelFields,
    Set, //
};
use nd_format::uuid::Uuid;

impl Region {
    /// Writes the labels of the namespace `uuid` again if an update of them was interrupted. Does
    /// nothing if there are none, or if they are refused.
    pub(crate) fn recover_labels(
        self: &TypedDevice<Self>,
        uuid: Uuid,
        lock: &mut BusLock<'_>,
    ) -> Result {
        let members = self.members(lock)?;
        let set = Set::new(&members, self.label_identity()?);
        let namespace = match set.namespace(uuid) {
            Ok(namespace) if namespace.state.needs_recovery() => namespace,
            _ => return Ok(()),
        };
        let mut extents = KVec::with_capacity(members.len(), GFP_KERNEL)?;
        for member in 0..members.len() {
            extents.push(set.extent(&namespace, member), GFP_KERNEL)?;
        }
        drop(members);
        dev_info!(
            self,
            "namespace {}: the update of its labels was interrupted: they are written again\n",
            Foreign(uuid)
        );
        let fields = LabelFields::from(&namespace);
        self.write_labels(&fields, &extents, namespace.state.replaces(), lock)
    }

    /// Returns `true` if any label of the region has the UUID `uuid`, whether or not the label is
    /// part of a namespace.
    pub(crate) fn is_named_by_labels(&self, uuid: Uuid, lock: &BusLock<'_>) -> Result<bool> {
        let members = self.members(lock)?;
        Ok(Set::new(&members, self.label_identity()?).is_named(uuid))
    }
}
