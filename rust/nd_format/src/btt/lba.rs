// SPDX-License-Identifier: GPL-2.0

//! Sector sizes that a BTT can be created with.

/// The external LBA size of a BTT: a sector of 512 or 4096 bytes and the metadata that goes with
/// it.
///
/// A sector and its metadata are adjacent in one block, so they are written atomically together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LbaSize {
    sector: u16,
    metadata: u16,
}

/// Alignment of the internal LBA size in bytes: blocks start on a cache line.
const INTERNAL_ALIGN: u32 = 64;

impl LbaSize {
    /// All sizes, in ascending order, as the `sector_size` attribute lists them.
    pub const ALL: [Self; 7] = [
        Self::new(512, 0),
        Self::new(512, 8),
        Self::new(512, 16),
        Self::new(4096, 0),
        Self::new(4096, 8),
        Self::new(4096, 64),
        Self::new(4096, 128),
    ];

    const fn new(sector: u16, metadata: u16) -> Self {
        Self { sector, metadata }
    }

    /// Returns the LBA size whose sector and metadata together have `bytes` bytes; `None` if there
    /// is none.
    pub fn from_bytes(bytes: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|size| size.bytes() == bytes)
    }

    /// Returns the bytes of a sector and its metadata, as in the info block and the `sector_size`
    /// attribute.
    #[inline]
    pub const fn bytes(self) -> u32 {
        self.sector as u32 + self.metadata as u32
    }

    /// Returns the bytes of a sector as the block layer sees it: 512 or 4096.
    #[inline]
    pub const fn sector(self) -> u32 {
        self.sector as u32
    }

    /// Returns the bytes of metadata that follow the sector in its block.
    #[inline]
    pub const fn metadata(self) -> u32 {
        self.metadata as u32
    }

    /// Returns the internal LBA size: the bytes of a block in the data area of a new arena.
    #[inline]
    pub const fn internal(self) -> u32 {
        self.bytes().next_multiple_of(INTERNAL_ALIGN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let sizes = LbaSize::ALL.map(|size| {
            (
                size.bytes(),
                size.sector(),
                size.metadata(),
                size.internal(),
            )
        });
        assert_eq!(
            sizes,
            [
                (512, 512, 0, 512),
                (520, 512, 8, 576),
                (528, 512, 16, 576),
                (4096, 4096, 0, 4096),
                (4104, 4096, 8, 4160),
                (4160, 4096, 64, 4160),
                (4224, 4096, 128, 4224),
            ]
        );
    }

    #[test]
    fn only_these_sizes() {
        let found = (0..=u32::from(u16::MAX)).filter_map(LbaSize::from_bytes);
        assert!(found.eq(LbaSize::ALL));
    }

    #[test]
    #[ignore = "seconds if optimised, minutes if not"]
    fn only_these_of_all_numbers() {
        assert!((0..=u32::MAX)
            .filter_map(LbaSize::from_bytes)
            .eq(LbaSize::ALL));
    }
}
