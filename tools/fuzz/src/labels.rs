// SPDX-License-Identifier: GPL-2.0

//! Label areas. A label is encoded to the bytes that it was decoded from. Every namespace that the
//! labels of a set describe lies within the mappings of the set. A new namespace gets addresses
//! that are free. An update of the areas is complete for the next reader.
//!
//! Input: 1 byte of shape (bits 0 and 1: size; bit 2: two DIMMs; bit 3: leave checksums as they
//! are), then the areas. If there are two, each gets half of the rest. Missing input is zeroes.

use crate::input::Input;
use label_engine::{
    delete_labels,
    free_space::{
        FreeSpace, //
        Mappings,
    },
    reservations,
    write_labels,
    LabelFields,
    Medium,
    Set,
    SetIdentity,
    SetMember,
    Store,
    UpdateTarget, //
};
use nd_format::{
    fletcher::fletcher64_le_without,
    label::{
        inspect,
        ClaimClass,
        Cookies,
        Damaged,
        Extent,
        Flags,
        IndexCopy,
        Label,
        LabelArea,
        LabelFormat,
        Layout,
        Name,
        Types, //
    },
    uuid::{
        Guid,
        Uuid, //
    },
};

/// Sizes of areas in bytes. The smallest has space for a few labels, so that most of an input is
/// used.
const SIZES: [u32; 4] = [2048, 4096, 1536, 8192];

const RANGE: Guid = Guid::new(0x00000001_0002_0003_0404_040404040404);

const MAPPING: u64 = 64 << 20;

const IDENTITY: SetIdentity = SetIdentity {
    cookies: Cookies {
        v1_1: 0x1111,
        v1_2: 0x1212,
        alternate: 0xa1a1,
    },
    range_type: RANGE,
};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let shape = input.u8();
    let size = SIZES[usize::from(shape & 3)];
    let rest = input.rest();
    let halves = match shape & 4 {
        0 => vec![rest],
        _ => {
            let (first, second) = rest.split_at(rest.len() / 2);
            vec![first, second]
        }
    };
    let mut areas: Vec<Vec<u8>> = halves
        .into_iter()
        .map(|half| {
            let mut area = half.to_vec();
            area.resize(size as usize, 0);
            if shape & 8 == 0 {
                seal(&mut area);
            }
            area
        })
        .collect();
    let layouts: Vec<Layout> = areas.iter().map(|area| discover(area)).collect();
    for (area, layout) in areas.iter().zip(&layouts) {
        check_area(area, layout);
    }
    check_set(&areas, &layouts);
    update(&mut areas);
}

fn discover(area: &[u8]) -> Layout {
    let size = area.len() as u32;
    Layout::discover(size, area).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns where DIMM number `member` is mapped.
fn mapping(member: usize) -> Extent {
    let start = MAPPING * member as u64;
    Extent::new(start, MAPPING).unwrap_or_else(|| panic!("a range"))
}

fn check_area(bytes: &[u8], layout: &Layout) {
    let area = LabelArea::new(bytes, layout);
    assert_eq!(
        area.labels().count(),
        area.entries().filter(|(_, entry)| entry.is_ok()).count()
    );
    if layout.current().is_some() {
        assert_eq!(area.free_count() as usize, area.slots().free().count());
        assert!(area.slots().count() <= layout.geometry().slots_max());
    }
    let format = layout.geometry().format();
    for (slot, entry) in area.entries() {
        let label = match entry {
            Ok(label) => label,
            Err(error) => {
                drop(error.to_string());
                continue;
            }
        };
        let offset = layout.geometry().label_offset(slot);
        let offset = offset.unwrap_or_else(|| panic!("slot {slot} has no place")) as usize;
        let stored = &bytes[offset..offset + format.label_len()];
        let mut encoded = vec![0xff; format.label_len()];
        label.encode(&mut encoded, format, slot);
        assert_eq!(Label::decode(&encoded, format, slot), Ok(label));
        // Alignment and reserved bytes are not kept, nor is the checksum that covers them.
        assert_eq!(encoded[..124], stored[..124]);
        if format == LabelFormat::V1_2 {
            assert_eq!(encoded[128..160], stored[128..160]);
        }
    }
}

fn check_set(areas: &[Vec<u8>], layouts: &[Layout]) {
    let members: Vec<_> = areas
        .iter()
        .zip(layouts)
        .enumerate()
        .map(|(number, (bytes, layout))| SetMember {
            area: LabelArea::new(bytes, layout),
            mapping: mapping(number),
        })
        .collect();
    check_free_space(&members);
    let set = Set::new(&members, IDENTITY);
    for namespace in set.namespaces() {
        match namespace {
            Ok(namespace) => {
                assert_eq!(namespace.size, namespace.share * members.len() as u64);
                for (number, member) in members.iter().enumerate() {
                    let extent = set.extent(&namespace, number);
                    assert!(extent.is_some_and(|extent| {
                        member.mapping.covers(&extent) && extent.len() == namespace.share
                    }));
                }
                assert_eq!(set.namespace(namespace.uuid), Ok(namespace));
            }
            Err(refused) => {
                drop(refused.to_string());
                assert!(set.is_named(refused.uuid));
            }
        }
    }
}

/// Checks that a new namespace gets addresses that are free on each DIMM.
fn check_free_space(members: &[SetMember<'_>]) {
    let own = members.iter().map(|member| member.mapping);
    let mappings = Mappings::new(own, 1 << 20).unwrap_or_else(|| panic!("no mappings"));
    let taken = |member: &SetMember<'_>| -> Vec<Extent> {
        let taken = mappings.reserved(member.area, member.mapping);
        taken.collect()
    };
    let mut taken: Vec<_> = members.iter().flat_map(taken).collect();
    let free_space = FreeSpace::new(mappings, &mut taken);
    assert!(
        free_space.max_available_extent() <= free_space.available_size()
            && free_space.available_size() <= MAPPING
    );
    let Ok(place) = free_space.allocate(2 << 20) else {
        return;
    };
    for member in members {
        let place = place.moved(mapping(0), member.mapping);
        let place = place.unwrap_or_else(|| panic!("no such address"));
        assert!(member.mapping.covers(&place));
        assert!(reservations(member.area).all(|other| !other.overlaps(&place)));
    }
}

/// A DIMM on which every write succeeds.
struct Dimm<'a>(&'a mut Vec<u8>);

impl Medium for Dimm<'_> {
    type Error = std::convert::Infallible;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let start = offset as usize;
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

type Entry = (u32, Result<Label, Damaged>);

/// Returns the layout and the entries of an area. The contents of free slots do not count.
fn seen(area: &[u8]) -> (Layout, Vec<Entry>) {
    let layout = discover(area);
    let entries = LabelArea::new(area, &layout).entries().collect();
    (layout, entries)
}

/// Creates a namespace and deletes it again, over whatever was there.
fn update(media: &mut [Vec<u8>]) {
    let fields = LabelFields {
        uuid: Uuid::from_bytes([0x77; 16]),
        name: Name::EMPTY,
        lba_size: 512,
        class: ClaimClass::Btt1_1,
    };
    let extent = |number| Extent::new(mapping(number).start() + (8 << 20), 1 << 20);
    for remove in [false, true] {
        let before = media.to_vec();
        let mut cached = before.clone();
        let mut layouts: Vec<Layout> = cached.iter().map(|area| discover(area)).collect();
        let mut targets: Vec<_> = cached
            .iter_mut()
            .zip(&mut layouts)
            .zip(media.iter_mut())
            .enumerate()
            .map(|(number, ((bytes, layout), medium))| {
                let store = Store::new(bytes, layout).unwrap_or_else(|error| panic!("{error}"));
                UpdateTarget::new(store, Dimm(medium), extent(number))
            })
            .collect();
        let done = if remove {
            delete_labels(&mut targets, &IDENTITY, fields.uuid)
        } else {
            write_labels(&mut targets, &IDENTITY, &fields, None)
        };
        drop(targets);
        for (medium, memory) in media.iter().zip(&cached) {
            assert!(seen(medium) == seen(memory), "media and memory differ");
        }
        for (area, before) in media.iter().zip(&before) {
            assert!(
                discover(before).damage().is_none() || area == before,
                "a damaged area was written to"
            );
        }
        if let Err(failure) = done {
            return drop(format!("{failure:?}"));
        }
        for area in media.iter() {
            let layout = discover(area);
            let area = LabelArea::new(area, &layout);
            let own = [IDENTITY.cookie(&area), IDENTITY.cookies.alternate];
            let labels = area.labels_of(fields.uuid);
            let found = labels.filter(|stored| own.contains(&stored.label.cookie));
            let found = found.count();
            assert_eq!(found, usize::from(!remove), "labels after the update");
        }
    }
}

/// Corrects the checksums of the indexes of both formats, and of all labels of the format that is
/// found.
fn seal(area: &mut [u8]) {
    for format in [LabelFormat::V1_1, LabelFormat::V1_2] {
        let geometry = nd_format::label::Geometry::new(area.len() as u32, format);
        let geometry = geometry.unwrap_or_else(|error| panic!("{error}"));
        for copy in IndexCopy::ALL {
            let start = geometry.index_offset(copy) as usize;
            let index = &mut area[start..start + geometry.index_size() as usize];
            seal_at(index, 64);
        }
        let good = IndexCopy::ALL.map(|copy| inspect(&geometry, area, copy).is_ok());
        if good.contains(&true) {
            break;
        }
    }
    let layout = discover(area);
    let geometry = *layout.geometry();
    if geometry.format() == LabelFormat::V1_2 {
        for offset in (0..geometry.slots_max()).filter_map(|slot| geometry.label_offset(slot)) {
            let offset = offset as usize;
            seal_at(
                &mut area[offset..offset + geometry.label_len() as usize],
                248,
            );
        }
    }
}

fn seal_at(bytes: &mut [u8], field: usize) {
    let sum = fletcher64_le_without(bytes, field);
    bytes[field..field + 8].copy_from_slice(&sum.to_le_bytes());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [(0u8, 1usize), (1, 1), (4, 2), (5, 2)]
        .into_iter()
        .flat_map(|(shape, dimms)| {
            let size = SIZES[usize::from(shape & 3)];
            let mut areas = vec![vec![0; size as usize]; dimms];
            let blank = areas.concat();
            let mut seeds = vec![blank];
            for (namespace, flags) in [(1u8, Flags::NONE), (2, Flags::UPDATING)] {
                for (number, area) in areas.iter_mut().enumerate() {
                    add(area, namespace, number, dimms, flags);
                }
                seeds.push(areas.concat());
            }
            seeds
                .into_iter()
                .map(move |seed| [&[shape], &seed[..]].concat())
        })
        .collect()
}

/// Writes a label into an area.
fn add(area: &mut [u8], namespace: u8, number: usize, dimms: usize, flags: Flags) {
    let mut cached = area.to_owned();
    let mut layout = discover(&cached);
    let mut store = Store::new(&mut cached, &mut layout).unwrap_or_else(|error| panic!("{error}"));
    let extent = Extent::new(
        mapping(number).start() + (u64::from(namespace) << 21),
        1 << 20,
    );
    let label = Label {
        uuid: Uuid::from_bytes([namespace; 16]),
        name: Name::new(b"name").unwrap_or(Name::EMPTY),
        flags,
        nlabel: dimms as u16,
        position: number as u16,
        cookie: IDENTITY.cookie(&store.area()),
        lba_size: 512,
        extent: extent.unwrap_or_else(|| panic!("a range")),
        types: Some(Types {
            range: RANGE,
            class: ClaimClass::Btt1_1,
        }),
    };
    let mut update = store
        .write_label(&label, None, &IDENTITY)
        .unwrap_or_else(|error| panic!("{error}"));
    while let Some(write) = update.write() {
        let offset = write.offset as usize;
        area[offset..offset + write.bytes.len()].copy_from_slice(write.bytes);
        update.confirm();
    }
}
