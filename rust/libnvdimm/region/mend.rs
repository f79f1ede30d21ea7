// SPDX-License-Identifier: GPL-2.0

//! Labels that an interrupted update has left: brought in order before anything is built on them.
//!
//! That is when a region is enabled, after a power failure; and before the next change, after an update that failed and could
//! not be taken back. What the labels mean is known in either case ([`label::State`], [`Defect`]), so a region whose labels
//! cannot be mended has its namespaces all the same. Only changes that take addresses are refused, since what a namespace has
//! by inference is not reserved on all DIMMs.

use super::Region;
use crate::{
    bus::BusLock,
    text::Foreign, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use nd_format::{
    label::{
        Contents,
        Defect,
        Extent,
        Set, //
    },
    uuid::Uuid, //
};

/// What it takes to bring the labels of one namespace in order.
enum Repair {
    /// To write them again.
    Publish {
        contents: Contents,
        extents: KVec<Option<Extent>>,
        replaces: Option<Uuid>,
    },
    /// To drop them: they make up no namespace.
    Retract { uuid: Uuid, defect: Defect },
}

impl Region {
    /// Tells whether an update has left labels that have to be mended.
    pub(super) fn wants_mending(&self) -> bool {
        self.labels_unsettled.load(Relaxed)
    }

    /// Notes that labels have to be mended. This changes under the lock of the bus only.
    pub(super) fn note_unsettled(&self, _lock: &BusLock<'_>) {
        self.labels_unsettled.store(true, Relaxed);
    }

    /// Mends the labels, if an update has left some to mend. A failure is a message; changes that depend on it are refused.
    pub(crate) fn mend_unsettled_labels(&self, lock: &mut BusLock<'_>) {
        if self.wants_mending() {
            self.mend_labels(lock);
        }
    }

    /// Mends the labels of all namespaces.
    pub(crate) fn mend_labels(&self, lock: &mut BusLock<'_>) {
        self.labels_unsettled.store(false, Relaxed);
        let outcome = self.repairs(lock).and_then(|repairs| {
            repairs
                .into_iter()
                .try_for_each(|repair| self.perform(repair, lock))
        });
        if let Err(error) = outcome {
            self.note_unsettled(lock);
            pr_err!(
                "region{}: labels could not be mended: {error:?}; namespaces cannot be changed until they are\n",
                self.id()
            );
        }
    }

    fn repairs(&self, lock: &BusLock<'_>) -> Result<KVec<Repair>> {
        let members = self.members(lock)?;
        let set = Set::new(&members, self.label_identity()?);
        let mut repairs = KVec::new();
        for found in set.namespaces() {
            match found {
                Ok(namespace) if namespace.state.wants_repair() => {
                    let mut extents = KVec::with_capacity(members.len(), GFP_KERNEL)?;
                    for member in 0..members.len() {
                        extents.push(set.extent(&namespace, member), GFP_KERNEL)?;
                    }
                    let repair = Repair::Publish {
                        contents: Contents::from(&namespace),
                        extents,
                        replaces: namespace.state.replaces(),
                    };
                    repairs.push(repair, GFP_KERNEL)?;
                }
                Err(refused) if refused.defect.is_residue() => {
                    let repair = Repair::Retract {
                        uuid: refused.uuid,
                        defect: refused.defect,
                    };
                    repairs.push(repair, GFP_KERNEL)?;
                }
                _ => (),
            }
        }
        Ok(repairs)
    }

    fn perform(&self, repair: Repair, lock: &mut BusLock<'_>) -> Result {
        match repair {
            Repair::Publish {
                contents,
                extents,
                replaces,
            } => {
                pr_info!(
                    "region{}: namespace {}: the update of its labels was interrupted: they are written again\n",
                    self.id(),
                    Foreign(contents.uuid)
                );
                self.publish_labels(&contents, &extents, replaces, lock)
            }
            Repair::Retract { uuid, defect } => {
                pr_info!(
                    "region{}: labels of namespace {} are dropped: {}\n",
                    self.id(),
                    Foreign(uuid),
                    Foreign(defect)
                );
                self.retract_labels(uuid, lock)
            }
        }
    }
}
