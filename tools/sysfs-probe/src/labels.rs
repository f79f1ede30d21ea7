// SPDX-License-Identifier: GPL-2.0

//! The labels on the medium of a DIMM. The values of attributes come from copies in memory.

use anyhow::{
    anyhow,
    bail,
    Context,
    Result, //
};
use nd_format::{
    label::{
        LabelArea,
        Layout, //
    },
    uuid::Uuid, //
};
use std::path::Path;

/// Returns the UUIDs of the labels on the DIMM with the node `device`, in the order of their slots.
///
/// # Errors
///
/// The label area cannot be read, or it or one of its labels is damaged.
pub(crate) fn uuids(device: &Path) -> Result<Vec<Uuid>> {
    persist::LabelArea::open(device)
        .and_then(|area| area.read(u32::MAX))
        .map_err(Into::into)
        .and_then(|bytes| uuids_in(&bytes))
        .with_context(|| format!("labels of {}", device.display()))
}

fn uuids_in(bytes: &[u8]) -> Result<Vec<Uuid>> {
    let layout =
        Layout::discover(u32::try_from(bytes.len())?, bytes).map_err(|error| anyhow!("{error}"))?;
    if let Some(damage) = layout.damage() {
        bail!("{damage}");
    }
    let entries = LabelArea::new(bytes, &layout).entries();
    entries
        .map(|(slot, label)| match label {
            Ok(label) => Ok(label.uuid),
            Err(damage) => bail!("slot {slot}: {damage}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nd_format::label::{
        index::{
            self,
            Sequence, //
        },
        slots,
        Extent,
        Flags,
        Geometry,
        IndexCopy,
        Label,
        LabelFormat,
        Name, //
    };

    const FORMAT: LabelFormat = LabelFormat::V1_2;

    /// Returns an area with labels in slots 0, 1 and 2, of which the index only has the second one.
    fn area() -> (Geometry, Vec<u8>) {
        let mut bytes = vec![0; 4096];
        let geometry = Geometry::new(4096, FORMAT).unwrap();
        for slot in 0..3 {
            let label = Label {
                uuid: Uuid::from_bytes([slot as u8 + 1; 16]),
                name: Name::EMPTY,
                flags: Flags::NONE,
                nlabel: 1,
                position: 0,
                cookie: 1,
                lba_size: 512,
                extent: Extent::new(0, 1 << 20).unwrap(),
                types: None,
            };
            let start = geometry.label_offset(slot).unwrap() as usize;
            label.encode(&mut bytes[start..], FORMAT, slot);
        }
        let index = &mut bytes[..geometry.index_size() as usize];
        index::clear(index, geometry.slots());
        slots::mark(index::bitmap_mut(index), 1, false);
        index::seal(
            index,
            &geometry,
            IndexCopy::First,
            Sequence::INITIAL_FIRST,
            geometry.slots(),
        );
        (geometry, bytes)
    }

    #[test]
    fn free_slots_have_no_labels() {
        let (_, bytes) = area();
        assert_eq!(uuids_in(&bytes).unwrap(), [Uuid::from_bytes([2; 16])]);
        assert_eq!(uuids_in(&[0; 4096]).unwrap(), []);
    }

    #[test]
    fn damage_is_an_error() {
        let (geometry, mut bytes) = area();
        bytes[geometry.label_offset(1).unwrap() as usize] ^= 1;
        let error = uuids_in(&bytes).unwrap_err().to_string();
        assert!(error.starts_with("slot 1: "), "{error}");
        bytes[..geometry.index_size() as usize].fill(0);
        assert!(uuids_in(&bytes).is_err());
        assert!(uuids_in(&bytes[..16]).is_err());
    }
}
