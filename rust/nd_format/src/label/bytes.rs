// SPDX-License-Identifier: GPL-2.0

//! Parts of a label area at offsets that come from the media. A part that is not in the area is
//! `None`.

/// Returns `len` bytes from `offset`.
pub fn range(bytes: &[u8], offset: u32, len: u32) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    bytes.get(offset..offset.checked_add(usize::try_from(len).ok()?)?)
}

/// Returns `len` bytes from `offset` for writing.
pub fn range_mut(bytes: &mut [u8], offset: u32, len: u32) -> Option<&mut [u8]> {
    let offset = usize::try_from(offset).ok()?;
    bytes.get_mut(offset..offset.checked_add(usize::try_from(len).ok()?)?)
}
