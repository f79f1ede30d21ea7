// SPDX-License-Identifier: GPL-2.0

//! Updates of one label area.
//!
//! An [`AreaUpdate`] yields its writes one after the other. The caller performs each of them
//! through the provider and confirms it. Nothing that the current index names is ever overwritten:
//! labels go into free slots, and the new index replaces the one that is not current. The update
//! takes effect with the index, which has a checksum: a power failure before or within a write
//! leaves what was there before that write. (UEFI 2.10, section 13.19, "Updating Namespace
//! Labels".)
//!
//! A blank area is initialised first. A damaged one ([`AreaDamage`]) is left alone.
//!
//! An update that is dropped before it is complete leaves the area in memory as it was before: the
//! current index and its labels are untouched, and the next update starts from them. The medium may
//! be ahead of memory, if the index was written but the write was reported as failed. Slots that
//! are free in memory then hold labels that are current on the medium, so the next update first
//! writes the current index again, as the newest one.

use crate::set::SetIdentity;
use core::fmt;
use nd_format::{
    label::{
        bytes::{
            range,
            range_mut, //
        },
        index,
        slots::mark,
        AreaDamage,
        Current,
        Geometry,
        IndexCopy,
        Label,
        LabelArea,
        Layout,
        Sequence, //
    },
    uuid::Uuid, //
};

/// A label area to be updated: its cached bytes and its layout.
#[derive(Debug)]
pub struct Store<'a> {
    bytes: &'a mut [u8],
    layout: &'a mut Layout,
}

impl<'a> Store<'a> {
    /// Takes the area `bytes` with its `layout`. [`UpdateError::Length`] if `bytes` are not the
    /// whole area.
    pub fn new(bytes: &'a mut [u8], layout: &'a mut Layout) -> Result<Self, UpdateError> {
        let (found, expected) = (bytes.len(), layout.geometry().config_size());
        if usize::try_from(expected) != Ok(found) {
            return Err(UpdateError::Length { found, expected });
        }
        Ok(Self { bytes, layout })
    }

    /// Returns the area for reading.
    pub fn area(&self) -> LabelArea<'_> {
        LabelArea::new(self.bytes, self.layout)
    }

    /// Returns the labels of `uuid` that belong to the set `identity`.
    pub(crate) fn labels_of<'s>(
        &'s self,
        uuid: Uuid,
        identity: &'s SetIdentity,
    ) -> impl Iterator<Item = Label> + 's {
        let area = self.area();
        let labels = area.labels_of(uuid).map(|stored| stored.label);
        labels.filter(move |label| identity.has_label(&area, label.cookie))
    }

    /// Checks that a label of `uuid` can be written twice, as an update of a set requires.
    pub fn check_free_slots(
        &self,
        uuid: Uuid,
        replaces: Option<Uuid>,
        identity: &SetIdentity,
    ) -> Result<(), UpdateError> {
        if let Some(&damage) = self.layout.damage() {
            return Err(UpdateError::Damaged(damage));
        }
        let count = |uuid| self.labels_of(uuid, identity).count();
        let dropped = count(uuid) + replaces.map_or(0, count);
        match (self.area().free_count(), dropped) {
            (0, _) | (1, 0) => Err(UpdateError::NoFreeSlot),
            _ => Ok(()),
        }
    }

    /// Begins an update that writes `label`, and drops the labels of the same UUID and of
    /// `replaces` that belong to the set `identity`. A blank area is initialised.
    pub fn write_label(
        &mut self,
        label: &Label,
        replaces: Option<Uuid>,
        identity: &SetIdentity,
    ) -> Result<AreaUpdate<'_>, UpdateError> {
        let slot = match (self.layout.current(), self.layout.damage()) {
            (None, Some(&damage)) => return Err(UpdateError::Damaged(damage)),
            (None, None) => 0,
            (Some(_), _) => self
                .area()
                .slots()
                .free()
                .next()
                .ok_or(UpdateError::NoFreeSlot)?,
        };
        let change = Change::Write {
            label: *label,
            slot,
            replaces,
            identity: *identity,
        };
        Ok(AreaUpdate::new(self, change))
    }

    /// Begins an update that drops the labels of `uuid` that belong to the set `identity`,
    /// including damaged ones. The index is written even if there are none, as Linux does, but
    /// nothing is written into an area without a current index.
    pub fn delete_labels(&mut self, uuid: Uuid, identity: &SetIdentity) -> AreaUpdate<'_> {
        let identity = *identity;
        AreaUpdate::new(self, Change::Delete { uuid, identity })
    }

    /// Begins an update that makes sure that the medium is not ahead of memory, after a write has
    /// failed.
    pub fn resync(&mut self) -> AreaUpdate<'_> {
        AreaUpdate::new(self, Change::Resync)
    }
}

/// A write of an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write<'p> {
    /// Offset from the start of the label area in bytes.
    pub offset: u32,
    /// The bytes.
    pub bytes: &'p [u8],
}

/// The purpose of an update.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Write a label in place of others.
    Write {
        label: Label,
        slot: u32,
        replaces: Option<Uuid>,
        identity: SetIdentity,
    },
    /// Drop labels.
    Delete { uuid: Uuid, identity: SetIdentity },
    /// Nothing: only the current index is written again if need be.
    Resync,
}

/// The pending write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// An index without labels, into a blank area.
    Initial(IndexCopy),
    /// The current index, in place of one that may have overtaken it.
    Again(IndexCopy),
    /// The label, into a free slot.
    Label { slot: u32 },
    /// The index with which the change takes effect.
    Index(IndexCopy),
    /// None: the update is complete.
    Done,
}

/// An update of a label area in progress.
#[derive(Debug)]
pub struct AreaUpdate<'a> {
    bytes: &'a mut [u8],
    layout: &'a mut Layout,
    change: Change,
    stage: Stage,
}

impl<'a> AreaUpdate<'a> {
    fn new(store: &'a mut Store<'_>, change: Change) -> Self {
        let mut update = Self {
            bytes: &mut *store.bytes,
            layout: &mut *store.layout,
            change,
            stage: Stage::Done,
        };
        update.stage = match (update.layout.current().copied(), change) {
            (Some(current), _) if current.overtaken => update.repeat_index(&current),
            (Some(current), _) => update.begin(&current),
            (None, Change::Write { .. }) => update.initialise(),
            (None, Change::Delete { .. } | Change::Resync) => Stage::Done,
        };
        update
    }

    /// Returns the pending write; [`None`] once the update is complete.
    pub fn write(&self) -> Option<Write<'_>> {
        let geometry = self.layout.geometry();
        let (offset, len) = match self.stage {
            Stage::Initial(copy) | Stage::Again(copy) | Stage::Index(copy) => {
                (geometry.index_offset(copy), geometry.index_size())
            }
            Stage::Label { slot } => (geometry.label_offset(slot)?, geometry.label_len()),
            Stage::Done => return None,
        };
        let bytes = range(self.bytes, offset, len)?;
        Some(Write { offset, bytes })
    }

    /// Records that the write returned by [`Self::write`] is on the medium.
    pub fn confirm(&mut self) {
        self.stage = match (self.stage, self.layout.current().copied()) {
            (Stage::Initial(IndexCopy::First), _) => Stage::Initial(IndexCopy::Second),
            (Stage::Initial(IndexCopy::Second), _) => {
                let current = Current {
                    copy: IndexCopy::First,
                    slots: self.layout.geometry().slots(),
                    version: self.layout.geometry().format().version(),
                    // The second index is written next. It gets the number of the first one and
                    // becomes current nevertheless, by the rule for equal numbers.
                    next: Sequence::INITIAL_SECOND.successor(),
                    overtaken: false,
                };
                self.layout.set_current(current);
                self.begin(&current)
            }
            (Stage::Label { .. }, Some(current)) => self.stage_index(&current),
            (Stage::Again(copy), Some(current)) => {
                let current = self.make_current(&current, copy);
                self.begin(&current)
            }
            (Stage::Index(copy), Some(current)) => {
                self.make_current(&current, copy);
                Stage::Done
            }
            (Stage::Done, _) | (_, None) => Stage::Done,
        };
    }

    /// Writes both indexes of a fresh area into the cache.
    fn initialise(&mut self) -> Stage {
        let geometry = *self.layout.geometry();
        self.bytes.fill(0);
        if let Some((first, second)) = indexes(self.bytes, &geometry) {
            for (bytes, copy, sequence) in [
                (first, IndexCopy::First, Sequence::INITIAL_FIRST),
                (second, IndexCopy::Second, Sequence::INITIAL_SECOND),
            ] {
                index::clear(bytes, geometry.slots());
                index::seal(bytes, &geometry, copy, sequence, geometry.slots());
            }
        }
        Stage::Initial(IndexCopy::First)
    }

    fn begin(&mut self, current: &Current) -> Stage {
        match self.change {
            Change::Write { label, slot, .. } => {
                let geometry = *self.layout.geometry();
                let bytes = geometry
                    .label_offset(slot)
                    .and_then(|offset| range_mut(self.bytes, offset, geometry.label_len()));
                if let Some(bytes) = bytes {
                    label.encode(bytes, geometry.format(), slot);
                }
                Stage::Label { slot }
            }
            Change::Delete { .. } => self.stage_index(current),
            Change::Resync => Stage::Done,
        }
    }

    /// Makes the index `copy` the current one, now that it is on the medium.
    fn make_current(&mut self, current: &Current, copy: IndexCopy) -> Current {
        let current = Current {
            copy,
            slots: current.slots,
            version: self.layout.geometry().format().version(),
            next: current.next.successor(),
            overtaken: false,
        };
        self.layout.set_current(current);
        current
    }

    /// Prepares the next index as a copy of the current one.
    fn repeat_index(&mut self, current: &Current) -> Stage {
        let copy = self.copy_index(current);
        self.seal_index(current, copy);
        Stage::Again(copy)
    }

    /// Prepares the next index, with the change, in place of the one that is not current.
    fn stage_index(&mut self, current: &Current) -> Stage {
        let geometry = *self.layout.geometry();
        let copy = self.copy_index(current);
        if let Change::Write { slot, .. } = self.change {
            self.mark(&geometry, copy, slot, false);
        }
        for slot in 0..current.slots {
            if self.is_dropped(slot) {
                self.mark(&geometry, copy, slot, true);
            }
        }
        self.seal_index(current, copy);
        self.layout.set_current(Current {
            overtaken: true,
            ..*current
        });
        Stage::Index(copy)
    }

    /// Copies the current index over the other one.
    fn copy_index(&mut self, current: &Current) -> IndexCopy {
        let copy = current.copy.other();
        if let Some((first, second)) = indexes(self.bytes, self.layout.geometry()) {
            let (to, from) = match copy {
                IndexCopy::First => (first, second),
                IndexCopy::Second => (second, first),
            };
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        copy
    }

    fn seal_index(&mut self, current: &Current, copy: IndexCopy) {
        let geometry = *self.layout.geometry();
        let (offset, len) = (geometry.index_offset(copy), geometry.index_size());
        if let Some(bytes) = range_mut(self.bytes, offset, len) {
            index::seal(bytes, &geometry, copy, current.next, current.slots);
        }
    }

    /// Returns `true` if the change drops what the current index has in `slot`.
    fn is_dropped(&self, slot: u32) -> bool {
        let (uuid, replaced, identity) = match self.change {
            Change::Write {
                label,
                replaces,
                identity,
                ..
            } => (label.uuid, replaces, identity),
            Change::Delete { uuid, identity } => (uuid, None, identity),
            Change::Resync => return false,
        };
        let area = LabelArea::new(self.bytes, self.layout);
        let named = area.peek_uuid(slot);
        if area.slots().is_free(slot)
            || (named != Some(uuid) && (replaced.is_none() || named != replaced))
        {
            return false;
        }
        match (area.entry(slot), self.change) {
            (Ok(label), _) => identity.has_label(&area, label.cookie),
            (Err(damaged), Change::Delete { .. }) => identity.has_label(&area, damaged.cookie),
            (Err(_), _) => false,
        }
    }

    fn mark(&mut self, geometry: &Geometry, copy: IndexCopy, slot: u32, free: bool) {
        if let Some(bytes) = range_mut(
            self.bytes,
            geometry.index_offset(copy),
            geometry.index_size(),
        ) {
            mark(index::bitmap_mut(bytes), slot, free);
        }
    }
}

/// Returns the two indexes of an area.
fn indexes<'b>(bytes: &'b mut [u8], geometry: &Geometry) -> Option<(&'b mut [u8], &'b mut [u8])> {
    let len = usize::try_from(geometry.index_size()).ok()?;
    let (first, rest) = bytes.split_at_mut_checked(len)?;
    Some((first, rest.get_mut(..len)?))
}

/// Reasons why an area cannot be updated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateError {
    /// The bytes are not the whole area.
    Length {
        /// Number of bytes.
        found: usize,
        /// Bytes of the area.
        expected: u32,
    },
    /// There are not enough free slots.
    NoFreeSlot,
    /// No index is current, but the area is not blank.
    Damaged(AreaDamage),
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => {
                write!(f, "label area has {found} bytes, expected {expected}")
            }
            Self::NoFreeSlot => f.write_str(
                "label area has too few free slots, expected two, or one if a label is dropped",
            ),
            Self::Damaged(damage) => write!(f, "label area is damaged: {damage}"),
        }
    }
}
