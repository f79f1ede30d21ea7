// SPDX-License-Identifier: GPL-2.0

//! The files behind a guest's NVDIMMs, in memory if there is space.
//!
//! The host writes back the pages of a file on disk every few seconds and write-protects them, so
//! that the guest's next store to each page faults in the host. These faults took most of the time
//! of large writes.

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

/// A directory whose files are in memory.
const MEMORY: &str = "/dev/shm";

/// Factor of the free memory that is required, because other guests run at the same time.
const RESERVE: u64 = 4;

/// NVDIMMs of a test: those that are present at boot, then the spares. Their files outlive a boot
/// and are removed when this is dropped.
pub(crate) struct Media {
    nvdimms: Vec<Nvdimm>,
    /// The test's own firmware, for each boot.
    firmware: Vec<Firmware>,
    /// The memory that the firmware describes.
    memory: Option<Nvdimm>,
    /// The directory of the files. Its path is short enough for a socket.
    directory: TempDir,
}

impl Media {
    /// Creates the files, all zeros, and the tables of the test's own firmware.
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

    /// Returns all NVDIMMs.
    pub(crate) fn nvdimms(&self) -> &[Nvdimm] {
        &self.nvdimms
    }

    /// Returns the firmware of this boot, counted from 1.
    pub(crate) fn firmware(&self, boot: u32) -> Option<&Firmware> {
        let index = usize::try_from(boot.saturating_sub(1)).unwrap_or(usize::MAX);
        self.firmware.get(index).or(self.firmware.last())
    }

    /// Returns a directory that exists as long as the files do.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the file of the NVDIMM of this number.
    ///
    /// # Panics
    ///
    /// If there is no NVDIMM of this number.
    pub(crate) fn file(&self, index: usize) -> &Path {
        &self.nvdimms[index].file
    }

    /// Fills all NVDIMMs with zeros. No driver of the guest may be bound to them.
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
