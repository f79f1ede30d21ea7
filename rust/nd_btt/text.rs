// SPDX-License-Identifier: GPL-2.0

//! Text of types of the pure crates, for kernel messages.

use core::fmt::Display;
use kernel::fmt;

/// Adapts `core::fmt::Display`, which kernel messages do not accept, to `kernel::fmt::Display`.
pub struct Text<T>(pub T);

impl<T: Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
