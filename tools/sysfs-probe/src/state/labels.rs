// SPDX-License-Identifier: GPL-2.0

//! The start of label areas, one line for each 32 bytes. Rows of zeroes have no line.
//!
//! Reading 4 KiB takes one call of the firmware, which is slow under emulation. Labels go into the
//! lowest free slot, so changes are at the start.

use crate::store::Outcome;
use persist::LabelArea;
use std::path::Path;

const ROW: usize = 32;

/// Both index blocks, and at least 30 labels.
const START: u32 = 16 << 10;

/// Adds the lines for the start of a DIMM's label area. A DIMM without labels has none.
pub(super) fn walk(dimm: &str, lines: &mut Vec<String>) {
    let Ok(area) = LabelArea::open(&Path::new("/dev").join(dimm)) else {
        return;
    };
    match area.read(START) {
        Ok(bytes) => lines.extend(rows(dimm, &bytes)),
        Err(error) => lines.push(format!("{dimm} labels: {}", Outcome::refused(&error))),
    }
}

fn rows<'a>(dimm: &'a str, bytes: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    let rows = bytes.chunks(ROW).enumerate();
    let used = rows.filter(|(_, row)| row.iter().any(|&byte| byte != 0));
    used.map(move |(index, row)| {
        let digits = row.iter().map(|byte| format!("{byte:02x}"));
        format!(
            "{dimm} labels {:05x} {}",
            index * ROW,
            digits.collect::<String>()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_zeros_are_left_out() {
        let mut bytes = [0; 96];
        bytes[64] = 0x4e;
        let expected = format!("nmem0 labels 00040 4e{}", "00".repeat(31));
        assert_eq!(rows("nmem0", &bytes).collect::<Vec<_>>(), [expected]);
    }
}
