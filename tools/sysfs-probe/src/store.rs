// SPDX-License-Identifier: GPL-2.0

//! Writes to attributes and the names of their errors; contents of attributes.

use rustix::io::Errno;
use std::{
    fmt,
    fs::{
        self,
        File, //
    },
    io::{
        self,
        Write, //
    },
    path::Path, //
};

/// Result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All bytes were accepted.
    Done,
    /// Only this many bytes were accepted.
    Short(usize),
    /// The error of opening or writing the file.
    Refused(Errno),
}

impl Outcome {
    pub(crate) fn refused(error: &io::Error) -> Self {
        Self::Refused(Errno::from_io_error(error).unwrap_or(Errno::IO))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("ok"),
            Self::Short(taken) => write!(f, "only {taken} bytes"),
            Self::Refused(errno) => match name(*errno) {
                Some(name) => f.write_str(name),
                None => write!(f, "errno {}", errno.raw_os_error()),
            },
        }
    }
}

/// Returns the name of an error. It has the errors that the NVDIMM attributes return, and others
/// that are unexpected but likely.
fn name(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::ACCESS => "EACCES",
        Errno::AGAIN => "EAGAIN",
        Errno::BUSY => "EBUSY",
        Errno::FAULT => "EFAULT",
        Errno::INVAL => "EINVAL",
        Errno::IO => "EIO",
        Errno::NODEV => "ENODEV",
        Errno::NOENT => "ENOENT",
        Errno::NOKEY => "ENOKEY",
        Errno::NOMEM => "ENOMEM",
        Errno::NOSPC => "ENOSPC",
        Errno::NOTTY => "ENOTTY",
        Errno::NXIO => "ENXIO",
        Errno::OPNOTSUPP => "EOPNOTSUPP",
        Errno::PERM => "EPERM",
        Errno::RANGE => "ERANGE",
        Errno::ROFS => "EROFS",
        _ => return None,
    })
}

/// Writes `value` in one system call.
pub(crate) fn write(file: &Path, value: &[u8]) -> Outcome {
    let written = File::options()
        .write(true)
        .open(file)
        .and_then(|mut file| file.write(value));
    match written {
        Ok(count) if count == value.len() => Outcome::Done,
        Ok(count) => Outcome::Short(count),
        Err(error) => Outcome::refused(&error),
    }
}

/// Returns the contents of an attribute, or the name of the error of reading it in `<>`.
pub(crate) fn text(file: &Path) -> String {
    match fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("<{}>", Outcome::refused(&error)),
    }
}

/// Returns the bytes of a value of the command line or of a table. An empty value is one NUL, since
/// an empty write does not reach a driver.
pub(crate) fn unescape(value: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'0') => bytes.push(0),
            Some(other) => bytes.push(other),
            None => bytes.push(b'\\'),
        }
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape("1\\n\\0"), b"1\n\0");
        assert_eq!(unescape("a\\\\b\\"), b"a\\b\\");
        assert_eq!(unescape(""), b"\0");
    }

    #[test]
    fn errors_have_names() {
        let missing = Path::new("/nonexistent/attribute");
        assert_eq!(write(missing, b"1").to_string(), "ENOENT");
        assert_eq!(write(Path::new("/dev/full"), b"1").to_string(), "ENOSPC");
        assert_eq!(write(Path::new("/dev/null"), b"1"), Outcome::Done);
    }
}
