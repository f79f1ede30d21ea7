// SPDX-License-Identifier: GPL-2.0

//! Where the shares of a namespace are in the mappings of its set.
//!
//! Addresses are interleaved, so what is contiguous in a region is at the same offset of each mapping. Linux does not look for
//! that: each DIMM gives the first range that is free there, which is another one where labels of somebody else are in the
//! way. It takes the address from the first DIMM, whatever the others say, and that is where the data are.
//!
//! Such a namespace is shown as Linux shows it while its labels tell all by themselves. Nothing is inferred for it, and what an
//! interrupted update has left of its labels stays.

use super::{
    defect::Defect,
    record::Label,
    set::{
        same_contents,
        Set, //
    },
};
use crate::uuid::Uuid;

impl Set<'_> {
    /// Bytes from the start of the mapping to the share of the DIMM `member` that `label` describes.
    fn offset(&self, member: usize, label: &Label) -> Result<u64, Defect> {
        let mapping = self.members.get(member).map(|member| member.mapping);
        mapping
            .and_then(|mapping| label.extent.start().checked_sub(mapping.start()))
            .ok_or(Defect::Missing { member })
    }

    /// Tells whether a label of the DIMM `member` is of addresses from `offset` of its mapping on.
    pub(super) fn is_at(&self, member: usize, label: &Label, offset: u64) -> bool {
        self.offset(member, label) == Ok(offset)
    }

    /// The offset of the share that the label `label` of `uuid` describes.
    pub(super) fn share_offset(&self, uuid: Uuid, label: &Label) -> Option<u64> {
        let (member, label) = self
            .labels(uuid)
            .find(|(_, other)| other.position == label.position)?;
        self.offset(member, &label).ok()
    }

    /// The one offset of all labels of `uuid`.
    pub(super) fn common_offset(&self, uuid: Uuid) -> Result<u64, Defect> {
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

    /// Checks that the labels of `uuid`, of which those like `old` are the old ones of an interrupted update, are such that
    /// all old ones were at one offset.
    pub(super) fn check_update(&self, uuid: Uuid, old: &Label) -> Result<(), Defect> {
        let expected = self
            .share_offset(uuid, old)
            .ok_or(Defect::Missing { member: 0 })?;
        let mut moved = None;
        for (member, label) in self.labels(uuid) {
            let found = self.offset(member, &label)?;
            let mut is_good = found == expected;
            let mut wrong = found;
            if !same_contents(&label, old) {
                // Shares change at their end, or grow to the front; all of them alike.
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

    /// Offsets of finished labels like `old` that are still to be read in free slots of the DIMM `member`.
    pub(super) fn previous_offsets<'s>(
        &'s self,
        member: usize,
        uuid: Uuid,
        old: &'s Label,
    ) -> impl Iterator<Item = u64> + 's {
        let area = self.members.get(member).map(|member| member.area);
        area.into_iter()
            .flat_map(move |area| area.stale_labels_of(uuid))
            .map(|stored| stored.label)
            .filter(move |label| {
                !label.flags.updating()
                    && self.is_of_set(member, label)
                    && same_contents(label, old)
            })
            .filter_map(move |label| self.offset(member, &label).ok())
    }
}
