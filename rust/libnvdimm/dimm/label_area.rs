// SPDX-License-Identifier: GPL-2.0

//! The label area of a DIMM: a copy in memory, and the commands that read and write the original.
//!
//! The bus lock protects the copy, since an update of a namespace changes all DIMMs of its set.

use super::Dimm;
use crate::{
    provider::{
        Command,
        Status, //
    },
    text::Foreign, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kernel_ext::device::TypedDevice;
use label_engine::{
    Medium,
    Store,
    UpdateTarget, //
};
use nd_format::{
    label::{
        Extent,
        LabelArea,
        Layout, //
    },
    uapi::{
        dimm_command,
        ConfigRange,
        ConfigRead,
        ConfigSize, //
    },
};
use zerocopy::native_endian::U32;

/// Maximum size of a label area in bytes. Those of real DIMMs have 128 KiB.
const MAX_SIZE: u32 = 16 << 20;

/// Result of reading a label area.
pub(super) struct Reading {
    /// The area, if it could be read.
    pub(super) area: Option<CachedArea>,
    /// Whether the DIMM reports that its memory is locked. Its labels may be readable all the same.
    pub(super) locked: bool,
}

/// The copy of a label area. It equals the contents of the DIMM, except during an update.
pub(crate) struct CachedArea {
    bytes: KVVec<u8>,
    layout: Layout,
    max_transfer: u32,
}

impl CachedArea {
    /// Reads the label area of `dimm`. That of a locked DIMM may not be readable.
    ///
    /// Fails with `EACCES` if the label area is locked as well, and with `ENXIO` if what the DIMM
    /// reports about its label area is invalid.
    pub(super) fn read(dimm: &TypedDevice<Dimm>) -> Result<Reading> {
        let AreaSize {
            size,
            max_transfer,
            locked,
        } = read_size(dimm)?;
        if locked && size == 0 {
            return Ok(Reading { area: None, locked });
        }
        if size > MAX_SIZE || max_transfer == 0 {
            dev_err!(
                dimm,
                "label area: size {size:#x}, largest transfer {max_transfer:#x}: at most {MAX_SIZE:#x} and at least 1 expected\n"
            );
            return Err(ENXIO);
        }
        // Until the labels are read, they may describe namespaces.
        dimm.labels_unread.store(true, Relaxed);
        let bytes = read_bytes(dimm, size, max_transfer)?;
        dimm.labels_unread.store(false, Relaxed);
        let layout = Layout::discover(size, &bytes).map_err(|error| {
            dev_err!(dimm, "label area: {}\n", Foreign(error));
            ENXIO
        })?;
        let area = Self {
            bytes,
            layout,
            max_transfer,
        };
        area.report_damage(dimm);
        Ok(Reading {
            area: Some(area),
            locked,
        })
    }

    /// Returns the area for reading.
    pub(crate) fn area(&self) -> LabelArea<'_> {
        LabelArea::new(&self.bytes, &self.layout)
    }

    /// Returns the layout of the area.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Logs damage of the area. Namespaces are checked with their regions.
    fn report_damage(&self, dimm: &TypedDevice<Dimm>) {
        if let Some(damage) = self.layout.damage() {
            dev_err!(
                dimm,
                "label area: {}: it is not used until it is restored or initialised (ndctl init-labels)\n",
                Foreign(*damage)
            );
        }
        let mut damaged = self.area().damaged();
        if let Some((slot, first)) = damaged.next() {
            dev_err!(
                dimm,
                "label area: slot {slot}: {}: its addresses stay reserved; {} more are damaged\n",
                Foreign(first),
                damaged.count()
            );
        }
    }

    /// Returns the area as the target of an update. `extent` is the range of the namespace on
    /// `dimm`.
    pub(crate) fn target<'a>(
        &'a mut self,
        dimm: &'a TypedDevice<Dimm>,
        extent: Option<Extent>,
    ) -> Result<UpdateTarget<'a, LabelWriter<'a>>> {
        let writer = LabelWriter {
            dimm,
            max_transfer: self.max_transfer,
        };
        let store = Store::new(&mut self.bytes, &mut self.layout).map_err(|error| {
            dev_err!(dimm, "{}\n", Foreign(error));
            ENXIO
        })?;
        Ok(UpdateTarget::new(store, writer, extent))
    }
}

/// Writes to the label area of a DIMM.
pub(crate) struct LabelWriter<'a> {
    dimm: &'a TypedDevice<Dimm>,
    max_transfer: u32,
}

impl Medium for LabelWriter<'_> {
    type Error = Error;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result {
        let mut rest = bytes;
        let mut offset = offset;
        while !rest.is_empty() {
            let (chunk, others) = rest
                .split_at_checked(self.max_transfer as usize)
                .unwrap_or((rest, &[]));
            rest = others;
            let length = u32::try_from(chunk.len())?;
            let range = ConfigRange {
                in_offset: offset.into(),
                in_length: length.into(),
            };
            let size = size_of_val(&range) + chunk.len() + size_of::<U32>();
            let mut payload = KVVec::with_capacity(size, GFP_KERNEL)?;
            payload.extend_from_slice(range.as_bytes(), GFP_KERNEL)?;
            payload.extend_from_slice(chunk, GFP_KERNEL)?;
            payload.extend_from_slice(U32::ZERO.as_bytes(), GFP_KERNEL)?;
            let status = execute(self.dimm, dimm_command::SET_CONFIG_DATA, &mut payload)?;
            check(status)?;
            offset = offset.checked_add(length).ok_or(ENXIO)?;
        }
        Ok(())
    }
}

/// What a DIMM reports about its label area.
struct AreaSize {
    size: u32,
    max_transfer: u32,
    locked: bool,
}

fn read_size(dimm: &TypedDevice<Dimm>) -> Result<AreaSize> {
    let mut payload = ConfigSize::default();
    let status = execute(dimm, dimm_command::GET_CONFIG_SIZE, payload.as_mut_bytes())?;
    let locked = matches!(status, Status::Locked(_));
    if !locked {
        check(status)?;
    }
    Ok(AreaSize {
        size: payload.config_size.get(),
        max_transfer: payload.max_xfer.get(),
        locked,
    })
}

/// Reads the `size` bytes of the label area, at most `max_transfer` of them at a time.
fn read_bytes(dimm: &TypedDevice<Dimm>, size: u32, max_transfer: u32) -> Result<KVVec<u8>> {
    let mut bytes = KVVec::from_elem(0u8, size as usize, GFP_KERNEL)?;
    let mut payload = KVVec::new();
    let mut offset = 0u32;
    while offset < size {
        let end = offset.saturating_add(max_transfer).min(size);
        let chunk = bytes.get_mut(offset as usize..end as usize).ok_or(EIO)?;
        read_chunk(dimm, offset, chunk, &mut payload)?;
        offset = end;
    }
    Ok(bytes)
}

/// Reads a part of the label area. `payload` is the buffer of the command, which is reused to save
/// allocations.
fn read_chunk(
    dimm: &TypedDevice<Dimm>,
    offset: u32,
    chunk: &mut [u8],
    payload: &mut KVVec<u8>,
) -> Result {
    payload.clear();
    payload.resize(size_of::<ConfigRead>() + chunk.len(), 0, GFP_KERNEL)?;
    let (header, _) = ConfigRead::mut_from_prefix(payload).map_err(|_| EIO)?;
    header.range = ConfigRange {
        in_offset: offset.into(),
        in_length: u32::try_from(chunk.len())?.into(),
    };
    check(execute(dimm, dimm_command::GET_CONFIG_DATA, payload)?)?;
    let (_, data) = ConfigRead::ref_from_prefix(payload).map_err(|_| EIO)?;
    chunk
        .iter_mut()
        .zip(data)
        .for_each(|(to, from)| *to = *from);
    Ok(())
}

/// Executes a label command, and logs its status unless that is success.
fn execute(dimm: &TypedDevice<Dimm>, number: u32, payload: &mut [u8]) -> Result<Status> {
    let bus = dimm.bus();
    let status = bus
        .operations()
        .execute(bus, Some(dimm), Command { number, payload })?;
    if let Status::Locked(raw) | Status::Failed(raw) = status {
        dev_err!(
            dimm,
            "label command {number}: status {raw:#x}, 0 expected\n"
        );
    }
    Ok(status)
}

/// Fails with `EACCES` if the DIMM is locked, and with `EIO` for any other failure.
fn check(status: Status) -> Result {
    match status {
        Status::Success => Ok(()),
        Status::Locked(_) => Err(EACCES),
        Status::Failed(_) => Err(EIO),
    }
}
