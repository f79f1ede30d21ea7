// SPDX-License-Identifier: GPL-2.0

//! Whether a request may wait for others: a type, lest the I/O path ask at every sector.

/// What a request does that would have to wait.
pub(crate) trait Patience {
    /// Whether it waits. If not, it fails with [`WouldBlock`](crate::IoError::WouldBlock), and nothing was stored for it. Once
    /// something was stored, it goes on as one that waits.
    const WAITS: bool;
}

/// The request waits.
pub(crate) enum Waits {}

/// The request fails instead.
pub(crate) enum Refuses {}

impl Patience for Waits {
    const WAITS: bool = true;
}

impl Patience for Refuses {
    const WAITS: bool = false;
}
