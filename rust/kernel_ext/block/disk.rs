// SPDX-License-Identifier: GPL-2.0

//! A bio-based disk, from its announcement to its removal.
//!
//! Order of the end of a disk: its [`Demotion`] is stopped, `del_gendisk` waits for the requests
//! under way and keeps new ones out, then the disk gives up its reference to the driver's value.
//! Open files may outlive that; what they can still reach of a driver is its code, which
//! [`Driver::MODULE`] keeps loaded, and [`Driver::GEOMETRY`], which is constant.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use super::{
    demotion::Attachment,
    Bio,
    Demotion,
    Limits, //
};
use crate::{
    badblocks::Badblocks,
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

/// The shape that a disk pretends to have for `HDIO_GETGEO`; the number of cylinders follows from
/// the capacity.
pub struct Geometry {
    /// Heads per cylinder, not zero.
    pub heads: u8,
    /// Sectors of 512 bytes per track, not zero.
    pub sectors: u8,
}

/// The driver of a bio-based disk. The value is what the driver keeps for one disk; it lives at
/// least until no request of the disk is under way any more.
pub trait Driver: Sized + Send + Sync + 'static {
    /// The module of the driver, which cannot be unloaded while a disk is open.
    const MODULE: &'static ThisModule;

    /// The answer to `HDIO_GETGEO`; without it the ioctl fails with `ENOTTY`.
    const GEOMETRY: Option<Geometry> = None;

    /// Carries out a request, in the context of its submitter, which may sleep. Requests are
    /// submitted concurrently.
    ///
    /// The request has to be ended before this returns: afterwards the driver may go away.
    fn submit(self: Pin<&Self>, bio: Bio);

    /// Returns the bad blocks that the attribute `badblocks` of the disk shows, and to which it
    /// adds.
    ///
    /// Asked once, when the disk is made: what is returned is borrowed until the disk is removed.
    fn badblocks(&self) -> Option<&Badblocks> {
        None
    }
}

/// What a disk is made from, beside its driver.
pub struct Parameters<'a> {
    /// Its name in `/dev` and `/sys/block`, at most 31 bytes.
    pub name: fmt::Arguments<'a>,
    /// Its size in sectors of 512 bytes, rounded down to its logical block size.
    pub capacity: u64,
    /// What it can do.
    pub limits: Limits,
    /// Whether it begins as read only.
    pub read_only: bool,
    /// What makes it read only later, if a request finds that it has to be.
    pub demotion: Option<Arc<Demotion>>,
}

/// A disk that is announced to the system, and removed when dropped.
///
/// It borrows its parent, which is bound for `'bound`: a disk cannot be kept for longer than the
/// driver of its parent is.
///
/// # Invariants
///
/// - `raw` is a valid disk that was added with `device_add_disk`; its `private_data` is an `Arc<T>`
///   made foreign, which is taken back by `drop` alone;
/// - `demotion` is attached to `raw`, if it is there.
pub struct Disk<'bound, T: Driver> {
    raw: NonNull<sys::gendisk>,
    demotion: Option<Attachment>,
    _driver: PhantomData<T>,
    _parent: PhantomData<&'bound device::Device<device::Bound>>,
}

// SAFETY: A disk may be removed by any thread, its driver may be used and dropped by any thread,
// and so may what is attached to it.
unsafe impl<T: Driver> Send for Disk<'_, T> {}

// SAFETY: The methods of a shared disk may be called by any thread, concurrently.
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

    /// Announces a disk as a child of `parent`, on the NUMA node of `parent`, to be driven by
    /// `driver`.
    ///
    /// Its partitions are scanned, so requests may arrive before this returns.
    pub fn new(
        parent: &'bound device::Device<device::Bound>,
        driver: Arc<T>,
        parameters: Parameters<'_>,
    ) -> Result<Self> {
        let capacity = parameters.limits.whole_blocks(parameters.capacity);
        let raw = allocate(parent, parameters.limits)?;
        let disk = ScopeGuard::new_with_data(raw, |raw| {
            // SAFETY: The disk was allocated above and was not added: this gives up its only
            // reference.
            unsafe { sys::put_disk(raw) }
        });

        // SAFETY: `raw` is valid, and nothing else refers to its name, as it was not added yet.
        NullTerminatedFormatter::new(unsafe { &mut (*raw).disk_name })
            .ok_or(EINVAL)?
            .write_fmt(parameters.name)?;

        let demotion = parameters.demotion.map(Demotion::take).transpose()?;
        let private = driver.into_foreign();
        let driver = ScopeGuard::new(|| {
            // SAFETY: `private` was made just above. The disk was not added, so no request borrows
            // it, and nothing looks at the list of bad blocks.
            drop(unsafe { Arc::<T>::from_foreign(private) });
        });
        // SAFETY: `private` was made above. It is taken back by the guard above if there will be no
        // disk, else by `Disk::drop`. Until then the value is borrowed here, so the list, which
        // `badblocks` has to return for any such borrow, stays where it is. The attribute that uses
        // it goes away in `del_gendisk`, before that.
        let badblocks = unsafe { Arc::<T>::borrow(private) }
            .badblocks()
            .map_or(ptr::null_mut(), |list| list.as_raw());

        // SAFETY: `raw` is valid, and nothing else refers to it, as it was not added yet: its
        // fields can be set, and no lock is needed for its capacity. CAST: The kernel crate knows
        // the list only by name.
        unsafe {
            (*raw).bb = badblocks.cast();
            (*raw).fops = Self::OPERATIONS;
            (*raw).private_data = private;
            sys::set_capacity(raw, capacity);
            sys::set_disk_ro(raw, parameters.read_only);
        }

        let parent = ptr::from_ref(parent).cast::<sys::device>().cast_mut();
        // SAFETY: `parent` is a valid, bound device; the disk is complete; there are no further
        // attribute groups.
        to_result(unsafe { sys::device_add_disk(parent, raw, ptr::null_mut()) })?;

        driver.dismiss();
        if let Some(demotion) = &demotion {
            // SAFETY: The disk is valid and was just added. It is removed by `Disk::drop`, which
            // drops this before.
            unsafe { demotion.attach(raw) };
        }
        // INVARIANT: The disk was added just above, its `private_data` was set before, and
        // `demotion` was attached to it.
        Ok(Self {
            // SAFETY: `from_err_ptr` passes only what `__blk_alloc_disk` returns as a disk, which
            // is not null.
            raw: unsafe { NonNull::new_unchecked(disk.dismiss()) },
            demotion,
            _driver: PhantomData,
            _parent: PhantomData,
        })
    }

    /// # Safety
    ///
    /// Called by the block layer only: `bio` is valid, was submitted to a disk with
    /// `Self::OPERATIONS`, and is handed over.
    unsafe extern "C" fn submit_bio(bio: *mut sys::bio) {
        // SAFETY: The block layer passes a valid bio, and the disk to which it was submitted is
        // valid.
        let private = unsafe { (*(*(*bio).bi_bdev).bd_disk).private_data };
        // SAFETY: `private_data` of a disk with these operations was made by `into_foreign`. It is
        // taken back after `del_gendisk`, which waits until this function has returned.
        let driver = unsafe { Arc::<T>::borrow(private) };
        // SAFETY: The block layer hands a valid bio, which is not null, over to this callback.
        let bio = unsafe { Bio::from_raw(NonNull::new_unchecked(bio)) };

        pinned(&driver).submit(bio);
    }

    /// # Safety
    ///
    /// Called by the block layer only: `disk` and `geometry` are valid, and `geometry` is not
    /// shared.
    unsafe extern "C" fn getgeo(
        disk: *mut sys::gendisk,
        geometry: *mut kernel::bindings::hd_geometry,
    ) -> c_int {
        let Some(Geometry { heads, sectors }) = T::GEOMETRY else {
            return ENOTTY.to_errno();
        };
        // CAST: The kernel crate knows `struct hd_geometry` only by name; ours is the full type.
        let geometry = geometry.cast::<sys::hd_geometry>();
        // SAFETY: By the safety requirements the disk is valid during the call, and it has been
        // opened, so it was added. This may run after `del_gendisk`, so it does not use the driver.
        let capacity = unsafe { DiskRef::from_raw(disk) }.capacity();
        let cylinder = u64::from(heads) * u64::from(sectors);
        let cylinders = capacity.checked_div(cylinder).unwrap_or(0);

        // SAFETY: By the safety requirements `geometry` is valid for writes. CAST: The field has
        // always been too small for large disks.
        unsafe {
            (*geometry).heads = heads;
            (*geometry).sectors = sectors;
            (*geometry).cylinders = cylinders as u16;
        }
        0
    }

    /// Tells whether the disk is read only.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: `raw` is a valid, added disk by the type invariant, and it is not removed while
        // `self` is borrowed.
        unsafe { DiskRef::from_raw(self.raw.as_ptr()) }.is_read_only()
    }

    /// Makes the disk read only, or writable again. User space is told if this changes anything.
    ///
    /// Requests cannot do so ([`Demotion`]): the event names the directories of the disk, which
    /// `del_gendisk` takes away before it waits for requests.
    pub fn set_read_only(&self, read_only: bool) {
        // SAFETY: The disk is valid and was added, by the type invariant, and it is not removed
        // while `self` is borrowed.
        unsafe { sys::set_disk_ro(self.raw.as_ptr(), read_only) };
    }

    /// What wakes those who poll the attribute `badblocks`.
    pub fn badblocks_notifier(&self) -> Result<Notifier> {
        let raw = self.raw.as_ptr();

        // SAFETY: By the type invariant the disk is valid and was added, and so was the device in
        // its `part0`; both are taken out of sysfs when `self` is dropped.
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
        // SAFETY: The disk is valid, and the field does not change once it was added.
        let private = unsafe { (*raw).private_data };

        // Before the removal, which takes directories away that an event about the disk is named
        // by.
        drop(self.demotion.take());

        // SAFETY: The disk is valid and was added, by the type invariant.
        unsafe { sys::del_gendisk(raw) };

        // SAFETY: By the type invariant this is a driver made foreign, and no request borrows it
        // after `del_gendisk`.
        drop(unsafe { Arc::<T>::from_foreign(private) });

        // SAFETY: This gives up the reference of the allocation, the last use of `raw`.
        unsafe { sys::put_disk(raw) };
    }
}

/// What an [`Arc`] holds is never moved.
#[inline]
fn pinned<'a, T>(driver: &'a ArcBorrow<'_, T>) -> Pin<&'a T> {
    // SAFETY: An `Arc` gives out its value by reference only, or pinned.
    unsafe { Pin::new_unchecked(driver) }
}

/// Allocates a disk on the NUMA node of `parent`.
///
/// Not inlined: the helper that it calls is not exported to the modules in which [`Disk`] is
/// instantiated.
#[inline(never)]
fn allocate(parent: &device::Device<device::Bound>, limits: Limits) -> Result<*mut sys::gendisk> {
    let parent = ptr::from_ref(parent).cast::<sys::device>().cast_mut();
    let mut limits = limits.to_raw();

    // SAFETY: `parent` is a valid device; `limits` is valid during the call, which copies it.
    from_err_ptr(unsafe {
        sys::__blk_alloc_disk(
            &mut limits,
            sys::dev_to_node(parent),
            static_lock_class!().as_ptr(),
        )
    })
}

/// A disk, whatever its driver. It may be removed meanwhile.
///
/// # Invariants
///
/// `raw` is a disk that was added, and stays valid while `'a` lasts.
#[derive(Clone, Copy)]
pub struct DiskRef<'a> {
    raw: *mut sys::gendisk,
    _disk: PhantomData<&'a sys::gendisk>,
}

impl<'a> DiskRef<'a> {
    /// # Safety
    ///
    /// `raw` is a disk that was added, and stays valid while `'a` lasts.
    #[inline]
    pub(super) unsafe fn from_raw(raw: *mut sys::gendisk) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            raw,
            _disk: PhantomData,
        }
    }

    /// Whether I/O statistics are switched on (`queue/iostats`).
    #[inline]
    pub(super) fn counts_io(self) -> bool {
        // `BLK_FEAT_IO_STAT`; helpers.c asserts that it is this bit.
        const FEATURE_IO_STAT: sys::blk_features_t = 1 << 4;

        // SAFETY: The disk is valid by the type invariant, and a disk has a queue as long as it
        // lives. The features may change meanwhile; a request is accounted by the state that it
        // sees first.
        unsafe {
            (&raw const (*(*self.raw).queue).limits.features).read_volatile() & FEATURE_IO_STAT != 0
        }
    }

    /// The size in sectors of 512 bytes; 0 after the removal of the disk.
    pub fn capacity(self) -> u64 {
        // SAFETY: The disk is valid by the type invariant, and `part0` lives as long as the disk.
        // The capacity may be set to 0 meanwhile.
        unsafe { (&raw const (*(*self.raw).part0).bd_nr_sectors).read_volatile() }
    }

    /// Whether the driver made the disk read only.
    pub fn is_read_only(self) -> bool {
        // SAFETY: The disk is valid by the type invariant. Other bits of the word may change
        // meanwhile.
        let state = unsafe { (&raw const (*self.raw).state).read_volatile() };

        state & (1 << sys::GD_READ_ONLY) != 0
    }
}
