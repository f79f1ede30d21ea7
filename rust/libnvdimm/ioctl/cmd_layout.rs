// SPDX-License-Identifier: GPL-2.0

//! Size of the buffer of an ioctl, from the layout of its command ([`nd_format::uapi`]).

use kernel::prelude::*;
use nd_format::uapi::{
    Layout,
    SizeError,
    Target, //
};

/// Maximum size of the buffer of an ioctl in bytes.
const MAX_SIZE: usize = 4 << 20;

/// Returns the size of the buffer of command `number` in bytes. `word` reads the 32-bit word at an
/// offset of the buffer.
///
/// Fails with `ENOTTY` if there is no such command, and with `EINVAL` if the size is invalid or
/// more than [`MAX_SIZE`]. Other errors are those of `word`.
pub(super) fn size(
    target: Target,
    number: u32,
    word: impl Fn(usize) -> Result<u32>,
) -> Result<usize> {
    let layout = Layout::of(target, number).ok_or(ENOTTY)?;
    let size = layout.size(word).map_err(|error| match error {
        SizeError::Count => EINVAL,
        SizeError::Word(error) => error,
    })?;
    if size > MAX_SIZE {
        return Err(EINVAL);
    }
    Ok(size)
}

#[kernel::prelude::kunit_tests(nd_ioctl_cmd_layout)]
mod tests {
    use super::*;
    use nd_format::uapi::{
        bus_command,
        dimm_command, //
    };

    /// Returns the size of a `SET_CONFIG_DATA` command that writes `length` bytes.
    fn write(length: u32) -> Result<usize> {
        size(Target::Dimm, dimm_command::SET_CONFIG_DATA, |_| Ok(length))
    }

    #[test]
    fn a_buffer_has_a_largest_size() {
        assert!(write(MAX_SIZE as u32 - 12) == Ok(MAX_SIZE));
        assert!(write(MAX_SIZE as u32 - 11) == Err(EINVAL));
        assert!(write(u32::MAX) == Err(EINVAL));
    }

    #[test]
    fn errors_are_those_of_the_ioctl() {
        assert!(size(Target::Bus, 0, |_| Ok(0)) == Err(ENOTTY));
        assert!(size(Target::Bus, dimm_command::VENDOR, |_| Ok(0)) == Err(ENOTTY));
        assert!(size(Target::Bus, bus_command::ARS_STATUS, |_| Ok(5)) == Err(EINVAL));
        assert!(size(Target::Dimm, dimm_command::VENDOR, |_| Err(EFAULT)) == Err(EFAULT));
    }
}
