// SPDX-License-Identifier: GPL-2.0

//! libpmemblk 1.12, which is loaded at run time, so that this crate can be built without it.

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

/// An array of blocks in a mapped file.
pub struct PmemBlk {
    pool: NonNull<c_void>,
    block_size: usize,
    blocks: u64,
    read: Access,
    write: Access,
    close: unsafe extern "C" fn(*mut c_void),
    /// Owner of the functions' text. Declared last, so it is dropped last.
    _library: Library,
}

// SAFETY: The library may be used by any number of threads, pmemblk(7): "BTT ... all operations are
// thread-safe".
unsafe impl Send for PmemBlk {}
// SAFETY: The library may be used by any number of threads concurrently, pmemblk(7). The pool is
// only passed to the library.
unsafe impl Sync for PmemBlk {}

impl PmemBlk {
    /// Creates an array of blocks of `block_size` bytes in a new file of `len` bytes.
    ///
    /// Unless the environment has `PMEM_IS_PMEM_FORCE=1`, the library uses `msync` for files that
    /// are not on persistent memory.
    pub fn create(path: &Path, block_size: usize, len: usize) -> Result<Self> {
        const NAME: &str = "libpmemblk.so.1";
        // SAFETY: The initialisers of the library only read its settings from the environment.
        let library = unsafe { Library::new(NAME) };
        let library = library.with_context(|| format!("{NAME} is not installed"))?;
        // SAFETY: These are the types of the functions in libpmemblk.h of all versions 1.x, which
        // share this soname. `Access` stands for both `read` and `write`, which differ in the
        // constness of the buffer. `_library` keeps the library loaded while the functions are
        // used.
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
        // SAFETY: The name is a C string, which the function only reads. It checks the other
        // arguments.
        let pool = unsafe { create(name.as_ptr(), block_size, len, 0o600) };
        let Some(pool) = NonNull::new(pool) else {
            // SAFETY: After an error the function returns a C string that is valid until this
            // thread calls the library again.
            let why = unsafe { CStr::from_ptr(error()) };
            bail!("{}: {}", path.display(), why.to_string_lossy());
        };
        // SAFETY: `create` has returned this pool, which is open.
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

    /// Returns the number of blocks.
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
        // SAFETY: The pool is open until `self` is dropped. The buffer has the size of a block and
        // is valid for writes. The function refuses block numbers out of range.
        let done = unsafe { (self.read)(self.pool.as_ptr(), bytes.as_mut_ptr().cast(), number) };
        ensure!(done == 0, "libpmemblk cannot read block {block}");
        Ok(())
    }

    /// Writes a block.
    pub fn write(&self, block: u64, bytes: &[u8]) -> Result<()> {
        let number = self.number(block, bytes.len())?;
        let buffer = bytes.as_ptr().cast_mut().cast();
        // SAFETY: The pool is open until `self` is dropped. The buffer has the size of a block, and
        // the function only reads it. It refuses block numbers out of range.
        let done = unsafe { (self.write)(self.pool.as_ptr(), buffer, number) };
        ensure!(done == 0, "libpmemblk cannot write block {block}");
        Ok(())
    }
}

impl Drop for PmemBlk {
    fn drop(&mut self) {
        // SAFETY: The pool is open. It is closed once, and not used afterwards, as `self` is being
        // dropped.
        unsafe { (self.close)(self.pool.as_ptr()) };
    }
}
