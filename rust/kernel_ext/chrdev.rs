// SPDX-License-Identifier: GPL-2.0

//! Character devices whose only operation is ioctl.
//!
//! One [`Registration`] covers a major number and 256 minors. Opening a node always succeeds: each
//! call looks up the object of its minor, so an object may disappear while its node is open. A seek
//! succeeds and does nothing.
//!
//! A [`Registration`] owns its major number. There are no locks here.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::sys;
use core::marker::PhantomData;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// `O_ACCMODE`: the access mode in the flags of a file; 0 is `O_RDONLY`.
const ACCESS_MODE: c_uint = 3;

/// Number of minors of a registration.
pub const MINORS: u32 = 256;

/// One ioctl call.
#[derive(Clone, Copy)]
pub struct Call {
    /// Minor number of the device node.
    pub minor: u32,
    /// Whether the node was opened for more than reading. That includes access mode 3, which allows
    /// ioctls only and requires permission to read and to write.
    pub writable: bool,
    /// The command number that user space passed.
    pub command: u32,
    /// The argument that user space passed, in most cases an address.
    pub argument: usize,
}

/// The operations of a character device.
pub trait Operations: 'static {
    /// The module that registers the device. It cannot be unloaded while a node of the device is
    /// open.
    const MODULE: &'static ThisModule;

    /// Serves a call from a 64-bit or 32-bit process. Arguments must have the same layout for both.
    fn ioctl(call: Call) -> Result<c_long>;
}

/// Keeps a character device registered.
///
/// Open files may outlive it. All that they can still reach is the constant table of operations and
/// its code, which [`Operations::MODULE`] keeps loaded.
///
/// # Invariants
///
/// The first [`MINORS`] minors of `major` are registered under `name`.
pub struct Registration<O: Operations> {
    major: u32,
    name: &'static CStr,
    _operations: PhantomData<fn() -> O>,
}

impl<O: Operations> Registration<O> {
    const OPERATIONS: &'static sys::file_operations = &sys::file_operations {
        owner: O::MODULE.as_ptr(),
        unlocked_ioctl: Some(Self::ioctl_callback),
        compat_ioctl: Some(Self::compat_ioctl_callback),
        llseek: Some(sys::noop_llseek),
        ..pin_init::zeroed()
    };

    /// Registers a device, called `name` in `/proc/devices`, with a dynamic major number. `EBUSY`:
    /// no major number is left. `ENOMEM`: out of memory.
    pub fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: The name is a static C string. The table is a constant of the module that is its
        // owner, to which open files hold a reference. 0 asks for a dynamic major number. The
        // function may sleep, as this one may.
        let major =
            unsafe { sys::__register_chrdev(0, 0, MINORS, name.as_char_ptr(), Self::OPERATIONS) };
        to_result(major)?;
        // INVARIANT: The device was just registered. A major number is not negative.
        Ok(Self {
            major: major.unsigned_abs(),
            name,
            _operations: PhantomData,
        })
    }

    /// Returns the major number.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Serves a call on `file`.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this device that stays open during the call.
    unsafe fn call(file: *mut sys::file, command: c_uint, argument: usize) -> c_long {
        // SAFETY: The caller passes an open file, which stays open during the call. An open file
        // has an inode, whose device number does not change. The access mode in the flags does not
        // change either, though other flags may.
        let (number, flags) = unsafe { ((*(*file).f_inode).i_rdev, (*file).f_flags) };
        from_result(|| {
            O::ioctl(Call {
                minor: number & 0xf_ffff,
                writable: flags & ACCESS_MODE != 0,
                command,
                argument,
            })
        })
    }

    /// Serves a native call.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this device that stays open during the call. Only the VFS may
    /// call this.
    unsafe extern "C" fn ioctl_callback(
        file: *mut sys::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // SAFETY: The caller passes an open file of this device, to which the system call holds a
        // reference.
        unsafe { Self::call(file, command, argument) }
    }

    /// Serves a call of a 32-bit process.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this device that stays open during the call. Only the VFS may
    /// call this.
    unsafe extern "C" fn compat_ioctl_callback(
        file: *mut sys::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // A 32-bit process cannot set the upper half of the argument.
        // SAFETY: The caller passes an open file of this device, to which the system call holds a
        // reference.
        unsafe { Self::call(file, command, argument & 0xffff_ffff) }
    }
}

impl<O: Operations> Drop for Registration<O> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant these numbers are registered under this name. They are
        // unregistered once. Open files only use the constant table afterwards. The function may
        // sleep, as the owner of a registration may.
        unsafe { sys::__unregister_chrdev(self.major, 0, MINORS, self.name.as_char_ptr()) };
    }
}
