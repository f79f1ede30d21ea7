// SPDX-License-Identifier: GPL-2.0

//! The label area of a DIMM: a copy in memory, and the commands that read and write the original.
//!
//! The lock of the bus protects the copy, since an update of a namespace goes over all DIMMs of its set.

use super::Dimm;
use crate::{
    provider::{
        dimm_command,
        Command, //
    },
    text::Foreign, //
};
use kernel::prelude::*;
use kernel_ext::device::Node;
use nd_format::label::{
    dpa::{
        self,
        Reservation,
        Reserved, //
    },
    LabelArea,
    Layout,
    Plan,
    Store,
    UpdateError,
    Write, //
};

/// Largest area that is read. Those of real DIMMs have 128 KiB.
const MAX_SIZE: u32 = 16 << 20;

/// A label area as it is in memory. The bytes and what the DIMM holds are the same, but for an update under way.
pub(crate) struct CachedArea {
    bytes: KVVec<u8>,
    layout: Layout,
    max_transfer: u32,
}

impl CachedArea {
    /// Reads the label area of `dimm`.
    ///
    /// `EACCES`: the DIMM is locked. `ENXIO`: what it says of its area makes no sense.
    pub(super) fn read(dimm: &Node<Dimm>) -> Result<Self> {
        let (size, max_transfer) = read_size(dimm)?;
        if size > MAX_SIZE || max_transfer == 0 {
            dev_err!(
                dimm,
                "label area: size {size:#x}, largest transfer {max_transfer:#x}: at most {MAX_SIZE:#x} and at least 1 expected\n"
            );
            return Err(ENXIO);
        }
        let mut bytes = KVVec::from_elem(0u8, size as usize, GFP_KERNEL)?;
        let mut offset = 0u32;
        for chunk in bytes.chunks_mut(max_transfer as usize) {
            read_chunk(dimm, offset, chunk)?;
            // A chunk is part of an area whose size has 32 bits.
            offset += chunk.len() as u32;
        }
        let layout = Layout::discover(size, &bytes).map_err(|error| {
            dev_err!(dimm, "label area: {}\n", Foreign(error));
            ENXIO
        })?;
        let area = Self {
            bytes,
            layout,
            max_transfer,
        };
        area.reservations()?.check(dimm)?;
        Ok(area)
    }

    /// Returns the area for reading.
    pub(crate) fn area(&self) -> LabelArea<'_> {
        LabelArea::new(&self.bytes, &self.layout)
    }

    /// Returns what is known of the area.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the ranges of the DIMM that namespaces have.
    pub(crate) fn reservations(&self) -> Result<Reservations> {
        let mut list = KVVec::new();
        for reservation in dpa::reservations(self.area()) {
            list.push(reservation, GFP_KERNEL)?;
        }
        Ok(Reservations(list))
    }

    /// Changes the area as `plan` says, on the DIMM and in memory.
    pub(crate) fn update(
        &mut self,
        dimm: &Node<Dimm>,
        plan: impl for<'s> FnOnce(&'s mut Store<'_>) -> Result<Plan<'s>, UpdateError>,
    ) -> Result {
        let failed = |error| {
            dev_err!(dimm, "{}\n", Foreign(error));
            match error {
                UpdateError::NoFreeSlot | UpdateError::Length { .. } => ENXIO,
            }
        };
        let max_transfer = self.max_transfer;
        {
            let mut store = Store::new(&mut self.bytes, &mut self.layout).map_err(failed)?;
            let mut plan = plan(&mut store).map_err(failed)?;
            while let Some(write) = plan.write() {
                perform(dimm, &write, max_transfer)?;
                plan.confirm();
            }
        }
        dimm.set_labelled(self.layout.current().is_some());
        Ok(())
    }
}

/// The ranges of a DIMM that namespaces have, in no particular order.
pub(crate) struct Reservations(KVVec<Reservation>);

impl Reservations {
    /// Sorts the ranges; `EBUSY` if two of them overlap.
    pub(crate) fn check(&mut self, dimm: &Node<Dimm>) -> Result<Reserved<'_>> {
        Reserved::sort(&mut self.0).map_err(|overlap| {
            dev_err!(dimm, "{}\n", Foreign(overlap));
            EBUSY
        })
    }
}

/// Asks for the size of the area and for that of the largest transfer.
fn read_size(dimm: &Node<Dimm>) -> Result<(u32, u32)> {
    // status, size, largest transfer
    let mut payload = [0; 12];
    execute(dimm, dimm_command::GET_CONFIG_SIZE, &mut payload)?;
    check_status(dimm, word(&payload, 0)?)?;
    Ok((word(&payload, 4)?, word(&payload, 8)?))
}

fn read_chunk(dimm: &Node<Dimm>, offset: u32, chunk: &mut [u8]) -> Result {
    // offset, length, status, data
    const DATA: usize = 12;
    let mut payload = KVVec::from_elem(0u8, DATA + chunk.len(), GFP_KERNEL)?;
    set_word(&mut payload, 0, offset)?;
    set_word(&mut payload, 4, u32::try_from(chunk.len())?)?;
    execute(dimm, dimm_command::GET_CONFIG_DATA, &mut payload)?;
    check_status(dimm, word(&payload, 8)?)?;
    chunk.copy_from_slice(payload.get(DATA..).ok_or(EIO)?);
    Ok(())
}

fn perform(dimm: &Node<Dimm>, write: &Write<'_>, max_transfer: u32) -> Result {
    // offset, length, data, status
    const DATA: usize = 8;
    let mut offset = write.offset;
    for chunk in write.bytes.chunks(max_transfer as usize) {
        let status = DATA + chunk.len();
        let mut payload = KVVec::from_elem(0u8, status + 4, GFP_KERNEL)?;
        set_word(&mut payload, 0, offset)?;
        set_word(&mut payload, 4, u32::try_from(chunk.len())?)?;
        payload
            .get_mut(DATA..status)
            .ok_or(EIO)?
            .copy_from_slice(chunk);
        execute(dimm, dimm_command::SET_CONFIG_DATA, &mut payload)?;
        check_status(dimm, word(&payload, status)?)?;
        offset = offset
            .checked_add(u32::try_from(chunk.len())?)
            .ok_or(ENXIO)?;
    }
    Ok(())
}

fn execute(dimm: &Node<Dimm>, number: u32, payload: &mut [u8]) -> Result {
    let bus = dimm.bus();
    bus.operations()
        .execute(bus, Some(dimm), Command { number, payload })
        .map(|_left| ())
}

/// What the firmware has to say of a label command; 0 is success.
fn check_status(dimm: &Node<Dimm>, status: u32) -> Result {
    if status != 0 {
        dev_err!(dimm, "label command: status {status:#x}, 0 expected\n");
        return Err(ENXIO);
    }
    Ok(())
}

fn word(payload: &[u8], offset: usize) -> Result<u32> {
    let bytes = payload.get(offset..).and_then(|rest| rest.first_chunk());
    Ok(u32::from_le_bytes(*bytes.ok_or(EIO)?))
}

fn set_word(payload: &mut [u8], offset: usize, value: u32) -> Result {
    let bytes = payload
        .get_mut(offset..)
        .and_then(|rest| rest.first_chunk_mut());
    *bytes.ok_or(EIO)? = value.to_le_bytes();
    Ok(())
}
