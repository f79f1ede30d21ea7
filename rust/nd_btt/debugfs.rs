// SPDX-License-Identifier: GPL-2.0

//! What an arena looks like, in `<debugfs>/btt/bttR.I/arenaN/`, one value a file.
//!
//! | Files | Form |
//! |---|---|
//! | `size external_lba_start nextoff infooff dataoff mapoff logoff info2off` | `0x` and 16 digits |
//! | `internal_nlba external_nlba flags` | `0x` and 8 digits |
//! | `internal_lbasize external_lbasize nfree version_major version_minor log_index_0 log_index_1` | decimal |
//!
//! Offsets are in bytes from the first arena.

use btt_engine::ArenaInfo;
use core::fmt::{
    self,
    Debug, //
};
use kernel::{
    debugfs::{
        Scope,
        ScopedDir, //
    },
    prelude::*,
    str::CString, //
};
use kernel_ext::debugfs::Root;

/// The directory of all BTTs.
pub(crate) static ROOT: Root = Root::new(c"btt");

/// The directory of one BTT, removed when dropped.
pub(crate) struct BttDirectory {
    _scope: Pin<KBox<Scope<KVec<Arena>>>>,
}

impl BttDirectory {
    /// Makes the directory `name`, with one directory for each of the arenas; `ENXIO` if there is no directory of all BTTs.
    //
    // Not inlined: a copy of what it makes of an arena need not be on the stack while the BTT is opened.
    #[inline(never)]
    pub(crate) fn new(name: &CStr, arenas: impl Iterator<Item = ArenaInfo>) -> Result<Self> {
        let root = ROOT.get().ok_or(ENXIO)?;
        let mut files = KVec::new();

        for (index, arena) in arenas.enumerate() {
            files.push(Arena::new(index, &arena)?, GFP_KERNEL)?;
        }

        let scope = root.scope(files, name, |arenas: &KVec<Arena>, directory| {
            for arena in arenas {
                arena.publish(&directory.dir(&arena.name));
            }
        });
        Ok(Self {
            _scope: KBox::pin_init(scope, GFP_KERNEL)?,
        })
    }
}

/// A value of 64 bits, in 16 hexadecimal digits.
struct Wide(u64);

impl Debug for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// A value of 32 bits, in 8 hexadecimal digits.
struct Narrow(u32);

impl Debug for Narrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// The files of an arena.
struct Arena {
    name: CString,
    wide: [(&'static CStr, Wide); 8],
    narrow: [(&'static CStr, Narrow); 3],
    decimal: [(&'static CStr, u32); 7],
}

impl Arena {
    fn new(index: usize, arena: &ArenaInfo) -> Result<Self> {
        let geometry = &arena.info.geometry;
        let at = |offset: u64| Wide(arena.offset.saturating_add(offset));
        let next = match arena.info.next_offset {
            0 => Wide(0),
            offset => at(offset),
        };
        let (major, minor) = arena.info.version.numbers();
        // Slot numbers are less than four.
        let [first, second] = arena.flog_layout.slots().map(|slot| slot as u32);

        Ok(Self {
            name: CString::try_from_fmt(fmt!("arena{index}"))?,
            wide: [
                (c"size", Wide(arena.size())),
                (c"external_lba_start", Wide(arena.first_sector)),
                (c"nextoff", next),
                (c"infooff", at(0)),
                (c"dataoff", at(geometry.data_offset())),
                (c"mapoff", at(geometry.map_offset())),
                (c"logoff", at(geometry.flog_offset())),
                (c"info2off", at(geometry.info2_offset())),
            ],
            narrow: [
                (c"internal_nlba", Narrow(geometry.internal_nlba())),
                (c"external_nlba", Narrow(geometry.external_nlba())),
                (c"flags", Narrow(arena.info.error.into())),
            ],
            decimal: [
                (c"internal_lbasize", geometry.internal_lba_size()),
                (c"external_lbasize", geometry.lba_size().bytes()),
                (c"nfree", geometry.nfree()),
                (c"version_major", major.into()),
                (c"version_minor", minor.into()),
                (c"log_index_0", first),
                (c"log_index_1", second),
            ],
        })
    }

    fn publish<'data>(&'data self, directory: &ScopedDir<'data, '_>) {
        for (name, value) in &self.wide {
            directory.read_only_file(name, value);
        }
        for (name, value) in &self.narrow {
            directory.read_only_file(name, value);
        }
        for (name, value) in &self.decimal {
            directory.read_only_file(name, value);
        }
    }
}
