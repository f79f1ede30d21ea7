// SPDX-License-Identifier: GPL-2.0

//! What the NVDIMMs of a guest are made of: files, in memory if there is room.
//!
//! The host writes pages of a file on disk back every few seconds and protects them, so that the next store of the guest to each of them is a fault of
//! the host. That took most of the time of large writes.

use super::script::Hardware;
use crate::{
    firmware::Firmware,
    nvdimm::Nvdimm, //
};
use anyhow::{
    Context,
    Result, //
};
use std::path::Path;
use tempfile::TempDir;

/// Where files are in memory.
const MEMORY: &str = "/dev/shm";

/// How much more room there must be: other guests are there at the same time.
const RESERVE: u64 = 4;

/// NVDIMMs of a test with their files, which outlive a boot: those that are there at boot, then the spares. Removed when dropped.
pub(crate) struct Media {
    nvdimms: Vec<Nvdimm>,
    /// Firmware of ours, for each boot.
    firmware: Vec<Firmware>,
    /// The memory that it is about.
    memory: Option<Nvdimm>,
    /// Where the files are. Its path is short enough for a socket.
    directory: TempDir,
}

impl Media {
    /// New files, all zeros, and the tables of the firmware if there is any of ours.
    pub(crate) fn create(hardware: &Hardware) -> Result<Self> {
        let needs = hardware.nvdimms.iter().chain(&hardware.spares);
        let size = needs.clone().map(|need| need.size + need.label).sum();
        let directory = match is_room_in_memory(size) {
            true => tempfile::tempdir_in(MEMORY),
            false => tempfile::tempdir(),
        };
        let directory = directory.context("cannot create a temporary directory")?;
        let nvdimms = needs.enumerate().map(|(index, need)| Nvdimm {
            file: directory.path().join(format!("nvdimm{index}")),
            size: need.size,
            label: need.label,
        });
        let nvdimms = nvdimms.collect::<Vec<_>>();
        nvdimms.iter().try_for_each(Nvdimm::create)?;
        let firmware = hardware
            .firmware
            .iter()
            .map(|name| Firmware::build(name, directory.path()))
            .collect::<Result<Vec<_>>>()?;
        let largest = firmware.iter().max_by_key(|firmware| firmware.memory);
        let memory = largest.map(|firmware| Nvdimm {
            file: firmware.file.clone(),
            size: firmware.memory,
            label: 0,
        });
        memory.iter().try_for_each(Nvdimm::create)?;
        Ok(Self {
            nvdimms,
            firmware,
            memory,
            directory,
        })
    }

    /// All of them.
    pub(crate) fn nvdimms(&self) -> &[Nvdimm] {
        &self.nvdimms
    }

    /// The firmware of this boot, the first one being 1.
    pub(crate) fn firmware(&self, boot: u32) -> Option<&Firmware> {
        let index = usize::try_from(boot.saturating_sub(1)).unwrap_or(usize::MAX);
        self.firmware.get(index).or(self.firmware.last())
    }

    /// A directory that is there as long as they are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file of the NVDIMM of this number.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub(crate) fn file(&self, index: usize) -> &Path {
        &self.nvdimms[index].file
    }

    /// Makes them zeros again. The guest has no driver on them.
    pub(crate) fn erase(&self) -> Result<()> {
        self.nvdimms
            .iter()
            .chain(&self.memory)
            .try_for_each(Nvdimm::erase)
    }
}

fn is_room_in_memory(size: u64) -> bool {
    rustix::fs::statvfs(MEMORY).is_ok_and(|room| {
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        size.checked_mul(RESERVE)
            .is_some_and(|size| size <= available)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_memory_is_on_disk() {
        assert!(!is_room_in_memory(u64::MAX));
        assert!(!is_room_in_memory(1 << 60));
    }
}
