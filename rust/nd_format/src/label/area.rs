// SPDX-License-Identifier: GPL-2.0

//! Reading a label area.

use super::{
    bytes::range,
    extent::Extent,
    geometry::IndexCopy,
    index,
    layout::Layout,
    record::{
        Damaged,
        Label, //
    },
    slots::{
        SlotNumbers,
        Slots, //
    },
};
use crate::uuid::Uuid;

/// A label and its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The slot.
    pub slot: u32,
    /// The label.
    pub label: Label,
}

/// A read-only view of a label area: its bytes and its layout.
///
/// Nothing is trusted: missing or malformed bytes make labels invalid or slots taken.
#[derive(Clone, Copy, Debug)]
pub struct LabelArea<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> LabelArea<'a> {
    /// Views `bytes`, which [`Layout::discover`] has seen, with all updates since.
    pub const fn new(bytes: &'a [u8], layout: &Layout) -> Self {
        Self {
            bytes,
            layout: *layout,
        }
    }

    /// Returns the layout.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the bitmap of the current index. It has no slots if there is no current index.
    pub fn slots(&self) -> Slots<'a> {
        let Some(current) = self.layout.current else {
            return Slots::new(&[], 0);
        };
        index::slots(self.index_bytes(current.copy), current.slots)
    }

    /// Returns the number of free slots: all in a blank area, none in a damaged one.
    pub fn free_count(&self) -> u32 {
        match (self.layout.current, self.layout.damage) {
            (Some(_), _) => self.slots().free_count(),
            (None, Some(_)) => 0,
            (None, None) => self.layout.geometry.slots(),
        }
    }

    /// Returns the number of slots for new namespaces. One slot is kept free, because an update
    /// writes the new label before it drops the old one.
    pub fn available_slots(&self) -> u32 {
        self.free_count().saturating_sub(1)
    }

    /// Returns the taken slots in ascending order, each with its label or with its damage.
    pub fn entries(self) -> Entries<'a> {
        Entries {
            slots: self.slots().taken(),
            area: self,
            uuid: None,
        }
    }

    /// Returns those of [`Self::entries`] that name `uuid`.
    pub fn entries_of(self, uuid: Uuid) -> Entries<'a> {
        Entries {
            slots: self.slots().taken(),
            area: self,
            uuid: Some(uuid),
        }
    }

    /// Returns the taken slots that hold no valid label, in ascending order.
    pub fn damaged(self) -> impl Iterator<Item = (u32, Damaged)> + 'a {
        self.entries()
            .filter_map(|(slot, entry)| Some((slot, entry.err()?)))
    }

    /// Returns the labels whose ranges share an address with `extent`.
    pub fn overlapping(self, extent: Extent) -> impl Iterator<Item = Stored> + 'a {
        let overlaps = move |slot: &u32| {
            Label::peek_extent(self.slot_bytes(*slot)).is_some_and(|other| other.overlaps(&extent))
        };
        let slots = self.slots().taken().filter(overlaps);
        slots.filter_map(move |slot| self.stored(slot))
    }

    /// Returns the labels in ascending order of their slots.
    pub fn labels(self) -> impl Iterator<Item = Stored> + 'a {
        self.slots()
            .taken()
            .filter_map(move |slot| self.stored(slot))
    }

    /// Returns the labels of the namespace `uuid`. There should be at most one.
    pub fn labels_of(self, uuid: Uuid) -> impl Iterator<Item = Stored> + 'a {
        self.slots()
            .taken()
            .filter_map(move |slot| self.stored_of(slot, uuid))
    }

    /// Returns the stale labels of the namespace `uuid` in free slots.
    pub fn stale_labels_of(self, uuid: Uuid) -> StaleLabels<'a> {
        StaleLabels {
            slots: self.slots().free(),
            area: self,
            uuid,
        }
    }

    /// Returns the contents of the taken slot `slot`.
    pub fn entry(&self, slot: u32) -> Result<Label, Damaged> {
        Label::read(self.slot_bytes(slot), self.layout.geometry.format(), slot)
    }

    /// Returns the label in `slot`, taken or free.
    pub(super) fn stored(&self, slot: u32) -> Option<Stored> {
        let label =
            Label::decode(self.slot_bytes(slot), self.layout.geometry.format(), slot).ok()?;
        Some(Stored { slot, label })
    }

    /// Returns the UUID that `slot` names.
    pub fn peek_uuid(&self, slot: u32) -> Option<Uuid> {
        Label::peek_uuid(self.slot_bytes(slot))
    }

    /// Returns the label in `slot` if it is of `uuid`. Comparing UUIDs first is cheaper than a
    /// checksum.
    fn stored_of(&self, slot: u32, uuid: Uuid) -> Option<Stored> {
        if self.peek_uuid(slot)? != uuid {
            return None;
        }
        self.stored(slot)
    }

    fn index_bytes(&self, copy: IndexCopy) -> &'a [u8] {
        let geometry = &self.layout.geometry;
        range(
            self.bytes,
            geometry.index_offset(copy),
            geometry.index_size(),
        )
        .unwrap_or(&[])
    }

    fn slot_bytes(&self, slot: u32) -> &'a [u8] {
        let geometry = &self.layout.geometry;
        geometry
            .label_offset(slot)
            .and_then(|offset| range(self.bytes, offset, geometry.label_len()))
            .unwrap_or(&[])
    }
}

/// The taken slots of an area in ascending order, each with its label or with its damage. A type
/// with a name for the reason that [`SlotNumbers`] is one.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    area: LabelArea<'a>,
    slots: SlotNumbers<'a>,
    /// If there is one, only slots that name it.
    uuid: Option<Uuid>,
}

impl Iterator for Entries<'_> {
    type Item = (u32, Result<Label, Damaged>);

    fn next(&mut self) -> Option<Self::Item> {
        let (area, uuid) = (self.area, self.uuid);
        // Comparing UUIDs is cheaper than a checksum.
        let named = |slot: &u32| uuid.is_none() || area.peek_uuid(*slot) == uuid;
        let slot = self.slots.find(named)?;
        Some((slot, area.entry(slot)))
    }
}

/// The labels of a namespace in free slots, in the order of the slots. A type with a name for the
/// reason that [`SlotNumbers`] is one.
#[derive(Clone, Debug)]
pub struct StaleLabels<'a> {
    area: LabelArea<'a>,
    slots: SlotNumbers<'a>,
    uuid: Uuid,
}

impl Iterator for StaleLabels<'_> {
    type Item = Stored;

    fn next(&mut self) -> Option<Stored> {
        let (area, uuid) = (self.area, self.uuid);
        self.slots.find_map(|slot| area.stored_of(slot, uuid))
    }
}
