// SPDX-License-Identifier: GPL-2.0

//! The bytes of an NFIT (ACPI 6.5, section 5.2.25).

use super::description::{
    Description,
    RangeKind,
    Structure, //
};

/// Returns the table, with header and checksum.
pub(super) fn table(description: &Description) -> Vec<u8> {
    let structures = description
        .structures
        .iter()
        .flat_map(bytes)
        .collect::<Vec<_>>();
    let mut table = Table::default();
    // ACPI's header of 36 bytes (section 5.2.6), and 4 reserved ones.
    table.push(*b"NFIT");
    table.push(length(40 + structures.len()).to_le_bytes());
    table.push([1, 0]);
    table.push(*b"NVDIMMTESTS   ");
    table.push(1_u32.to_le_bytes());
    table.push(*b"TEST");
    table.push(1_u32.to_le_bytes());
    table.push([0; 4]);
    table.0.extend(structures);
    let sum = table
        .0
        .iter()
        .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    table.0[9] = sum.wrapping_neg();
    table.0
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a description is shorter than that")
}

/// Returns the bytes of a structure: type, length and fields.
fn bytes(structure: &Structure) -> Vec<u8> {
    let mut fields = Table::default();
    let kind = match structure {
        Structure::Range {
            index,
            kind,
            base,
            length,
            proximity,
        } => {
            /// The field of the proximity domain is valid.
            const PROXIMITY: u16 = 1 << 1;
            let flags = proximity.map_or(0, |_| PROXIMITY);
            fields.push(index.to_le_bytes());
            fields.push(flags.to_le_bytes());
            fields.push([0; 4]);
            fields.push(proximity.unwrap_or_default().to_le_bytes());
            fields.push(guid(*kind).to_bytes_le());
            fields.push(base.to_le_bytes());
            fields.push(length.to_le_bytes());
            // Memory attributes of UEFI: write-back, persistent.
            fields.push(0x8008_u64.to_le_bytes());
            0
        }
        Structure::Mapping {
            handle,
            range,
            control,
            size,
            offset,
            dpa,
            ways,
            flags,
            physical,
        } => {
            fields.push(handle.to_le_bytes());
            fields.push(physical.to_le_bytes());
            fields.push([0; 2]);
            fields.push(range.to_le_bytes());
            fields.push(control.to_le_bytes());
            fields.push(size.to_le_bytes());
            fields.push(offset.to_le_bytes());
            fields.push(dpa.to_le_bytes());
            fields.push([0; 2]);
            fields.push(ways.to_le_bytes());
            fields.push(flags.to_le_bytes());
            fields.push([0; 2]);
            1
        }
        Structure::Control {
            index,
            vendor,
            serial,
        } => {
            fields.push(index.to_le_bytes());
            // Vendor and serial number are big endian.
            fields.push(vendor.to_be_bytes());
            // Device, revision, subsystem; no manufacturing data; reserved.
            fields.push([0; 2 + 2 + 6 + 4 + 2]);
            fields.push(serial.to_be_bytes());
            // Byte addressable, energy backed; no block windows.
            fields.push(0x0201_u16.to_le_bytes());
            fields.push([0; 2]);
            4
        }
        Structure::Hints { handle, addresses } => {
            let count = u16::try_from(addresses.len()).expect("a line is shorter than that");
            fields.push(handle.to_le_bytes());
            fields.push(count.to_le_bytes());
            fields.push([0; 6]);
            for address in addresses {
                fields.push(address.to_le_bytes());
            }
            6
        }
        Structure::Capabilities { bits } => {
            fields.push([2, 0, 0, 0]);
            fields.push(bits.to_le_bytes());
            fields.push([0; 4]);
            7
        }
        Structure::Bytes(bytes) => return bytes.clone(),
    };
    let length = u16::try_from(4 + fields.0.len()).expect("a line is shorter than that");
    let mut structure = Table::default();
    structure.push(u16::to_le_bytes(kind));
    structure.push(length.to_le_bytes());
    structure.0.extend(fields.0);
    structure.0
}

fn guid(kind: RangeKind) -> Guid {
    match kind {
        RangeKind::Volatile => Guid(0x7305_944f, 0xfdda, 0x44e3, 0xb16c_3f22_d252_e5d0),
        RangeKind::Persistent => Guid(0x66f0_d379, 0xb4f3, 0x4074, 0xac43_0d33_18b7_8cdb),
        RangeKind::Control => Guid(0x92f7_01f6, 0x13b4, 0x405d, 0x910b_2993_67e8_234c),
    }
}

/// `aaaaaaaa-bbbb-cccc-dddd-dddddddddddd`
struct Guid(u32, u16, u16, u64);

impl Guid {
    /// The first three fields are little endian, the rest is in the order of its text.
    fn to_bytes_le(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.0.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.1.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.2.to_le_bytes());
        bytes[8..].copy_from_slice(&self.3.to_be_bytes());
        bytes
    }
}

#[derive(Default)]
struct Table(Vec<u8>);

impl Table {
    fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_specification() {
        let text = "memory 1M\nrange 1 persistent at=512M size=1M\nmapping 1 range=1 size=1M\ncontrol 1 serial=1\n\
            hints 1 0 8\ncapabilities 1\nbytes 0xff 0 4 0\n";
        let table = table(&Description::parse(text).unwrap());
        let mut rest = &table[40..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
            found.push((rest[0], length));
            rest = &rest[length..];
        }
        assert_eq!(
            found,
            [(0, 56), (1, 48), (4, 32), (6, 32), (7, 16), (255, 4)]
        );
        assert_eq!(
            table.len(),
            u32::from_le_bytes(table[4..8].try_into().unwrap()) as usize
        );
        assert_eq!(
            table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)),
            0
        );
    }

    #[test]
    fn guids_are_stored_in_mixed_order() {
        let bytes = guid(RangeKind::Persistent).to_bytes_le();
        assert_eq!(bytes[..4], [0x79, 0xd3, 0xf0, 0x66]);
        assert_eq!(bytes[8..], [0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb]);
    }
}
