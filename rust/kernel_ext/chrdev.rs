// SPDX-License-Identifier: GPL-2.0

//! Character devices whose only operation is ioctl.
//!
//! One [`Registration`] covers a major number and 256 minors. Opening never fails: what a minor
//! stands for is looked up in each call, so an object may go while its node is open. A seek is
//! accepted and does nothing.
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

/// `O_ACCMODE`: the part of a file's flags that says what it was opened for; 0 is `O_RDONLY`.
const ACCESS_MODE: c_uint = 3;

/// Minors of a registration.
pub const MINORS: u32 = 256;

/// One ioctl call.
#[derive(Clone, Copy)]
pub struct Call {
    /// Minor number of the node.
    pub minor: u32,
    /// Whether the node was opened for more than reading. That includes access mode 3, which is for
    /// ioctl only and takes the permission to read and to write.
    pub writable: bool,
    /// The command number that user space passed.
    pub command: u32,
    /// The argument that user space passed; an address in most cases.
    pub argument: usize,
}

/// The operations of a character device.
pub trait Operations: 'static {
    /// The module that registers the device. It cannot be unloaded while a file of the device is
    /// open.
    const MODULE: &'static ThisModule;

    /// Serves a call, native or from a 32-bit process: arguments must have the same layout for
    /// both.
    fn ioctl(call: Call) -> Result<c_long>;
}

/// Keeps a character device registered.
///
/// Open files may outlive it. All that they reach is the constant table of operations and the code
/// behind it, which [`Operations::MODULE`] keeps loaded.
///
/// # Invariants
///
/// `major` with its first [`MINORS`] minors was registered under `name`.
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

    /// Registers a device called `name` in `/proc/devices`, with a major number of the kernel's
    /// choice.
    pub fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: The name is a C string. The table is constant; files that are open hold a
        // reference to the module that it is part of, which is its owner.
        let major =
            unsafe { sys::__register_chrdev(0, 0, MINORS, name.as_char_ptr(), Self::OPERATIONS) };
        to_result(major)?;
        // INVARIANT: The device was just registered; what is not negative fits.
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
    /// `file` must be an open file of this device.
    unsafe fn call(file: *mut sys::file, command: c_uint, argument: usize) -> c_long {
        // SAFETY: By the requirements of this function the file is valid, and stays open during the
        // call. An open file has an inode, whose number does not change; flags that change
        // meanwhile are not those that are looked at.
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
    /// To be called by the kernel alone, with an open file of the device.
    unsafe extern "C" fn ioctl_callback(
        file: *mut sys::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // SAFETY: By the requirements of this function `file` is an open file of this device, which
        // the system call keeps.
        unsafe { Self::call(file, command, argument) }
    }

    /// Serves a call of a 32-bit process.
    ///
    /// # Safety
    ///
    /// To be called by the kernel alone, with an open file of the device.
    unsafe extern "C" fn compat_ioctl_callback(
        file: *mut sys::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // The upper half of a 32-bit process's argument is not its own to set.
        // SAFETY: By the requirements of this function `file` is an open file of this device, which
        // the system call keeps.
        unsafe { Self::call(file, command, argument & 0xffff_ffff) }
    }
}

impl<O: Operations> Drop for Registration<O> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant these numbers were registered under this name, and they are
        // unregistered once. Files that are open go on to use the constant table.
        unsafe { sys::__unregister_chrdev(self.major, 0, MINORS, self.name.as_char_ptr()) };
    }
}
