// SPDX-License-Identifier: GPL-2.0

//! Parsing and printing of attribute values: numbers, booleans, UUIDs, selection lists.
//!
//! Input is what was written, up to the first NUL. Malformed input fails with `EINVAL`, a number
//! that is too large with `ERANGE`.

use core::fmt as core_fmt;
use kernel::{
    fmt::{
        self,
        Write as _, //
    },
    prelude::*,
    str::{
        kstrtobool_bytes,
        Formatter, //
    },
};
use nd_format::uuid::Uuid;

/// Prints text to an attribute. Unlike `write!`, it also takes types of the kernel.
macro_rules! print {
    ($out:expr, $($arguments:tt)+) => {
        $crate::text::write($out, ::kernel::prelude::fmt!($($arguments)+))
    };
}

/// Prints a line to an attribute.
macro_rules! line {
    ($out:expr) => {
        line!($out, "")
    };
    ($out:expr, $($arguments:tt)+) => {
        $crate::text::write_line($out, ::kernel::prelude::fmt!($($arguments)+))
    };
}

pub(crate) use {
    line,
    print, //
};

/// See [`print!`].
pub(crate) fn write(out: &mut Formatter<'_>, arguments: fmt::Arguments<'_>) -> Result {
    Ok(out.write_fmt(arguments)?)
}

/// See [`line!`].
pub(crate) fn write_line(out: &mut Formatter<'_>, arguments: fmt::Arguments<'_>) -> Result {
    write(out, arguments)?;
    Ok(out.write_str("\n")?)
}

/// Removes one newline at the end.
pub(crate) fn without_newline(input: &[u8]) -> &[u8] {
    input.strip_suffix(b"\n").unwrap_or(input)
}

/// Removes white space at the end.
pub(crate) fn without_trailing_space(input: &[u8]) -> &[u8] {
    let length = input
        .iter()
        .rposition(|byte| !byte.is_ascii_whitespace())
        .map_or(0, |last| last + 1);
    input.get(..length).unwrap_or_default()
}

/// Parses an unsigned number: hexadecimal (`0x…`), octal (`0…`) or decimal, with an optional
/// newline at the end.
pub(crate) fn parse_u64(input: &[u8]) -> Result<u64> {
    let text = without_newline(input);
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', digits @ ..] if !digits.is_empty() => (8, digits),
        digits => (10, digits),
    };
    if digits.is_empty() {
        return Err(EINVAL);
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = char::from(digit).to_digit(radix).ok_or(EINVAL)?;
        value
            .checked_mul(u64::from(radix))
            .and_then(|value| value.checked_add(u64::from(digit)))
            .ok_or(ERANGE)
    })
}

/// Parses a number that must be one of `choices`.
pub(crate) fn parse_choice<T: Copy + Into<u64>>(
    input: &[u8],
    choices: impl IntoIterator<Item = T>,
) -> Result<T> {
    let value = parse_u64(input)?;
    choices
        .into_iter()
        .find(|&choice| choice.into() == value)
        .ok_or(EINVAL)
}

/// Parses a boolean as `kstrtobool` does.
pub(crate) fn parse_bool(input: &[u8]) -> Result<bool> {
    kstrtobool_bytes(input)
}

/// Parses a UUID; what follows its 36 characters is ignored.
pub(crate) fn parse_uuid(input: &[u8]) -> Result<Uuid> {
    Uuid::parse(input).map_err(|_| EINVAL)
}

/// Prints a UUID, or an empty line for none.
pub(crate) fn show_uuid(out: &mut Formatter<'_>, uuid: Option<Uuid>) -> Result {
    match uuid {
        Some(uuid) => line!(out, "{}", Foreign(uuid))?,
        None => line!(out)?,
    }
    Ok(())
}

/// Prints every supported value followed by a space, the current one in brackets.
pub(crate) fn show_selection<T: PartialEq + Copy + kernel::fmt::Display>(
    out: &mut Formatter<'_>,
    supported: &[T],
    current: Option<T>,
) -> Result {
    for &value in supported {
        if current == Some(value) {
            print!(out, "[{value}] ")?;
        } else {
            print!(out, "{value} ")?;
        }
    }
    line!(out)
}

/// Prints a hexadecimal number with the prefix `0x` as a line.
pub(crate) fn show_hex(out: &mut Formatter<'_>, value: u64) -> Result {
    line!(out, "{value:#x}")
}

/// Lets the formatter of the kernel print types of the pure crates, which implement the `Display`
/// of `core`.
pub(crate) struct Foreign<T>(pub(crate) T);

impl<T: core_fmt::Display> kernel::fmt::Display for Foreign<T> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core_fmt::Display::fmt(&self.0, f)
    }
}
