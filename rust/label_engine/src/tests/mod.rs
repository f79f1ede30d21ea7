// SPDX-License-Identifier: GPL-2.0

//! Tests of updates, of what is found after them, and against label areas written by Linux's C
//! driver.

extern crate std;

mod free_space;
mod golden;
mod reservations;
mod set;
mod update;

use super::*;
use nd_format::{
    label::{
        inspect,
        AreaDamage,
        ClaimClass,
        Cookies,
        Extent,
        Flags,
        IndexCopy,
        IndexError,
        Label,
        LabelArea,
        LabelError,
        LabelFormat,
        Layout,
        Name,
        Sequence, //
    },
    uuid::{
        Guid,
        Uuid, //
    },
};
use std::{
    collections::BTreeMap,
    vec,
    vec::Vec, //
};

const MIB: u64 = 1 << 20;

const PMEM: Guid = Guid::new(0x66f0d379_b4f3_4074_ac43_0d3318b78cdb);

const IDENTITY: SetIdentity = SetIdentity {
    cookies: Cookies {
        v1_1: 0x1111,
        v1_2: 0x1212,
        alternate: 0xa1a1,
    },
    range_type: PMEM,
};

fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn extent(start: u64, len: u64) -> Extent {
    Extent::new(start, len).unwrap()
}

fn fields(number: u8) -> LabelFields {
    LabelFields {
        uuid: uuid(number),
        name: Name::new(b"name").unwrap(),
        lba_size: 512,
        class: ClaimClass::Btt2_0,
    }
}

/// A DIMM: its label area on the medium, and the driver's copy in memory.
struct Dimm {
    medium: Vec<u8>,
    cache: Vec<u8>,
    layout: Layout,
    /// Number of writes that succeed before all others fail.
    writes_left: Option<usize>,
}

impl Dimm {
    fn new(medium: Vec<u8>) -> Self {
        let layout = Layout::discover(medium.len() as u32, &medium).unwrap();
        Self {
            cache: medium.clone(),
            medium,
            layout,
            writes_left: None,
        }
    }

    fn blank(size: usize) -> Self {
        Self::new(vec![0; size])
    }

    fn area(&self) -> LabelArea<'_> {
        LabelArea::new(&self.cache, &self.layout)
    }

    fn target(&mut self, extent: Option<Extent>) -> UpdateTarget<'_, TestMedium<'_>> {
        let store = Store::new(&mut self.cache, &mut self.layout).unwrap();
        let medium = TestMedium {
            medium: &mut self.medium,
            writes_left: &mut self.writes_left,
        };
        UpdateTarget::new(store, medium, extent)
    }
}

struct TestMedium<'a> {
    medium: &'a mut Vec<u8>,
    writes_left: &'a mut Option<usize>,
}

impl Medium for TestMedium<'_> {
    type Error = &'static str;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        if let Some(left) = self.writes_left {
            *left = left.checked_sub(1).ok_or("no more writes")?;
        }
        let offset = offset as usize;
        self.medium[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// Writes the labels of a namespace on all of `dimms`, with the same extent on each.
fn write_labels_on(
    dimms: &mut [Dimm],
    fields: &LabelFields,
    extent: Extent,
    replaces: Option<Uuid>,
) -> Result<(), Failure<&'static str>> {
    let mut targets: Vec<_> = dimms
        .iter_mut()
        .map(|dimm| dimm.target(Some(extent)))
        .collect();
    write_labels(&mut targets, &IDENTITY, fields, replaces)
}

fn delete_labels_on(dimms: &mut [Dimm], uuid: Uuid) -> Result<(), Failure<&'static str>> {
    let mut targets: Vec<_> = dimms.iter_mut().map(|dimm| dimm.target(None)).collect();
    delete_labels(&mut targets, &IDENTITY, uuid)
}

type Found = BTreeMap<Uuid, Result<LabelledNamespace, Defect>>;

/// Returns the namespaces of a set of `dimms`, all of which have `mapping`.
fn namespaces_of(dimms: &[Dimm], mapping: Extent) -> Found {
    let members: Vec<_> = dimms
        .iter()
        .map(|dimm| SetMember {
            area: dimm.area(),
            mapping,
        })
        .collect();
    Set::new(&members, IDENTITY)
        .namespaces()
        .map(|found| match found {
            Ok(namespace) => (namespace.uuid, Ok(namespace)),
            Err(refused) => (refused.uuid, Err(refused.defect)),
        })
        .collect()
}
