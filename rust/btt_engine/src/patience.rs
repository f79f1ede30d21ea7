// SPDX-License-Identifier: GPL-2.0

//! Whether a request may wait for others.

/// What a request does that would have to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    /// It waits.
    Wait,
    /// It fails with [`WouldBlock`](crate::IoError::WouldBlock), and nothing was stored for it. Once something was stored, it
    /// waits.
    Refuse,
}
