// SPDX-License-Identifier: GPL-2.0

//! `<debugfs>/btt/bttR.I/`: layout and statistics of a BTT, and a check of it.
//!
//! `statistics` has one line for each counter: name and number. Writing `1` to `check` checks the
//! map and the free lists while the disk is in use ([`btt_engine::Btt::check`]), until the writer
//! gets a signal. Reading `check` returns the result of the last check. Reads from the disk do not
//! wait for a check, writes do.
//!
//! `arenaN/` has one value in each file:
//!
//! | Files | Form |
//! |---|---|
//! | `size external_lba_start nextoff` | `0x` and 16 digits |
//! | `infooff dataoff mapoff logoff info2off` | `0x` and 16 digits |
//! | `internal_nlba external_nlba flags` | `0x` and 8 digits |
//! | `internal_lbasize external_lbasize nfree` | decimal |
//! | `version_major version_minor log_index_0 log_index_1` | decimal |
//!
//! Offsets are in bytes from the first arena.

use crate::disk::BttDriver;
use btt_engine::{
    ArenaInfo,
    CheckError,
    Report, //
};
use core::fmt::{
    self,
    Debug,
    Formatter, //
};
use kernel::{
    debugfs::{
        Scope,
        ScopedDir, //
    },
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    },
    uaccess::UserSliceReader, //
};
use kernel_ext::debugfs::Root;

/// The directory of all BTTs.
pub(crate) static ROOT: Root = Root::new(c"btt");

/// The directory of one BTT. Dropping it removes the directory.
pub(crate) struct BttDirectory {
    _scope: Pin<KBox<Scope<Content>>>,
}

/// The contents of the files of a BTT.
#[pin_data]
struct Content {
    arenas: KVec<Arena>,
    driver: Arc<BttDriver>,
    #[pin]
    check: LastCheck,
}

impl BttDirectory {
    /// Creates the directory `name`, with a directory for each arena. `ENXIO` if there is no
    /// directory of all BTTs.
    //
    // Not inlined: a copy of the values of an arena need not be on the stack while the BTT is
    // opened.
    #[inline(never)]
    pub(crate) fn new(name: &CStr, driver: &Arc<BttDriver>) -> Result<Self> {
        let root = ROOT.get().ok_or(ENXIO)?;
        let content = try_pin_init!(Content {
            arenas: Arena::all(driver.btt().arenas())?,
            driver: driver.clone(),
            check <- LastCheck::new(driver.clone()),
        });

        let scope = root.scope(content, name, |content: &Content, directory| {
            directory.read_callback_file(c"statistics", &content.driver, &show_statistics);
            directory.read_write_callback_file(c"check", &content.check, &show_check, &run_check);
            for arena in &content.arenas {
                arena.publish(&directory.dir(&arena.name));
            }
        });
        Ok(Self {
            _scope: KBox::pin_init(scope, GFP_KERNEL)?,
        })
    }
}

fn show_statistics(driver: &Arc<BttDriver>, f: &mut Formatter<'_>) -> fmt::Result {
    let statistics = driver.statistics();

    for (name, value) in [
        ("sectors_written", statistics.writers.sectors),
        ("write_batches", statistics.writers.batches),
        ("write_fences", statistics.writers.fences),
        ("reader_waits", statistics.writers.reader_waits),
        ("finished_writes", statistics.finished_writes.into()),
        ("discards", statistics.discards),
        ("refusals", statistics.refusals),
        ("errors", statistics.errors),
    ] {
        writeln!(f, "{name} {value}")?;
    }
    Ok(())
}

/// The result of the last check, and the driver that makes checks. The lock is a leaf.
#[pin_data]
struct LastCheck {
    driver: Arc<BttDriver>,
    #[pin]
    result: Mutex<Option<Result<Report, CheckError>>>,
}

impl LastCheck {
    fn new(driver: Arc<BttDriver>) -> impl PinInit<Self> {
        pin_init!(Self {
            driver,
            result <- new_mutex!(None),
        })
    }
}

fn show_check(check: &LastCheck, f: &mut Formatter<'_>) -> fmt::Result {
    // Copied, so that the lock is not held while the result is printed.
    let result = *check.result.lock();

    match result {
        None => writeln!(f, "not checked yet"),
        Some(Ok(report)) => writeln!(f, "{report}"),
        Some(Err(CheckError::NoMemory)) => writeln!(f, "no memory to check"),
        Some(Err(CheckError::Busy)) => writeln!(f, "another check is in progress"),
        Some(Err(CheckError::Interrupted)) => writeln!(f, "interrupted by a signal"),
    }
}

/// Checks the BTT. `EINVAL`: something other than `1` was written. `EBUSY`: a check is in progress,
/// and its result will be shown. `EINTR`: the writer got a signal.
fn run_check(check: &LastCheck, reader: &mut UserSliceReader) -> Result {
    if reader.read::<u8>()? != b'1' {
        return Err(EINVAL);
    }

    let result = check.driver.check();
    if result != Err(CheckError::Busy) {
        *check.result.lock() = Some(result);
    }
    match result {
        Ok(_) => Ok(()),
        Err(CheckError::NoMemory) => Err(ENOMEM),
        Err(CheckError::Busy) => Err(EBUSY),
        Err(CheckError::Interrupted) => Err(EINTR),
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
    /// Returns the files of all arenas.
    fn all(arenas: impl Iterator<Item = ArenaInfo>) -> Result<KVec<Self>> {
        let mut files = KVec::new();

        for (index, arena) in arenas.enumerate() {
            files.push(Self::new(index, &arena)?, GFP_KERNEL)?;
        }
        Ok(files)
    }

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
