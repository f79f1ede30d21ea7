// SPDX-License-Identifier: GPL-2.0

//! The medium of a namespace: its mapped memory, and the media errors that are known in it.
//!
//! A [`NamespaceMemory`] owns the mapping and a list of bad sectors, and holds a reference to the
//! region. Its user looks at the list before each access ([`is_bad`](NamespaceMemory::is_bad)):
//! a load of a bad sector is a machine check, and not every platform makes a sector good when it is
//! stored to. So a bad sector is [cleared](NamespaceMemory::clear) before it is written:
//!
//! 1. The provider clears the poison. The bus and the region forget it.
//! 2. The lines of the sector are removed from the caches.
//! 3. The sector is removed from the list.
//! 4. Threads that poll the list's attribute are woken.
//! 5. The user writes the sector.
//!
//! A list has room for 512 runs. Errors that do not fit are left out. If a run would have to be
//! split and the list is full, the rest of the run is removed from it. In both cases the bus
//! forgets the errors as well, until a scrub finds them again: a later write would not clear them,
//! so they would be taken for bad although they were written.
//!
//! There are no locks here. The list has its own.

use crate::Region;
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        SetOnce, //
    },
};
use kernel_ext::{
    badblocks::Badblocks,
    block::{
        SECTOR_SHIFT,
        SECTOR_SIZE, //
    },
    device::TypedDevice,
    memory::PmemRange,
    sysfs::Notifier, //
};

/// The known media errors of a [`NamespaceMemory`].
#[pin_data]
pub struct MediaErrors {
    #[pin]
    badblocks: Badblocks,
    /// Set if threads can poll an attribute that shows the list.
    changed: SetOnce<Notifier>,
}

impl MediaErrors {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            badblocks <- Badblocks::new(),
            changed: SetOnce::new(),
        })
    }
}

/// The place of the [`MediaErrors`] of a [`NamespaceMemory`].
///
/// Each request looks at the list. In a disk, which is pinned, it is part of the object. The medium
/// of a BTT is moved while the BTT is opened, and is accessed several times a sector. Its errors
/// have an allocation of their own, so that nothing in the medium can change while it is borrowed:
/// the compiler keeps its fields in registers then.
pub trait ErrorPlace {
    /// Returns the errors.
    fn errors(&self) -> &MediaErrors;
}

impl ErrorPlace for MediaErrors {
    #[inline(always)]
    fn errors(&self) -> &MediaErrors {
        self
    }
}

impl ErrorPlace for Pin<KBox<MediaErrors>> {
    #[inline(always)]
    fn errors(&self) -> &MediaErrors {
        self
    }
}

/// The memory of a namespace, or a part of it, with its known media errors.
///
/// Offsets and lengths are in bytes from the start of the memory. Errors are known and cleared in
/// sectors of 512 bytes.
#[pin_data]
pub struct NamespaceMemory<E: ErrorPlace = Pin<KBox<MediaErrors>>> {
    range: PmemRange,
    region: ARef<TypedDevice<Region>>,
    #[pin]
    errors: E,
}

impl NamespaceMemory {
    /// Takes `range`, which is part of `region`, and lists its known media errors. `ENOMEM`: there
    /// is no memory for the list.
    pub fn new(range: PmemRange, region: &TypedDevice<Region>) -> Result<Self> {
        let memory = Self {
            range,
            region: region.into(),
            errors: KBox::pin_init(MediaErrors::new(), GFP_KERNEL)?,
        };
        memory.populate();
        Ok(memory)
    }

    /// Returns the mapped memory.
    pub fn into_range(self) -> PmemRange {
        self.range
    }
}

impl NamespaceMemory<MediaErrors> {
    /// Returns an initialiser that takes `range`, which is part of `region`, and lists its known
    /// media errors. `ENOMEM`: there is no memory for the list.
    pub fn pinned(range: PmemRange, region: &TypedDevice<Region>) -> impl PinInit<Self, Error> {
        let region = ARef::from(region);
        try_pin_init!(Self {
            range,
            region,
            errors <- MediaErrors::new(),
        })
        .pin_chain(|memory| {
            memory.populate();
            Ok(())
        })
    }
}

impl<E: ErrorPlace> NamespaceMemory<E> {
    /// Returns the mapped memory. Accesses through it do not look at the list of errors.
    #[inline(always)]
    pub fn range(&self) -> &PmemRange {
        &self.range
    }

    /// Returns the region that the memory is part of.
    #[inline(always)]
    pub fn region(&self) -> &TypedDevice<Region> {
        &self.region
    }

    /// Returns the list of known bad sectors, counted from the start of the memory.
    #[inline(always)]
    pub fn badblocks(&self) -> &Badblocks {
        &self.errors.errors().badblocks
    }

    /// Sets the notifier of the attribute that shows the list. Without it, threads that poll the
    /// attribute are not woken.
    pub fn set_notifier(&self, notifier: Notifier) {
        self.errors.errors().changed.populate(notifier);
    }

    /// Returns `true` if a sector that the range touches is known to be bad.
    #[inline(always)]
    pub fn is_bad(&self, offset: u64, len: u64) -> bool {
        !self.badblocks().is_empty() && self.touches_bad(offset, len)
    }

    #[cold]
    fn touches_bad(&self, offset: u64, len: u64) -> bool {
        let Range { start, end } = sectors_touched_by(offset, len);

        self.badblocks().find(start, end - start).is_some()
    }

    /// Clears the known media errors of the sectors that the range touches. The caller writes them
    /// afterwards: their contents are undefined, and a provider without a command to clear poison
    /// leaves that to the store. May sleep if there are any errors.
    ///
    /// Errors are those of [`Region::clear_poison`]: some sectors could not be cleared, and stay in
    /// the list.
    #[cold]
    pub fn clear(&self, offset: u64, len: u64) -> Result {
        if !self.is_bad(offset, len) {
            return Ok(());
        }
        let sectors = sectors_touched_by(offset, len);
        let outcome = self
            .region
            .clear_poison(&self.range, self.badblocks(), sectors);

        // Some sectors may have been cleared before one could not be.
        self.wake_pollers();
        outcome
    }

    /// Adds new media errors of the region to the list, and wakes threads that poll it.
    pub fn revalidate(&self) {
        self.populate();
        self.wake_pollers();
    }

    fn populate(&self) {
        self.region
            .populate_badblocks(self.range.start(), self.range.len(), self.badblocks());
    }

    fn wake_pollers(&self) {
        if let Some(changed) = self.errors.errors().changed.as_ref() {
            changed.notify();
        }
    }
}

/// Returns the sectors that a range touches.
#[inline]
fn sectors_touched_by(offset: u64, len: u64) -> Range<u64> {
    let first = offset >> SECTOR_SHIFT;
    let end = offset.saturating_add(len).div_ceil(SECTOR_SIZE);

    first..end.max(first)
}
