// SPDX-License-Identifier: GPL-2.0

//! Simulated label area of a DIMM (NVDIMM DSM Interface, functions 4 to 6).
//!
//! ```text
//! function   input                       answer
//! 4 size                                 status | size | largest transfer
//! 5 read     offset | length             status | bytes
//! 6 write    offset | length | bytes     status
//! ```

use crate::output::{
    word,
    OutputBuilder, //
};
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::Mutex, //
};
use label_engine::{
    AreaUpdate,
    SetIdentity,
    Store, //
};
use nd_format::{
    label::{
        Cookies,
        Extent,
        Flags,
        Label,
        Layout,
        Name, //
    },
    uuid::{
        Guid,
        Uuid, //
    },
};

/// Size of a label area in bytes.
const SIZE: usize = 128 << 10;

/// Most bytes that one call transfers.
const LARGEST_TRANSFER: u32 = 4096;

/// A label area. It starts with text, which is no valid index block, or with an index block without
/// labels.
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

    /// Function 4, with the status of the caller.
    pub(crate) fn size(status: u32) -> Result<KVVec<u8>> {
        OutputBuilder::new(status)?
            .word(SIZE as u32)?
            .word(LARGEST_TRANSFER)?
            .finish()
    }

    /// Function 5. `EINVAL`: the range is not within the area.
    pub(crate) fn read(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (range, _) = range(input)?;
        let bytes = self.bytes.lock();
        OutputBuilder::new(0)?
            .bytes(bytes.get(range).ok_or(EINVAL)?)?
            .finish()
    }

    /// Function 6. `EINVAL`: the range is not within the area, or the input has fewer bytes than it
    /// declares.
    pub(crate) fn write(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (range, rest) = range(input)?;
        let new = rest.get(..range.len()).ok_or(EINVAL)?;
        let mut bytes = self.bytes.lock();
        let old = bytes.get_mut(range).ok_or(EINVAL)?;
        old.iter_mut().zip(new).for_each(|(to, from)| *to = *from);
        OutputBuilder::new(0)?.finish()
    }
}

/// Initialises `bytes` as a label area without labels. An index block is written only with a label,
/// so a label is added and removed.
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
    // The label is removed again, so any set will do.
    let identity = SetIdentity {
        cookies: Cookies {
            v1_1: label.cookie,
            v1_2: label.cookie,
            alternate: label.cookie,
        },
        range_type: Guid::NIL,
    };
    let update = store.write_label(&label, None, &identity);
    complete(update.map_err(|_| EINVAL)?);
    complete(store.delete_labels(label.uuid, &identity));
    Ok(())
}

/// Completes an update of a label area that is only in memory.
fn complete(mut update: AreaUpdate<'_>) {
    while update.write().is_some() {
        update.confirm();
    }
}

/// Splits a range, offset and length, off the start of an input. `EINVAL`: the input is too short.
fn range(input: &[u8]) -> Result<(core::ops::Range<usize>, &[u8])> {
    let (offset, rest) = word(input).ok_or(EINVAL)?;
    let (length, rest) = word(rest).ok_or(EINVAL)?;
    let offset = usize::try_from(offset)?;
    let end = offset.checked_add(usize::try_from(length)?).ok_or(EINVAL)?;
    Ok((offset..end, rest))
}
