// SPDX-License-Identifier: GPL-2.0

//! Error codes that the kernel crate does not name.

use crate::sys;
use kernel::error::Error;

/// `EOPNOTSUPP`: the operation is not supported on this object.
pub fn eopnotsupp() -> Error {
    // CAST: Error numbers are small.
    Error::from_errno(-(sys::EOPNOTSUPP as i32))
}

/// `ENOKEY`: there is no such key.
pub fn enokey() -> Error {
    // CAST: Error numbers are small.
    Error::from_errno(-(sys::ENOKEY as i32))
}
