// SPDX-License-Identifier: GPL-2.0

//! The info block of a namespace that was set up to be mapped. Only its presence is of interest here.
//!
//! ```text
//! 0           16     32            48                                   4088       4096
//! | signature | uuid | parent uuid | fields of the page map, and zeroes | checksum |
//! ```
//!
//! The checksum is that of all other bytes, with zeroes in its own place.

use kernel::prelude::*;
use kernel_ext::memory::{
    AccessError,
    PmemRange, //
};
use nd_format::{
    fletcher::fletcher64,
    uuid::Uuid, //
};

/// Where the info block is in a namespace, in bytes.
pub(crate) const OFFSET: u64 = 4096;

const LEN: usize = 4096;
const PARENT: usize = 32;
const CHECKSUM: usize = 4088;

/// Who has the page structures of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageMap {
    /// File systems on a disk.
    Pfn,
    /// Programs, through a character device.
    Dax,
}

/// Looks for an info block of the namespace with UUID `namespace` in `range`.
///
/// An info block that cannot be read is none: the sectors may be written to get rid of the media error.
pub(crate) fn find(range: &PmemRange, namespace: Uuid) -> Result<Option<PageMap>> {
    let mut block = KVec::from_elem(0u8, LEN, GFP_KERNEL)?;

    match range.read(OFFSET, &mut block) {
        Ok(()) => Ok(identify(&mut block, namespace)),
        Err(AccessError::OutOfRange { .. } | AccessError::Poisoned { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Checks a block, in which the place of the checksum is zeroed afterwards.
fn identify(block: &mut [u8], namespace: Uuid) -> Option<PageMap> {
    let page_map = match block.first_chunk()? {
        b"NVDIMM_PFN_INFO\0" => PageMap::Pfn,
        b"NVDIMM_DAX_INFO\0" => PageMap::Dax,
        _ => return None,
    };
    let parent = Uuid::from_bytes(*block.get(PARENT..)?.first_chunk()?);
    let stored: &mut [u8; 8] = block.get_mut(CHECKSUM..)?.first_chunk_mut()?;
    let checksum = u64::from_le_bytes(core::mem::take(stored));
    let words = block
        .chunks_exact(4)
        .filter_map(|word| word.first_chunk().copied().map(u32::from_le_bytes));

    (parent == namespace && checksum == fletcher64(words)).then_some(page_map)
}
