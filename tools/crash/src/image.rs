// SPDX-License-Identifier: GPL-2.0

//! What a power failure leaves: a value for each kept word.

use crate::layout::Layout;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Contents of a medium.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Image {
    /// A value for each cell of the layout.
    pub(crate) words: Vec<u64>,
    /// Blocks with a media error, one bit each.
    pub(crate) bad: u64,
}

impl Image {
    /// Writes a sparse file with these contents, for `btt check` and others to look at.
    pub(crate) fn save(&self, layout: &Layout, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(layout.size())?;
        for (offset, info) in layout.infos() {
            file.write_all_at(info, offset)?;
        }
        for (place, word) in layout.places().zip(&self.words) {
            let bytes = word.to_le_bytes();
            let len = layout.word_len(place);
            file.write_all_at(&bytes[..len], layout.offset(place))?;
        }
        Ok(())
    }
}
