// SPDX-License-Identifier: GPL-2.0

//! Reading a label area.

use super::{
    geometry::IndexCopy,
    index,
    layout::{
        inspect,
        Layout, //
    },
    record::{
        Label,
        LabelError, //
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

    /// Slots that are free. All of them are in a blank area.
    pub fn free_count(&self) -> u32 {
        match self.layout.current {
            Some(_) => self.slots().free_count(),
            None => self.layout.geometry.slots(),
        }
    }

    /// Slots that new namespaces can have: one is kept free, since updates write a label before they drop the old
    /// one.
    pub fn available_slots(&self) -> u32 {
        self.free_count().saturating_sub(1)
    }

    /// The slots that are not free, in ascending order, each with its label or with what is wrong with it.
    pub fn entries(self) -> impl Iterator<Item = (u32, Result<Label, LabelError>)> + 'a {
        self.slots().taken().map(move |slot| {
            (
                slot,
                Label::decode(self.slot_bytes(slot), self.layout.geometry.format(), slot),
            )
        })
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
    pub fn remnants_of(self, uuid: Uuid) -> impl Iterator<Item = Stored> + 'a {
        self.slots()
            .free()
            .filter_map(move |slot| self.stored_of(slot, uuid))
    }

    /// Tells whether neither index names a label, as after the area was initialised. An update that drops the last label leaves it in
    /// the index that it takes over from.
    pub(super) fn is_fresh(&self) -> bool {
        IndexCopy::ALL.into_iter().all(|copy| {
            inspect(&self.layout.geometry, self.bytes, copy).is_ok_and(|index| {
                let slots = index::slots(self.index_bytes(copy), index.slots);
                slots.taken().next().is_none()
            })
        })
    }

    /// Tells whether `slot` has a label of the namespace `uuid`.
    pub(super) fn holds(&self, slot: u32, uuid: Uuid) -> bool {
        !self.slots().is_free(slot) && self.stored_of(slot, uuid).is_some()
    }

    /// The label whose bytes are in `slot`, taken or free.
    pub(super) fn stored(&self, slot: u32) -> Option<Stored> {
        let label =
            Label::decode(self.slot_bytes(slot), self.layout.geometry.format(), slot).ok()?;
        Some(Stored { slot, label })
    }

    /// Looks at the UUID first, because a checksum costs more.
    fn stored_of(&self, slot: u32, uuid: Uuid) -> Option<Stored> {
        if Label::peek_uuid(self.slot_bytes(slot))? != uuid {
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
