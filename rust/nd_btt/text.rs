// SPDX-License-Identifier: GPL-2.0

//! Text of the types of pure crates in kernel messages.

use core::fmt::Display;
use kernel::fmt;

/// Prints a value that implements the `Display` of the language, which messages of the kernel do not take.
pub struct Text<T>(pub T);

impl<T: Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
