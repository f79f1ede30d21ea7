// SPDX-License-Identifier: GPL-2.0

//! Offsets of the shares of a namespace in the mappings of its set.
//!
//! Addresses are interleaved, so a contiguous range of a region has the same offset in each
//! mapping. Linux does not see to that: each DIMM contributes the first range that is free there,
//! which is at another offset where labels of another set are in the way. Linux takes the address
//! of the namespace from the first DIMM, whatever the others say, and that is where the data are.
//!
//! Such a namespace is shown as Linux shows it as long as its labels are complete. Nothing is
//! inferred for it, and the labels that an interrupted update has left stay.

use crate::{
    defect::Defect,
    set::{
        same_contents,
        Set, //
    },
};
use nd_format::{
    label::Label,
    uuid::Uuid, //
};

impl Set<'_> {
    /// Returns the offset in the mapping, in bytes, of the share of the DIMM `member` that `label`
    /// describes.
    fn offset(&self, member: usize, label: &Label) -> Result<u64, Defect> {
        let mapping = self.members.get(member).map(|member| member.mapping);
        mapping
            .and_then(|mapping| label.extent.start().checked_sub(mapping.start()))
            .ok_or(Defect::Missing { member })
    }

    /// Returns `true` if `label`, of the DIMM `member`, describes a share at `offset` of its
    /// mapping.
    pub(crate) fn is_at(&self, member: usize, label: &Label, offset: u64) -> bool {
        self.offset(member, label) == Ok(offset)
    }

    /// Returns the offset of the share that `label`, a label of `uuid`, describes.
    pub(crate) fn share_offset(&self, uuid: Uuid, label: &Label) -> Option<u64> {
        let (member, label) = self
            .labels(uuid)
            .find(|(_, other)| other.position == label.position)?;
        self.offset(member, &label).ok()
    }

    /// Returns the offset that all labels of `uuid` have; [`Defect::Offset`] if they differ.
    pub(crate) fn common_offset(&self, uuid: Uuid) -> Result<u64, Defect> {
        let mut labels = self.labels(uuid);
        let (first, label) = labels.next().ok_or(Defect::Missing { member: 0 })?;
        let expected = self.offset(first, &label)?;
        for (member, label) in labels {
            let found = self.offset(member, &label)?;
            if found != expected {
                return Err(Defect::Offset {
                    member,
                    found,
                    expected,
                });
            }
        }
        Ok(expected)
    }

    /// Checks the labels of `uuid` after an interrupted update: all old labels, those like `old`,
    /// must have been at one offset.
    pub(crate) fn check_update(&self, uuid: Uuid, old: &Label) -> Result<(), Defect> {
        let expected = self
            .share_offset(uuid, old)
            .ok_or(Defect::Missing { member: 0 })?;
        let mut moved = None;
        for (member, label) in self.labels(uuid) {
            let found = self.offset(member, &label)?;
            let mut is_good = found == expected;
            let mut wrong = found;
            if !same_contents(&label, old) {
                // A share changes at its end or grows to the front, and all shares alike.
                let end = |start: u64, label: &Label| start.checked_add(label.extent.len());
                let fits = is_good || end(found, &label) == end(expected, old);
                is_good = fits && *moved.get_or_insert(found) == found;
                let mut previous = self.previous_offsets(member, uuid, old);
                match previous.next() {
                    Some(first) if first != expected && previous.all(|other| other != expected) => {
                        is_good = false;
                        wrong = first;
                    }
                    _ => (),
                }
            }
            if !is_good {
                return Err(Defect::Offset {
                    member,
                    found: wrong,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// Returns the offsets of finished labels like `old` that can still be read in free slots of
    /// the DIMM `member`.
    pub(crate) fn previous_offsets<'s>(
        &'s self,
        member: usize,
        uuid: Uuid,
        old: &'s Label,
    ) -> impl Iterator<Item = u64> + 's {
        let area = self.members.get(member).map(|member| member.area);
        let stale = area.map(|area| area.stale_labels_of(uuid));
        stale.into_iter().flatten().filter_map(move |stored| {
            let label = stored.label;
            let is_like_old = !label.flags.updating()
                && self.is_of_set(member, &label)
                && same_contents(&label, old);
            is_like_old.then(|| self.offset(member, &label).ok())?
        })
    }
}
