// SPDX-License-Identifier: GPL-2.0

//! Error codes that the kernel crate lacks.

use crate::sys;
use kernel::error::Error;

/// Returns `EOPNOTSUPP`: the operation is not supported on this object.
pub fn eopnotsupp() -> Error {
    // CAST: An errno is at most 4095.
    Error::from_errno(-(sys::EOPNOTSUPP as i32))
}

/// Returns `ENOKEY`: there is no such key.
pub fn enokey() -> Error {
    // CAST: An errno is at most 4095.
    Error::from_errno(-(sys::ENOKEY as i32))
}
