// SPDX-License-Identifier: GPL-2.0

//! libpmemblk 1.12, which is loaded when it is wanted, so that nobody needs it to build this.

use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use libloading::Library;
use std::{
    ffi::{
        c_char,
        c_int,
        c_longlong,
        c_uint,
        c_void,
        CStr,
        CString, //
    },
    path::Path,
    ptr::NonNull, //
};

type Create = unsafe extern "C" fn(*const c_char, usize, usize, c_uint) -> *mut c_void;
type Access = unsafe extern "C" fn(*mut c_void, *mut c_void, c_longlong) -> c_int;

/// An array of blocks in a file that is mapped.
pub struct PmemBlk {
    pool: NonNull<c_void>,
    block_size: usize,
    blocks: u64,
    read: Access,
    write: Access,
    close: unsafe extern "C" fn(*mut c_void),
    /// Where the functions are; it goes last.
    _library: Library,
}

// SAFETY: The library may be used by any number of threads, pmemblk(7): "BTT ... all operations are
// thread-safe".
unsafe impl Send for PmemBlk {}
// SAFETY: As above.
unsafe impl Sync for PmemBlk {}

impl PmemBlk {
    /// Makes an array of blocks of `block_size` bytes in a new file of `len` bytes.
    ///
    /// `PMEM_IS_PMEM_FORCE=1` is in the environment already, or files that are not on persistent
    /// memory are synchronised by `msync`.
    pub fn create(path: &Path, block_size: usize, len: usize) -> Result<Self> {
        const NAME: &str = "libpmemblk.so.1";
        // SAFETY: What the library does when it is loaded is to read its settings from the
        // environment.
        let library = unsafe { Library::new(NAME) };
        let library = library.with_context(|| format!("{NAME} is not installed"))?;
        // SAFETY: These are the types of the functions in libpmemblk.h of versions 1.x, which all
        // have that name; `read` and `write` differ in whether the buffer is written to.
        let (create, nblock, read, write, close, error) = unsafe {
            (
                *library.get::<Create>(b"pmemblk_create\0")?,
                *library.get::<unsafe extern "C" fn(*mut c_void) -> usize>(b"pmemblk_nblock\0")?,
                *library.get::<Access>(b"pmemblk_read\0")?,
                *library.get::<Access>(b"pmemblk_write\0")?,
                *library.get::<unsafe extern "C" fn(*mut c_void)>(b"pmemblk_close\0")?,
                *library.get::<unsafe extern "C" fn() -> *const c_char>(b"pmemblk_errormsg\0")?,
            )
        };
        let name = CString::new(path.as_os_str().as_encoded_bytes())?;
        // SAFETY: The name ends with a NUL.
        let pool = unsafe { create(name.as_ptr(), block_size, len, 0o600) };
        let Some(pool) = NonNull::new(pool) else {
            // SAFETY: After an error this is a string, valid until the next call by this thread.
            let why = unsafe { CStr::from_ptr(error()) };
            bail!("{}: {}", path.display(), why.to_string_lossy());
        };
        // SAFETY: The pool is open.
        let blocks = unsafe { nblock(pool.as_ptr()) } as u64;
        Ok(Self {
            pool,
            block_size,
            blocks,
            read,
            write,
            close,
            _library: library,
        })
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    fn number(&self, block: u64, len: usize) -> Result<c_longlong> {
        ensure!(
            len == self.block_size,
            "a buffer of {len} bytes, expected {}",
            self.block_size
        );
        Ok(c_longlong::try_from(block)?)
    }

    /// Reads a block.
    pub fn read(&self, block: u64, bytes: &mut [u8]) -> Result<()> {
        let number = self.number(block, bytes.len())?;
        // SAFETY: The pool is open, and the buffer has the size of a block. Numbers out of range
        // are refused.
        let done = unsafe { (self.read)(self.pool.as_ptr(), bytes.as_mut_ptr().cast(), number) };
        ensure!(done == 0, "libpmemblk cannot read block {block}");
        Ok(())
    }

    /// Writes a block.
    pub fn write(&self, block: u64, bytes: &[u8]) -> Result<()> {
        let number = self.number(block, bytes.len())?;
        let buffer = bytes.as_ptr().cast_mut().cast();
        // SAFETY: As for `read`; the function does not write to the buffer.
        let done = unsafe { (self.write)(self.pool.as_ptr(), buffer, number) };
        ensure!(done == 0, "libpmemblk cannot write block {block}");
        Ok(())
    }
}

impl Drop for PmemBlk {
    fn drop(&mut self) {
        // SAFETY: The pool is open, and nobody uses it any more.
        unsafe { (self.close)(self.pool.as_ptr()) };
    }
}
