// SPDX-License-Identifier: GPL-2.0

//! A bio-based disk, from its registration to its removal.
//!
//! Teardown:
//!
//! 1. stop the [`DeferredReadOnly`];
//! 2. `del_gendisk()` waits for the requests in flight and blocks new ones;
//! 3. drop the disk's reference to the driver.
//!
//! Open files may outlive that. All that they can still reach of a driver is its code, which
//! [`Driver::MODULE`] keeps loaded, and [`Driver::GEOMETRY`], which is constant.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use super::{
    deferred_read_only::Attachment,
    Bio,
    DeferredReadOnly,
    Limits, //
};
use crate::{
    badblocks::Badblocks,
    device::as_raw,
    sys,
    sysfs::{
        AttributePath,
        Notifier, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    device,
    error::{
        from_err_ptr,
        to_result, //
    },
    fmt::{
        self,
        Write as _, //
    },
    prelude::*,
    static_lock_class,
    str::NullTerminatedFormatter,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        ScopeGuard, //
    },
};

/// The geometry that a disk reports for `HDIO_GETGEO`. The number of cylinders follows from the
/// capacity.
pub struct Geometry {
    /// Heads per cylinder, not zero.
    pub heads: u8,
    /// Sectors of 512 bytes per track, not zero.
    pub sectors: u8,
}

/// The driver of a bio-based disk. The value is the driver's data for one disk; it lives at least
/// until the disk has no request in flight.
pub trait Driver: Sized + Send + Sync + 'static {
    /// The module of the driver. It cannot be unloaded while the disk is open.
    const MODULE: &'static ThisModule;

    /// The answer to `HDIO_GETGEO`. With `None` the ioctl fails with `ENOTTY`.
    const GEOMETRY: Option<Geometry> = None;

    /// Executes a request in the context of its submitter, which may sleep. Requests are submitted
    /// concurrently.
    ///
    /// The driver must end the request before this returns, as its data may be dropped afterwards.
    fn submit(self: Pin<&Self>, bio: Bio);

    /// Returns the bad blocks that the attribute `badblocks` of the disk shows and adds to.
    ///
    /// Called once, when the disk is created. The result is borrowed until the disk is removed.
    fn badblocks(&self) -> Option<&Badblocks> {
        None
    }
}

/// The properties of a new disk.
pub struct Parameters<'a> {
    /// Its name in `/dev` and `/sys/block`, at most 31 bytes.
    pub name: fmt::Arguments<'a>,
    /// Its size in sectors of 512 bytes. It is rounded down to the logical block size.
    pub capacity: u64,
    /// Its capabilities.
    pub limits: Limits,
    /// Whether it is read-only at first.
    pub read_only: bool,
    /// Makes it read-only later, if a request finds that necessary.
    pub deferred_read_only: Option<Arc<DeferredReadOnly>>,
}

/// A disk that was added to the system. Dropping it removes the disk. May sleep.
///
/// It borrows its parent, which is bound for `'bound`, so it cannot outlive the binding of its
/// parent to a driver.
///
/// # Invariants
///
/// - `raw` is a valid disk that was added with `device_add_disk` and not removed. Its
///   `private_data` comes from `Arc::<T>::into_foreign`, and only `drop` takes it back;
/// - `deferred_read_only`, if there is one, is attached to `raw`.
pub struct Disk<'bound, T: Driver> {
    raw: NonNull<sys::gendisk>,
    deferred_read_only: Option<Attachment>,
    _driver: PhantomData<T>,
    _parent: PhantomData<&'bound device::Device<device::Bound>>,
}

// SAFETY: A disk may be removed by any thread, and `T` and `Attachment` are `Send` and `Sync`.
unsafe impl<T: Driver> Send for Disk<'_, T> {}

// SAFETY: All methods of a shared disk may be called by several threads concurrently.
unsafe impl<T: Driver> Sync for Disk<'_, T> {}

impl<'bound, T: Driver> Disk<'bound, T> {
    const OPERATIONS: &'static sys::block_device_operations = &sys::block_device_operations {
        submit_bio: Some(Self::submit_bio),
        getgeo: if T::GEOMETRY.is_some() {
            Some(Self::getgeo)
        } else {
            None
        },
        owner: T::MODULE.as_ptr(),
        ..pin_init::zeroed()
    };

    /// Adds a disk below `parent`, on the NUMA node of `parent`, which `driver` drives.
    ///
    /// The block layer scans its partitions, so requests may arrive before this returns.
    ///
    /// `EINVAL`: the name is too long. `EBUSY`: `deferred_read_only` was used for another disk.
    /// Otherwise the error of the block layer.
    pub fn new(
        parent: &'bound device::Device<device::Bound>,
        driver: Arc<T>,
        parameters: Parameters<'_>,
    ) -> Result<Self> {
        let capacity = parameters.limits.whole_blocks(parameters.capacity);
        let raw = allocate(parent, parameters.limits)?;
        let disk = ScopeGuard::new_with_data(raw, |raw| {
            // SAFETY: The disk was allocated above and was not added. This drops its only
            // reference, once.
            unsafe { sys::put_disk(raw) }
        });

        // SAFETY: `raw` is valid. Nothing else refers to its name, as the disk was not added yet.
        NullTerminatedFormatter::new(unsafe { &mut (*raw).disk_name })
            .ok_or(EINVAL)?
            .write_fmt(parameters.name)?;

        let deferred_read_only = parameters
            .deferred_read_only
            .map(DeferredReadOnly::take)
            .transpose()?;
        let private = driver.into_foreign();
        let driver = ScopeGuard::new(|| {
            // SAFETY: `private` comes from `into_foreign` and is taken back once, as the guard runs
            // only if there will be no `Disk`. The disk was not added, or adding it has failed, so
            // no request borrows the value and nothing uses its list of bad blocks.
            drop(unsafe { Arc::<T>::from_foreign(private) });
        });
        // SAFETY: `private` comes from `into_foreign`. It is taken back by the guard above if there
        // will be no disk, else by `Disk::drop`. The value is borrowed here until then, so the list
        // that `badblocks` returns stays where it is. `del_gendisk` removes the attribute that uses
        // the list before that.
        let badblocks = unsafe { Arc::<T>::borrow(private) }
            .badblocks()
            .map_or(ptr::null_mut(), |list| list.as_raw());

        // SAFETY: `raw` is valid. Nothing else refers to it, as it was not added yet, so its fields
        // may be set, and its capacity without a lock. The table of operations is static, and
        // `private_data` is what its callbacks expect. CAST: In the kernel crate the type of the
        // list is opaque.
        unsafe {
            (*raw).bb = badblocks.cast();
            (*raw).fops = Self::OPERATIONS;
            (*raw).private_data = private;
            sys::set_capacity(raw, capacity);
            sys::set_disk_ro(raw, parameters.read_only);
        }

        // SAFETY: `parent` is a valid device that is bound, so it is registered. The disk is
        // complete and was not added before. Null stands for no further attribute groups. The
        // function may sleep, as this one may.
        to_result(unsafe { sys::device_add_disk(as_raw(parent), raw, ptr::null_mut()) })?;

        driver.dismiss();
        if let Some(deferred_read_only) = &deferred_read_only {
            // SAFETY: The disk is valid and was just added. Only `Disk::drop` removes it, and it
            // drops `deferred_read_only` before.
            unsafe { deferred_read_only.attach(raw) };
        }
        // INVARIANT: The disk was added above, its `private_data` was set before that, and
        // `deferred_read_only` is attached to it.
        Ok(Self {
            // SAFETY: `__blk_alloc_disk` returns a disk or an error pointer, and never null;
            // `allocate` has turned an error pointer into an error.
            raw: unsafe { NonNull::new_unchecked(disk.dismiss()) },
            deferred_read_only,
            _driver: PhantomData,
            _parent: PhantomData,
        })
    }

    /// Passes a request to the driver.
    ///
    /// # Safety
    ///
    /// `bio` must be valid, submitted to a disk with `Self::OPERATIONS`, and owned by the caller,
    /// which gives up ownership. Only the block layer may call this.
    unsafe extern "C" fn submit_bio(bio: *mut sys::bio) {
        // SAFETY: The caller passes a valid bio. Its submitter holds the block device open, so its
        // disk is valid. `private_data` does not change after the disk was added.
        let private = unsafe { (*(*(*bio).bi_bdev).bd_disk).private_data };
        // SAFETY: `private_data` of a disk with these operations comes from
        // `Arc::<T>::into_foreign`. It is taken back after `del_gendisk`, which waits until this
        // function has returned.
        let driver = unsafe { Arc::<T>::borrow(private) };
        // SAFETY: The caller passes a valid bio, which is not null, and gives up its ownership. It
        // was submitted to a `Disk`.
        let bio = unsafe { Bio::from_raw(NonNull::new_unchecked(bio)) };

        pinned(&driver).submit(bio);
    }

    /// Answers `HDIO_GETGEO`.
    ///
    /// # Safety
    ///
    /// `disk` must be a valid disk that was added, and `geometry` valid for writes and not shared.
    /// Only the block layer may call this.
    unsafe extern "C" fn getgeo(
        disk: *mut sys::gendisk,
        geometry: *mut kernel::bindings::hd_geometry,
    ) -> c_int {
        let Some(Geometry { heads, sectors }) = T::GEOMETRY else {
            return ENOTTY.to_errno();
        };
        // CAST: In the kernel crate `struct hd_geometry` is opaque; `sys` has the full type.
        let geometry = geometry.cast::<sys::hd_geometry>();
        // SAFETY: The caller passes a valid disk that was added, and which stays valid during the
        // call. This may run after `del_gendisk`, so it must not use the driver.
        let capacity = unsafe { DiskRef::from_raw(disk) }.capacity();
        let cylinder = u64::from(heads) * u64::from(sectors);
        let cylinders = capacity.checked_div(cylinder).unwrap_or(0);

        // SAFETY: The caller passes a geometry that is valid for writes and not shared. CAST: The
        // field is too small for large disks and wraps, as in C drivers.
        unsafe {
            (*geometry).heads = heads;
            (*geometry).sectors = sectors;
            (*geometry).cylinders = cylinders as u16;
        }
        0
    }

    /// Returns `true` if the disk is read-only.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: By the type invariant `raw` is a valid disk that was added. It is not removed
        // while `self` is borrowed.
        unsafe { DiskRef::from_raw(self.raw.as_ptr()) }.is_read_only()
    }

    /// Makes the disk read-only or writable. Sends a uevent if that changes anything. May sleep.
    ///
    /// Code that executes requests must use [`DeferredReadOnly`] instead: the uevent needs the
    /// sysfs directories of the disk, which `del_gendisk` removes before it waits for requests.
    pub fn set_read_only(&self, read_only: bool) {
        // SAFETY: By the type invariant the disk is valid and was added. It is not removed while
        // `self` is borrowed, so it is in sysfs.
        unsafe { sys::set_disk_ro(self.raw.as_ptr(), read_only) };
    }

    /// Returns a notifier for pollers of the attribute `badblocks`. `ENOENT`: the disk has no such
    /// attribute.
    pub fn badblocks_notifier(&self) -> Result<Notifier> {
        let raw = self.raw.as_ptr();

        // SAFETY: By the type invariant the disk is valid and was added, and with it the device in
        // its `part0`. They leave sysfs only when `self` is dropped.
        unsafe {
            Notifier::of_device(
                &raw const (*(*raw).part0).bd_device,
                AttributePath::new(c"badblocks"),
            )
        }
    }
}

impl<T: Driver> Drop for Disk<'_, T> {
    fn drop(&mut self) {
        let raw = self.raw.as_ptr();
        // SAFETY: By the type invariant the disk is valid. The field does not change after the disk
        // was added.
        let private = unsafe { (*raw).private_data };

        // This comes before the removal, which deletes sysfs directories that the uevent of the
        // change needs.
        drop(self.deferred_read_only.take());

        // SAFETY: By the type invariant the disk is valid and was added; it is removed once. Its
        // last user in the background, the deferred change, was stopped. The function may sleep, as
        // the owner of a disk may.
        unsafe { sys::del_gendisk(raw) };

        // SAFETY: By the type invariant this comes from `Arc::<T>::into_foreign` and is taken back
        // here alone. No request borrows it after `del_gendisk`.
        drop(unsafe { Arc::<T>::from_foreign(private) });

        // SAFETY: This drops the reference of the allocation, which `self` owned. `raw` is not used
        // afterwards.
        unsafe { sys::put_disk(raw) };
    }
}

/// Pins the content of an [`Arc`], which never moves.
#[inline]
fn pinned<'a, T>(driver: &'a ArcBorrow<'_, T>) -> Pin<&'a T> {
    // SAFETY: An `Arc` gives access to its value by shared reference or pinned only, so the value
    // does not move before it is dropped.
    unsafe { Pin::new_unchecked(driver) }
}

/// Allocates a disk on the NUMA node of `parent`.
///
/// Not inlined, as the helper that it calls is not exported to the modules in which [`Disk`] is
/// instantiated.
#[inline(never)]
fn allocate(parent: &device::Device<device::Bound>, limits: Limits) -> Result<*mut sys::gendisk> {
    let mut limits = limits.to_raw();

    // SAFETY: `parent` is a valid device. The function copies `limits`, which is valid during the
    // call, and the lock class is static. It may sleep, as this function may.
    from_err_ptr(unsafe {
        sys::__blk_alloc_disk(
            &mut limits,
            sys::dev_to_node(as_raw(parent)),
            static_lock_class!().as_ptr(),
        )
    })
}

/// A disk of any driver. It may be removed concurrently.
///
/// # Invariants
///
/// `raw` is a disk that was added, and stays valid during `'a`.
#[derive(Clone, Copy)]
pub struct DiskRef<'a> {
    raw: *mut sys::gendisk,
    _disk: PhantomData<&'a sys::gendisk>,
}

impl<'a> DiskRef<'a> {
    /// Returns a reference to a disk.
    ///
    /// # Safety
    ///
    /// `raw` must be a disk that was added, and stay valid during `'a`.
    #[inline]
    pub(super) unsafe fn from_raw(raw: *mut sys::gendisk) -> Self {
        // INVARIANT: The caller passes a disk that was added and that stays valid during `'a`.
        Self {
            raw,
            _disk: PhantomData,
        }
    }

    /// Returns `true` if I/O statistics are enabled (`queue/iostats`).
    #[inline]
    pub(super) fn counts_io(self) -> bool {
        // `BLK_FEAT_IO_STAT`; helpers.c asserts that it is this bit.
        const FEATURE_IO_STAT: sys::blk_features_t = 1 << 4;

        // SAFETY: By the type invariant the disk is valid, and a disk has a queue as long as it
        // lives. The features may change concurrently, hence the volatile read.
        unsafe {
            (&raw const (*(*self.raw).queue).limits.features).read_volatile() & FEATURE_IO_STAT != 0
        }
    }

    /// Returns the size in sectors of 512 bytes; 0 after the removal of the disk.
    pub fn capacity(self) -> u64 {
        // SAFETY: By the type invariant the disk is valid, and `part0` lives as long as the disk.
        // The capacity may be set to 0 concurrently, hence the volatile read.
        unsafe { (&raw const (*(*self.raw).part0).bd_nr_sectors).read_volatile() }
    }

    /// Returns `true` if the driver has made the disk read-only.
    pub fn is_read_only(self) -> bool {
        // SAFETY: By the type invariant the disk is valid. Other bits of the word may change
        // concurrently, hence the volatile read.
        let state = unsafe { (&raw const (*self.raw).state).read_volatile() };

        state & (1 << sys::GD_READ_ONLY) != 0
    }
}
