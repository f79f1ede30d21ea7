// SPDX-License-Identifier: GPL-2.0

//! Performs the same steps as `ndctl` on the C driver, and compares the label areas byte by byte
//! with those that the C driver has left.
//!
//! There are two regions: DIMMs 0 and 1 from DPA 0, and DIMMs 0 to 3 from 16 MiB. `ndctl` creates a
//! namespace by writing its UUID and its name, which drops labels although there are none, then its
//! size, its sector size and its class.

use super::*;
use crate::free_space::{
    common_extent,
    FreeSpace, //
    Mappings,
};
use std::string::String;

const DUMPS: &str = include_str!("golden.txt");

const AREA: usize = 128 << 10;

/// Reads one hex dump, in which `*` stands for a run of lines of zeroes.
fn dump(title: &str) -> Vec<u8> {
    let heading = std::format!("##### LABELS {title}");
    let lines = DUMPS.lines().skip_while(|line| *line != heading).skip(2);
    let mut bytes = vec![0; AREA];
    let mut seen = 0;
    for line in lines.take_while(|line| !line.starts_with('#')) {
        let Some((offset, rest)) = line.split_once(": ") else {
            continue;
        };
        let offset = usize::from_str_radix(offset, 16).unwrap();
        let digits: String = rest.get(..40).unwrap().split(' ').collect();
        for (index, byte) in bytes[offset..offset + 16].iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).unwrap();
        }
        seen += 1;
    }
    assert!(seen > 10, "no dump of {title}");
    bytes
}

/// A region over the first `ways` DIMMs.
struct Region {
    ways: usize,
    mapping: Extent,
    identity: SetIdentity,
}

/// Returns the regions, with the cookies that the golden labels have.
fn regions() -> [Region; 2] {
    let region = |ways, start, v1_1, v1_2| Region {
        ways,
        mapping: extent(start, 16 * MIB),
        identity: SetIdentity {
            cookies: Cookies {
                v1_1,
                v1_2,
                alternate: 0,
            },
            range_type: PMEM,
        },
    };
    [
        region(2, 0, 0x03fe_0000_00fe, 0x40e6_2f0c_c00f_58ac),
        region(4, 16 * MIB, 0x0c0f_fadb_0100_fefb, 0xa76c_6907_811f_ae57),
    ]
}

fn create(dimms: &mut [Dimm], region: &Region, number: u8, share: u64, uses: (u64, ClaimClass)) {
    let mut id = [0; 16];
    for (byte, value) in id.iter_mut().zip(0u8..) {
        *byte = value * 0x11;
    }
    id[0] = number << 4;
    let dimms = &mut dimms[..region.ways];
    let mut fields = LabelFields {
        uuid: Uuid::from_bytes(id),
        name: Name::new(std::format!("golden{}", number + 1).as_bytes()).unwrap(),
        lba_size: 0,
        class: ClaimClass::None,
    };
    for _ in ["uuid", "alt_name"] {
        let mut targets: Vec<_> = dimms.iter_mut().map(|dimm| dimm.target(None)).collect();
        delete_labels(&mut targets, &region.identity, fields.uuid).unwrap();
    }
    let (lba_size, class) = uses;
    for (lba_size, class) in [
        (0, ClaimClass::None),
        (lba_size, ClaimClass::None),
        (lba_size, class),
    ] {
        fields.lba_size = lba_size;
        fields.class = class;
        let unit = 16 * MIB / region.ways as u64;
        let mappings = Mappings::new([region.mapping], unit).unwrap();
        let taken = |dimm: &Dimm| -> Vec<_> {
            let taken = mappings.reserved(dimm.area(), region.mapping);
            taken.collect()
        };
        let mut taken: Vec<_> = dimms.iter().flat_map(taken).collect();
        let own = |dimm: &Dimm| {
            let mut labels = dimm.area().labels_of(fields.uuid);
            (
                region.mapping,
                labels.next().map(|stored| stored.label.extent),
            )
        };
        let old = common_extent(dimms.iter().map(own)).unwrap();
        let extent = FreeSpace::new(mappings, &mut taken)
            .resize(old, share)
            .unwrap();
        let mut targets: Vec<_> = dimms.iter_mut().map(|dimm| dimm.target(extent)).collect();
        write_labels(&mut targets, &region.identity, &fields, None).unwrap();
    }
}

#[test]
fn areas_are_those_of_the_c_driver() {
    for (format, version) in [(LabelFormat::V1_1, "1.1"), (LabelFormat::V1_2, "1.2")] {
        let empty = dump(&std::format!("V={version} empty"));
        let mut dimms: Vec<_> = (0..4).map(|_| Dimm::new(empty.clone())).collect();
        let [pair, quartet] = regions();
        create(&mut dimms, &quartet, 0, 4 * MIB, (512, ClaimClass::None));
        create(&mut dimms, &quartet, 1, 8 * MIB, (4096, ClaimClass::Btt2_0));
        create(&mut dimms, &pair, 2, 8 * MIB, (4096, ClaimClass::None));
        for (number, dimm) in dimms.iter().take(3).enumerate() {
            let expected = dump(&std::format!("V={version} nmem{number} after 3 ns"));
            assert_eq!(dimm.layout.geometry().format(), format);
            let stray = (0..AREA).find(|&byte| dimm.medium[byte] != expected[byte]);
            assert_eq!(
                stray, None,
                "nmem{number}, labels {version}: first difference"
            );
        }
        // The areas that the C driver has written are read correctly.
        for region in [&pair, &quartet] {
            let golden: Vec<_> = (0..3)
                .chain([2])
                .map(|number| Dimm::new(dump(&std::format!("V={version} nmem{number} after 3 ns"))))
                .collect();
            let members: Vec<_> = golden[..region.ways]
                .iter()
                .map(|dimm| SetMember {
                    area: dimm.area(),
                    mapping: region.mapping,
                })
                .collect();
            let set = Set::new(&members, region.identity);
            let found: Vec<_> = set.namespaces().collect();
            if region.ways == 2 {
                let namespace = found[0].unwrap();
                assert_eq!((found.len(), namespace.size), (1, 16 * MIB));
                assert_eq!(
                    (namespace.name.text(), namespace.lba_size),
                    (&b"golden3"[..], 4096)
                );
                assert_eq!((namespace.state, namespace.offset), (State::Clean, 0));
            } else {
                // The fourth area is a copy of the third one here.
                for refused in found {
                    let defect = Defect::SamePosition {
                        member: 3,
                        position: 2,
                    };
                    assert_eq!(refused.unwrap_err().defect, defect);
                }
            }
        }
    }
}
