// SPDX-License-Identifier: GPL-2.0

//! The raw disk: the bytes of a namespace, or of the data of a pfn device.
//!
//! Sector n of the disk is bytes 512 n to 512 n + 511 of its memory. When a write ends, it is no
//! longer in a cache, but it may be in the write queue of the memory controller. It is durable
//! after a flush, or when it ends if it has FUA, because the region is fenced then.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
};
use kernel_ext::{
    badblocks::Badblocks,
    block::{
        self,
        Bio,
        BlockSize,
        Disk,
        Limits,
        Operation,
        Parameters,
        Sink,
        Source,
        SECTOR_SHIFT, //
    },
    device::TypedDevice,
    error::eopnotsupp,
    memory::PmemRange, //
};
use nd::{
    namespace::{
        DiskName,
        MediaErrors,
        NamespaceMemory, //
    },
    Namespace,
    Region, //
};

/// A raw disk. Dropping it removes the disk. It borrows the bound device, so it cannot outlive the
/// binding.
pub(crate) struct RawDisk<'bound> {
    // Drop order: 1. the disk, with the requests in flight and those that its removal submits;
    // 2. the region, which is fenced and so makes them durable.
    disk: Disk<'bound, RawDriver>,
    driver: Arc<RawDriver>,
    region: FencedRegion,
}

/// A region whose memory is fenced when this is dropped.
struct FencedRegion(ARef<TypedDevice<Region>>);

impl Drop for FencedRegion {
    fn drop(&mut self) {
        self.0.fence();
    }
}

impl<'bound> RawDisk<'bound> {
    /// Adds a disk over `range`, memory of `namespace`, as a child of `device`.
    pub(crate) fn new(
        device: &'bound Device<Bound>,
        namespace: &TypedDevice<Namespace>,
        range: PmemRange,
    ) -> Result<Self> {
        let region: ARef<TypedDevice<Region>> = namespace.region().into();
        let capacity = range.len() >> SECTOR_SHIFT;
        let driver = Arc::pin_init(RawDriver::new(range, &region), GFP_KERNEL)?;

        let disk = Disk::new(
            device,
            driver.clone(),
            Parameters {
                name: fmt!("{}", DiskName(namespace)),
                capacity,
                limits: limits(namespace),
                read_only: region.is_read_only(),
                deferred_read_only: None,
            },
        )?;

        // Without it threads that poll the attribute are not woken. All else works.
        if let Ok(notifier) = disk.badblocks_notifier() {
            driver.memory.set_notifier(notifier);
        }
        Ok(Self {
            disk,
            driver,
            region: FencedRegion(region),
        })
    }

    /// Adds new media errors of the region to the list, and wakes the threads that poll it.
    pub(crate) fn revalidate_poison(&self) {
        self.driver.memory.revalidate();
    }

    /// Makes the disk read only or writable, as its region is.
    pub(crate) fn revalidate_region(&self) {
        let region = &self.region.0;
        let read_only = region.is_read_only();

        if self.disk.is_read_only() != read_only {
            dev_info!(
                region,
                "is now {}, and its disk as well\n",
                if read_only { "read only" } else { "writable" }
            );
            self.disk.set_read_only(read_only);
        }
    }
}

/// Returns the queue limits of the disk.
fn limits(namespace: &TypedDevice<Namespace>) -> Limits {
    let limits = Limits::new(block_size(namespace))
        .physical_block_size(BlockSize::PAGE)
        .write_cache()
        .synchronous()
        .nowait();

    match namespace.region().needs_flush() {
        Some(true) => limits.fua(),
        Some(false) => limits,
        None => {
            dev_warn!(
                namespace,
                "unable to guarantee persistence of writes: its region has no DIMMs\n"
            );
            limits
        }
    }
}

/// Returns the logical block size of the disk: that of the namespace's label, or 512 bytes.
fn block_size(namespace: &TypedDevice<Namespace>) -> BlockSize {
    match namespace.sector_size() {
        Some(4096) => BlockSize::PAGE,
        None | Some(0 | 512) => BlockSize::SECTOR,
        Some(other) => {
            dev_warn!(
                namespace,
                "its label has a sector size of {other}, 512 or 4096 expected: 512 is used\n"
            );
            BlockSize::SECTOR
        }
    }
}

/// The driver of a raw disk, and its memory.
#[pin_data]
struct RawDriver {
    #[pin]
    memory: NamespaceMemory<MediaErrors>,
}

impl block::Driver for RawDriver {
    const MODULE: &'static ThisModule = kernel_compat::this_module!();

    #[inline]
    fn submit(self: Pin<&Self>, mut bio: Bio) {
        if bio.preflush() {
            self.memory.region().fence();
        }
        // An empty flush, whose sector may be outside of the disk. Linux 7.3 does not account it
        // any more.
        if bio.is_empty() {
            return bio.end(Ok(()));
        }
        bio.start_accounting();
        let outcome = self.execute(&bio);
        bio.end(outcome);
    }

    fn badblocks(&self) -> Option<&Badblocks> {
        Some(self.memory.badblocks())
    }
}

impl RawDriver {
    fn new(range: PmemRange, region: &TypedDevice<Region>) -> impl PinInit<Self, Error> + '_ {
        try_pin_init!(Self {
            memory <- NamespaceMemory::pinned(range, region),
        })
    }

    #[inline]
    fn execute(&self, bio: &Bio) -> Result {
        match bio.operation() {
            Operation::Read(sink) => self.read(bio, sink),
            Operation::Write(source) => {
                self.write(bio, source)?;
                if bio.fua() {
                    self.memory.region().fence();
                }
                Ok(())
            }
            Operation::Discard | Operation::WriteZeroes | Operation::Other(_) => Err(eopnotsupp()),
        }
    }

    #[inline]
    fn read(&self, bio: &Bio, sink: Sink<'_>) -> Result {
        if self.memory.is_bad(bio.position(), bio.len() as u64) {
            return Err(EIO);
        }
        Ok(self.memory.range().read_rest(bio.position(), sink)?)
    }

    #[inline]
    fn write(&self, bio: &Bio, source: Source<'_>) -> Result {
        let len = bio.len() as u64;

        if self.memory.is_bad(bio.position(), len) {
            if bio.nowait() {
                // The provider may sleep.
                return Err(EAGAIN);
            }
            // Other errors of the provider mean something else to submitters.
            self.memory.clear(bio.position(), len).map_err(|_| EIO)?;
        }
        Ok(self.memory.range().write_rest(bio.position(), source)?)
    }
}
