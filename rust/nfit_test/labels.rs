// SPDX-License-Identifier: GPL-2.0

//! The label area of a DIMM, behind the label functions (NVDIMM DSM Interface, functions 4 to 6).
//!
//! ```text
//! function   input                       answer
//! 4 size                                 status | size | largest transfer
//! 5 read     offset | length             status | bytes
//! 6 write    offset | length | bytes     status
//! ```

use crate::answer::{
    word,
    Answer, //
};
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::Mutex, //
};
use nd_format::{
    label::{
        Extent,
        Flags,
        Identity,
        Label,
        Layout,
        Name,
        Plan,
        Store, //
    },
    nfit::interleave::Cookies,
    uuid::{
        Guid,
        Uuid, //
    },
};

/// Bytes of a label area.
const SIZE: usize = 128 << 10;

/// Most bytes that one function call moves.
const LARGEST_TRANSFER: u32 = 4096;

/// A label area. It begins with text that is no index of labels, or with an index that names none.
#[pin_data]
pub(crate) struct LabelArea {
    #[pin]
    bytes: Mutex<KVVec<u8>>,
}

impl LabelArea {
    pub(crate) fn new(number: u32, indexed: bool) -> Result<impl PinInit<Self>> {
        let mut bytes = KVVec::from_elem(0, SIZE, GFP_KERNEL)?;
        let text = CString::try_from_fmt(fmt!("label{number}"))?;
        for (to, from) in bytes.iter_mut().zip(text.to_bytes()) {
            *to = *from;
        }
        if indexed {
            write_index(&mut bytes)?;
        }
        Ok(pin_init!(Self {
            bytes <- new_mutex!(bytes),
        }))
    }

    /// Function 4, with a status of the caller's.
    pub(crate) fn size(status: u32) -> Result<KVVec<u8>> {
        Answer::new(status)?
            .word(SIZE as u32)?
            .word(LARGEST_TRANSFER)?
            .finish()
    }

    /// Function 5. `EINVAL`: the range is not within the area.
    pub(crate) fn read(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (range, _) = range(input)?;
        let bytes = self.bytes.lock();
        Answer::new(0)?
            .bytes(bytes.get(range).ok_or(EINVAL)?)?
            .finish()
    }

    /// Function 6. `EINVAL`: the range is not within the area, or there are fewer bytes than the input says.
    pub(crate) fn write(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (range, rest) = range(input)?;
        let new = rest.get(..range.len()).ok_or(EINVAL)?;
        let mut bytes = self.bytes.lock();
        let old = bytes.get_mut(range).ok_or(EINVAL)?;
        old.iter_mut().zip(new).for_each(|(to, from)| *to = *from);
        Answer::new(0)?.finish()
    }
}

/// Makes a label area of `bytes` as it is when the last label was dropped: an index comes with the first one.
fn write_index(bytes: &mut [u8]) -> Result {
    let mut layout = Layout::discover(u32::try_from(bytes.len())?, bytes).map_err(|_| EINVAL)?;
    let label = Label {
        uuid: Uuid::NIL,
        name: Name::EMPTY,
        flags: Flags::NONE,
        nlabel: 1,
        position: 0,
        cookie: 0,
        lba_size: 0,
        extent: Extent::new(0, 1).ok_or(EINVAL)?,
        types: None,
    };
    let mut store = Store::new(bytes, &mut layout).map_err(|_| EINVAL)?;
    // Of no set: the label is dropped again.
    let identity = Identity {
        cookies: Cookies {
            v1_1: label.cookie,
            v1_2: label.cookie,
            alternate: label.cookie,
        },
        range_type: Guid::NIL,
    };
    let plan = store.publish(&label, None, &identity);
    complete(plan.map_err(|_| EINVAL)?);
    complete(store.remove(label.uuid, &identity));
    Ok(())
}

/// Completes a change of an area that is in memory only.
fn complete(mut plan: Plan<'_>) {
    while plan.write().is_some() {
        plan.confirm();
    }
}

/// The range that an input begins with, and what follows.
fn range(input: &[u8]) -> Result<(core::ops::Range<usize>, &[u8])> {
    let (offset, rest) = word(input).ok_or(EINVAL)?;
    let (length, rest) = word(rest).ok_or(EINVAL)?;
    let offset = usize::try_from(offset)?;
    let end = offset.checked_add(usize::try_from(length)?).ok_or(EINVAL)?;
    Ok((offset..end, rest))
}
