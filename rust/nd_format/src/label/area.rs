// SPDX-License-Identifier: GPL-2.0

//! Reading a label area.

use super::{
    extent::Extent,
    geometry::IndexCopy,
    index,
    layout::Layout,
    record::{
        Damaged,
        Label, //
    },
    slots::Slots,
};
use crate::uuid::Uuid;

/// A label and where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The slot.
    pub slot: u32,
    /// The label.
    pub label: Label,
}

/// The bytes of a label area, and what is known of them.
///
/// Nothing is trusted: bytes that are not there, or not what they should be, make labels invalid or slots taken.
#[derive(Clone, Copy, Debug)]
pub struct LabelArea<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> LabelArea<'a> {
    /// The area `bytes`, which is what [`Layout::discover`] saw, or what updates have made of it since.
    pub const fn new(bytes: &'a [u8], layout: &Layout) -> Self {
        Self {
            bytes,
            layout: *layout,
        }
    }

    /// What is known of the area.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bitmap of the index that counts; without any slots if the area is blank.
    pub fn slots(&self) -> Slots<'a> {
        let Some(current) = self.layout.current else {
            return Slots::new(&[], 0);
        };
        index::slots(self.index_bytes(current.copy), current.slots)
    }

    /// Slots that are free. All of them are in a blank area, and none in a damaged one.
    pub fn free_count(&self) -> u32 {
        match (self.layout.current, self.layout.damage) {
            (Some(_), _) => self.slots().free_count(),
            (None, Some(_)) => 0,
            (None, None) => self.layout.geometry.slots(),
        }
    }

    /// Slots that new namespaces can have: one is kept free, since updates write a label before they drop the old
    /// one.
    pub fn available_slots(&self) -> u32 {
        self.free_count().saturating_sub(1)
    }

    /// The slots that are not free, in ascending order, each with its label or with what is wrong with it.
    pub fn entries(self) -> impl Iterator<Item = (u32, Result<Label, Damaged>)> + 'a {
        self.slots()
            .taken()
            .map(move |slot| (slot, self.entry(slot)))
    }

    /// Those of [`Self::entries`] that name the UUID `uuid`.
    pub fn entries_of(
        self,
        uuid: Uuid,
    ) -> impl Iterator<Item = (u32, Result<Label, Damaged>)> + 'a {
        // A checksum costs more than a look at the UUID.
        let named = move |slot: &u32| self.peek_uuid(*slot) == Some(uuid);
        let slots = self.slots().taken().filter(named);
        slots.map(move |slot| (slot, self.entry(slot)))
    }

    /// The slots that are not free, in ascending order, but hold no label.
    pub fn damaged(self) -> impl Iterator<Item = (u32, Damaged)> + 'a {
        self.entries()
            .filter_map(|(slot, entry)| Some((slot, entry.err()?)))
    }

    /// The labels whose ranges share an address with `extent`.
    pub(super) fn overlapping(self, extent: Extent) -> impl Iterator<Item = Stored> + 'a {
        let overlaps = move |slot: &u32| {
            Label::peek_extent(self.slot_bytes(*slot)).is_some_and(|other| other.overlaps(&extent))
        };
        let slots = self.slots().taken().filter(overlaps);
        slots.filter_map(move |slot| self.stored(slot))
    }

    /// The labels, in ascending order of their slots.
    pub fn labels(self) -> impl Iterator<Item = Stored> + 'a {
        self.slots()
            .taken()
            .filter_map(move |slot| self.stored(slot))
    }

    /// The labels of the namespace `uuid`. There should be at most one.
    pub fn labels_of(self, uuid: Uuid) -> impl Iterator<Item = Stored> + 'a {
        self.slots()
            .taken()
            .filter_map(move |slot| self.stored_of(slot, uuid))
    }

    /// What is left of labels of the namespace `uuid` in free slots.
    pub fn stale_labels_of(self, uuid: Uuid) -> impl Iterator<Item = Stored> + 'a {
        self.slots()
            .free()
            .filter_map(move |slot| self.stored_of(slot, uuid))
    }

    /// What is in `slot`, which is not free.
    pub(super) fn entry(&self, slot: u32) -> Result<Label, Damaged> {
        Label::read(self.slot_bytes(slot), self.layout.geometry.format(), slot)
    }

    /// The label whose bytes are in `slot`, taken or free.
    pub(super) fn stored(&self, slot: u32) -> Option<Stored> {
        let label =
            Label::decode(self.slot_bytes(slot), self.layout.geometry.format(), slot).ok()?;
        Some(Stored { slot, label })
    }

    /// The UUID that is named in `slot`.
    pub(super) fn peek_uuid(&self, slot: u32) -> Option<Uuid> {
        Label::peek_uuid(self.slot_bytes(slot))
    }

    /// Looks at the UUID first, because a checksum costs more.
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

/// The `len` bytes from `offset`.
pub(super) fn range(bytes: &[u8], offset: u32, len: u32) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    bytes.get(offset..offset.checked_add(usize::try_from(len).ok()?)?)
}

/// The `len` bytes from `offset`, to be changed.
pub(super) fn range_mut(bytes: &mut [u8], offset: u32, len: u32) -> Option<&mut [u8]> {
    let offset = usize::try_from(offset).ok()?;
    bytes.get_mut(offset..offset.checked_add(usize::try_from(len).ok()?)?)
}
