// SPDX-License-Identifier: GPL-2.0

//! The disk of a pfn device (ndctl's mode `fsdax`): the data of a namespace, without the memmap.
//!
//! A pfn info block at 4 KiB says where the data of the namespace begin, and whether the memmap,
//! the `struct page` of each page, is in memory or on the media in front of the data. There is no
//! DAX here, so the memmap is not used. Its space is left free for kernels that use it. Media
//! errors in it are cleared, as a memmap would be written over them.

use crate::raw::RawDisk;
use core::ops::Range;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::{
    block::SECTOR_SIZE,
    device::TypedDevice,
    error::eopnotsupp,
    memory::AccessError, //
};
use nd::{
    namespace::{
        NamespaceMemory,
        OpenNamespace, //
    },
    Kind,
    PfnConfig,
    PfnDevice, //
};
use nd_btt::Text;
use nd_format::pfn::{
    DaxMode,
    Defect,
    Info,
    Location,
    NoRoom,
    INFO_LEN,
    INFO_OFFSET,
    MAP_OFFSET, //
};

/// The disk of a pfn device. Dropping it removes the disk.
pub(crate) struct PfnDisk<'bound> {
    disk: RawDisk<'bound>,
    device: ARef<TypedDevice<PfnDevice>>,
}

impl<'bound> PfnDisk<'bound> {
    /// Opens the pfn info block of `device`, or creates it if the namespace has none with its UUID,
    /// and adds the disk of the data.
    ///
    /// `ENODEV`: `device` is not completely configured. `ENXIO`: the namespace is too small, or it
    /// is read-only and has no pfn info block, or the place of the info block cannot be read.
    /// `EINVAL`: it does not begin at the start of a section of memory. `EBUSY`: its memory is in
    /// use. `EOPNOTSUPP`: it has a pfn info block of this UUID with another configuration, or one
    /// that cannot be used.
    pub(crate) fn new(
        bound: &'bound Device<Bound>,
        device: &TypedDevice<PfnDevice>,
    ) -> Result<Self> {
        // A seed, which is not configured yet, is refused without a message.
        let namespace = OpenNamespace::of(Kind::Pfn(device))?;
        let config = device.config()?;
        let range = namespace
            .map()
            .inspect_err(|error| dev_err!(device, "the memory of its namespace {error}\n"))?;
        let memory = NamespaceMemory::new(range, namespace.region())?;

        let info = match read(&namespace, &memory)? {
            Block::Read(Ok(found))
                if found.dax_mode == DaxMode::FsDax && found.uuid == config.uuid =>
            {
                check(device, &found, &config)?;
                found
            }
            Block::Read(Ok(_) | Err(Defect::Absent)) => {
                create(device, &namespace, &memory, &config)?
            }
            Block::Read(Err(misfit)) => return Err(refuse(&namespace, misfit)),
            Block::Unreadable => {
                dev_err!(
                    device,
                    "the info block of its namespace at {INFO_OFFSET:#x} cannot be read: write zeroes there if there is none\n"
                );
                return Err(ENXIO);
            }
        };
        let size = memory.range().len();
        if let Some(pages) = info.truncated(size) {
            dev_warn!(
                device,
                "the end of its data is missing: npfns is {}, its namespace has room for {pages}\n",
                info.pages
            );
        }
        let data = info.data(size).ok_or(ENXIO)?;
        if info.location == Location::Pmem {
            zero_bad_sectors(&namespace, &memory, MAP_OFFSET..data.start)?;
        }
        let range = memory.into_range().narrow(data)?;

        device.set_data(range.start()..range.start() + range.len());
        Ok(Self {
            disk: RawDisk::new(bound, &namespace, range)?,
            device: device.into(),
        })
    }

    /// Returns the disk.
    pub(crate) fn disk(&self) -> &RawDisk<'bound> {
        &self.disk
    }
}

impl Drop for PfnDisk<'_> {
    fn drop(&mut self) {
        self.device.set_data(0..0);
    }
}

/// Looks for a pfn info block in `memory`, that of `namespace`.
///
/// `EOPNOTSUPP`: there is one that cannot be used.
pub(crate) fn detect(namespace: &OpenNamespace, memory: &NamespaceMemory) -> Result<Option<Info>> {
    match read(namespace, memory)? {
        Block::Read(Ok(info)) => Ok(Some(info)),
        // A raw disk can be written, which clears the media error.
        Block::Read(Err(Defect::Absent)) | Block::Unreadable => Ok(None),
        Block::Read(Err(misfit)) => Err(refuse(namespace, misfit)),
    }
}

/// The result of reading the place of the info block.
enum Block {
    /// What was read.
    Read(Result<Info, Defect>),
    /// The place has media errors.
    Unreadable,
}

fn read(namespace: &OpenNamespace, memory: &NamespaceMemory) -> Result<Block> {
    let range = memory.range();
    let mut block = KVec::from_elem(0u8, INFO_LEN, GFP_KERNEL)?;

    // Known media errors are not loaded: each load of one is a machine check.
    if memory.is_bad(INFO_OFFSET, MAP_OFFSET - INFO_OFFSET) {
        return Ok(Block::Unreadable);
    }
    match range.read(INFO_OFFSET, &mut block) {
        Ok(()) => Ok(Block::Read(Info::read(
            &block,
            namespace.uuid(),
            range.start(),
            range.len(),
        ))),
        Err(AccessError::OutOfRange { .. }) => Ok(Block::Read(Err(Defect::Absent))),
        Err(AccessError::Poisoned { .. }) => Ok(Block::Unreadable),
        Err(error) => Err(error.into()),
    }
}

fn refuse(namespace: &OpenNamespace, misfit: Defect) -> Error {
    dev_err!(
        namespace.namespace(),
        "its pfn info block at {INFO_OFFSET:#x} cannot be used: {} (write 1 to force_raw for a raw disk)\n",
        Text(misfit)
    );
    eopnotsupp()
}

/// Fails if the info block has another alignment or another place of the memmap than configured:
/// both stay as they were when it was created.
fn check(device: &TypedDevice<PfnDevice>, found: &Info, config: &PfnConfig) -> Result {
    if found.align != config.align || found.location != config.location {
        dev_err!(
            device,
            "its pfn info block has align {} and mode {:?}, configured are {} and {:?}: another uuid creates a new one\n",
            found.align,
            found.location,
            config.align,
            config.location
        );
        return Err(eopnotsupp());
    }
    Ok(())
}

fn create(
    device: &TypedDevice<PfnDevice>,
    namespace: &OpenNamespace,
    memory: &NamespaceMemory,
    config: &PfnConfig,
) -> Result<Info> {
    if namespace.region().is_read_only() {
        dev_err!(
            device,
            "has no pfn info block on its medium, and its region is read only\n"
        );
        return Err(ENXIO);
    }
    let range = memory.range();
    let (start, size) = (range.start(), range.len());
    let uuids = (config.uuid, namespace.uuid());
    let info = Info::plan(uuids, config.location, config.align, start, size).map_err(|reason| {
        dev_err!(
            device,
            "no pfn layout with align {} fits into {size:#x} bytes at {start:#x}: {reason:?}\n",
            config.align
        );
        match reason {
            NoRoom::Misaligned => EINVAL,
            NoRoom::TooSmall => ENXIO,
        }
    })?;

    let mut block = KVec::from_elem(0u8, INFO_LEN, GFP_KERNEL)?;
    info.write(size, &mut block);
    zero_bad_sectors(namespace, memory, INFO_OFFSET..MAP_OFFSET)?;
    range.write(INFO_OFFSET, &block)?;
    namespace.region().fence();
    Ok(info)
}

/// Clears the known media errors in `part` of the namespace, in bytes from its start, and zeroes
/// their sectors.
fn zero_bad_sectors(
    namespace: &OpenNamespace,
    memory: &NamespaceMemory,
    part: Range<u64>,
) -> Result {
    let mut next = part.start / SECTOR_SIZE;
    let end = part.end / SECTOR_SIZE;
    while let Some(bad) = memory.badblocks().find(next, end.saturating_sub(next)) {
        let (offset, len) = (bad.first * SECTOR_SIZE, bad.count * SECTOR_SIZE);
        next = bad.first + bad.count;
        memory.clear(offset, len).inspect_err(|_| {
            dev_err!(
                namespace.namespace(),
                "media errors of {} sectors at {offset:#x} could not be cleared\n",
                bad.count
            );
        })?;
        memory.range().zero(offset, len)?;
    }
    Ok(())
}
